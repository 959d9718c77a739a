"""A small classifier that names a sound's family or material: trained on true sounds, asked about generated ones.

Features of a normalised mel (M, T): per band the level's mean, deviation and quantiles, and the mean response of random
convolutions, which see attacks and partials. The classifier is ridge regression on one-hot labels, in closed form,
whose penalty is chosen by leave-one-out error. N clips, P features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foleygen.errors import UsageError
from foleygen.evaluation.naming import NamingReport, reported

QUANTILES = (0.1, 0.5, 0.9, 0.99)
NUM_FILTERS = 96
FILTER_SIZE = 9
STRIDE = 4
"""Random filters are FILTER_SIZE square (bands x frames) and applied every STRIDE bands and frames."""
PENALTIES = tuple(10.0**power for power in range(-1, 6))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """A fitted classifier: ``weights`` (P + 1, K) on standardised features and a constant."""

    labels: tuple[str, ...]
    mean: Floats
    deviation: Floats
    weights: Floats
    seed: int
    penalty: float

    @classmethod
    def fit(cls, mels: Sequence[ArrayLike], labels: Sequence[str], seed: int = 0) -> Probe:
        """Train on mels (M, T) of one M. Raises UsageError with fewer than two classes or lists that do not fit."""
        names = tuple(sorted(set(labels)))
        if len(mels) != len(labels) or len(names) < 2:
            raise UsageError(
                f"the classifier was given {len(mels)} sounds with {len(labels)} labels of {len(names)} kinds",
                "give one label for each sound, and at least two kinds",
            )
        features = _features(mels, seed)
        mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        targets = np.array([[float(label == name) for name in names] for label in labels])
        constant = targets.mean(axis=0)
        slopes, penalty = _ridge((features - mean) / deviation, targets - constant)
        return cls(names, mean, deviation, np.vstack([slopes, constant]), seed, penalty)

    def predict(self, mels: Sequence[ArrayLike]) -> list[str]:
        """The label of each mel (M, T)."""
        standardised = (_features(mels, self.seed) - self.mean) / self.deviation
        scores = standardised @ self.weights[:-1] + self.weights[-1]
        return [self.labels[index] for index in scores.argmax(axis=1)]

    def evaluate(
        self,
        mels: Sequence[ArrayLike],
        labels: Sequence[str],
        true_mels: Sequence[ArrayLike] | None = None,
    ) -> NamingReport:
        """Name generated sounds, and the ``true_mels`` of the same clips if given. Raises UsageError without clips."""
        return reported(self, mels, labels, true_mels)


def mel_features(mel: ArrayLike, filters: Floats) -> Floats:
    """Features (P,) of one mel (M, T), M and T at least FILTER_SIZE; filters (FILTER_SIZE ** 2, NUM_FILTERS)."""
    levels = np.asarray(mel, dtype=np.float64)
    if min(levels.shape) < FILTER_SIZE:
        raise UsageError(f"a mel of {levels.shape} is too small to be named", f"give at least {FILTER_SIZE} frames")
    patches = np.lib.stride_tricks.sliding_window_view(levels, (FILTER_SIZE, FILTER_SIZE))[::STRIDE, ::STRIDE]
    responses = patches.reshape(patches.shape[0], patches.shape[1], -1) @ filters  # bands frames NUM_FILTERS
    low, high = np.array_split(np.maximum(responses, 0), 2, axis=0)
    quantiles = np.quantile(levels, QUANTILES, axis=1).ravel()
    pooled = [half.mean(axis=(0, 1)) for half in (low, high)] + [half.max(axis=(0, 1)) for half in (low, high)]
    return np.concatenate([levels.mean(axis=1), levels.std(axis=1), quantiles, *pooled])


def _features(mels: Sequence[ArrayLike], seed: int) -> Floats:
    filters = np.random.default_rng(seed).standard_normal((FILTER_SIZE**2, NUM_FILTERS))
    filters -= filters.mean(axis=0)  # blind to the level
    filters /= np.linalg.norm(filters, axis=0)
    return np.stack([mel_features(mel, filters) for mel in mels])


def _ridge(features: Floats, targets: Floats) -> tuple[Floats, float]:
    """Slopes (P, K) of centred features (N, P) to centred targets (N, K), and the penalty of least leave-one-out error.

    Leaving one out needs no refit: the residual is divided by one minus the clip's leverage.
    """
    left, singular, right = np.linalg.svd(features, full_matrices=False)
    projected = left.T @ targets  # R K
    best: tuple[float, float] = (np.inf, PENALTIES[-1])
    for penalty in PENALTIES:
        shrink = singular**2 / (singular**2 + penalty)
        leverage = np.square(left) @ shrink + 1 / len(features)
        residual = (targets - left @ (shrink[:, None] * projected)) / np.maximum(1 - leverage, 1e-6)[:, None]
        best = min(best, (float(np.square(residual).mean()), penalty))
    penalty = best[1]
    slopes: Floats = right.T @ ((singular / (singular**2 + penalty))[:, None] * projected)
    return slopes, penalty
