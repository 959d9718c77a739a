"""``train judge``: a network that names family and material of sounds, to say whether words are obeyed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from foleygen.errors import UsageError
from foleygen.models.sound_judge import SoundJudge
from foleygen.training import runs
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.judges.labelled import labelled, make_loss, opened_unseen, picked
from foleygen.training.judges.recipes import JudgeRecipe
from foleygen.training.loop import Batch, DrawBatch, Loop
from foleygen.training.recipe import recorded
from foleygen.training.spoiling import masked, recoloured, turned


def named_by(recipe: JudgeRecipe, datasets: Sequence[SceneDataset]) -> JudgeRecipe:
    """The recipe with the names of the datasets, where it has none of its own."""
    clips = [clip for dataset in datasets for clip in dataset.clips]
    model = recipe.model
    families = model.families or tuple(sorted({clip.family for clip in clips}))
    materials = model.materials or tuple(sorted({clip.material for clip in clips}))
    return replace(recipe, model=replace(model, families=families, materials=materials))


def make_draw(datasets: Sequence[SceneDataset], recipe: JudgeRecipe, device: str = "cpu") -> DrawBatch:
    """Spoilt mels (N, M, T) of random clips and the indices (N, 2) of their family and material."""
    windows, spoiling = labelled(datasets, recipe.model.families, recipe.model.materials), recipe.spoiling
    num_mels = datasets[0].mels.shape[1]
    if num_mels != recipe.model.num_mels:
        fact = f"{datasets[0].folder}: mels of {num_mels} bands"
        raise UsageError(fact, f"the recipe wants {recipe.model.num_mels}; set num_mels of its model")

    def one(generator: torch.Generator) -> tuple[Tensor, tuple[int, int]]:
        window = picked(windows, generator)
        around = float(torch.rand((), generator=generator)) < spoiling.turned
        return turned(window.mel(), generator) if around else window.mel(), window.labels

    def draw(generator: torch.Generator, count: int) -> Batch:
        mels, labels = zip(*(one(generator) for _ in range(count)), strict=True)
        heard = recoloured(torch.stack(mels), spoiling.gain, spoiling.colour, generator)
        heard = heard + spoiling.noise * torch.randn(heard.shape, generator=generator)
        heard = torch.stack([masked(mel, spoiling.bands, spoiling.columns, generator) for mel in heard])
        return heard.to(device), torch.tensor(labels).to(device)

    return draw


def judge_loop(recipe: JudgeRecipe, data: Sequence[Path], folder: Path, device: str) -> Loop:
    """The judge on the mels of datasets of scenes; none may hold test seeds, which it is to judge."""
    datasets = opened_unseen(data)
    recipe = named_by(recipe, datasets)
    torch.manual_seed(recipe.loop.seed)
    model = runs.channels_last(SoundJudge(recipe.model))
    draw = make_draw(datasets, recipe, device)
    return runs.started(recipe, model, make_loss(recipe.material_weight, recipe.smoothing), draw, folder, device)


def trained_judge(folder: Path) -> SoundJudge:
    """The judge of a run, for use. Raises UsageError where there is none."""
    recipe = recorded(folder, JudgeRecipe)
    model = SoundJudge(recipe.model)
    model.load_state_dict(runs.weights(folder, recipe))
    return model.eval()
