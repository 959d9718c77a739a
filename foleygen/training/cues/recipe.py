"""The recipe of the adapter of cues and words."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from foleygen.errors import UsageError
from foleygen.training.loop import LoopConfig
from foleygen.training.objectives import DiffusionConfig

KINDS = ("picture_cues", "picture_words", "wrong_cues", "blind_cues", "blind_words", "silence")


@dataclass(frozen=True, kw_only=True)
class CueMix:
    """Shares of the rows by what they are told, and what happens to it on the way. Times are seconds."""

    picture_cues: float = 0.28
    picture_words: float = 0.08
    wrong_cues: float = 0.30
    blind_cues: float = 0.26
    blind_words: float = 0.06
    silence: float = 0.02
    worded: float = 0.35
    """Of the rows with cues and a picture, those that are told words too."""
    worded_blind: float = 0.5
    """The same of the rows with cues and no picture."""
    partly: float = 0.4
    """Of the rows with cues and their own picture, those whose cues are known in places only."""
    spliced: float = 0.15
    """Of the rows without their own picture, those made of two scenes with words of their own."""
    strange: float = 0.3
    """Of the wrong pictures, those that no camera saw."""
    strengths: float = 0.75
    jitter_s: float = 0.010

    def __post_init__(self) -> None:
        if any(not 0 <= getattr(self, item.name) <= 1 for item in fields(self)) or not sum(self.shares):
            raise UsageError("mix holds shares and a jitter in seconds", "set them from 0 to 1, not all shares to 0")

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the kinds of rows, in the order of KINDS."""
        return tuple(getattr(self, name) for name in KINDS)


@dataclass(frozen=True, kw_only=True)
class CuesRecipe:
    """The adapter of cues and words. ``level_weight`` weighs how loud the hits are, in squares of 10 dB.

    Times of the diffusion are drawn as ``u ** time_power``: below 1 the noisy ones come more often. ``views`` cameras
    see each scene with pictures.
    """

    kind: Literal["cues"]
    loop: LoopConfig
    objective: DiffusionConfig = field(default_factory=DiffusionConfig)
    mix: CueMix = field(default_factory=CueMix)
    hidden_size: int = 384
    blend_size: int = 96
    level_weight: float = 0.3
    time_power: float = 0.8
    views: int = 1
    guidance_scale: float = 2.0
    guidance_rescale: float = 0.7
    contrast: float = 1.0

    def __post_init__(self) -> None:
        if self.objective.mask is not None or self.objective.learned_sigma or self.objective.condition_dropout:
            fact = "the adapter's objective has no mask, no learned variance and no dropped conditions"
            raise UsageError(fact, "set mask: null, learned_sigma: false and condition_dropout: 0")
        if not (self.time_power > 0 and self.views >= 1 and self.level_weight >= 0):
            raise UsageError("time_power, views and level_weight are out of range", "set them above 0")
