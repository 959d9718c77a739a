"""How loud a sound is at every mel frame, read off its latents by a small network: a loss on levels without decoding.

N rows, (Z, H, W) standardised latents, W of them in time, L = R W mel frames, K hits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.atomic import publish
from foleygen.engines.building import autoencoder_of
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.training.data.dataset import SceneDataset
from foleygen.weights.bundle import Bundle

AFTER_FRAMES = 6
"""Mel frames after a hit over which its level is taken: 96 ms."""
FILE = "level.pt"
_CLIPS, _STEPS, _BATCH = 400, 1500, 512


class LevelReader(nn.Module):
    """Three neighbouring latent columns -> the power of the middle one's mel frames, in units of 10 dB."""

    def __init__(self, channels: int, height: int, frames: int, hidden_size: int = 128) -> None:
        super().__init__()
        self.frames = frames
        self.network = nn.Sequential(
            nn.Linear(3 * channels * height, hidden_size), nn.GELU(),
            nn.Linear(hidden_size, hidden_size), nn.GELU(),
            nn.Linear(hidden_size, frames),
        )  # fmt: skip

    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z, H, W) -> (N, W frames)."""
        levels: Tensor = self.network(_neighbours(latents))
        return levels.flatten(1)

    def hits(self, latents: Tensor, hits: Tensor) -> Tensor:
        """The level (N, K) of the AFTER_FRAMES from each hit on; ``hits`` (N, K) are mel frames, any where below 0."""
        levels = self.forward(latents)
        last = levels.shape[1] - 1
        frames = (hits.clamp_min(0)[..., None] + torch.arange(AFTER_FRAMES, device=hits.device)).clamp_max(last)
        taken = levels.gather(1, frames.flatten(1)).view(*hits.shape, AFTER_FRAMES)
        decade = float(np.log(10.0))  # a unit of 10 dB is a factor of 10 in power
        return torch.logsumexp(taken * decade, dim=2) / decade - float(np.log10(AFTER_FRAMES))


def mel_power(mel: Tensor) -> Tensor:
    """Power of each frame of mels (N, M, L) in [0, 1] for 100 dB, in units of 10 dB, (N, L)."""
    decade = float(np.log(10.0))
    return torch.logsumexp(mel * 10 * decade, dim=1) / decade - float(np.log10(mel.shape[1]))


def fit_level(bundle: Bundle, datasets: Sequence[SceneDataset], folder: Path) -> LevelReader:
    """The reader of a bundle's latents, frozen, fitted to scenes' mels once and kept in ``folder``."""
    channels, height, width = (int(size) for size in bundle.transformer["latent_shape"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reader = LevelReader(channels, height, datasets[0].mels.shape[2] // width)
    path = folder / FILE
    if path.is_file():
        reader.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    else:
        _fit(reader, bundle, datasets)
        folder.mkdir(parents=True, exist_ok=True)
        with publish(path) as temporary:
            torch.save(reader.state_dict(), temporary)
    return reader.eval().requires_grad_(False)


def _fit(reader: LevelReader, bundle: Bundle, datasets: Sequence[SceneDataset]) -> None:
    inputs, targets = _columns(reader, bundle, datasets)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(reader.parameters(), lr=2e-3)
    for step in range(_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / _STEPS)
        rows = torch.randint(len(inputs), (_BATCH,), generator=generator)
        noisy = inputs[rows] + 0.1 * torch.randn(inputs[rows].shape, generator=generator)
        loss = F.huber_loss(reader.network(noisy), targets[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.inference_mode()
def _columns(reader: LevelReader, bundle: Bundle, datasets: Sequence[SceneDataset]) -> tuple[Tensor, Tensor]:
    """Neighbouring columns of true latents, and the power of their mel frames."""
    ears = autoencoder_of(bundle)
    assert isinstance(ears, PatchAutoencoder)
    mean, std = (torch.tensor(values)[:, None, None] for values in _standard(bundle))
    inputs, targets = [], []
    for dataset in datasets:
        for clip in dataset.clips[: _CLIPS // len(datasets) + 1]:
            mel = torch.from_numpy(dataset.mels[clip.row].astype(np.float32))[None]
            inputs.append(_neighbours((ears.encode(mel) - mean) / std)[0])
            targets.append(mel_power(mel)[0].view(-1, reader.frames))
    return torch.cat(inputs).clone(), torch.cat(targets).clone()


def _standard(bundle: Bundle) -> tuple[Sequence[float], Sequence[float]]:
    spec, channels = bundle.autoencoder, int(bundle.transformer["latent_shape"][0])
    return spec.latent_mean or [0.0] * channels, spec.latent_std or [1.0] * channels


def _neighbours(latents: Tensor) -> Tensor:
    """(N, Z, H, W) -> (N, W, 3 Z H): each column between its neighbours, 0 beyond the window."""
    padded = F.pad(latents, (1, 1))
    around = torch.stack([padded[..., :-2], padded[..., 1:-1], padded[..., 2:]], dim=1)  # N 3 Z H W
    return around.permute(0, 4, 1, 2, 3).flatten(2)
