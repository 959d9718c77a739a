"""What a judge of true sounds names those of an arm: as what they should be, and as what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foleygen.evaluation.cues.arms import Told
from foleygen.evaluation.naming import Namers, Names, share_named
from foleygen.evaluation.report import Cell, text_table
from foleygen.training.data.dataset import ClipRecord


@dataclass(frozen=True)
class NamedShares:
    """Shares of the sounds of an arm, each of those whose name the judge knows; None where there are none.

    ``family`` and ``material`` are named as the scene has them, ``family_as_told`` and ``material_as_told`` as the
    word that was said: of right words that is the same, of wrong ones the word and not the scene.
    """

    clips: int
    family: float | None
    material: float | None
    family_as_told: float | None
    material_as_told: float | None


def named(judges: Namers, names: Names, clips: Sequence[ClipRecord], told: Sequence[Told]) -> NamedShares | None:
    """The shares of ``clips``, whose sounds have these ``names``; None without judges."""
    if not judges:
        return None
    return NamedShares(
        clips=len(clips),
        family=share_named(judges["family"], names["family"], [clip.family for clip in clips]),
        material=share_named(judges["material"], names["material"], [clip.material for clip in clips]),
        family_as_told=share_named(judges["family"], names["family"], [family for family, _ in told]),
        material_as_told=share_named(judges["material"], names["material"], [material for _, material in told]),
    )


def table(arms: Mapping[str, NamedShares]) -> str:
    """A row for each arm."""
    rows: list[list[Cell]] = [
        [arm, one.clips, one.family, one.material, one.family_as_told, one.material_as_told]
        for arm, one in arms.items()
    ]
    return text_table(["named", "clips", "family", "material", "family as told", "material as told"], rows)
