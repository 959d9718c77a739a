"""What a hit sounds like, in few numbers: its spectrum in four stretches of its first 200 ms, whatever its level.

It compares recordings at any rate with a model's sound at 16 kHz, so nothing above 7.6 kHz counts, and powers are read
off the cumulated spectrum at the edges of the bands: these are the same frequencies at every rate. S samples, W
windows, F frequencies, T stretches, B bands.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SECONDS = 0.2
"""What counts, from the attack."""
DIMENSIONS = 32
_BOUNDS_S = (0.0, 0.02, 0.06, 0.12, SECONDS)
"""Of the stretches: short where a hit changes fast."""
BANDS = DIMENSIONS // (len(_BOUNDS_S) - 1)
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 7600.0
_WINDOW_S, _HOP_S = 0.02, 0.005
_MOST_WINDOWS = 500
"""Of a sound that goes on, spread over all of it."""
_FLOOR = 1e-5
"""-50 dB under the loudest cell: what is weaker is not heard beside it, and differs between any two recordings."""

Samples = NDArray[np.float32]


def likeness(samples: Samples, sample_rate: int, attack: int) -> NDArray[np.float32]:
    """(DIMENSIONS,) in dB around 0: stretch by stretch, low bands first; zeros for silence.

    ``samples`` (S,) are mono, at most from where the sound begins to where it ends; what lacks is silence. The root
    mean square of the difference of two likenesses is their distance in dB.
    """
    power = _cells(samples, sample_rate, attack)  # (T, B)
    loudest = float(power.max())
    if not loudest > 0:
        return np.zeros(DIMENSIONS, np.float32)
    decibels = 10 * np.log10(power / loudest + _FLOOR)
    return np.asarray((decibels - decibels.mean()).ravel(), np.float32)


def spectrum(samples: Samples, sample_rate: int) -> NDArray[np.float32]:
    """(BANDS,) in dB around 0: what a sound that goes on is like, by the mean of its power; zeros for silence.

    ``samples`` (S,) are mono.
    """
    window = _window(sample_rate)
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    starts = np.linspace(0, len(padded) - window, max(1, min(_MOST_WINDOWS, 2 * len(padded) // window))).astype(np.intp)
    windows = sliding_window_view(padded, window)[starts] * np.hanning(window)
    power = _banded((np.abs(np.fft.rfft(windows)) ** 2).mean(axis=0, keepdims=True), sample_rate)[0]
    loudest = float(power.max())
    if not loudest > 0:
        return np.zeros(BANDS, np.float32)
    decibels = 10 * np.log10(power / loudest + _FLOOR)
    return np.asarray(decibels - decibels.mean(), np.float32)


def brightness(samples: Samples, sample_rate: int, attack: int) -> float:
    """Hz: the centroid of the power spectrum of the same stretch, up to half the sample rate; 0 for silence."""
    power = _spectra(samples, sample_rate, attack).sum(axis=0)  # (F,)
    total = float(power.sum())
    return float(power @ np.linspace(0, sample_rate / 2, len(power))) / total if total > 0 else 0.0


def _cells(samples: Samples, sample_rate: int, attack: int) -> NDArray[np.float64]:
    """Power per stretch and band (T, B)."""
    spectra = _spectra(samples, sample_rate, attack)  # (W, F)
    bands = _banded(spectra, sample_rate)  # (W, B)
    centres = np.arange(len(bands)) * _HOP_S
    stretch = np.clip(np.searchsorted(_BOUNDS_S, centres, side="right") - 1, 0, len(_BOUNDS_S) - 2)
    return np.array([bands[stretch == number].mean(axis=0) for number in range(len(_BOUNDS_S) - 1)])


def _banded(spectra: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Power per band (W, B) of power spectra (W, F)."""
    cumulated = np.pad(np.cumsum(spectra, axis=1), ((0, 0), (1, 0)))
    bins = np.fft.rfftfreq(_window(sample_rate), 1 / sample_rate)
    places = np.append(bins - bins[1] / 2, bins[-1] + bins[1] / 2)
    at_edges = np.array([np.interp(_edges(), places, row) for row in cumulated])
    return np.diff(at_edges, axis=1)


@cache
def _edges() -> NDArray[np.float64]:
    """Hz of the edges of bands that are equally wide on the mel scale, (B + 1,)."""
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges: NDArray[np.float64] = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 1) / 2595) - 1)
    return edges


def _spectra(samples: Samples, sample_rate: int, attack: int) -> NDArray[np.float64]:
    """Power spectra (W, F) of windows whose centres lie in the SECONDS after the attack."""
    window, hop = _window(sample_rate), _HOP_S * sample_rate
    starts = np.round(np.arange(round(SECONDS / _HOP_S)) * hop).astype(np.intp)
    first, count = attack - window // 2, int(starts[-1]) + window
    part = np.zeros(count)
    low, high = max(0, first), min(len(samples), first + count)
    if low < high:
        part[low - first : high - first] = samples[low:high]
    windows = sliding_window_view(part, window)[starts] * np.hanning(window)
    spectra: NDArray[np.float64] = np.abs(np.fft.rfft(windows)) ** 2
    return spectra


def _window(sample_rate: int) -> int:
    return max(4, round(_WINDOW_S * sample_rate))
