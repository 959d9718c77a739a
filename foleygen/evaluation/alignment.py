"""Alignment accuracy (Diff-Foley, NeurIPS 2023): how often a trained classifier takes a sound for its picture's own.

The published number has no negatives; beside it stand the same sounds with another clip's features and with their own
features turned in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foleygen.errors import UsageError
from foleygen.evaluation.report import Cell, text_table
from foleygen.models.alignment import AlignmentClassifier

PUBLISHED_FEATURES = 32
"""CAVP features shown to the classifier: 8 s at 4 fps."""


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
