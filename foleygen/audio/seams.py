"""How much a joint in a sound stands out: its level, and how suddenly its spectrum changes there.

M mel bands, T frames, S samples; times are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foleygen.audio.onsets import flux

SIDE_S = 0.5
"""Stretch on either side of a fade whose level the fade's is compared with."""
SHARP_S = 0.05
"""A sudden joint is looked for this far from where it is."""
STEP_S = 0.1
"""The places away from the joints are this far apart."""
_QUIET = 1e-8
"""Power (-80 dB) under which levels are not told apart."""

Array = NDArray[np.float64]


def dip_db(samples: NDArray[np.float32], time: float, half: float, rate: int) -> float:
    """Level of samples (S,) around ``time`` against that beside the fade, which reaches ``half`` to either side, dB."""
    before, after = (_power(samples, begin, begin + SIDE_S, rate) for begin in (time - half - SIDE_S, time + half))
    middle = _power(samples, time - half / 2, time + half / 2, rate)
    return 10 * float(np.log10((middle + _QUIET) / ((before + after) / 2 + _QUIET)))


def step_db(samples: NDArray[np.float32], time: float, half: float, rate: int) -> float:
    """Level of samples (S,) after a fade against that before it, dB."""
    before, after = (_power(samples, begin, begin + SIDE_S, rate) for begin in (time - half - SIDE_S, time + half))
    return 10 * float(np.log10((after + _QUIET) / (before + _QUIET)))


def rise(strength: Array, time: float, reach: float, frame_rate: float) -> float:
    """The largest of ``strength`` (T,), an ``onsets.flux``, within ``reach`` of ``time``."""
    first = max(0, round((time - reach) * frame_rate))
    return float(strength[first : round((time + reach) * frame_rate) + 1].max(initial=0.0))


def prominence_db(
    samples: NDArray[np.float32], rate: int, mel: Array, frame_rate: float, joints: Sequence[tuple[float, float]]
) -> float:
    """How far joints stand out of the sound around them: 0 for none, the sum over all of them.

    ``samples`` (S,) and their ``mel`` (M, T) in [0, 1]; a joint is its time and half the length of its fade. Of each
    joint counts by how much the level in its fade, the rise of the spectrum in it and the rise within SHARP_S of it
    are beyond all but one in twenty of the places away from the joints; dB.
    """
    strength = 100 * flux(mel)  # dB
    half = max((half for _, half in joints), default=0.0)
    reach = half + SIDE_S
    grid = np.arange(reach, len(samples) / rate - reach, STEP_S)
    away = [time for time in grid if all(abs(time - joint) > half + reach for joint, _ in joints)]

    def look(time: float, half: float) -> Array:
        levels = (abs(dip_db(samples, time, half, rate)), abs(step_db(samples, time, half, rate)))
        return np.array([*levels, *(rise(strength, time, near, frame_rate) for near in (half, SHARP_S))])

    usual = np.percentile([look(time, half) for time in away], 95, axis=0) if away else np.zeros(4)
    return float(sum(np.maximum(0.0, look(time, half) - usual).sum() for time, half in joints))


def _power(samples: NDArray[np.float32], begin: float, end: float, rate: int) -> float:
    heard = samples[max(0, round(begin * rate)) : max(0, round(end * rate))]
    return float(np.square(heard, dtype=np.float64).mean()) if heard.size else 0.0
