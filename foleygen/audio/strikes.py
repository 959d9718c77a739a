"""Hits as they are told, and gains that make the hits of a mel as hard as that.

In scenes a hit is 1.04 dB louder in its mel for each dB of its strength (21,297 hits of 2,500 scenes, within a scene;
2.0 dB remain), so a strength is taken as a level: half the strength is 6 dB less, in a window and between windows.

F frames of what is told, S sub-steps of each, X channels (``CueLayout``), L columns of a mel, K hits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foleygen.audio.onsets import flux, least_flux, peaks
from foleygen.models.cue_layout import MIDDLE_DB, SPAN_DB, CueLayout

Floats = NDArray[np.float64]

USUAL_DB = -3.7
"""Of the hits of a scene together: the median of the mean power of their strengths (10,000 scenes)."""
RAISED_DB, LOWERED_DB = 12.0, 30.0
"""By which a hit is moved at most; one that lacks more is not there."""
AHEAD, AFTER = 1, 6
"""Mel frames from which and to which the level of a hit is taken, about its own: 16 ms before to 96 ms after."""
RINGING = 3
"""Mel frames before a hit in which what rings on from others is heard."""
HELD, RETURN = 31, 31
"""Mel frames over which a hit's gain holds, and goes back to nothing after that: half a second each."""
LEAST_PRESENCE = 0.6
APART = 5
"""Mel frames; hits that are nearer are heard as one."""


@dataclass(frozen=True)
class Strikes:
    """Hits of a window: the mel frames (K,), ascending, their strengths in dB (K,), NaN where none is told, and a
    number (K,) for the words of each."""

    frames: NDArray[np.int64]
    decibels: Floats
    words: NDArray[np.int64]
    free: NDArray[np.bool_] | None = None
    """Which of them (K,) nobody told: the picture has them where it may add. None: none of them."""

    @property
    def told(self) -> bool:
        """Whether a strength is told; hits without one are as strong as usual then."""
        return bool(np.isfinite(self.decibels).any())

    @property
    def wanted_db(self) -> Floats:
        """Strengths in dB (K,), the usual one where none is told."""
        return np.nan_to_num(self.decibels, nan=USUAL_DB)

    @property
    def hardness_db(self) -> float:
        """How much harder than usual they are together; 0 where no strength is told."""
        return float(10 * np.log10(np.mean(10 ** (self.wanted_db / 10)))) - USUAL_DB if self.told else 0.0


def strikes_of(told: NDArray[np.float32], layout: CueLayout, columns: int) -> Strikes:
    """The hits of one window's track (F, X), read off the peaks of presence, for a mel of so many ``columns``."""
    presence = told[:, layout.presence].reshape(-1).astype(np.float64)
    strength = told[:, layout.strength].reshape(-1).astype(np.float64)
    given = np.repeat(told[:, layout.strength_known] > 0, layout.sub_steps)
    around = np.pad(presence, 1)
    places = np.flatnonzero((presence >= LEAST_PRESENCE) & (presence >= around[:-2]) & (presence > around[2:]))
    decibels = np.where(given[places], MIDDLE_DB + SPAN_DB * strength[places] / presence[places], np.nan)
    words = told[:, layout.family].astype(np.int64) << 16 | told[:, layout.material].astype(np.int64)
    frames = np.floor((places + 0.5) * columns / len(presence)).astype(np.int64)
    return Strikes(frames, decibels, words[places // layout.sub_steps])


def with_free(strikes: Strikes, told: NDArray[np.float32], layout: CueLayout, mel: NDArray[np.float32]) -> Strikes:
    """The same with the hits of a mel (B, L) that nobody told, where its track (F, X) leaves it to the picture."""
    if not len(strikes.frames):
        return strikes
    rises = flux(mel)
    found = peaks(rises, APART - 1, rises >= least_flux(rises)) + AHEAD
    known = np.repeat(told[:, layout.known] > 0, -(-len(rises) // len(told)))[: len(rises)]
    near = np.abs(found[:, None] - strikes.frames[None]) < APART
    found = found[(found < len(rises)) & ~near.any(axis=1)]
    found = found[~known[found]]
    frames = np.concatenate([strikes.frames, found])
    order = np.argsort(frames, kind="stable")
    decibels = np.concatenate([strikes.decibels, np.full(len(found), np.nan)])
    words = np.concatenate([strikes.words, np.zeros(len(found), np.int64)])
    return Strikes(frames[order], decibels[order], words[order], order >= len(strikes.frames))


class Balance(NamedTuple):
    """Gains in dB (L,) that bring hits to the distances from each other that their strengths have, such as make them
    all alike, and by how much more those are then harder than usual."""

    gains: Floats
    alike: Floats
    harder_db: float


def balance(levels: Floats, strikes: Strikes) -> Balance:
    """For ``levels`` (L,) of a mel's columns in dB; nothing where no strength is told, and no hit is free.

    The hit in the middle of those that are off stays where it is, and what is before the first one; a hit that others
    ring into is not lowered below them. Free hits are lowered to usual ones, or to the middle of the others where no
    strength is told, and never raised.
    """
    free = np.zeros(len(strikes.frames), np.bool_) if strikes.free is None else strikes.free
    if free.all() or not (strikes.told or free.any()):
        return Balance(np.zeros(len(levels)), np.zeros(len(levels)), 0.0)
    ends = np.append(strikes.frames[1:], len(levels))
    stretches = list(zip(strikes.frames.tolist(), ends.tolist(), strict=True))
    heard = np.array([_level(levels, first, end) for first, end in stretches])
    nought = float(np.median((heard - strikes.wanted_db)[~free]))  # the level of a hit of full strength
    middle = float(np.median(heard[~free]))
    alike = np.where(free, np.minimum(heard, middle), middle if strikes.told else heard)
    wanted = np.where(free, np.minimum(heard, nought + USUAL_DB), nought + strikes.wanted_db)
    return Balance(
        _gains(levels, stretches, heard, wanted if strikes.told else alike),
        _gains(levels, stretches, heard, alike),
        middle - (nought + USUAL_DB) if strikes.told else 0.0,
    )


def _gains(levels: Floats, stretches: Sequence[tuple[int, int]], heard: Floats, wanted: Floats) -> Floats:
    """Gains (L,) that bring hits from the levels that are ``heard`` (K,) to those ``wanted`` (K,), as near as may be.

    ``stretches`` are from each hit to the next one, for which its gain holds.
    """
    gains = np.zeros(len(levels))
    for (first, end), level, aim in zip(stretches, heard, wanted, strict=True):
        begin = max(0, first - AHEAD)
        gain = float(np.clip(aim - level, -LOWERED_DB, RAISED_DB))
        if gain < 0 and begin > 0:
            ringing = (levels + gains)[max(0, begin - RINGING) : begin].mean()
            gain = max(gain, min(0.0, ringing - level))
        stop = max(begin, end - AHEAD)
        gains[begin:stop] = gain * _held(stop - begin)
    return gains


def _level(levels: Floats, first: int, end: int) -> float:
    """The mean power, in dB, of the hit at ``first``, before the next one at ``end``."""
    begin = max(0, first - AHEAD)
    stretch = levels[begin : max(begin + 1, min(end - AHEAD, first + AFTER))]
    return float(10 * np.log10(np.mean(10 ** (stretch / 10))))


def _held(count: int) -> Floats:
    """Weights of a gain over ``count`` frames from its hit on."""
    after = np.arange(count) - HELD
    weights: Floats = np.clip(1 - after / RETURN, 0.0, 1.0)
    return weights
