"""Where a recording goes on at one level, without events: what a loop can be made of. T frames, N steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from foleygen.audio.runs import runs
from foleygen.library.event import Stretch
from foleygen.library.levels import HOP_S, Levels, hop
from foleygen.library.likeness import spectrum
from foleygen.library.mono import Mono
from foleygen.library.store import STEP_DB, Events

SHORTEST_S, LONGEST_S = 1.0, 30.0
"""What goes on for longer is several stretches."""
QUIETEST_DB = -60.0
"""dBFS: what is softer is no sound that anybody wants to hear for long."""
SWING_DB = 6.0
"""How far apart the softest and the loudest quarter of a second in a stretch are at most."""
LEAP_DB = 9.0
"""A frame that is so far above the half second around it is a hit, if none that is called an event."""
_SLOW_S, _AROUND_S = 0.25, 0.5
_MOST_STEPS = round(LONGEST_S / _SLOW_S)
_APART_S = 0.03
"""What is left out around a hit."""


def stretches(recording: Mono, level: Levels, events: Events) -> tuple[Stretch, ...]:
    """The steady stretches of a recording, in order, by its levels (T,) and its events."""
    step = hop(recording.sample_rate)
    return tuple(
        _measured(recording, first * step, min(last * step, recording.samples))
        for begin, end in _runs(_is_plain(level, events, step))
        for first, last in _level(level[begin:end], begin)
    )


def _is_plain(level: Levels, events: Events, step: int) -> NDArray[np.bool_]:
    """Which frames (T,) are loud, of no event, and no hit."""
    if not len(level):
        return np.zeros(0, np.bool_)
    slow = uniform_filter1d(level, max(1, round(_AROUND_S / HOP_S)), mode="reflect")
    is_hit = maximum_filter1d((level > slow + LEAP_DB).astype(np.uint8), 2 * round(_APART_S / HOP_S) + 1) > 0
    plain: NDArray[np.bool_] = (level > QUIETEST_DB) & ~is_hit
    for event in events:
        plain[int(event["start"]) // step : int(event["end"]) // step + 1] = False
    return plain


def _runs(plain: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The runs of frames that last long enough, first and end."""
    return (one for one in runs(plain) if (one[1] - one[0]) * HOP_S >= SHORTEST_S)


def _level(level: Levels, begin: int) -> Iterator[tuple[int, int]]:
    """The parts of a run of frames (T,) that begins at frame ``begin``, each at one level."""
    width = round(_SLOW_S / HOP_S)
    slow = uniform_filter1d(level, width, mode="reflect")[::width]
    for first, end in pairwise(_bounds(slow)):
        # A step on the way to another level belongs to neither.
        last = (end - 1) * width if end < len(slow) and end - first < _MOST_STEPS else min(end * width, len(level))
        if (last - first * width) * HOP_S >= SHORTEST_S:
            yield begin + first * width, begin + last


def _bounds(slow: Levels) -> list[int]:
    """Where one part ends and the next begins, of steps (N,): where it would swing too far, or last too long."""
    bounds = [0]
    low = high = float(slow[0])
    for number, value in enumerate(map(float, slow)):
        low, high = min(low, value), max(high, value)
        if high - low > SWING_DB or number - bounds[-1] >= _MOST_STEPS:
            bounds.append(number)
            low = high = value
    return [*bounds, len(slow)]


def _measured(recording: Mono, first: int, last: int) -> Stretch:
    sound = recording.part(first, last)
    power = float(np.mean(sound.astype(np.float64) ** 2)) if len(sound) else 0.0
    bands = np.round(spectrum(sound, recording.sample_rate) / STEP_DB) * STEP_DB
    return Stretch(first, last, float(np.float32(10 * np.log10(max(power, 1e-12)))), tuple(map(float, bands)))
