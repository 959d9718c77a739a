"""What the sounds of each family are worth: whether their cues are kept, and whether a judge names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foleygen.cues.measured import Family, Measured
from foleygen.evaluation.generated import Generated
from foleygen.evaluation.report import Cell, text_table
from foleygen.evaluation.sync import SyncScore
from foleygen.weights.bundle import Bundle

TRUE = "true sounds"
"""The name of the arm that is no model's."""


@dataclass(frozen=True)
class FamilyScore:
    """One family in one arm.

    ``f1_50ms`` is over the ``clips`` that have events; ``named`` counts those of all ``sounds`` whose family a judge of
    true sounds names rightly, None without a judge.
    """

    clips: int
    events: int
    f1_50ms: float | None
    sounds: int
    named: int | None = None


def by_family(
    heard: Sequence[Generated], scores: Mapping[str, SyncScore], given: Sequence[str] | None = None
) -> dict[str, FamilyScore]:
    """The score of each family of ``heard``; ``scores`` are those of the clips with events, by family.

    ``given`` are the families that a judge names them as.
    """
    found = {}
    for family in sorted({one.record.family for one in heard}):
        own = [index for index, one in enumerate(heard) if one.record.family == family]
        score = scores.get(family)
        found[family] = FamilyScore(
            clips=score.clips if score else 0,
            events=score.events if score else 0,
            f1_50ms=score.f1_50ms if score else None,
            sounds=len(own),
            named=None if given is None else sum(given[index] == family for index in own),
        )
    return found


def measured(report: Mapping[str, Mapping[str, FamilyScore]], arm: str, bundle: Bundle) -> Measured:
    """What ``foleygen sounds`` shows of the families in one ``arm`` of a ``report`` that has the true sounds too."""
    true = report[TRUE]
    return Measured(
        model=bundle.name,
        bundle=bundle.hash,
        arm=arm,
        families={
            family: Family(
                clips=score.clips,
                hits=score.events,
                followed=None if score.f1_50ms is None else round(score.f1_50ms, 3),
                sounds=score.sounds,
                true_named=true[family].named,
                made_named=score.named,
            )
            for family, score in report[arm].items()
        },
    )


def table(arms: Mapping[str, Mapping[str, FamilyScore]]) -> str:
    """F1 at 50 ms of each family in each arm, and the shares that were named, where a judge was asked."""
    families = list(next(iter(arms.values()), {}))
    counts = {family: next(iter(arms.values()))[family] for family in families}
    times: list[list[Cell]] = [
        [family, counts[family].clips, counts[family].events, *(arm[family].f1_50ms for arm in arms.values())]
        for family in families
    ]
    text = text_table(["F1@50 by family", "clips", "events", *arms], times)
    if any(score.named is None for score in counts.values()):
        return text
    names: list[list[Cell]] = [
        [family, counts[family].sounds, *(_share(arm[family]) for arm in arms.values())] for family in families
    ]
    return f"{text}\n\n{text_table(['named rightly', 'sounds', *arms], names)}"


def _share(score: FamilyScore) -> float | None:
    return None if score.named is None else score.named / score.sounds
