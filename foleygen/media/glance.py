"""What a clip looks like at a glance: one picture of it, and how much its pictures move."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from foleygen.media.frames import Picture, shots
from foleygen.media.probe import ClipInfo

SIDE = 128
"""Pixels of either side of the picture, which is squashed like those that models see."""
_COARSE = 4
"""Motion is looked for in every fourth pixel of every fourth row."""


@dataclass(frozen=True)
class Glance:
    """One decode of a clip."""

    poster: Picture
    """The picture at a third of the clip, RGB (SIDE, SIDE, 3)."""
    motion: tuple[float, ...]
    """Mean difference (0..1) of a picture from the one before it, the largest in each of equal stretches."""


def glance(info: ClipInfo, count: int) -> Glance:
    """Decode all pictures of a clip once, for a poster and ``count`` values of motion. Raises ClipError."""
    poster: Picture | None = None
    before: NDArray[np.int16] | None = None
    motion = np.zeros(count)
    for shot in shots(info, SIDE):
        picture = shot.picture
        if poster is None or shot.time <= info.duration / 3:
            poster = picture
        coarse = picture[::_COARSE, ::_COARSE].astype(np.int16)
        if before is not None:
            place = _place(shot.time, info.duration, count)
            motion[place] = max(motion[place], float(np.abs(coarse - before).mean()) / 255)
        before = coarse
    assert poster is not None
    return Glance(poster, tuple(motion.tolist()))


def _place(time: Fraction, duration: Fraction, count: int) -> int:
    return max(0, min(count - 1, int(time * count / duration)))
