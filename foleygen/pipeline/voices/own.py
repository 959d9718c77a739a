"""The sound that the model made of a take, asked for a moment of it: how loud, what like, and until when.

It stays in its spool. Seconds are counted from the take's first sample.
"""

from __future__ import annotations

from os import SEEK_END
from typing import IO

import numpy as np
from numpy.typing import NDArray

from foleygen.library.likeness import SECONDS, likeness, spectrum

HEARD_S = 0.1
"""What the level of a hit is taken over, from its attack."""
LEVEL_S = 0.5
"""The same for what goes on."""
LOWEST_HZ, HIGHEST_HZ = 125.0, 7600.0
OUTSIDE = 1 / 16
"""What the power of a recording outside of the model's band counts."""
SILENT_DB = -60.0
"""A hit at or below it (dBFS) is none."""
_SAMPLE_BYTES = 4
_STEP_S = 0.01
_LEAST_S = 0.05
"""A hit lasts at least as long."""
_LONGEST_S = 2.0
_MOST_S = 30.0
FAINT_DB = 30.0
"""What lies further under a hit than that is its tail, and not what goes on beside it."""
_FLOOR_DB = 3.0
"""A hit is over that near to what goes on beside it."""
_GOES_ON_S = 0.15
_BEFORE_S = 0.03
_NOTHING = 1e-10

Samples = NDArray[np.float32]


class OwnSound:
    """A spool of float32 samples at ``rate`` Hz, mono."""

    def __init__(self, spool: IO[bytes], rate: int) -> None:
        self._spool, self._rate = spool, rate
        self.end_s = spool.seek(0, SEEK_END) // _SAMPLE_BYTES / rate

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
        return band_db(self.part(at_s, min(HEARD_S, max(_STEP_S, until_s - at_s))), self._rate)

    def likeness(self, at_s: float, until_s: float) -> Samples:
        """What the hit is like: the query to a library."""
        before = round(_BEFORE_S * self._rate) / self._rate
        samples = self.part(at_s - before, before + min(SECONDS, max(_STEP_S, until_s - at_s)))
        return likeness(samples, self._rate, round(before * self._rate))

    def levels_db(self, start_s: float, end_s: float) -> Samples:
        """The level of every LEVEL_S of a stretch within the take, at least one."""
        count = max(1, int((min(end_s, self.end_s) - start_s) / LEVEL_S))
        levels = [band_db(self.part(start_s + n * LEVEL_S, LEVEL_S), self._rate) for n in range(count)]
        return np.asarray(levels, np.float32)

    def spectrum(self, start_s: float, end_s: float) -> Samples:
        """What a stretch is like all through, by its first half minute."""
        return spectrum(self.part(start_s, min(end_s - start_s, _MOST_S)), self._rate)

    def rise_db(self, at_s: float) -> float:
        """By how much it is louder after ``at_s`` than before."""
        return rms_db(self.part(at_s, 0.05)) - rms_db(self.part(at_s - 0.07, 0.05))

    def quiet_from(self, at_s: float, until_s: float) -> float:
        """When the hit at ``at_s`` has given way to what goes on beside it, as rain does; else ``until_s``.

        What goes on is heard for a while between this hit and the next one, and is not much fainter.
        """
        seconds = min(until_s - at_s, _LONGEST_S, self.end_s - at_s)
        step = max(1, round(_STEP_S * self._rate))
        samples = self.part(at_s, seconds)
        count = len(samples) // step
        last = at_s + max(seconds, _LEAST_S)
        if count * _STEP_S <= _LEAST_S:
            return min(last, until_s)
        power = (samples[: count * step].astype(np.float64).reshape(count, step) ** 2).mean(axis=1)
        levels = 10 * np.log10(_smoothed(power) + _NOTHING)
        faintest = max(float(levels.max()) - FAINT_DB, SILENT_DB)
        least = round(_LEAST_S / _STEP_S)
        over = least + np.flatnonzero(levels[least:] <= max(faintest, float(np.percentile(levels, 10)) + _FLOOR_DB))
        rest = levels[int(over[0]) :] if len(over) else levels[:0]
        goes_on = len(rest) * _STEP_S >= _GOES_ON_S and float(np.median(rest)) > faintest
        return at_s + int(over[0]) * _STEP_S if goes_on else last


def band_db(samples: NDArray[np.floating], rate: int) -> float:
    """How loud samples (S,) are as a mel hears them, in dB: what the model has and a recording can be compared in.

    Of two channels (2, S) it is the mean of their powers: as loud as one that is heard in both at that level.
    """
    count = samples.shape[-1]
    if not count:
        return rms_db(samples)
    hertz = np.fft.rfftfreq(count, 1 / rate)
    weights = np.where((hertz >= LOWEST_HZ) & (hertz <= HIGHEST_HZ), 1.0, OUTSIDE) / (1 + hertz / 700)
    power = np.abs(np.fft.rfft(samples)) ** 2 * 2 / count**2
    return float(10 * np.log10(np.mean(power @ weights) + _NOTHING))


def rms_db(samples: NDArray[np.floating]) -> float:
    """The level of samples (S,) in dBFS."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return float(10 * np.log10(power + _NOTHING))


def _smoothed(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over three steps."""
    padded = np.pad(power, 1, mode="edge")
    smooth: NDArray[np.float64] = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth
