"""The recipe of a student."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from foleygen.errors import UsageError
from foleygen.models.student import StudentConfig
from foleygen.training.cues.recipe import CueMix
from foleygen.training.loop import LoopConfig


@dataclass(frozen=True, kw_only=True)
class TeachingConfig:
    """The teacher's runs: how many, of how many steps, and after which of them the state is kept.

    The student evaluates where the teacher does, at the beginning and at ``marks`` but the last. ``told`` is the
    share of the runs that are told cues or words; ``usual`` that of the runs at the bundle's own guidance, the others'
    is drawn from ``guidance`` at random. ``plain`` of the runs have guidance that is not rescaled.
    """

    runs: int = 3072
    steps: int = 12
    marks: tuple[int, ...] = (4, 7, 10, 12)
    told: float = 0.5
    usual: float = 0.5
    guidance: tuple[float, float] = (1.0, 6.0)
    plain: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if list(self.marks) != sorted({*self.marks}) or self.marks[0] < 1 or self.marks[-1] != self.steps:
            raise UsageError(f"marks are {list(self.marks)}", f"let them rise to {self.steps}, the teacher's steps")
        if min(self.told, self.usual, self.plain) < 0 or max(self.told, self.usual, self.plain) > 1:
            raise UsageError("told, usual and plain are shares", "set them from 0 to 1")
        if not 0 < self.guidance[0] <= self.guidance[1]:
            raise UsageError(f"guidance is {list(self.guidance)}", "give its least and its most, above 0")

    def places(self, evaluations: int) -> tuple[int, ...]:
        """Which kept states a student of so many ``evaluations`` makes its own at: 0 is the noise, 1 the first mark."""
        return tuple(count * len(self.marks) // evaluations for count in range(evaluations))

    def evaluated(self, evaluations: int) -> tuple[int, ...]:
        """After how many of the teacher's steps that is."""
        return tuple((0, *self.marks)[place] for place in self.places(evaluations))


@dataclass(frozen=True, kw_only=True)
class DistillRecipe:
    """A student of a transformer. ``evaluations``: shares of the batches whose runs have 1, 2, ... evaluations.

    Of how many it has none, the student does not learn.
    ``mark_weight`` weighs how far the states on the way are from the teacher's; how far the end is counts 1.
    ``spectrum_weight`` weighs how far the mean spectrum of what is decoded is from the teacher's, ``spread_weight`` how
    far the deviation of the latents is: without them what cannot be foretold is made smooth.
    """

    kind: Literal["distill"]
    loop: LoopConfig
    student: StudentConfig = field(default_factory=StudentConfig)
    teaching: TeachingConfig = field(default_factory=TeachingConfig)
    mix: CueMix = field(default_factory=CueMix)
    evaluations: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)
    emphasis: float = 1.0
    """What guidance is multiplied by before the finished student is told it."""
    mark_weight: float = 0.2
    spectrum_weight: float = 0.2
    spread_weight: float = 0.2
    views: int = 1

    def __post_init__(self) -> None:
        if len(self.evaluations) != len(self.teaching.marks) or min(self.evaluations) < 0 or not self.evaluations[-1]:
            fact = f"evaluations are {list(self.evaluations)} for {len(self.teaching.marks)} marks"
            raise UsageError(fact, "give a share for each number of evaluations, the last above 0")
        if min(self.mark_weight, self.spectrum_weight, self.spread_weight) < 0 or self.views < 1 or self.emphasis <= 0:
            raise UsageError("the weights, views or emphasis are out of range", "set them above 0")
