"""Where the hits of a recording begin: found by the rise of its spectrum, placed by its envelope.

A hit rises fast and far above what was before, and falls again. Rain and engines rise a little all the time. T frames,
B bands, N hits, S samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from foleygen.audio.onsets import peaks
from foleygen.library.levels import BAND_SILENCE_DB, HOP_S, SILENCE_DB, Levels, hop
from foleygen.library.mono import Mono

RISE_DB = 3.0
"""Mean over the bands, within two frames: what an attack rises by at least."""
LEAP_DB = 8.0
"""The level of its first 50 ms above the median of the 100 ms before."""
CLEAR_DB = 10.0
"""The same above the noise floor."""
QUIET_DB, RANGE_DB = -70.0, 45.0
"""dBFS, and below the recording's loudest: what is softer is no event."""
FALL_DB = 6.0
"""How far it must fall again within FALL_S, or before the next one."""
FALL_S = 3.0
APART_S = 0.06
"""Attacks that are nearer than that are of one event: heel and toe."""
_FIRST_S, _BEFORE_S = 0.05, 0.1
_SWELL_S, _GONE_DB = 0.3, 20.0
_UNHEARD = 4
"""Frames: with fewer before it, nobody knows what was before a sound."""
_STEP_S, _SMOOTH_STEPS = 0.0005, 2
"""Of the envelope that an attack is placed by."""
_SEARCH_S = 0.025
_ATTACK = 0.1
"""Of the peak's amplitude, -20 dB: where an attack is, unless what was before is louder than half of that."""
_SLOW_S = 0.005
_LEAD_S = 0.02
"""A sound starts at most that long before its attack."""
_ROWS = 65536


class Place(NamedTuple):
    """Of one hit: where it comes out of what was before, and where its level leaps up, in samples."""

    start: int
    attack: int


def frames(bands: Levels, level: Levels, floor: Levels) -> list[int]:
    """The frames (N,) at which hits begin, by the levels (T, B), (T,) and the noise floor (T,)."""
    rise, least = _rise(bands), max(QUIET_DB, float(level.max(initial=SILENCE_DB)) - RANGE_DB)
    if len(level) and not _leaps(level, floor, 0, least):
        rise[:_UNHEARD] = 0  # out of the silence before a recording rises everything
    radius = round(APART_S / HOP_S)
    found = peaks(rise, radius, rise >= RISE_DB)
    kept = [int(peak) for peak in found if _leaps(level, floor, int(peak), least)]
    ends = [*kept[1:], len(level) + round(FALL_S / HOP_S)]
    return [peak for peak, end in zip(kept, ends, strict=False) if _falls(level, peak, end)]


def _rise(bands: Levels) -> Levels:
    """Mean over the bands of how far each has risen in the frame before and after (T,); silence before the first."""
    rise = np.zeros(len(bands), np.float32)
    for first in range(0, len(bands), _ROWS):
        part = bands[max(0, first - 1) : first + _ROWS + 1].astype(np.float32)
        before = part if first else np.concatenate([np.full((1, part.shape[1]), BAND_SILENCE_DB, np.float32), part])
        after = np.concatenate([before, before[-1:]]) if first + _ROWS >= len(bands) else before
        rise[first : first + _ROWS] = np.maximum(0, after[2:] - after[:-2]).mean(axis=1)
    return rise


def _loudest(level: Levels, peak: int) -> float:
    return float(level[peak : peak + round(_FIRST_S / HOP_S)].max())


def _leaps(level: Levels, floor: Levels, peak: int, least: float) -> bool:
    loudest = _loudest(level, peak)
    before = level[max(0, peak - round(_BEFORE_S / HOP_S)) : max(0, peak - 1)]
    if len(before) < _UNHEARD and not _fades(level, peak, loudest):
        return False
    background = float(np.median(before)) if len(before) else SILENCE_DB
    return loudest >= max(background + LEAP_DB, float(floor[peak]) + CLEAR_DB, least)


def _fades(level: Levels, peak: int, loudest: float) -> bool:
    """Whether a sound at the beginning of a recording is a hit, and not what was there before it was cut.

    A hit is softer after half a second; or others follow it, with something softer between them; or it rings for long,
    is loudest soon after, and gone at the end.
    """
    second = round(1 / HOP_S)
    following = level[peak : peak + second]
    padded = np.pad(following, (0, second - len(following)), constant_values=SILENCE_DB)
    is_softer = float(padded[second // 2 :].max()) <= loudest - FALL_DB
    end = float(level[-round(_FIRST_S / HOP_S) :].max())
    rings = int(level.argmax()) <= peak + round(_SWELL_S / HOP_S) and end <= float(level.max()) - _GONE_DB
    return is_softer or rings or float(np.median(padded)) <= loudest - CLEAR_DB


def _falls(level: Levels, peak: int, end: int) -> bool:
    """Whether the level falls again; what is after the recording is silence."""
    last = min(end, peak + round(FALL_S / HOP_S))
    return last > len(level) or float(level[peak:last].min()) <= _loudest(level, peak) - FALL_DB


def placed(recording: Mono, frame: int) -> Place:
    """The hit at a frame, to the half millisecond: where its envelope leaves what was before and reaches its tenth."""
    rate = recording.sample_rate
    step = max(1, round(_STEP_S * rate))
    before, after = round(3 * _SEARCH_S * rate), round((_FIRST_S + _SEARCH_S) * rate)
    centre = frame * hop(rate)
    envelope = _envelope(_without_rumble(recording.part(centre - before, centre + after), rate), step)
    middle, search = before // step, round(_SEARCH_S / _STEP_S)
    peak = float(envelope[middle - search : middle + round(_FIRST_S / _STEP_S)].max())
    background = float(np.percentile(envelope[: middle - search], 90))
    low = middle - search + int(np.argmin(envelope[middle - search : middle + search // 2]))
    above = np.flatnonzero(envelope[low:] >= max(_ATTACK * peak, min(2 * background, 0.7 * peak)))
    attack = low + int(above[0]) if len(above) else low
    at = max(0, centre - before + attack * step)
    return Place(max(0, at - round(_LEAD_S * rate), centre - before + low * step), at)


def _without_rumble(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Each sample less the mean of those before it: what is slow goes, and nothing comes earlier than it was."""
    width = max(2, round(_SLOW_S * rate))
    exact = samples.astype(np.float64)
    return np.asarray(exact - uniform_filter1d(exact, width, mode="nearest", origin=(width - 1) // 2), np.float64)


def _envelope(samples: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Root mean square of every ``step`` samples and the next ones."""
    even: NDArray[np.float64] = samples[: len(samples) // step * step].reshape(-1, step)
    power = np.append((even**2).mean(axis=1), 0)
    smooth = sliding_window_view(power, _SMOOTH_STEPS).mean(axis=1)
    return np.asarray(np.sqrt(smooth), np.float64)
