"""Recipes of the networks that judge sounds: the alignment classifier, the sound tower and the judge of names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from foleygen.errors import UsageError
from foleygen.models.alignment import MelAlignmentConfig
from foleygen.models.sound_judge import SoundJudgeConfig
from foleygen.models.sound_tower import SoundTowerConfig
from foleygen.training.loop import LoopConfig


@dataclass(frozen=True, kw_only=True)
class PairDraw:
    """How stretches of picture and sound are put together.

    ``stretch`` is the share of a window that is shown; half of the pairs are true, and ``shifted`` of the false ones
    are turned against each other by ``least_shift_s`` seconds up to what the rest of the window leaves. ``gain`` and
    ``noise`` are what is done to the mel, in units of its range: sounds that were made differ from true ones in both.
    """

    stretch: float = 0.75
    shifted: float = 0.5
    least_shift_s: float = 0.1
    gain: float = 0.1
    noise: float = 0.02

    def __post_init__(self) -> None:
        if not (0 < self.stretch < 1 and 0 <= self.shifted <= 1 and self.least_shift_s > 0):
            raise UsageError(
                f"stretch is {self.stretch}, shifted {self.shifted}, least_shift_s {self.least_shift_s}",
                "give shares from 0 to 1, stretch between them, and a shift above 0",
            )


@dataclass(frozen=True, kw_only=True)
class AlignmentRecipe:
    """The alignment classifier on mels."""

    kind: Literal["alignment"]
    loop: LoopConfig
    model: MelAlignmentConfig = field(default_factory=MelAlignmentConfig)
    pairs: PairDraw = field(default_factory=PairDraw)


@dataclass(frozen=True, kw_only=True)
class TowerRecipe:
    """The sound tower, on stretches of ``crop`` mel columns; ``material_weight`` weighs the second label."""

    kind: Literal["tower"]
    loop: LoopConfig
    model: SoundTowerConfig = field(default_factory=SoundTowerConfig)
    crop: int = 384
    material_weight: float = 0.5
    gain: float = 0.1
    noise: float = 0.02

    def __post_init__(self) -> None:
        if self.crop < 16 or self.crop % 16:
            raise UsageError(f"crop is {self.crop}", "make it a multiple of 16")


@dataclass(frozen=True, kw_only=True)
class MelSpoiling:
    """What the judge's mels go through, in units of their range.

    ``gain`` from and to, ``colour`` and ``noise`` as standard deviations; fewer than ``bands`` bands and ``columns``
    columns are blanked; a share ``turned`` of the windows begins somewhere else and goes round.
    """

    gain: tuple[float, float] = (-0.15, 0.1)
    colour: float = 0.08
    noise: float = 0.02
    bands: int = 12
    columns: int = 48
    turned: float = 0.5

    def __post_init__(self) -> None:
        if self.gain[0] > self.gain[1] or min(self.colour, self.noise, self.turned) < 0 or self.turned > 1:
            raise UsageError(
                f"gain is {list(self.gain)}, colour {self.colour:g}, noise {self.noise:g}, turned {self.turned:g}",
                "give gains that ascend, deviations of 0 or more, and a share from 0 to 1",
            )


@dataclass(frozen=True, kw_only=True)
class JudgeRecipe:
    """The judge of names, on whole windows; ``smoothing`` is that of its labels."""

    kind: Literal["judge"]
    loop: LoopConfig
    model: SoundJudgeConfig = field(default_factory=SoundJudgeConfig)
    spoiling: MelSpoiling = field(default_factory=MelSpoiling)
    smoothing: float = 0.05
    material_weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1 or self.material_weight < 0:
            raise UsageError(
                f"smoothing is {self.smoothing:g}, material_weight {self.material_weight:g}",
                "give a smoothing from 0 to below 1, and a weight of 0 or more",
            )
