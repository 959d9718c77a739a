"""``train tower``: a classifier of family and material of sounds, whose features stand in for Melception's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen import scenes
from foleygen.errors import UsageError
from foleygen.models.sound_tower import Heard, SoundTower
from foleygen.training import runs
from foleygen.training.data.dataset import SceneDataset, open_scenes
from foleygen.training.judges.alignment import spoilt
from foleygen.training.judges.recipes import TowerRecipe
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.recipe import recorded


def make_draw(datasets: Sequence[SceneDataset], recipe: TowerRecipe, device: str = "cpu") -> DrawBatch:
    """Crops (N, M, ``crop``) of random clips and the indices (N, 2) of their family and material."""
    rows = [(dataset.mels, clip) for dataset in datasets for clip in dataset.clips]
    shapes = {dataset.mels.shape[1:] for dataset in datasets}
    if len(shapes) != 1:
        raise UsageError("the datasets have mels of different shapes", "name datasets that were made alike")
    num_mels, columns = shapes.pop()
    if num_mels != recipe.model.num_mels or columns < recipe.crop:
        fact = f"{datasets[0].folder}: mels of {num_mels} x {columns}"
        raise UsageError(fact, f"the recipe wants {recipe.model.num_mels} bands and {recipe.crop} columns or more")

    def one(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        mels, clip = rows[int(torch.randint(len(rows), (), generator=generator))]
        start = int(torch.randint(columns - recipe.crop + 1, (), generator=generator))
        mel = torch.from_numpy(mels[clip.row, :, start : start + recipe.crop].astype(np.float32))
        labels = scenes.FAMILIES.index(clip.family), scenes.MATERIALS.index(clip.material)
        return spoilt(mel, recipe.gain, recipe.noise, generator), torch.tensor(labels)

    def draw(generator: torch.Generator, count: int) -> Batch:
        mels, labels = zip(*(one(generator) for _ in range(count)), strict=True)
        return torch.stack(mels).to(device), torch.stack(labels).to(device)

    return draw


def make_loss(material_weight: float) -> Loss:
    """Cross entropy of family and material, and the share of families named rightly."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        mels, labels = batch
        heard: Heard = model(mels)
        family = F.cross_entropy(heard.families.float(), labels[:, 0])
        material = F.cross_entropy(heard.materials.float(), labels[:, 1])
        named = (heard.families.detach().argmax(1) == labels[:, 0]).float().mean()
        return {"loss": family + material_weight * material, "family": family, "material": material, "named": named}

    return loss


def tower_loop(recipe: TowerRecipe, data: Sequence[Path], folder: Path, device: str) -> Loop:
    """The tower on the mels of datasets of scenes; none may hold test seeds, which it is to judge."""
    datasets = [open_scenes(path) for path in data]
    for dataset in datasets:
        if any(clip.seed in scenes.TEST_SEEDS for clip in dataset.clips):
            raise UsageError(f"{dataset.folder}: holds scenes that are kept for tests", "train on other seeds")
    torch.manual_seed(recipe.loop.seed)
    draw = make_draw(datasets, recipe, device)
    return runs.started(recipe, _tower(recipe), make_loss(recipe.material_weight), draw, folder, device)


def trained_tower(folder: Path) -> SoundTower:
    """The tower of a run, for use."""
    recipe = recorded(folder, TowerRecipe)
    model = _tower(recipe)
    model.load_state_dict(runs.weights(folder, recipe))
    return model.eval()


def _tower(recipe: TowerRecipe) -> SoundTower:
    return SoundTower(recipe.model, len(scenes.FAMILIES), len(scenes.MATERIALS))
