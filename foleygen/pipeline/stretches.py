"""Whether what was to go on in stretches of a finished take is heard there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from foleygen.cues.words import understand
from foleygen.facts import Lasting

STEP_S = 0.1
SILENT_DB = -60.0
"""At or below this level, in dBFS, a step of a sound has nothing to speak of."""

Samples = NDArray[np.float32]


def silent(lasting: Sequence[Lasting], chunks: Iterable[Samples], rate: int, first_s: float) -> tuple[Lasting, ...]:
    """Those of ``lasting`` in which next to nothing is heard of a take.

    Its chunks (n,) or (channels, n) begin ``first_s`` after the first picture. What goes on by its nature, as rain
    does, is to be heard for more than half of its stretch: a blow in it is no rain. Of any other sound one will do.
    """
    if not lasting:
        return ()
    levels = np.fromiter(_levels(chunks, max(1, round(STEP_S * rate))), np.float64)
    return tuple(one for one in lasting if not _is_heard(one, _within(levels, one, first_s)))


def _is_heard(one: Lasting, levels: NDArray[np.float64]) -> bool:
    if not levels.size:  # it lies beyond the sound
        return False
    of = np.median if understand(one.sound).goes_on else np.max
    return bool(of(levels) > SILENT_DB)


def _within(levels: NDArray[np.float64], one: Lasting, first_s: float) -> NDArray[np.float64]:
    """The levels of the steps that are in a stretch, or of the one that it is in."""
    begin, end = (one.start_s - first_s) / STEP_S, (one.end_s - first_s) / STEP_S
    first, last = int(np.ceil(begin - 1e-6)), int(np.floor(end + 1e-6))
    inner = levels[max(0, first) : max(0, last)]
    return inner if last > first else levels[max(0, int(begin)) : max(0, int(np.ceil(end)))]


def _levels(chunks: Iterable[Samples], step: int) -> Iterator[float]:
    """The level in dBFS of each ``step`` samples, the mean over the channels; the last one may be shorter."""
    rest = np.zeros(0)
    for chunk in chunks:
        power = np.square(chunk, dtype=np.float64)
        rest = np.concatenate([rest, power.mean(axis=0) if power.ndim > 1 else power])
        whole = len(rest) // step * step
        yield from _decibels(rest[:whole].reshape(-1, step).mean(axis=1))
        rest = rest[whole:]
    if rest.size:
        yield from _decibels(rest.mean(keepdims=True))


def _decibels(power: NDArray[np.float64]) -> Iterator[float]:
    yield from (10 * np.log10(power + 1e-20)).tolist()
