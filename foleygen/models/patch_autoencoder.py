"""The small autoencoder of tiny: log-mel pictures <-> latents, 8x down on both axes.

Patches are cut and joined by reshaping, so that every convolution has stride 1: strided convolutions with
few channels are slow to train on a CPU. The work is done where the grid is small and the channels are many.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# N batch, M mel rows, L mel columns (time), Z latent channels


@dataclass(frozen=True)
class PatchAutoencoderConfig:
    """Geometry: ``widths`` are the channels, the depths the residual blocks, at 1/2, 1/4 and 1/8 of the mel."""

    latent_channels: int = 4
    widths: tuple[int, int, int] = (24, 64, 128)
    encoder_depths: tuple[int, int, int] = (1, 2, 3)
    decoder_depths: tuple[int, int, int] = (1, 2, 4)
    groups: int = 8


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after GroupNorm and SiLU."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return x + h


class PatchAutoencoder(nn.Module):
    """(N, M, L) log-mel in [0, 1] <-> (N, Z, M/8, L/8) latents with a diagonal Gaussian posterior."""

    def __init__(self, config: PatchAutoencoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or PatchAutoencoderConfig()
        fine, middle, coarse = self.config.widths
        groups, latent = self.config.groups, self.config.latent_channels
        down, up = self.config.encoder_depths, self.config.decoder_depths
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4, fine, 3, padding=1),
            *_blocks(fine, down[0], groups),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * fine, middle, 1),
            *_blocks(middle, down[1], groups),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * middle, coarse, 1),
            *_blocks(coarse, down[2], groups),
            nn.GroupNorm(groups, coarse),
            nn.SiLU(),
            nn.Conv2d(coarse, 2 * latent, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, coarse, 3, padding=1),
            *_blocks(coarse, up[2], groups),
            nn.Conv2d(coarse, 4 * middle, 1),
            nn.PixelShuffle(2),
            *_blocks(middle, up[1], groups),
            nn.Conv2d(middle, 4 * fine, 1),
            nn.PixelShuffle(2),
            *_blocks(fine, up[0], groups),
            nn.Conv2d(fine, 4, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def posterior(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents, each (N, Z, M/8, L/8), for mel (N, M, L)."""
        moments: Tensor = self.encoder(mel[:, None] * 2 - 1)
        mean, log_variance = moments.chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def encode(self, mel: Tensor) -> Tensor:
        """The posterior's mean, (N, Z, M/8, L/8)."""
        return self.posterior(mel)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Log-mel (N, M, L) for latents (N, Z, M/8, L/8); about [0, 1], not clipped."""
        mel: Tensor = self.decoder(latents)
        return (mel[:, 0] + 1) / 2

    def forward(self, mel: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction from one posterior sample, with the posterior's moments, for the training loss."""
        mean, log_variance = self.posterior(mel)
        latents = mean + torch.exp(0.5 * log_variance) * noise
        return self.decode(latents), mean, log_variance


def _blocks(channels: int, depth: int, groups: int) -> list[nn.Module]:
    return [ResidualBlock(channels, groups) for _ in range(depth)]
