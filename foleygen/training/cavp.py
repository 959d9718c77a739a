"""``train cavp``: picture and sound of the same moment get the same embedding (Diff-Foley, section 3).

The published towers, or the small encoder of tiny with a small audio tower. B videos, K clips of each, T pictures of
side S, M mel bands, L mel columns, D embedding size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import UsageError
from foleygen.models.cavp import CAVP
from foleygen.models.motion import MotionEncoder, MotionEncoderConfig
from foleygen.training.contrast import (
    LOGIT_SCALE,
    ContrastConfig,
    clamp_logit_scale,
    contrastive_losses,
    draw_clip_starts,
)
from foleygen.training.data.augment import augment
from foleygen.training.data.dataset import ClipRecord, SceneDataset
from foleygen.training.data.mixture import mixed, open_alike, shares_of
from foleygen.training.data.split import split_scenes
from foleygen.training.encoder import onset_target
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.recipe import CavpRecipe, recorded
from foleygen.training.runs import started, weights


@dataclass(frozen=True)
class ClipGeometry:
    """Clips of ``frames`` pictures, starts at least ``least_shift`` pictures apart."""

    frames: int = 16
    least_shift: int = 8


@dataclass(frozen=True)
class Embeddings:
    """Unit vectors (B, K, D) of picture and sound, log of the factor on their cosines, and logits of onsets.

    ``onsets`` is (B, K, L) from the small encoder, (B, 0) from the published one, which has no such head.
    """

    video: Tensor
    audio: Tensor
    logit_scale: Tensor
    onsets: Tensor


class PublishedTowers(nn.Module):
    """CAVP with its audio tower; its embedding of a clip is the maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        self.cavp = CAVP(audio=True)

    def forward(self, frames: Tensor, mel: Tensor) -> Embeddings:
        """Frames (B, K, T, S, S, 3) in [0, 1] and mel (B, K, M, L)."""
        clamp_logit_scale(self.cavp.logit_scale)
        pictures = frames.flatten(0, 1).permute(0, 1, 4, 2, 3)  # BK T 3 S S
        seen = self.cavp.video_project_head(self.cavp.video_encoder(pictures))  # BK T D
        heard = self.cavp.spec_encoder(mel.flatten(0, 1))  # BK L/16 D
        video, audio = (_pooled(value, len(frames)) for value in (seen, heard))
        return Embeddings(video, audio, self.cavp.logit_scale, video.new_zeros(len(frames), 0))


class AudioTower(nn.Module):
    """Mel (N, M, L) to vectors (N, L / 16, D): four halvings of both axes, then the mean over bands."""

    def __init__(self, dim: int, widths: tuple[int, ...] = (24, 48, 96, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, width in zip((1, *widths[:-1]), widths, strict=True):
            layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        self.mix = nn.Conv1d(widths[-1], widths[-1], 5, padding=2)
        self.head = nn.Linear(widths[-1], dim)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.layers(mel[:, None] * 2 - 1).mean(2)  # N W L/16
        x = x + F.silu(self.mix(x))
        embedded: Tensor = self.head(x.transpose(1, 2))
        return embedded


class MotionTowers(nn.Module):
    """The small encoder with a projection, and AudioTower."""

    def __init__(self, config: MotionEncoderConfig | None = None, dim: int = 128) -> None:
        super().__init__()
        self.encoder = MotionEncoder(config)
        self.head = nn.Linear(self.encoder.config.feature_dim, dim)
        self.audio = AudioTower(dim)
        self.logit_scale = nn.Parameter(torch.tensor(LOGIT_SCALE))

    def forward(self, frames: Tensor, mel: Tensor) -> Embeddings:
        """Frames (B, K, T, S, S, 3) in [0, 1] and mel (B, K, M, L)."""
        clamp_logit_scale(self.logit_scale)
        features = self.encoder(frames.flatten(0, 1))  # BK T/2 C
        onsets = self.encoder.hear(features).onsets.unflatten(0, (len(frames), -1))
        video = _pooled(self.head(features), len(frames))
        audio = _pooled(self.audio(mel.flatten(0, 1)), len(frames))
        return Embeddings(video, audio, self.logit_scale, onsets)


DrawRow = Callable[[ClipRecord, torch.Generator], tuple[Tensor, ...]]
"""(video, generator) -> frames (K, T, S, S, 3) in [0, 1], mel (K, M, L), onset targets (K, L)."""


def make_rows(dataset: SceneDataset, geometry: ClipGeometry, contrast: ContrastConfig, augmented: bool) -> DrawRow:
    """How the clips of one video are drawn. Raises UsageError when the videos are too short for them."""
    assert dataset.frames is not None, "the dataset has no pictures"
    frames, mels = dataset.frames, dataset.mels
    rate, total = float(dataset.config["frame_rate"]), frames.shape[1]
    columns = mels.shape[2] / total
    span = round(geometry.frames * columns)
    _check(total, geometry, contrast, dataset)

    def one(clip: ClipRecord, start: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        pictures = torch.from_numpy(np.array(frames[clip.row, start : start + geometry.frames]))
        seen = augment(pictures, rate, generator) if augmented else pictures.float() / 255
        first = int(start * columns)
        mel = torch.from_numpy(mels[clip.row, :, first : first + span].astype(np.float32))
        times = [time - start / rate for time in clip.times]
        return seen, mel, onset_target(times, span, columns * rate)

    def row(clip: ClipRecord, generator: torch.Generator) -> tuple[Tensor, ...]:
        starts = draw_clip_starts(total, generator, geometry.frames, geometry.least_shift, contrast.clips_per_video)
        parts = [one(clip, start, generator) for start in starts]
        return tuple(torch.stack(column) for column in zip(*parts, strict=True))

    return row


def make_draw(
    dataset: SceneDataset, geometry: ClipGeometry, contrast: ContrastConfig, augmented: bool, device: str = "cpu"
) -> DrawBatch:
    """Frames (B, K, T, S, S, 3) in [0, 1], mel (B, K, M, L), onset targets (B, K, L) of random videos."""
    clips, row = dataset.clips, make_rows(dataset, geometry, contrast, augmented)

    def draw(generator: torch.Generator, count: int) -> Batch:
        picked = torch.randint(len(clips), (count,), generator=generator).tolist()
        rows = [row(clips[index], generator) for index in picked]
        return tuple(torch.stack(column).to(device) for column in zip(*rows, strict=True))

    return draw


def make_loss(contrast: ContrastConfig, event_weight: float = 0.0) -> Loss:
    """Semantic and temporal contrast, and with ``event_weight`` the cross entropy of onsets."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        frames, mel, onsets = batch
        found: Embeddings = model(frames, mel)
        terms = contrastive_losses(found.video.flatten(0, 1), found.audio.flatten(0, 1), found.logit_scale, contrast)
        if event_weight:
            weight = 1 + 3 * (onsets > 0.3)
            terms["onsets"] = 10 * F.binary_cross_entropy_with_logits(found.onsets.float(), onsets, weight=weight)
            terms["loss"] = terms["loss"] + event_weight * terms["onsets"]
        return terms

    return loss


def _pooled(x: Tensor, videos: int) -> Tensor:
    """(BK, T, D) -> unit vectors (B, K, D): the maximum over time."""
    pooled: Tensor = F.normalize(x.float().amax(1), dim=-1).unflatten(0, (videos, -1))
    return pooled


def _check(total: int, geometry: ClipGeometry, contrast: ContrastConfig, dataset: SceneDataset) -> None:
    needed = geometry.frames + (contrast.clips_per_video - 1) * geometry.least_shift
    if total < needed:
        raise UsageError(
            f"{dataset.folder}: its clips have {total} pictures, the recipe needs {needed}",
            "make the dataset with longer clips, or lower clip_frames or least_shift",
        )


def cavp_loop(recipe: CavpRecipe, data: Sequence[Path], folder: Path, device: str) -> Loop:
    """Contrast of pictures and mels of datasets of scenes."""
    datasets = open_alike(data, pictures=True)
    recipe = replace(recipe, shares=shares_of(recipe.shares, [len(dataset) for dataset in datasets]))
    geometry = cavp_geometry(recipe, datasets[0])
    torch.manual_seed(recipe.loop.seed)
    draws = [
        mixed([make_draw(one, geometry, recipe.contrast, recipe.augmented, device) for one in part], recipe.shares)
        for part in split_scenes(datasets, recipe.loop.validation)
        if part
    ]
    loss = make_loss(recipe.contrast, recipe.event_weight)
    return started(recipe, _towers(recipe), loss, draws[0], folder, device, *draws[1:])


def cavp_geometry(recipe: CavpRecipe, dataset: SceneDataset) -> ClipGeometry:
    """The recipe's clips. Raises UsageError for a dataset of other rates."""
    _same_rate(dataset, recipe)
    return ClipGeometry(recipe.clip_frames, recipe.least_shift)


def trained_cavp(folder: Path) -> tuple[nn.Module, CavpRecipe]:
    """The towers of a run, for use, and its recipe."""
    recipe = recorded(folder, CavpRecipe)
    towers = _towers(recipe)
    towers.load_state_dict(weights(folder, recipe))
    return towers.eval(), recipe


def _towers(recipe: CavpRecipe) -> nn.Module:
    return PublishedTowers() if recipe.tower == "published" else MotionTowers(recipe.model)


def _same_rate(dataset: SceneDataset, recipe: CavpRecipe) -> None:
    rate = float(dataset.config["frame_rate"])
    wanted = 16000 / recipe.mel_hop
    found = dataset.mels.shape[2] * rate / float(dataset.config["num_frames"])
    if rate != recipe.frame_rate or abs(found - wanted) > 0.5:
        fact = f"{dataset.folder}: has {rate:g} pictures and {found:g} mel frames a second"
        raise UsageError(fact, f"the recipe wants {recipe.frame_rate:g} and {wanted:g}: make the dataset for it")
