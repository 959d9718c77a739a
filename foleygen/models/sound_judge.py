"""A network that names what a sound is of: its family and its material, among the names that it was trained on.

Residual blocks over bands and columns, then columns in time, of which attention picks what is listened to: a hit is a
small part of a window, and the mean over a window hides it. N batch, M mel bands, T mel columns, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import BundleError
from foleygen.models.sound_tower import Heard

Label = Literal["family", "material"]
LABELS: tuple[Label, ...] = ("family", "material")
STEM = 4
"""How many bands are one after the stem; columns are halved, as by every block."""
LEVEL, RISE = (2.0, -0.6), 6.0
"""Scale and shift of the mel's levels, and scale of their changes from column to column, that the stem is given."""


@dataclass(frozen=True)
class SoundJudgeConfig:
    """``widths`` are the channels of the stem and of each block; ``hidden`` those of a column in time, of which
    ``heads`` sums and the maxima are taken. ``families`` and ``materials`` are the names; those of the training's data
    where they are empty."""

    num_mels: int = 128
    widths: tuple[int, ...] = (24, 48, 96, 160)
    hidden: int = 256
    heads: int = 4
    dropout: float = 0.3
    families: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        blocks = len(self.widths) - 1
        if blocks < 1 or min(*self.widths, self.hidden, self.heads) < 1 or self.num_mels % (STEM << blocks):
            sizes = f"widths {self.widths}, hidden {self.hidden}, heads {self.heads}"
            raise BundleError(
                f"judge of sounds: {self.num_mels} mels, {sizes}",
                f"give two widths or more, and mels that can be divided by {STEM} and halved for each but the first",
            )
        if not 0 <= self.dropout < 1:
            raise BundleError(f"judge of sounds: dropout is {self.dropout:g}", "give a share from 0 to below 1")

    @property
    def rows(self) -> int:
        """Rows of bands that are left at the end of the blocks."""
        return self.num_mels // (STEM << (len(self.widths) - 1))

    def names(self, label: Label) -> tuple[str, ...]:
        """The families, or the materials."""
        return self.families if label == "family" else self.materials


class Block(nn.Module):
    """(N, C, M, T) -> (N, C', M / 2, T / 2), beside the mean of each four places."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        self.shortcut = nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        changed = self.second_norm(self.second(F.relu(self.first_norm(self.first(x)))))
        return F.relu(changed + self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True)))


class SoundJudge(nn.Module):
    """Log-mel (N, M, T) in [0, 1] -> Heard, whose features are (N, (heads + 1) * hidden); T is 16 or more."""

    def __init__(self, config: SoundJudgeConfig) -> None:
        """Raises BundleError for a configuration without names."""
        super().__init__()
        if not config.families or not config.materials:
            raise BundleError("judge of sounds: no names of families or materials", "name those that it is to tell")
        self.config = config
        first, *others = config.widths
        self.stem = nn.Conv2d(2, first, (7, 5), stride=(STEM, 2), padding=(3, 2), bias=False)
        self.stem_norm = nn.BatchNorm2d(first)
        blocks = [Block(channels, width) for channels, width in zip(config.widths, others, strict=False)]
        self.blocks = nn.Sequential(*blocks)
        size = config.hidden
        self.columns = nn.Sequential(
            nn.Conv1d(config.rows * config.widths[-1], size, 1),
            nn.GELU(),
            nn.Conv1d(size, size, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(size, size, 5, padding=2),
            nn.GELU(),
        )
        self.attention = nn.Conv1d(size, config.heads, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.families = nn.Linear((config.heads + 1) * size, len(config.families))
        self.materials = nn.Linear((config.heads + 1) * size, len(config.materials))

    def forward(self, mel: Tensor) -> Heard:
        levels = mel[:, None]
        rises = F.pad(levels[..., 1:] - levels[..., :-1], (1, 0))
        x = torch.cat([levels * LEVEL[0] + LEVEL[1], rises * RISE], dim=1).contiguous(memory_format=torch.channels_last)
        x = self.blocks(F.relu(self.stem_norm(self.stem(x)))).flatten(1, 2)  # N C*rows T/16
        columns = self.columns(x)  # N hidden T/16
        attended = torch.einsum("nat,nct->nac", self.attention(columns).softmax(-1), columns)
        features = self.dropout(torch.cat([attended.flatten(1), columns.amax(-1)], dim=1))
        return Heard(features, self.families(features), self.materials(features))

    @torch.inference_mode()
    def name(self, mels: Tensor) -> dict[Label, list[str]]:
        """The family and the material of each mel (N, M, T)."""
        heard = self(mels.to(self.stem.weight.device, torch.float32))
        logits: dict[Label, Tensor] = {"family": heard.families, "material": heard.materials}
        return {label: [self.config.names(label)[i] for i in logits[label].argmax(1).tolist()] for label in LABELS}
