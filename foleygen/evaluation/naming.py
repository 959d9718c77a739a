"""Who names sounds, and what such names are worth: asked about generated sounds, with true ones beside them.

A namer is a classifier that was fitted to true sounds here and now (``probe``), or a trained judge. Names that it has
not learnt are left out of its shares. Mels are normalised, (M, T).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike

from foleygen.errors import UsageError
from foleygen.evaluation.report import Cell, text_table
from foleygen.models.sound_judge import LABELS, Label, SoundJudge
from foleygen.training.judges.sound_judge import trained_judge


class Namer(Protocol):
    """Knows ``labels``, and gives each mel (M, T) one of them."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def predict(self, mels: Sequence[ArrayLike]) -> list[str]: ...


Namers = Mapping[Label, Namer]
"""One for the family and one for the material; empty where nobody is asked."""
Names = Mapping[Label, Sequence[str]]
"""What they say, a name for each sound."""


@dataclass(frozen=True)
class JudgeNamer:
    """What a trained judge says of one label, sound by sound: no name depends on the others."""

    judge: SoundJudge
    label: Label

    @property
    def labels(self) -> tuple[str, ...]:
        """The names that it was trained on."""
        return self.judge.config.names(self.label)

    def predict(self, mels: Sequence[ArrayLike]) -> list[str]:
        """The name of each mel (M, T)."""
        return [self.judge.name(torch.from_numpy(np.asarray(mel, np.float32))[None])[self.label][0] for mel in mels]


def judges_of(run: Path, num_mels: int) -> Namers:
    """The judge of a run of ``train judge``, for mels of ``num_mels`` bands. Raises UsageError."""
    judge = trained_judge(run)
    if judge.config.num_mels != num_mels:
        fact = f"{run}: hears mels of {judge.config.num_mels} bands, the bundle's have {num_mels}"
        raise UsageError(fact, "train a judge on mels of this bundle")
    return {label: JudgeNamer(judge, label) for label in LABELS}


def share_named(namer: Namer, given: Sequence[str], wanted: Sequence[str | None]) -> float | None:
    """The share of sounds that were ``given`` the name ``wanted``, of those where that is one the namer knows.

    None where there is no such sound.
    """
    hits = [name == true for name, true in zip(given, wanted, strict=True) if true in namer.labels]
    return float(np.mean(hits)) if hits else None


@dataclass(frozen=True)
class NamingReport:
    """Share of sounds named rightly, in [0, 1]; ``chance`` is that of always naming the commonest label.

    ``true_accuracy`` is the classifier's own ceiling: held-out true sounds. ``labels`` has the share per true label,
    ``confusion`` counts (true label, given label).
    """

    clips: int
    accuracy: float
    chance: float
    true_accuracy: float | None
    labels: dict[str, float]
    confusion: dict[str, dict[str, int]]

    def table(self) -> str:
        """The report as text."""
        rows: list[list[Cell]] = [
            ["all", self.accuracy],
            ["chance", self.chance],
            ["held-out true sounds", self.true_accuracy],
        ]
        rows += [[name, share] for name, share in self.labels.items()]
        return text_table([f"named rightly, {self.clips} clips", "share"], rows)


def reported(
    namer: Namer, mels: Sequence[ArrayLike], labels: Sequence[str], true_mels: Sequence[ArrayLike] | None = None
) -> NamingReport:
    """Name generated sounds, and the ``true_mels`` of the same clips if given. Raises UsageError without clips."""
    if not labels or len(mels) != len(labels) or (true_mels is not None and len(true_mels) != len(labels)):
        raise UsageError("the classifier was asked about no sounds or without their labels", "give one per sound")
    given = namer.predict(mels)
    confusion = {
        name: dict(Counter(g for g, label in zip(given, labels, strict=True) if label == name))
        for name in sorted(set(labels))
    }
    return NamingReport(
        clips=len(labels),
        accuracy=_share(given, labels),
        chance=max(Counter(labels).values()) / len(labels),
        true_accuracy=None if true_mels is None else _share(namer.predict(true_mels), labels),
        labels={name: row.get(name, 0) / sum(row.values()) for name, row in confusion.items()},
        confusion=confusion,
    )


def _share(given: Sequence[str], labels: Sequence[str]) -> float:
    return float(np.mean([a == b for a, b in zip(given, labels, strict=True)]))
