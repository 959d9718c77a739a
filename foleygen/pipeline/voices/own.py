"""The sound that the model made of a take, asked for a moment of it: how loud, what like, and until when.

It stays in its spool. Seconds are counted from the take's first sample.
"""

from __future__ import annotations

from os import SEEK_END
from typing import IO

import numpy as np
from numpy.typing import NDArray

from foleygen.library.likeness import SECONDS, likeness

HEARD_S = 0.1
"""What the level of a hit is taken over, from its attack."""
SILENT_DB = -60.0
"""A hit at or below it (dBFS) is none."""
_SAMPLE_BYTES = 4
_STEP_S = 0.01
_LEAST_S = 0.05
"""A hit lasts at least as long."""
_LONGEST_S = 2.0
_DEAD_DB, _FLOOR_DB = 30.0, 3.0
"""A hit is over that far under its level, or that near to what goes on beside it."""
_BEFORE_S = 0.03
_NOTHING = 1e-10

Samples = NDArray[np.float32]


class OwnSound:
    """A spool of float32 samples at ``rate`` Hz, mono."""

    def __init__(self, spool: IO[bytes], rate: int) -> None:
        self._spool, self._rate = spool, rate
        self._end_s = spool.seek(0, SEEK_END) // _SAMPLE_BYTES / rate

    def part(self, start_s: float, seconds: float) -> Samples:
        """The samples of a stretch; silence where the take has none."""
        first, count = round(start_s * self._rate), max(0, round(seconds * self._rate))
        found = np.zeros(count, np.float32)
        self._spool.seek(max(0, first) * _SAMPLE_BYTES)
        inside = max(0, first + count - max(0, first))
        read = np.frombuffer(self._spool.read(inside * _SAMPLE_BYTES), np.float32)
        begin = max(0, -first)
        found[begin : begin + len(read)] = read
        return found

    def level_db(self, at_s: float, until_s: float) -> float:
        """The level of the hit at ``at_s``, if another begins at ``until_s``."""
        return rms_db(self.part(at_s, min(HEARD_S, max(_STEP_S, until_s - at_s))))

    def likeness(self, at_s: float, until_s: float) -> Samples:
        """What the hit is like: the query to a library."""
        before = round(_BEFORE_S * self._rate) / self._rate
        samples = self.part(at_s - before, before + min(SECONDS, max(_STEP_S, until_s - at_s)))
        return likeness(samples, self._rate, round(before * self._rate))

    def rise_db(self, at_s: float) -> float:
        """By how much it is louder after ``at_s`` than before."""
        return rms_db(self.part(at_s, 0.05)) - rms_db(self.part(at_s - 0.07, 0.05))

    def quiet_from(self, at_s: float, until_s: float) -> float:
        """When the hit at ``at_s`` has given way to silence, or to what goes on beside it; ``until_s`` at the latest.

        What goes on is what the sound does not fall below between this hit and the next one.
        """
        seconds = min(until_s - at_s, _LONGEST_S, self._end_s - at_s)
        step = max(1, round(_STEP_S * self._rate))
        samples = self.part(at_s, seconds)
        count = len(samples) // step
        if seconds <= _LEAST_S or not count:
            return max(at_s, min(until_s, at_s + _LEAST_S))
        power = (samples[: count * step].astype(np.float64).reshape(count, step) ** 2).mean(axis=1)
        levels = 10 * np.log10(_smoothed(power) + _NOTHING)
        least = round(_LEAST_S / _STEP_S)
        below = max(float(levels.max()) - _DEAD_DB, float(np.percentile(levels, 10)) + _FLOOR_DB)
        quiet = np.flatnonzero(levels[least:] <= below)
        return at_s + (least + int(quiet[0])) * _STEP_S if len(quiet) else at_s + seconds


def rms_db(samples: NDArray[np.floating]) -> float:
    """The level of samples (S,) in dBFS."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return float(10 * np.log10(power + _NOTHING))


def _smoothed(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over three steps."""
    padded = np.pad(power, 1, mode="edge")
    smooth: NDArray[np.float64] = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth
