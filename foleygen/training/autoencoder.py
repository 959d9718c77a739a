"""``train vae``: the small autoencoder of tiny, on mels of scenes and recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.data.mixture import mixed, open_alike, shares_of
from foleygen.training.data.split import split_scenes
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.recipe import VaeRecipe
from foleygen.training.runs import started, weights

CROP = 128
"""Columns of a training crop (about two seconds)."""


class Mels(Protocol):
    """Mels (M, L) by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.float16]: ...


class SomeMels:
    """Those of a dataset's clips, which may be a part of what is in its file; read as they are asked for."""

    def __init__(self, dataset: SceneDataset) -> None:
        self._mels, self._rows = dataset.mels, [clip.row for clip in dataset.clips]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int, /) -> NDArray[np.float16]:
        mel: NDArray[np.float16] = self._mels[self._rows[index]]
        return mel


def reconstruction_loss(found: Tensor, true: Tensor) -> dict[str, Tensor]:
    """Distances of mels (N, M, L): level, change in time and along frequency, the latter of the short-time mean, and
    how much change along frequency there is at all in each neighbourhood.

    Plain L1 hides smeared partials (a distance of .027 looks fine and has lost half of the spectral gradient); the
    differences along frequency, and those of the steady part of the sound, are what keeps pitch, and the last term
    is what keeps the answer to an uncertain detail from being no detail.
    """
    slopes_found, slopes_true = found.diff(dim=1), true.diff(dim=1)
    steady_found, steady_true = (F.avg_pool1d(mel, 16, 8).diff(dim=1) for mel in (found, true))
    detail_found, detail_true = (F.avg_pool2d(slopes.abs(), (8, 16)) for slopes in (slopes_found, slopes_true))
    return {
        "level": F.l1_loss(found, true),
        "time": F.l1_loss(found.diff(dim=2), true.diff(dim=2)),
        "frequency": F.l1_loss(slopes_found, slopes_true),
        "steady": F.l1_loss(steady_found, steady_true),
        "detail": F.l1_loss(detail_found, detail_true),
    }


def make_loss(kl_weight: float = 3e-4, weights: Sequence[float] = (1.0, 0.5, 1.0, 2.0, 1.0)) -> Loss:
    """The loss of PatchAutoencoder: weighted reconstruction terms and the posterior's divergence from N(0, 1)."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        (mel,) = batch
        rows, bands, columns = mel.shape
        noise = torch.randn(rows, 4, bands // 8, columns // 8, generator=generator).to(mel.device)
        found, mean, log_variance = model(mel, noise)
        terms = reconstruction_loss(found.float(), mel)
        mean, log_variance = mean.float(), log_variance.float()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        weighted = (weight * term for weight, term in zip(weights, terms.values(), strict=True))
        total: Tensor = sum(weighted, kl_weight * divergence)
        return {"loss": total, **terms, "kl": divergence}

    return loss


def make_draw(sources: Sequence[Mels], device: str = "cpu") -> DrawBatch:
    """Crops from mels (clips, M, L): the louder of two places, so that silence does not fill the batches."""
    sizes = np.cumsum([len(source) for source in sources])

    def draw(generator: torch.Generator, count: int) -> Batch:
        crops = []
        for _ in range(count):
            picked = int(torch.randint(int(sizes[-1]), (1,), generator=generator))
            index = int(np.searchsorted(sizes, picked, side="right"))
            clip = sources[index][picked - (int(sizes[index - 1]) if index else 0)]
            starts = torch.randint(clip.shape[1] - CROP + 1, (2,), generator=generator).tolist()
            crops.append(max((clip[:, start : start + CROP] for start in starts), key=lambda crop: float(crop.mean())))
        return (torch.from_numpy(np.stack(crops).astype(np.float32)).to(device),)

    return draw


def vae_loop(recipe: VaeRecipe, data: Sequence[Path], recordings: Path | None, folder: Path, device: str) -> Loop:
    """The autoencoder on the mels of datasets of scenes, and of recordings if given.

    Recordings are as likely as clips of scenes, whatever the datasets' shares are; none is held out.
    """
    datasets = open_alike(data)
    clips = [len(dataset) for dataset in datasets]
    recipe = replace(recipe, shares=shares_of(recipe.shares, clips))
    learnt, held = split_scenes(datasets, recipe.loop.validation)
    sources: list[list[Mels]] = [[SomeMels(dataset)] for dataset in learnt]
    validated = [mixed([make_draw([SomeMels(dataset)], device) for dataset in held], recipe.shares)] if held else []
    weights = [sum(clips) * share / sum(recipe.shares) for share in recipe.shares]
    if recordings is not None:
        from foleygen.audio.mel import MelSpectrogram
        from foleygen.training.data.material import recording_mels

        heard = recording_mels(str(recordings), "train", datasets[0].mels.shape[2], MelSpectrogram())
        if len(datasets) == 1:
            sources[0].append(heard)
        else:
            sources, weights = [*sources, [heard]], [*weights, len(heard)]
    torch.manual_seed(recipe.loop.seed)
    model = PatchAutoencoder(recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = make_loss(recipe.kl_weight, recipe.weights)
    draw = mixed([make_draw(source, device) for source in sources], weights)
    return started(recipe, model, loss, draw, folder, device, *validated)


def trained_autoencoder(folder: Path, recipe: VaeRecipe) -> PatchAutoencoder:
    """The autoencoder of a run, for use."""
    model = PatchAutoencoder(recipe.model)
    model.load_state_dict(weights(folder, recipe))
    return model.eval()
