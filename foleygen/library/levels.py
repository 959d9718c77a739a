"""The level of a recording, frame by frame and band by band: a few bytes for each thousand samples.

T frames, one every HOP_S; B bands; N windows of W samples; F frequencies. Levels are dBFS. What comes before a
recording and after it is silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

HOP_S, WINDOW_S = 0.005, 0.02
BANDS = 16
SILENCE_DB = -100.0
"""What is less counts as this."""
BAND_SILENCE_DB = SILENCE_DB - 10 * float(np.log10(BANDS))
FLOOR_S = 30.0
"""The noise floor is told anew for each stretch of this length."""
FLOOR_PERCENTILE = 10
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 16000.0
_PADDED_S = 2.0
"""A recording that is shorter than this is followed by silence: else the tail of a single hit would be its noise."""

Levels = NDArray[np.float32]


def hop(sample_rate: int) -> int:
    """Samples from one frame to the next; frame t is centred on sample t * hop."""
    return max(1, round(HOP_S * sample_rate))


def band_levels(blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> Levels:
    """Levels (T, B) of mono sound in blocks, float16 since there may be hours of them."""
    window = max(4, round(WINDOW_S * sample_rate))
    weights = np.hanning(window).astype(np.float32)
    matrix = _bands(window, sample_rate) * np.float32(2 / (window * (weights**2).sum()))  # (F, B)
    found = [np.zeros((0, BANDS), np.float16)]
    for windows in _windows(blocks, window, hop(sample_rate)):  # (N, W)
        power = np.abs(np.fft.rfft(windows * weights)) ** 2 @ matrix
        found.append(np.asarray(10 * np.log10(power + 10 ** (BAND_SILENCE_DB / 10)), np.float16))
    return np.concatenate(found)


def total(bands: Levels) -> Levels:
    """The level of all bands together (T,)."""
    parts = [10 ** (bands[first : first + 65536].astype(np.float32) / 10) for first in range(0, len(bands), 65536)]
    power = np.concatenate([np.zeros(0, np.float32), *(part.sum(axis=1) for part in parts)])
    return np.asarray(10 * np.log10(power), np.float32)


def noise_floor(level: Levels) -> Levels:
    """The level (T,) that the sound around each frame is above for nine tenths of the time."""
    frames = round(FLOOR_S / HOP_S)
    floor = np.empty_like(level)
    for first in range(0, len(level), frames):
        last = first + frames
        around = level[max(0, min(first, len(level) - frames)) : last]
        padded = np.pad(around, (0, max(0, round(_PADDED_S / HOP_S) - len(around))), constant_values=SILENCE_DB)
        floor[first:last] = np.percentile(padded, FLOOR_PERCENTILE)
    return floor


def _bands(window: int, sample_rate: int) -> NDArray[np.float32]:
    """Which frequency is in which band (F, B): each in one, equally wide on a logarithmic scale."""
    frequencies = np.fft.rfftfreq(window, 1 / sample_rate)
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, BANDS + 1)
    band = np.searchsorted(edges, frequencies, side="right") - 1
    return np.asarray(band[:, None] == np.arange(BANDS), np.float32)


def _windows(blocks: Iterable[NDArray[np.float32]], window: int, step: int) -> Iterator[NDArray[np.float32]]:
    """Windows (N, W) around every ``step``-th sample, as the blocks come."""
    waiting = np.zeros(window // 2, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        count = max(0, (len(waiting) - window) // step + 1)
        if count:
            yield sliding_window_view(waiting, window)[: count * step : step]
            waiting = waiting[count * step :]
    waiting = np.pad(waiting, (0, window))
    yield sliding_window_view(waiting, window)[: len(waiting) - window : step]
