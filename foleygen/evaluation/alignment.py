"""Alignment accuracy (Diff-Foley, NeurIPS 2023): how often a trained classifier takes a sound for its picture's own.

The published number has no negatives; beside it stand the same sounds with another clip's features and with their own
features turned in time. ``evaluate`` is that measure with the published classifier, ``Judge`` with one of our own.
N clips, M mel bands, L mel columns, F features of size C per window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foleygen.engines.foley import Engine
from foleygen.errors import UsageError
from foleygen.evaluation.generated import Generated
from foleygen.evaluation.report import Cell, text_table
from foleygen.models.alignment import AlignmentClassifier, MelAlignment
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.judges.alignment import Stretch
from foleygen.training.judges.recipes import PairDraw

PUBLISHED_FEATURES = 32
"""CAVP features shown to the classifier: 8 s at 4 fps."""
SHIFTS_S = (0.1, 0.2, 0.5, 1.0)
"""By how much sounds are moved, both ways, to see whether our own classifier notices."""
OTHERS = 4
"""Other clips whose sounds each picture is shown."""


@dataclass(frozen=True)
class AlignmentReport:
    """Shares of clips taken for aligned, in [0, 1]: with their own features, another clip's, and their own turned."""

    clips: int
    accuracy: float
    mean_probability: float
    other_clip: float | None
    shifted: float

    def table(self) -> str:
        """The report as text."""
        rows: list[list[Cell]] = [
            ["own picture (accuracy)", self.accuracy],
            ["other clip's picture", self.other_clip],
            ["own picture, half a window off", self.shifted],
        ]
        return text_table([f"taken for aligned, {self.clips} clips", "share"], rows)


def accuracy(probabilities: Tensor) -> float:
    """Share of probabilities (N, 1) or (N,) that round to 1; one half rounds to 0."""
    return float((probabilities > 0.5).double().mean())


@torch.inference_mode()
def probabilities(classifier: AlignmentClassifier, latents: Tensor, features: Tensor, batch_size: int = 32) -> Tensor:
    """Probabilities (N,) of clean latents (N, C, H, W), scaled as in the classifier's training, at t = 0.

    Of features (N, T, F) the first ``max_features`` are shown; the published metric shows PUBLISHED_FEATURES.
    """
    shown = features[:, : classifier.config.max_features]
    batches = zip(torch.split(latents, batch_size), torch.split(shown, batch_size), strict=True)
    return torch.cat([classifier(z, f)[:, 0] for z, f in batches])


def evaluate(
    classifier: AlignmentClassifier, latents: Tensor, features: Tensor, num_features: int = PUBLISHED_FEATURES
) -> AlignmentReport:
    """Alignment accuracy of latents (N, C, H, W) with the features (N, T, F) of the clips they were made for.

    The first ``num_features`` are used. Raises UsageError if there are no clips, or fewer features than that.
    """
    if len(latents) == 0 or len(latents) != len(features):
        raise UsageError(
            f"alignment was given {len(latents)} sounds and the features of {len(features)} clips",
            "give one of each for every clip, and at least one clip",
        )
    if features.shape[1] < num_features:
        raise UsageError(
            f"the clips have {features.shape[1]} video features and the classifier is shown {num_features}",
            "extract features of whole windows",
        )
    classifier.eval()
    own = features[:, :num_features]
    given = probabilities(classifier, latents, own)
    return AlignmentReport(
        clips=len(latents),
        accuracy=accuracy(given),
        mean_probability=float(given.mean()),
        other_clip=accuracy(probabilities(classifier, latents, own.roll(1, 0))) if len(own) > 1 else None,
        shifted=accuracy(probabilities(classifier, latents, own.roll(num_features // 2, 1))),
    )


@dataclass(frozen=True)
class Noticed:
    """Sounds ``seconds`` early or late: the share still taken for aligned, and the share judged worse than unshifted.

    Both are in [0, 1]; where a shift is not noticed at all ``worse`` is one half.
    """

    seconds: float
    taken: float
    worse: float


@dataclass(frozen=True)
class JudgedReport:
    """Shares of sounds that our own classifier takes for aligned, in [0, 1], and its nulls on the same sounds.

    ``other_clip`` is the picture's sound exchanged for another clip's, ``same_family`` for that of another clip of the
    family, ``silence`` for none; ``..._worse`` are the shares of exchanges that are judged worse than the own sound.
    """

    clips: int
    own: float
    mean_probability: float
    other_clip: float | None
    other_clip_worse: float | None
    same_family: float | None
    same_family_worse: float | None
    silence: float
    shifts: tuple[Noticed, ...]

    def table(self) -> str:
        """The report as text."""
        rows: list[list[Cell]] = [
            ["own sound", self.own, None],
            ["another clip's sound", self.other_clip, self.other_clip_worse],
            ["another clip's of the family", self.same_family, self.same_family_worse],
            ["silence", self.silence, None],
        ]
        rows += [[f"own sound, {item.seconds:g} s off", item.taken, item.worse] for item in self.shifts]
        return text_table([f"{self.clips} clips", "taken for aligned", "judged worse than own"], rows)


@dataclass(frozen=True)
class Judge:
    """Our own classifier, and the middle stretch of each window that it is shown."""

    classifier: MelAlignment
    stretch: Stretch

    @classmethod
    def of(cls, classifier: MelAlignment, pairs: PairDraw, engine: Engine) -> Judge:
        """For the windows of an engine. Raises UsageError if they are not what the classifier was trained on."""
        bundle, config = engine.bundle, classifier.config
        if (config.num_mels, config.feature_dim) != (bundle.mel.num_mels, bundle.encoder.feature_dim):
            fact = f"{bundle.path}: {bundle.mel.num_mels} mels and features of {bundle.encoder.feature_dim}"
            known = f"the classifier knows {config.num_mels} and {config.feature_dim}"
            raise UsageError(f"{fact}, {known}", "train one on pairs of this bundle's encoder")
        column_s = bundle.mel.hop_length / bundle.sample_rate
        columns = bundle.window_samples // bundle.mel.hop_length
        return cls(classifier, Stretch.of(pairs.stretch, bundle.encoder.num_features, columns, column_s))

    def scenes(self, results: Sequence[Generated], features: Tensor) -> dict[str, JudgedReport]:
        """Made and true sounds of scenes with the features (N, F, C), of all and of those that have events."""
        made, true = (torch.from_numpy(np.stack(mels)) for mels in
                      ([result.mel for result in results], [result.true_mel for result in results]))  # fmt: skip
        families = [result.record.family for result in results]
        timed = [row for row, result in enumerate(results) if result.events.size]
        reports = {}
        for name, mels in (("made", made), ("true", true)):
            reports[name] = self.report(mels, features, families)
            if 0 < len(timed) < len(results):
                kinds = [families[row] for row in timed]
                reports[f"{name}, with events"] = self.report(mels[timed], features[timed], kinds)
        return reports

    @torch.inference_mode()
    def report(self, mels: Tensor, features: Tensor, families: Sequence[str] = ()) -> JudgedReport:
        """Sounds (N, M, L) with the features (N, F, C) of the clips that they were made for, and their ``families``.

        A shift takes the sound from before or after the middle. Raises UsageError if there are no clips.
        """
        if len(mels) == 0 or len(mels) != len(features):
            raise UsageError(
                f"alignment was given {len(mels)} sounds and the features of {len(features)} clips",
                "give one of each for every clip, and at least one clip",
            )
        own = self.logits(mels, features)
        others = [self.logits(mels.roll(turn, 0), features) for turn in range(1, min(OTHERS, len(mels) - 1) + 1)]
        rows, kin = _same_family(families)
        relatives = [self.logits(mels[kin], features[rows])] if rows else []
        shifts = []
        for seconds in SHIFTS_S:
            columns = round(seconds / self.stretch.column_s)
            if 0 < columns <= min(self._room(mels, features)):
                moved = [self.logits(mels, features, shift) for shift in (columns, -columns)]
                shifts.append(Noticed(seconds, _taken(moved), _worse(own, moved)))
        return JudgedReport(
            clips=len(mels),
            own=_taken([own]),
            mean_probability=float(own.sigmoid().mean()),
            other_clip=_taken(others) if others else None,
            other_clip_worse=_worse(own, others) if others else None,
            same_family=_taken(relatives) if relatives else None,
            same_family_worse=_worse(own[rows], relatives) if relatives else None,
            silence=_taken([self.logits(torch.zeros_like(mels), features)]),
            shifts=tuple(shifts),
        )

    @torch.inference_mode()
    def logits(self, mels: Tensor, features: Tensor, shift: int = 0, batch_size: int = 32) -> Tensor:
        """Logits (N,) of the middles of windows, the sounds taken ``shift`` columns later."""
        before, _ = self._room(mels, features)
        heard = mels[:, :, before + shift : before + shift + self.stretch.columns]
        first = self._first(features)
        seen = features[:, first : first + self.stretch.features]
        batches = zip(torch.split(heard, batch_size), torch.split(seen, batch_size), strict=True)
        return torch.cat([self.classifier(mel, shown) for mel, shown in batches])

    def _first(self, features: Tensor) -> int:
        return (features.shape[1] - self.stretch.features) // 2

    def _room(self, mels: Tensor, features: Tensor) -> tuple[int, int]:
        """Columns before and after the middle stretch."""
        before = round(self._first(features) * self.stretch.per_feature)
        return before, mels.shape[2] - self.stretch.columns - before


def scene_features(engine: Engine, dataset: SceneDataset) -> Tensor:
    """Features (N, F, C) of the clips of a dataset, as the engine's encoder gives them."""
    assert dataset.frames is not None, "the dataset has no pictures"
    frames = dataset.frames
    pictures = (torch.from_numpy(np.array(frames[clip.row]))[None] for clip in dataset.clips)
    with torch.inference_mode():
        return torch.cat([engine.encode(shown).cpu() for shown in pictures])


def _same_family(families: Sequence[str]) -> tuple[list[int], list[int]]:
    """Rows whose family has another row, and that other row: the next one of the family."""
    members: dict[str, list[int]] = {}
    for row, family in enumerate(families):
        members.setdefault(family, []).append(row)
    several = [rows for rows in members.values() if len(rows) > 1]
    return [row for rows in several for row in rows], [row for rows in several for row in (*rows[1:], rows[0])]


def _taken(logits: Sequence[Tensor]) -> float:
    return float((torch.cat(list(logits)) > 0).double().mean())


def _worse(own: Tensor, others: Sequence[Tensor]) -> float:
    """Share of (clip, other) in which the other is judged worse; equal judgements count half."""
    rows = torch.stack(list(others))
    return float(((rows < own).double() + 0.5 * (rows == own)).mean())
