"""Windows over a soundtrack of any length, and the crossfade that joins them again. Lengths are samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from foleygen.errors import UsageError


@dataclass(frozen=True)
class Window:
    """One stretch of the soundtrack that the model makes in one go; ``start`` counts from the clip's first sample."""

    index: int
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


def plan_windows(total: int, window: int, overlap: int) -> list[Window]:
    """Windows of equal length on a grid of ``window - overlap`` samples that cover [0, total).

    Starts are multiples of the hop whatever the total, and the last window may reach past the end; spreading the starts
    evenly would move every window for one more frame of picture. Raises UsageError if the overlap is not
    in 0..window - 1, ValueError if ``total`` or ``window`` is below 1.
    """
    if total < 1 or window < 1:
        raise ValueError(f"a soundtrack of {total} samples in windows of {window}")
    if not 0 <= overlap < window:
        raise UsageError(
            f"windows of {window} samples cannot overlap by {overlap}", f"choose an overlap from 0 to {window - 1}"
        )
    hop = window - overlap
    count = 1 + max(0, -(-(total - window) // hop))
    return [Window(index, index * hop, window) for index in range(count)]


class Stitcher:
    """Joins windows pushed in order into ``total`` samples, and gives out each sample as soon as it is final.

    Overlap-add with equal-power weights: a half sine over each window, divided by the root of the summed squares of
    all windows at that sample. Uncorrelated neighbours keep their power through a joint, a window that stands alone
    has weight 1, and neither the edges nor windows of other lengths need a special case. Holds the weighted sum of
    at most one window.
    """

    def __init__(self, total: int, windows: Sequence[Window]) -> None:
        _check(total, windows)
        self._total = total
        self._windows = list(windows)
        self._next = 0
        self._pending = np.zeros(0, dtype=np.float32)

    def push(self, index: int, samples: Tensor | NDArray[np.float32]) -> NDArray[np.float32]:
        """Add window ``index``, (length,); return the samples that no later window changes, float32, maybe none.

        The lengths returned for all windows add up to ``total``; samples past the end of the clip are dropped. Raises
        ValueError for a window out of order or of another length than planned.
        """
        if index != self._next or index >= len(self._windows):
            raise ValueError(f"window {index} pushed where {self._next} of {len(self._windows)} was expected")
        window = self._windows[index]
        added = _as_array(samples)
        if added.shape != (window.length,):
            raise ValueError(f"window {index} has shape {added.shape}, planned {(window.length,)}")
        mixed = added * self._weights(index)
        mixed[: self._pending.size] += self._pending
        self._next += 1
        is_last = self._next == len(self._windows)
        finished = (self._total if is_last else self._windows[self._next].start) - window.start
        self._pending = mixed[finished:].copy()
        return mixed[:finished]

    def _weights(self, index: int) -> NDArray[np.float32]:
        """Weights of one window against all that share samples with it, (length,)."""
        window = self._windows[index]
        bell = _bell(window.length)
        power = bell**2
        for other in self._neighbours(index):
            low, high = max(window.start, other.start), min(window.end, other.end)
            power[low - window.start : high - window.start] += (
                _bell(other.length)[low - other.start : high - other.start] ** 2
            )
        return (bell / np.sqrt(power)).astype(np.float32)

    def _neighbours(self, index: int) -> list[Window]:
        window = self._windows[index]
        first = index
        while first > 0 and self._windows[first - 1].end > window.start:
            first -= 1
        last = index + 1
        while last < len(self._windows) and self._windows[last].start < window.end:
            last += 1
        return self._windows[first:index] + self._windows[index + 1 : last]


def _bell(length: int) -> NDArray[np.float64]:
    """Half a sine over (length,), sampled at bin centres so that no weight is zero."""
    bell: NDArray[np.float64] = np.sin((np.arange(length) + 0.5) * (np.pi / length))
    return bell


def _as_array(samples: Tensor | NDArray[np.float32]) -> NDArray[np.float32]:
    array = samples.detach().cpu().numpy() if isinstance(samples, Tensor) else samples
    return np.asarray(array, dtype=np.float32)


def _check(total: int, windows: Sequence[Window]) -> None:
    if not windows or windows[0].start != 0 or windows[-1].end < total or windows[-1].start >= total:
        raise ValueError(f"the windows do not span the {total} samples from 0")
    if [window.index for window in windows] != list(range(len(windows))):
        raise ValueError("the windows are not numbered in order")
    for before, after in pairwise(windows):
        if not before.start < after.start <= before.end <= after.end:
            raise ValueError(f"windows {before.index} and {after.index} leave a gap or are out of order")
