"""``train level``: how loud a window should be, fitted to the loudness of scenes by what is heard and told of them.

N rows, I inputs of the head, T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.audio.mel_loudness import MelLoudness
from foleygen.audio.strikes import strikes_of
from foleygen.engines.building import diffusion_of, mel_config
from foleygen.engines.cues import grid_of
from foleygen.errors import UsageError
from foleygen.models.cue_layout import CueLayout
from foleygen.models.diffusion import Condition
from foleygen.models.level import LevelHead, unfelt
from foleygen.models.transformer import MDSGen
from foleygen.training.cues import examples as sources
from foleygen.training.cues.draw import Table
from foleygen.training.cues.examples import Examples
from foleygen.training.cues.recipe import CueMix
from foleygen.training.data.dataset import SceneDataset
from foleygen.weights.bundle import Bundle

ROWS = 24000
"""Scenes that are drawn, each as often as it comes, told this or that."""
RIDGE = 100.0
"""Penalty on the standardised slopes, in rows."""
KEPT = 10
"""One scene in so many is not fitted to but tells how good the fit is."""
LOUDEST_FRAME_LUFS = -13.0
"""Of 896 windows the vocoder's highest sample is 9.5 dB over the loudest frame (median; 98 of 100 less than 13)."""
_BATCH = 256


@dataclass(frozen=True)
class LevelFit:
    """A head, and how far it is from the loudness of scenes that it was not fitted to, in LU (medians).

    ``constant_error`` is that of the one loudness that is least wrong.
    """

    head: LevelHead
    rows: int
    kept_rows: int
    error: float
    constant_error: float


def fit(
    bundle: Bundle,
    datasets: Sequence[SceneDataset],
    folder: Path | None = None,
    seed: int = 0,
    rows: int = ROWS,
    device: str = "cpu",
    on_clip: Callable[[int, int], None] | None = None,
) -> LevelFit:
    """The head for a bundle with an adapter of cues; examples that ``folder`` (of ``train cues``) holds are taken.

    Raises UsageError for a bundle without an adapter, and for datasets that are kept for tests or too small.
    """
    if bundle.cues is None:
        raise UsageError(f"{bundle.path}: cannot be told anything", "train an adapter first, with foleygen train cues")
    examples = sources.held(folder, bundle, datasets, 1, seed, device, on_clip)
    return fitted(bundle, examples, _loudness(bundle, datasets), seed, rows)


def fitted(bundle: Bundle, examples: Examples, loudness: NDArray[np.float64], seed: int, rows: int) -> LevelFit:
    """The head for scenes as loud as ``loudness`` (scenes,) says in LUFS; silent ones, -inf, do not count."""
    model = diffusion_of(bundle)
    assert isinstance(model, MDSGen)
    head = LevelHead(model.config.hidden_size, CueLayout(grid_of(bundle).sub_steps))
    inputs, numbers, harder = _inputs(head, model, examples, bundle, np.random.default_rng(seed), rows)
    target = torch.from_numpy(loudness[numbers]) - harder
    counts = target.isfinite()
    inputs, target, kept = inputs[counts], target[counts], torch.from_numpy(numbers % KEPT == 0)[counts]
    if kept.all() or not kept.any():
        raise UsageError(f"{int(counts.sum())} rows of scenes that can be heard are too few", "make a larger dataset")
    slopes, constant = _ridge(inputs[~kept], target[~kept])
    error = (inputs[kept] @ slopes + constant - target[kept]).abs().median()
    level = (target[~kept].median() - target[kept]).abs().median()
    head.set(slopes.float(), constant.float())
    return LevelFit(head.eval(), int((~kept).sum()), int(kept.sum()), float(error), float(level))


def _loudness(bundle: Bundle, datasets: Sequence[SceneDataset]) -> NDArray[np.float64]:
    """Of the scenes as ``examples`` orders them, those with pictures first, in LUFS."""
    meter = MelLoudness(mel_config(bundle))
    found = [
        meter.integrated(torch.from_numpy(dataset.mels[[clip.row for clip in part]].astype(np.float32))).numpy()
        for dataset in sources.in_order(datasets)
        for part in (dataset.clips[i : i + _BATCH] for i in range(0, len(dataset.clips), _BATCH))
    ]
    return np.concatenate(found)


@torch.inference_mode()
def _inputs(
    head: LevelHead, model: MDSGen, examples: Examples, bundle: Bundle, rng: np.random.Generator, rows: int
) -> tuple[Tensor, NDArray[np.int64], Tensor]:
    """What the head is given (N, I) for scenes that are drawn, their numbers (N,), and how much harder their hits are
    told to be than usual (N,), in dB."""
    table = Table(examples, grid_of(bundle), CueMix(), bundle.sample_rate / bundle.mel.hop_length)
    found: list[Tensor] = []
    numbers: list[int] = []
    harder: list[float] = []
    for first in range(0, rows, _BATCH):
        drawn = [table.scene(rng) for _ in range(min(_BATCH, rows - first))]
        features, told = (torch.from_numpy(np.stack([row[column] for row in drawn])) for column in (1, 2))
        quiet = unfelt(told, head.layout)
        found.append(head.inputs(model.heard(Condition(features, quiet)), quiet).double())
        harder.extend(strikes_of(row, head.layout, len(row)).hardness_db for row in told.numpy())
        numbers.extend(row[0] for row in drawn)
    return torch.cat(found), np.array(numbers), torch.tensor(harder, dtype=torch.float64)


def _ridge(inputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes (I,) and constant of a regression on inputs (N, I), which are standardised for the penalty."""
    mean, deviation = inputs.mean(dim=0), inputs.std(dim=0).clamp_min(1e-3)
    design, centre = (inputs - mean) / deviation, target.mean()
    penalty = RIDGE * torch.eye(design.shape[1], dtype=design.dtype)
    slopes = torch.linalg.solve(design.T @ design + penalty, design.T @ (target - centre)) / deviation
    return slopes, centre - mean @ slopes
