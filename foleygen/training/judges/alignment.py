"""``train alignment``: a small classifier of whether a mel and the video features of a stretch belong together.

Diff-Foley turns features within a window to make false pairs; a turned window has a seam, which a classifier can learn
to see instead of the shift. Here both sides are stretches of a longer window, and nothing is turned. N clips, F
features of size C and L mel columns per window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foleygen.errors import UsageError
from foleygen.models.alignment import MelAlignment
from foleygen.training import runs
from foleygen.training.contrast import alignment_loss
from foleygen.training.data.dataset import SceneDataset, open_scenes
from foleygen.training.judges.recipes import AlignmentRecipe, PairDraw
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.mdsgen import Pairs, open_pairs
from foleygen.training.recipe import recorded

QUANTUM = 4
"""A stretch is a multiple of this many mel columns, as the classifier wants it."""


@dataclass(frozen=True)
class Stretch:
    """Lengths of what is shown: ``features`` of a window's F and ``columns`` of its L; ``column_s`` seconds each."""

    features: int
    columns: int
    per_feature: float
    column_s: float

    @classmethod
    def of(cls, share: float, features: int, columns: int, column_s: float) -> Stretch:
        """The stretch that is nearest to ``share`` of a window and whole on both sides.

        Raises UsageError when a window cannot be cut so.
        """
        per_feature = columns / features
        whole = [n for n in range(1, features) if (n * columns) % (features * QUANTUM) == 0]
        if not whole:
            raise UsageError(
                f"windows of {features} features and {columns} mel columns cannot be cut into stretches",
                "use features whose number divides a quarter of the mel's columns",
            )
        shown = min(whole, key=lambda n: abs(n - share * features))
        return cls(shown, round(shown * per_feature), per_feature, column_s)


class PairedSounds:
    """Mels of datasets of scenes beside the features of the same clips, in the same order."""

    def __init__(self, datasets: Sequence[SceneDataset], features: NDArray[np.float16]) -> None:
        clips = sum(len(dataset) for dataset in datasets)
        if clips != features.shape[1]:
            names = ", ".join(str(dataset.folder) for dataset in datasets)
            raise UsageError(
                f"{names}: {clips} clips, and features of {features.shape[1]}",
                "name the datasets that train pairs encoded, in its order",
            )
        if len({dataset.mels.shape[1:] for dataset in datasets}) != 1:
            raise UsageError("the datasets have mels of different shapes", "name datasets that were made alike")
        self.features = features
        self._mels = [(dataset.mels, clip.row) for dataset in datasets for clip in dataset.clips]
        config = datasets[0].config
        self.columns = int(datasets[0].mels.shape[2])
        self.num_mels = int(datasets[0].mels.shape[1])
        self.column_s = config["num_frames"] / config["frame_rate"] / self.columns

    def __len__(self) -> int:
        return len(self._mels)

    def mel(self, index: int, start: int, length: int) -> Tensor:
        """A stretch (M, length) of one clip's mel."""
        mels, row = self._mels[index]
        return torch.from_numpy(mels[row, :, start : start + length].astype(np.float32))


def make_draw(data: PairedSounds, pairs: PairDraw, device: str = "cpu") -> DrawBatch:
    """Mels (N, M, l), features (N, f, C) and labels (N,) of random stretches: half true, the others false."""
    views, clips, count_features = data.features.shape[:3]
    stretch = Stretch.of(pairs.stretch, count_features, data.columns, data.column_s)
    least = max(1, round(pairs.least_shift_s / data.column_s))
    room = data.columns - stretch.columns
    if least > room or clips < 2:
        raise UsageError(
            f"least_shift_s is {pairs.least_shift_s:g}, {clips} clips leave {room * data.column_s:.2g} s",
            "lower it or stretch, and give two clips or more",
        )

    def one(generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
        index, view, other = (_integer(n, generator) for n in (clips, views, clips - 1))
        kind, size, sign = torch.rand(3, generator=generator).tolist()
        shift = 0
        if kind >= 0.5 and kind < 0.5 + 0.5 * pairs.shifted:
            shift = round(least * math.exp(size * math.log(room / least))) * (1 if sign < 0.5 else -1)
        heard = (index + 1 + other) % clips if kind >= 0.5 and not shift else index
        first = math.ceil(max(0, -shift) / stretch.per_feature)
        last = math.floor((room - max(0, shift)) / stretch.per_feature)
        start = first + _integer(last - first + 1, generator)
        features = data.features[view, index, start : start + stretch.features].astype(np.float32)
        mel = data.mel(heard, round(start * stretch.per_feature) + shift, stretch.columns)
        return spoilt(mel, pairs.gain, pairs.noise, generator), torch.from_numpy(features), float(kind < 0.5)

    def draw(generator: torch.Generator, count: int) -> Batch:
        mels, features, labels = zip(*(one(generator) for _ in range(count)), strict=True)
        return torch.stack(mels).to(device), torch.stack(features).to(device), torch.tensor(labels).to(device)

    return draw


def spoilt(mel: Tensor, gain: float, noise: float, generator: torch.Generator) -> Tensor:
    """A mel (M, L) at another level, up to ``gain`` louder or softer, with noise; both in units of its range."""
    level = gain * (2 * torch.rand((), generator=generator) - 1)
    return (mel + level + noise * torch.randn(mel.shape, generator=generator)).clamp(0, 1)


def make_loss() -> Loss:
    """Binary cross entropy, and the share that is judged rightly."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        mels, features, labels = batch
        logits = model(mels, features).float()
        right = ((logits.detach() > 0) == (labels > 0.5)).float().mean()
        return {"loss": alignment_loss(logits[:, None], labels), "accuracy": right}

    return loss


def alignment_loop(recipe: AlignmentRecipe, data: Sequence[Path], pairs: Path, folder: Path, device: str) -> Loop:
    """The classifier on datasets of scenes and what ``train pairs`` made of them."""
    found = open_pairs(pairs)
    if not isinstance(found, Pairs):
        raise UsageError(f"{pairs}: was not written by train pairs", "prepared clips have no mels; use scenes")
    sounds = PairedSounds([open_scenes(path) for path in data], found.features)
    wanted, given = (recipe.model.num_mels, recipe.model.feature_dim), (sounds.num_mels, found.features.shape[3])
    if wanted != given:
        fact = f"{pairs}: {given[0]} mels and features of {given[1]}, the recipe wants {wanted[0]} and {wanted[1]}"
        raise UsageError(fact, "set num_mels and feature_dim of the recipe's model")
    torch.manual_seed(recipe.loop.seed)
    draw = make_draw(sounds, recipe.pairs, device)
    return runs.started(recipe, MelAlignment(recipe.model), make_loss(), draw, folder, device)


def trained_alignment(folder: Path) -> tuple[MelAlignment, AlignmentRecipe]:
    """The classifier of a run, for use, and its recipe."""
    recipe = recorded(folder, AlignmentRecipe)
    model = MelAlignment(recipe.model)
    model.load_state_dict(runs.weights(folder, recipe))
    return model.eval(), recipe


def _integer(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))
