"""``train encoder``: the small video encoder of tiny learns to hear scenes.

The scenes give the targets for nothing: onsets at the mel's frame rate, level per band, family and material.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen import scenes
from foleygen.errors import UsageError
from foleygen.models.motion import Hearing, MotionEncoder, MotionEncoderConfig
from foleygen.training.data.augment import augment
from foleygen.training.data.dataset import ClipRecord, SceneDataset
from foleygen.training.data.mixture import mixed, open_alike, shares_of
from foleygen.training.data.split import split_scenes
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.recipe import EncoderRecipe
from foleygen.training.runs import part, started, weights

ONSET_SIGMA = 1.0
"""Width of an onset in the target, in mel frames of 16 ms."""
WEIGHTS: Mapping[str, float] = {"onsets": 1.0, "bands": 2.0, "family": 0.1, "material": 0.1}


def onset_target(times: Sequence[float], frames: int, frame_rate: float) -> Tensor:
    """A bump at each event, (frames,); the highest where bumps overlap."""
    centres = torch.arange(frames)[:, None]
    if not len(times):
        return torch.zeros(frames)
    offsets = centres - torch.tensor(list(times))[None] * frame_rate
    return torch.exp(-0.5 * (offsets / ONSET_SIGMA) ** 2).amax(1)


def band_target(mel: Tensor, bands: int, features: int) -> Tensor:
    """Mean level per band and feature, (N, bands, features), of mels (N, M, L)."""
    return F.adaptive_avg_pool2d(mel, (bands, features))


def make_draw(
    dataset: SceneDataset,
    families: Sequence[str],
    materials: Sequence[str],
    augmented: bool = True,
    parts: int = 2,
) -> DrawBatch:
    """Crops of 1/``parts`` of a clip: frames (N, T/parts, S, S, 3), mel, onsets, indices of family and material."""
    assert dataset.frames is not None, "the dataset has no pictures"
    frames, mels, clips = dataset.frames, dataset.mels, dataset.clips
    total, columns = frames.shape[1], mels.shape[2]
    rate = float(dataset.config["frame_rate"])
    crop, span = total // parts, columns // parts

    def row(clip: ClipRecord, generator: torch.Generator) -> tuple[Tensor, ...]:
        start = 2 * int(torch.randint((total - crop) // 2 + 1, (1,), generator=generator))
        pictures = torch.from_numpy(np.array(frames[clip.row, start : start + crop]))
        seen = augment(pictures, rate, generator) if augmented else pictures.float() / 255
        first = start * columns // total
        mel = torch.from_numpy(mels[clip.row, :, first : first + span].astype(np.float32))
        onsets = onset_target([time - start / rate for time in clip.times], span, span * rate / crop)
        labels = torch.tensor([families.index(clip.family), materials.index(clip.material)])
        return seen, mel, onsets, labels

    def draw(generator: torch.Generator, count: int) -> Batch:
        picked = torch.randint(len(clips), (count,), generator=generator).tolist()
        return tuple(torch.stack(column) for column in zip(*(row(clips[i], generator) for i in picked), strict=True))

    return draw


class Listener(nn.Module):
    """The encoder with its heads in one forward, as the training (and its data parallel form) wants it."""

    def __init__(self, encoder: MotionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, frames: Tensor) -> Hearing:
        return self.encoder.hear(self.encoder(frames))


def make_loss(weights: Mapping[str, float] = WEIGHTS) -> Loss:
    """Cross-entropy of onsets, L1 of bands, cross-entropy of the labels."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        frames, mel, onsets, labels = batch
        heard: Hearing = model(frames)
        weight = 1 + 3 * (onsets > 0.3)
        terms = {
            "onsets": 10 * F.binary_cross_entropy_with_logits(heard.onsets, onsets, weight=weight),
            "bands": F.l1_loss(heard.bands, band_target(mel, heard.bands.shape[1], heard.bands.shape[2])),
            "family": F.cross_entropy(heard.family, labels[:, 0]),
            "material": F.cross_entropy(heard.material, labels[:, 1]),
        }
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return {"loss": total, **terms}

    return loss


def encoder_loop(recipe: EncoderRecipe, data: Sequence[Path], folder: Path, device: str) -> Loop:
    """The small encoder on the pictures of datasets of scenes."""
    datasets = open_alike(data, pictures=True)
    recipe = replace(recipe, shares=shares_of(recipe.shares, [len(dataset) for dataset in datasets]))
    _same_pictures(datasets[0], recipe.model.frame_size, recipe.model.num_frames)
    torch.manual_seed(recipe.loop.seed)
    listener = MotionEncoder(listener_config(recipe)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = Listener(listener)
    draws = [
        _on(
            mixed(
                [make_draw(one, scenes.FAMILIES, scenes.MATERIALS, recipe.augmented, recipe.parts) for one in part],
                recipe.shares,
            ),
            device,
        )
        for part in split_scenes(datasets, recipe.loop.validation)
        if part
    ]
    return started(recipe, model, make_loss(asdict(recipe.weights)), draws[0], folder, device, *draws[1:])


def listener_config(recipe: EncoderRecipe) -> MotionEncoderConfig:
    """The recipe's encoder with a head for every family and material that scenes have."""
    return replace(recipe.model, num_families=len(scenes.FAMILIES), num_materials=len(scenes.MATERIALS))


def trained_encoder(folder: Path, recipe: EncoderRecipe) -> MotionEncoder:
    """The encoder of a run, for use."""
    model = MotionEncoder(listener_config(recipe))
    model.load_state_dict(part(weights(folder, recipe), "encoder"))
    return model.eval()


def _on(draw: DrawBatch, device: str) -> DrawBatch:
    return lambda generator, count: tuple(value.to(device) for value in draw(generator, count))


def _same_pictures(dataset: SceneDataset, size: int, count: int) -> None:
    found = int(dataset.config["frame_size"]), int(dataset.config["num_frames"])
    if found != (size, count):
        fact = f"{dataset.folder}: has {found[1]} pictures of {found[0]} pixels, the recipe wants {count} of {size}"
        raise UsageError(fact, "make the dataset for this recipe")
