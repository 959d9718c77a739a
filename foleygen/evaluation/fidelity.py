"""Frechet distance, inception score and paired KL divergence of sounds, from a classifier's features.

Formulas of SpecVQGAN's evaluation, as in Diff-Foley and MDSGen. Papers take the features from Melception, an Inception
network trained on VGGSound; numbers from other features are comparable among themselves only, so a report names its
source. N sounds, D features, K classes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr, svdvals
from scipy.special import rel_entr, softmax

from foleygen.errors import UsageError
from foleygen.evaluation.report import Cell, text_table

SPLITS = 10
SHUFFLE_SEED = 2020
EPSILON = 1e-6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of N sounds: ids of the clips (N,), pooled features (N, D), logits (N, K).

    ``unbiased_logits`` are the logits without the last layer's bias, which the inception score uses.
    """

    ids: tuple[str, ...]
    features: Floats
    logits: Floats
    unbiased_logits: Floats


@dataclass(frozen=True)
class FidelityReport:
    """``kl`` is None if no generated sound shares an id with a true one; ``source`` names the features' network."""

    source: str
    real: int
    generated: int
    fid: float
    inception_score: float
    inception_score_deviation: float
    kl: float | None

    def table(self) -> str:
        """The report as text."""
        rows: list[list[Cell]] = [
            ["FID", self.fid],
            ["IS", self.inception_score],
            ["IS, deviation", self.inception_score_deviation],
        ]
        rows.append(["KL", self.kl])
        return text_table([f"{self.source}: {self.generated} generated, {self.real} true", ""], rows)


def read_predictions(path: Path) -> Predictions:
    """Read an .npz of ``ids`` (N,), ``features`` (N, D), ``logits`` (N, K) and, if there, ``unbiased_logits`` (N, K).

    Raises UsageError when the file is not that.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable .npz file of features", "write it with numpy.savez") from error
    missing = {"ids", "features", "logits"} - arrays.keys()
    if missing:
        raise UsageError(f"{path}: has no array {' nor '.join(sorted(missing))}", "save ids, features and logits")
    logits = arrays["logits"]
    unbiased = arrays.get("unbiased_logits", logits)
    shapes = arrays["features"].ndim == logits.ndim == 2 and unbiased.shape == logits.shape
    if not shapes or len({len(arrays[name]) for name in ("ids", "features", "logits")}) != 1:
        raise UsageError(f"{path}: its arrays do not fit each other", "save ids (N,), features (N, D), logits (N, K)")
    features, logits, unbiased = (np.asarray(a, dtype=np.float64) for a in (arrays["features"], logits, unbiased))
    return Predictions(tuple(map(str, arrays["ids"])), features, logits, unbiased)


def evaluate(real: Predictions, generated: Predictions, source: str) -> FidelityReport:
    """All three numbers. Raises UsageError with fewer than two sounds on a side or features of different sizes."""
    mean, deviation = inception_score(generated.unbiased_logits)
    pairs = _pairs(real.ids, generated.ids)
    return FidelityReport(
        source=source,
        real=len(real.ids),
        generated=len(generated.ids),
        fid=frechet_distance(real.features, generated.features),
        inception_score=mean,
        inception_score_deviation=deviation,
        kl=kl_divergence(real.logits[pairs[:, 0]], generated.logits[pairs[:, 1]]) if len(pairs) else None,
    )


def frechet_distance(real: ArrayLike, generated: ArrayLike) -> float:
    """Squared Frechet distance of the Gaussians fitted to two sets of features, (N, D) and (N', D).

    With covariances F^T F and G^T G the trace of the root of their product is the sum of the singular values of F G^T.
    That is exact with fewer sounds than features too, where the root itself is not determined.
    """
    first, second = np.asarray(real, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise UsageError(
            f"the Frechet distance cannot compare features {first.shape} with {second.shape}",
            "give at least two sounds on each side, with features of the same network",
        )
    factor, other = (
        qr((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1), mode="economic")[1] for rows in (first, second)
    )
    difference = first.mean(axis=0) - second.mean(axis=0)
    root_trace = svdvals(factor @ other.T).sum()
    return float(difference @ difference + np.square(factor).sum() + np.square(other).sum() - 2 * root_trace)


def inception_score(logits: ArrayLike, splits: int = SPLITS, seed: int = SHUFFLE_SEED) -> tuple[float, float]:
    """Mean and deviation, over shuffled splits, of exp(mean KL(p || mean p)) of logits (N, K); N is at least 1."""
    values = np.asarray(logits, dtype=np.float64)
    if len(values) == 0:
        raise UsageError("the inception score was given no sounds", "give at least one")
    shuffled = values[np.random.RandomState(seed).permutation(len(values))]
    scores = []
    count = min(splits, len(values))
    edges = [index * len(values) // count for index in range(count + 1)]
    for start, stop in itertools.pairwise(edges):
        probability = softmax(shuffled[start:stop], axis=1)
        scores.append(np.exp(rel_entr(probability, probability.mean(axis=0)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def kl_divergence(real_logits: ArrayLike, generated_logits: ArrayLike) -> float:
    """Mean KL(real || generated) of paired logits (N, K), in nats, with EPSILON added to the generated side."""
    real, generated = (softmax(np.asarray(x, dtype=np.float64), axis=1) for x in (real_logits, generated_logits))
    return float(rel_entr(real, generated + EPSILON).sum(axis=1).mean())


def _pairs(real: tuple[str, ...], generated: tuple[str, ...]) -> NDArray[np.intp]:
    """(P, 2) indices of true and generated sounds of the same clip; a true one may have several."""
    index = {name: place for place, name in enumerate(real)}
    pairs = [(index[name], place) for place, name in enumerate(generated) if name in index]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)
