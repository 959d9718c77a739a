"""Windows over a soundtrack of any length, and the fades that join them again. Lengths are samples."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from foleygen.errors import UsageError

CUT_FADE = 128
"""A window that begins on a shot change takes over within this: 8 ms at 16 kHz, too short to be heard as a fade."""
CUT_REACH = 1024
"""A shot change nearer to the end of a window is left in the fade, where that window is all but silent."""


@dataclass(frozen=True)
class Window:
    """One stretch of the soundtrack that the model makes in one go; ``start`` counts from the clip's first sample."""

    index: int
    start: int
    length: int
    on_cut: bool = False
    """It begins on a shot change, and takes over there."""

    @property
    def end(self) -> int:
        return self.start + self.length


def plan_windows(total: int, window: int, overlap: int, cuts: Sequence[int] = ()) -> list[Window]:
    """Windows of equal length, each ``overlap`` samples into the one before, that cover [0, total).

    Where the overlap would hold one of ``cuts`` (first samples of new shots, ascending), the next window begins exactly
    there instead; of several, on the last. So no joint fades across a shot change. A window depends on no cut that
    comes later than the end of the window before it, and on the total only for whether it is needed: without cuts
    starts are multiples of one hop, and the last window may reach past the end. Raises UsageError if the overlap
    is not in 0..window - 1, ValueError if ``total`` or ``window`` is below 1.
    """
    if total < 1 or window < 1:
        raise ValueError(f"a soundtrack of {total} samples in windows of {window}")
    if not 0 <= overlap < window:
        raise UsageError(
            f"windows of {window} samples cannot overlap by {overlap}", f"choose an overlap from 0 to {window - 1}"
        )
    windows = [Window(0, 0, window)]
    while windows[-1].end < total:
        last = windows[-1]
        start = last.end - overlap
        place = bisect_left(cuts, last.end - CUT_REACH) - 1
        on_cut = place >= 0 and cuts[place] >= start
        windows.append(Window(last.index + 1, cuts[place] if on_cut else start, window, on_cut))
    return windows


def joint(before: Window, after: Window) -> int:
    """The sample at which ``after`` takes over from ``before``: the middle of what they share, or the shot change."""
    return after.start if after.on_cut else (after.start + before.end) // 2


class Stitcher:
    """Joins windows pushed in order into ``total`` samples, and gives out each sample as soon as it is final.

    Overlap-add by weights normalised over all windows at a sample, so that a window that stands alone has weight 1 and
    neither edges nor windows of other lengths need a special case. Neighbours that have nothing in common are faded by
    half sines in constant power; ``correlated`` ones, which describe the same sound, by straight ramps in constant
    sum. At a shot change the old sound ends within CUT_FADE samples, in constant power. Holds the weighted sum of at
    most one window.
    """

    def __init__(self, total: int, windows: Sequence[Window], correlated: bool = False) -> None:
        self._total = total
        self._correlated = correlated
        self._next = 0
        self._pending = np.zeros(0, dtype=np.float32)
        self.replan(windows)

    def replan(self, windows: Sequence[Window]) -> None:
        """Go on with other windows: those pushed, and the one after, stay as they were. Raises ValueError."""
        _check(self._total, windows)
        self._windows = list(windows)

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
        bell = _bell(window.length, self._correlated)
        power = 1 if self._correlated else 2
        total = bell**power
        for other in self._neighbours(index):
            if not self._parted(index, other.index):
                low, high = max(window.start, other.start), min(window.end, other.end)
                shared = _bell(other.length, self._correlated)[low - other.start : high - other.start]
                total[low - window.start : high - window.start] += shared**power
        return (bell / total ** (1 / power) * self._gain(index)).astype(np.float32)

    def _gain(self, index: int) -> NDArray[np.float64]:
        """What the shot changes leave of one window, (length,): it begins after the last one and ends at the next."""
        window = self._windows[index]
        gain = np.ones(window.length)
        for first in (window, *self._neighbours(index)):
            if not first.on_cut:
                continue
            fade = min(CUT_FADE, self._windows[first.index - 1].end - first.start)
            angle = (np.arange(fade) + 0.5) * (np.pi / 2 / max(fade, 1))
            begin = max(0, first.start - window.start)
            # A window with a long overlap may end within the fade.
            heard = angle[begin - first.start + window.start :][: window.length - begin]
            gain[begin : begin + heard.size] *= np.sin(heard) if first.index <= index else np.cos(heard)
            if first.index > index:
                gain[begin + heard.size :] = 0
        return gain

    def _parted(self, one: int, other: int) -> bool:
        """A shot change lies between two windows."""
        return any(window.on_cut for window in self._windows[min(one, other) + 1 : max(one, other) + 1])

    def _neighbours(self, index: int) -> list[Window]:
        window = self._windows[index]
        first = index
        while first > 0 and self._windows[first - 1].end > window.start:
            first -= 1
        last = index + 1
        while last < len(self._windows) and self._windows[last].start < window.end:
            last += 1
        return self._windows[first:index] + self._windows[index + 1 : last]


def _bell(length: int, straight: bool) -> NDArray[np.float64]:
    """Half a sine, or a tent, over (length,), sampled at bin centres so that no weight is zero."""
    centres = (np.arange(length) + 0.5) / length
    return np.minimum(centres, 1 - centres) if straight else np.sin(np.pi * centres)


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
