"""Onsets of sound events, from the rise of the mel spectrogram, and how well two lists of them agree.

M mel bands, T frames, S samples, K matched pairs. Times are seconds.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = TypeVar("Real", bound=np.floating)

OFFSET_S = 0.0212
"""Added to every detected time: the analysis window reaches an attack before its centre does."""

MIN_FLUX = 0.03
RELATIVE_FLUX = 0.3
PERCENTILE = 99.5
PEAK_RADIUS_S = 0.064
"""A peak is the largest value among its neighbours this far on both sides."""


class Matching(NamedTuple):
    """One-to-one pairs of found and true onsets, in order of time."""

    hits: int
    found_index: NDArray[np.intp]
    true_index: NDArray[np.intp]
    errors_s: NDArray[np.float64]
    """Found minus true, (K,)."""


def flux(mel: ArrayLike) -> NDArray[np.float64]:
    """Mean rise per frame of a normalised mel (M, T) over the two frames around it, (T,); 0.01 is 1 dB."""
    padded = np.pad(np.asarray(mel, dtype=np.float64), ((0, 0), (1, 1)), mode="edge")
    rise: NDArray[np.float64] = np.maximum(0.0, padded[:, 2:] - padded[:, :-2]).mean(axis=0)
    return rise


def from_nothing(mel: ArrayLike) -> float:
    """The flux of the first frame of a mel (M, T), if nothing was there before it."""
    return float(np.asarray(mel, dtype=np.float64)[:, :2].mean(axis=0).max())


def least_flux(strength: NDArray[np.float64]) -> float:
    """What the flux of an onset reaches in a sound whose flux is ``strength`` (T,)."""
    return max(MIN_FLUX, RELATIVE_FLUX * float(np.percentile(strength, PERCENTILE)))


def detect(mel: ArrayLike, frame_rate: float, begins: bool = False) -> NDArray[np.float64]:
    """Onset times of a normalised mel (M, T) in [0, 1], ascending.

    Nothing rises to the first frame; ``begins`` says that what is there then was not there before, and has an onset.

    An onset is a local maximum of the flux that reaches both MIN_FLUX and RELATIVE_FLUX of its 99.5th percentile.
    A parabola through the peak and its neighbours places it between frames. OFFSET_S holds for a window of 1024
    samples at 16 kHz.
    """
    if np.shape(mel)[-1] == 0:
        return np.zeros(0)
    strength = flux(mel)
    radius = max(1, round(PEAK_RADIUS_S * frame_rate))
    least = least_flux(strength)
    if begins:
        strength[0] = from_nothing(mel)
    frames = peaks(strength, radius, strength >= least)
    return np.maximum(0.0, (frames + _vertex(strength, frames)) / frame_rate + OFFSET_S)


def peaks(values: NDArray[Real], radius: int, wanted: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where values (T,) are the largest of those up to ``radius`` steps away, and ``wanted`` (T,); ascending."""
    places = np.flatnonzero((values == highest_near(values, radius, radius)) & wanted)
    return places[np.diff(places, prepend=-radius - 1) > radius]  # a plateau counts once


def highest_near(values: NDArray[Real], before: int, after: int) -> NDArray[Real]:
    """The largest of the values (T,) from ``before`` steps earlier to ``after`` steps later.

    scipy has this; importing it takes longer than a short clip takes to sound.
    """
    padded = np.pad(values, (before, after), mode="edge")
    highest: NDArray[Real] = np.lib.stride_tricks.sliding_window_view(padded, before + after + 1).max(axis=1)
    return highest


def match(found: ArrayLike, true: ArrayLike, tolerance_s: float) -> Matching:
    """Pair found with true onsets, each at most once and at most ``tolerance_s`` apart.

    Among all such pairings this one has the most pairs, and among those the smallest sum of absolute errors. No two of
    its pairs cross, so that it is found as two texts are aligned; scipy's assignment takes any costs, and longer to
    import than a short clip takes to sound.
    """
    found_s, true_s = np.asarray(found, dtype=np.float64), np.asarray(true, dtype=np.float64)
    by_found, by_true = np.argsort(found_s, kind="stable"), np.argsort(true_s, kind="stable")
    rows, columns = _paired(found_s[by_found], true_s[by_true], tolerance_s)
    found_index, true_index = by_found[rows], by_true[columns]
    return Matching(len(rows), found_index, true_index, found_s[found_index] - true_s[true_index])


def _paired(
    found_s: NDArray[np.float64], true_s: NDArray[np.float64], most: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices (K,) of the best pairs of ascending times, stretch by stretch.

    No pair reaches over a silence longer than ``most``, and all distances of an hour at once would take a gigabyte.
    """
    times = np.sort(np.concatenate([found_s, true_s]))
    begins = times[1:][np.diff(times) > most]
    pairs = [np.zeros((2, 0), np.intp)]
    edges = [[0, *np.searchsorted(values, begins), len(values)] for values in (found_s, true_s)]
    for first, end, first_true, end_true in zip(edges[0], edges[0][1:], edges[1], edges[1][1:], strict=False):
        if first < end and first_true < end_true:
            distances = np.abs(found_s[first:end, None] - true_s[None, first_true:end_true])
            rows, columns = _aligned(distances, most)
            pairs.append(np.stack([rows + first, columns + first_true]))
    rows, columns = np.concatenate(pairs, axis=1)
    return rows, columns


def _aligned(distances: NDArray[np.float64], most: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns (K,), both rising, of as many ``distances`` (P, Q) up to ``most`` as can be, and as short."""
    worth = (most + 1.0) * (min(distances.shape) + 1)  # of a pair: more than all distances together
    gains = np.where(distances <= most, worth - distances, -np.inf)
    best = np.zeros((len(gains) + 1, gains.shape[1] + 1))  # of the first p rows and q columns
    for row, gain in enumerate(gains):
        best[row + 1, 1:] = np.maximum.accumulate(np.maximum(best[row, 1:], best[row, :-1] + gain))
    pairs: list[tuple[int, int]] = []
    row, column = gains.shape
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            pairs.append((row, column))
    places = np.array(pairs[::-1], dtype=np.intp).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def f1(found: ArrayLike, true: ArrayLike, tolerance_s: float) -> float:
    """Harmonic mean of precision and recall of the matching; 1 when both lists are empty."""
    total = np.size(found) + np.size(true)
    return 2.0 * match(found, true, tolerance_s).hits / total if total else 1.0


def rms_envelope(samples: ArrayLike, sample_rate: int, frame_rate: float) -> NDArray[np.float64]:
    """Root mean square of samples (S,) in consecutive stretches of 1 / frame_rate seconds, (ceil(S / stretch),).

    Stretches begin at round(i * sample_rate / frame_rate), so that frame rates which do not divide the sample rate
    do not drift; the last one may be shorter.
    """
    signal = np.asarray(samples, dtype=np.float64)
    count = int(np.ceil(signal.size * frame_rate / sample_rate))
    starts = np.round(np.arange(count) * sample_rate / frame_rate).astype(np.intp)
    starts = starts[starts < signal.size]
    if starts.size == 0:
        return np.zeros(0)
    lengths = np.diff(starts, append=signal.size)
    envelope: NDArray[np.float64] = np.sqrt(np.add.reduceat(signal**2, starts) / lengths)
    return envelope


def _vertex(strength: NDArray[np.float64], frames: NDArray[np.intp]) -> NDArray[np.float64]:
    """Frames from each peak to the vertex of the parabola through its three values, within -0.5..0.5."""
    padded = np.pad(strength, 1, mode="edge")
    before, at, after = padded[frames], padded[frames + 1], padded[frames + 2]
    curvature = 2 * at - before - after
    shift: NDArray[np.float64] = 0.5 * (after - before) / np.where(curvature > 0, curvature, 1.0)
    return shift
