"""A small network that hears what a sound is of: its features and logits stand in for Melception's.

N batch, M mel bands, L mel columns, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import BundleError


@dataclass(frozen=True)
class SoundTowerConfig:
    """``widths`` are the channels after each halving of both axes; a feature vector has 2 * ``dim`` numbers."""

    num_mels: int = 128
    widths: tuple[int, ...] = (16, 32, 64, 64)
    dim: int = 48

    def __post_init__(self) -> None:
        if not self.widths or self.num_mels % 2 ** len(self.widths) or any(width % 8 for width in self.widths):
            raise BundleError(
                f"sound tower configuration: {self.num_mels} mels, widths {self.widths}",
                "give widths that are multiples of 8, and mels that can be halved for each",
            )


@dataclass(frozen=True)
class Heard:
    """Features (N, D'), and logits (N, families) and (N, materials)."""

    features: Tensor
    families: Tensor
    materials: Tensor


class SoundTower(nn.Module):
    """Log-mel (N, M, L) in [0, 1] -> Heard; the features (N, 2 * D) are the means and maxima over time.

    Frequency keeps its place to the end, since it tells sounds apart.
    """

    def __init__(self, config: SoundTowerConfig, num_families: int, num_materials: int) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        for channels, width in zip((1, *config.widths[:-1]), config.widths, strict=True):
            layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        rows = config.num_mels // 2 ** len(config.widths)
        self.join = nn.Conv1d(config.widths[-1] * rows, config.dim, 3, padding=1)
        self.families = nn.Linear(2 * config.dim, num_families)
        self.materials = nn.Linear(2 * config.dim, num_materials)

    def forward(self, mel: Tensor) -> Heard:
        x = self.layers(mel[:, None] * 2 - 1).flatten(1, 2)  # N W*rows L/16
        x = F.silu(self.join(x))  # N D L/16
        features = torch.cat([x.mean(2), x.amax(2)], dim=1)
        return Heard(features, self.families(features), self.materials(features))
