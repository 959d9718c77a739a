"""What is done to mels in training, so that a listener knows sounds by neither level nor equipment. N, M bands, T."""

from __future__ import annotations

import torch
from torch import Tensor

SILENT = 0.02
"""What is not above this, in units of the mel's range, stays as it is."""


def recoloured(mels: Tensor, gain: tuple[float, float], colour: float, generator: torch.Generator) -> Tensor:
    """Mels (N, M, T), each at a level that differs by ``gain`` from and to, and of another colour; in [0, 1].

    ``colour`` is the standard deviation of the change of level from the lowest to the highest band, and from the middle
    to both, in units of the mel's range.
    """
    across = torch.linspace(-0.5, 0.5, mels.shape[1])[None, :, None]
    slope, bend = colour * torch.randn(2, len(mels), 1, 1, generator=generator)
    level = torch.empty(len(mels), 1, 1).uniform_(*gain, generator=generator)
    changed = mels + level + slope * across + bend * (4 * across.square() - 1 / 3)
    return torch.where(mels > SILENT, changed, mels).clamp(0, 1)


def masked(mel: Tensor, bands: int, columns: int, generator: torch.Generator) -> Tensor:
    """A mel (M, T) without fewer than ``bands`` neighbouring bands and ``columns`` neighbouring columns."""
    kept = mel.clone()
    low, width = _span(mel.shape[0], bands, generator)
    kept[low : low + width] = 0
    first, length = _span(mel.shape[1], columns, generator)
    kept[:, first : first + length] = 0
    return kept


def turned(mel: Tensor, generator: torch.Generator) -> Tensor:
    """A mel (M, T) that begins somewhere else and goes round."""
    return mel.roll(_integer(mel.shape[1], generator), dims=1)


def _span(size: int, most: int, generator: torch.Generator) -> tuple[int, int]:
    """Start and length, below ``most``, of a stretch of ``size``."""
    most = min(most, size)
    return (_integer(max(1, size - most), generator), _integer(most, generator)) if most else (0, 0)


def _integer(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))
