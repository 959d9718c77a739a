"""Real pictures as moving background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foleygen.scenes.shapes import Rng


@dataclass(frozen=True)
class Footage:
    """``clips``: uint8 pictures (T, h, w, 3) each, at ``rates`` (frames per second)."""

    clips: Sequence[NDArray[np.uint8]]
    rates: Sequence[float]

    def pick(self, rng: Rng, duration_s: float) -> tuple[NDArray[np.uint8], float]:
        """A stretch of one clip, flipped or not, with its rate; shorter clips are to be played back and forth."""
        index = int(rng.integers(len(self.clips)))
        clip, rate = self.clips[index], float(self.rates[index])
        wanted = min(len(clip), int(duration_s * rate) + 2)
        start = int(rng.integers(0, len(clip) - wanted + 1))
        stretch = clip[start : start + wanted]
        return (stretch[:, :, ::-1] if rng.random() < 0.5 else stretch), rate
