"""What the classifiers of family and material share: windows with their labels, none from seeds kept for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen import scenes
from foleygen.errors import UsageError
from foleygen.models.sound_tower import Heard
from foleygen.training.data.dataset import SceneDataset, open_scenes
from foleygen.training.loop import Batch, Loss


@dataclass(frozen=True)
class Window:
    """A clip's mel (M, T), which stays on disk, and the indices of its family and its material."""

    mels: NDArray[np.float16]
    row: int
    labels: tuple[int, int]

    def mel(self, start: int = 0, length: int | None = None) -> Tensor:
        """``length`` columns of the mel from ``start``, or all that follow."""
        stop = None if length is None else start + length
        return torch.from_numpy(self.mels[self.row, :, start:stop].astype(np.float32))


def labelled(datasets: Sequence[SceneDataset], families: Sequence[str], materials: Sequence[str]) -> list[Window]:
    """The windows of all datasets with their places in ``families`` and ``materials``. Raises UsageError for a name
    that is in neither, and for datasets of other shapes than the first one's."""
    if len({dataset.mels.shape[1:] for dataset in datasets}) != 1:
        raise UsageError("the datasets have mels of different shapes", "name datasets that were made alike")
    found = []
    for dataset in datasets:
        for clip in dataset.clips:
            if clip.family not in families or clip.material not in materials:
                fact = f"{dataset.folder}: holds sounds of {clip.family} and {clip.material}, which has no name"
                raise UsageError(fact, "name it in the recipe's model, or leave the names there empty")
            found.append(Window(dataset.mels, clip.row, (families.index(clip.family), materials.index(clip.material))))
    return found


def picked(windows: Sequence[Window], generator: torch.Generator) -> Window:
    """One of them by chance."""
    return windows[int(torch.randint(len(windows), (), generator=generator))]


def opened_unseen(folders: Sequence[Path]) -> list[SceneDataset]:
    """Datasets to train a judge on. Raises UsageError where one holds test seeds, which it is to judge."""
    datasets = [open_scenes(path) for path in folders]
    for dataset in datasets:
        if any(clip.seed in scenes.TEST_SEEDS for clip in dataset.clips):
            raise UsageError(f"{dataset.folder}: holds scenes that are kept for tests", "train on other seeds")
    return datasets


def make_loss(material_weight: float, smoothing: float = 0.0) -> Loss:
    """Cross entropy of family and material, and the share of families named rightly."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        mels, labels = batch
        heard: Heard = model(mels)
        family = F.cross_entropy(heard.families.float(), labels[:, 0], label_smoothing=smoothing)
        material = F.cross_entropy(heard.materials.float(), labels[:, 1], label_smoothing=smoothing)
        named = (heard.families.detach().argmax(1) == labels[:, 0]).float().mean()
        return {"loss": family + material_weight * material, "family": family, "material": material, "named": named}

    return loss
