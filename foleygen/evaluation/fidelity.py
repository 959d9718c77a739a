"""Frechet distance, inception score and paired KL divergence of sounds, from a classifier's features.

Formulas of SpecVQGAN's evaluation, as in Diff-Foley and MDSGen. Papers take the features from Melception, an Inception
network trained on VGGSound; numbers from other features are comparable among themselves only, so a report names its
source. ``compare`` takes them from a sound tower of our own. N sounds, D features, K classes, M mel bands, L columns.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr, svdvals
from scipy.special import rel_entr, softmax
from torch import Tensor

from foleygen.audio.mel import MelSpectrogram
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.errors import UsageError
from foleygen.evaluation.generated import Generated
from foleygen.evaluation.report import Cell, text_table
from foleygen.models.sound_tower import SoundTower
from foleygen.scenes import FAMILIES
from foleygen.training import stored

SPLITS = 10
SHUFFLE_SEED = 2020
EPSILON = 1e-6
NOISE_LEVEL = 0.1
"""Root mean square of the white noise that sounds are compared with."""

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


@dataclass(frozen=True)
class Scores:
    """One kind of sound against the true ones.

    ``fid`` is over all clips, ``fid_halves`` between the sounds of one half of the clips and the true sounds of the
    other, both ways: that of true sounds is the least that so many clips can show. ``kl`` is to the true sound of the
    same clip, ``kl_other_clip`` to that of another.
    """

    fid: float
    fid_halves: float
    inception_score: float
    inception_score_deviation: float
    kl: float
    kl_other_clip: float


@dataclass(frozen=True)
class TowerReport:
    """Scores by kind of sound, from our own tower, and what the tower is worth: the share of families that it names
    rightly on the true sounds, and that of always naming the commonest."""

    source: str
    clips: int
    named: float
    chance: float
    kinds: dict[str, Scores]

    def table(self) -> str:
        """The report as text."""
        rows: list[list[Cell]] = [
            [name, row.fid, row.fid_halves, row.inception_score, row.kl, row.kl_other_clip]
            for name, row in self.kinds.items()
        ]
        title, headings = f"{self.source}, {self.clips} clips", ("FID", "FID of halves", "IS", "KL", "KL, other clip")
        note = f"families of true sounds named rightly: {self.named:.2f} (chance {self.chance:.2f})"
        return f"{text_table([title, *headings], rows)}\n{note}"


def read_predictions(path: Path) -> Predictions:
    """Read an .npz of ``ids`` (N,), ``features`` (N, D), ``logits`` (N, K) and, if there, ``unbiased_logits`` (N, K).

    Raises UsageError when the file is not that.
    """
    arrays = stored.arrays(path, ("features", "ids", "logits"), "save ids, features and logits with numpy.savez")
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


@torch.inference_mode()
def predict(tower: SoundTower, mels: Tensor, ids: Sequence[str], batch_size: int = 32) -> Predictions:
    """What the tower says of mels (N, M, L); its classes are the families."""
    heard = [tower(batch) for batch in torch.split(mels, batch_size)]
    logits = torch.cat([batch.families for batch in heard])
    features = torch.cat([batch.features for batch in heard])
    arrays = (value.double().numpy() for value in (features, logits, logits - tower.families.bias))
    return Predictions(tuple(ids), *arrays)


def compare(
    tower: SoundTower, true: Tensor, made: Tensor, families: Sequence[int], noise: Tensor, source: str
) -> TowerReport:
    """Made sounds (N, M, L) against the true ones of the same clips, and what nothing of the kind would score.

    ``families`` are the tower's indices of what the clips show, ``noise`` (N, M, L) the mels of white noise. Raises
    UsageError with fewer than four clips.
    """
    if len(true) < 4 or not len(true) == len(made) == len(noise) == len(families):
        raise UsageError(f"fidelity was given {len(made)} sounds of {len(true)} clips", "give four clips or more")
    ids = [str(number) for number in range(len(true))]
    real = predict(tower, true, ids)
    sounds = {"made": made, "true": true, "white noise": noise, "silence": torch.zeros_like(true)}
    return TowerReport(
        source=source,
        clips=len(true),
        named=float((real.logits.argmax(1) == np.asarray(families)).mean()),
        chance=max(Counter(families).values()) / len(families),
        kinds={name: _scores(real, predict(tower, mels, ids)) for name, mels in sounds.items()},
    )


def of_scenes(tower: SoundTower, results: Sequence[Generated], engine: Engine, source: str) -> TowerReport:
    """``compare`` for the sounds that an engine made of scenes."""
    made, true = (torch.from_numpy(np.stack(mels)) for mels in
                  ([result.mel for result in results], [result.true_mel for result in results]))  # fmt: skip
    if true.shape[1] != tower.config.num_mels:
        fact = f"{engine.bundle.path}: mels of {true.shape[1]} bands, the tower hears {tower.config.num_mels}"
        raise UsageError(fact, "train a tower on mels of this bundle")
    listen = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    noise = noise_mels(listen, len(results), engine.bundle.window_samples)
    families = [FAMILIES.index(result.record.family) for result in results]
    return compare(tower, true, made, families, noise, source)


def noise_mels(mel: MelSpectrogram, count: int, samples: int, seed: int = 0) -> Tensor:
    """Mels (``count``, M, L) of white noise, ``samples`` long."""
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        sounds = (NOISE_LEVEL * torch.randn(1, samples, generator=generator) for _ in range(count))
        return torch.cat([mel(sound) for sound in sounds])


def _scores(real: Predictions, made: Predictions) -> Scores:
    mean, deviation = inception_score(made.unbiased_logits)
    halves = [frechet_distance(real.features[i::2], made.features[1 - i :: 2]) for i in (0, 1)]
    return Scores(
        fid=frechet_distance(real.features, made.features),
        fid_halves=float(np.mean(halves)),
        inception_score=mean,
        inception_score_deviation=deviation,
        kl=kl_divergence(real.logits, made.logits),
        kl_other_clip=kl_divergence(np.roll(real.logits, 1, axis=0), made.logits),
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
