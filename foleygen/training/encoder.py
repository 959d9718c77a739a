"""``train encoder``: the small video encoder of tiny learns to hear scenes.

The scenes give the targets for nothing: onsets at the mel's frame rate, level per band, family and material.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.models.motion import Hearing, MotionEncoder
from foleygen.training.augment import augment
from foleygen.training.dataset import ClipRecord, SceneDataset
from foleygen.training.loop import Batch, DrawBatch, Loss

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
