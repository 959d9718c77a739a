"""What ``evaluate cues`` tells of every arm: when and what its sounds are, how loud, and what a judge calls them."""

from __future__ import annotations

from dataclasses import dataclass

from foleygen.evaluation.cues.families import FamilyScore
from foleygen.evaluation.cues.families import table as families_table
from foleygen.evaluation.cues.named import NamedShares
from foleygen.evaluation.cues.named import table as named_table
from foleygen.evaluation.report import Cell, text_table


@dataclass(frozen=True)
class ArmReport:
    """One arm over all clips. F1, precision, recall and what is obeyed are over the clips with events.

    ``null_*``: the same sounds against events of other clips of the family. ``strength`` is the mean over clips of the
    correlation of a hit's level with its strength, both in dB; ``level_error`` the median distance to the true sound's
    loudness in LU, ``delivered_error`` the same under the gain that a finished clip gets; ``over_full_scale`` the share
    of windows with a sample beyond it. ``attack_l1`` is between the mean spectra after the events, each less its mean.
    """

    arm: str
    clips: int
    events: int
    f1_50ms: float | None
    null_50ms: float | None
    f1_100ms: float | None
    null_100ms: float | None
    precision: float | None
    recall: float | None
    median_error_ms: float | None
    obeyed: float | None
    strength: float | None
    loudness_lufs: float | None
    level_error: float | None
    delivered_error: float | None
    peak_db: float | None
    over_full_scale: float
    gradient: float | None
    spectrum_l1: float
    spectrum_l1_other: float | None
    attack_l1: float | None
    families: dict[str, FamilyScore]
    named: NamedShares | None = None


@dataclass(frozen=True)
class CuesReport:
    """All arms, the true sounds first."""

    arms: tuple[ArmReport, ...]

    def table(self) -> str:
        """Tables: when, and what; with a judge, what it names; when by family, and, with a judge, what."""
        timing: list[list[Cell]] = [
            [a.arm, a.events, a.f1_50ms, a.null_50ms, a.f1_100ms, a.null_100ms, a.precision, a.recall,
             a.median_error_ms, a.obeyed, a.strength]
            for a in self.arms
        ]  # fmt: skip
        sound: list[list[Cell]] = [
            [a.arm, a.clips, a.loudness_lufs, a.level_error, a.delivered_error, a.peak_db, a.over_full_scale,
             a.gradient, a.spectrum_l1, a.spectrum_l1_other, a.attack_l1]
            for a in self.arms
        ]  # fmt: skip
        when = ["", "events", "F1@50", "null", "F1@100", "null", "P", "R", "median ms", "obeyed", "strength"]
        what = ["", "clips", "LUFS", "error", "delivered", "peak dB", "over", "gradient", "L1", "other clip", "attack"]
        families = families_table({a.arm: a.families for a in self.arms})
        names = {a.arm: a.named for a in self.arms if a.named is not None}
        tables = [text_table(when, timing), text_table(what, sound), *([named_table(names)] if names else []), families]
        return "\n\n".join(tables)
