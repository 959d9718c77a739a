"""``train tower``: a classifier of family and material of sounds, whose features stand in for Melception's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from foleygen import scenes
from foleygen.errors import UsageError
from foleygen.models.sound_tower import SoundTower
from foleygen.training import runs
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.judges.alignment import spoilt
from foleygen.training.judges.labelled import labelled, make_loss, opened_unseen, picked
from foleygen.training.judges.recipes import TowerRecipe
from foleygen.training.loop import Batch, DrawBatch, Loop
from foleygen.training.recipe import recorded


def make_draw(datasets: Sequence[SceneDataset], recipe: TowerRecipe, device: str = "cpu") -> DrawBatch:
    """Crops (N, M, ``crop``) of random clips and the indices (N, 2) of their family and material."""
    windows = labelled(datasets, scenes.FAMILIES, scenes.MATERIALS)
    num_mels, columns = datasets[0].mels.shape[1:]
    if num_mels != recipe.model.num_mels or columns < recipe.crop:
        fact = f"{datasets[0].folder}: mels of {num_mels} x {columns}"
        raise UsageError(fact, f"the recipe wants {recipe.model.num_mels} bands and {recipe.crop} columns or more")

    def one(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        window = picked(windows, generator)
        start = int(torch.randint(columns - recipe.crop + 1, (), generator=generator))
        mel = window.mel(start, recipe.crop)
        return spoilt(mel, recipe.gain, recipe.noise, generator), torch.tensor(window.labels)

    def draw(generator: torch.Generator, count: int) -> Batch:
        mels, labels = zip(*(one(generator) for _ in range(count)), strict=True)
        return torch.stack(mels).to(device), torch.stack(labels).to(device)

    return draw


def tower_loop(recipe: TowerRecipe, data: Sequence[Path], folder: Path, device: str) -> Loop:
    """The tower on the mels of datasets of scenes; none may hold test seeds, which it is to judge."""
    datasets = opened_unseen(data)
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
