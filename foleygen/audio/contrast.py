"""Detail along frequency that a model has made too smooth, made larger.

Global variance is what a sampler that follows its condition strongly loses first; it is given back as in speech
synthesis (Toda and Tokuda 2007), here on the cepstrum of each mel frame: narrow detail is multiplied, what is broad
stays. What is there gets clearer; what is not there does not come back.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BROAD, NARROW = 4, 8
"""Cepstral coefficients below the first stay as they are, those from the second on are multiplied in full."""


def contrasted(mels: Tensor, factor: float) -> Tensor:
    """Mels (N, B, T) in [0, 1] with their detail times ``factor``, unlimited; at 1 the same bits."""
    if factor == 1:
        return mels
    basis = _cosines(mels.shape[1]).to(mels)  # B B, rows are coefficients
    place = torch.arange(mels.shape[1], dtype=torch.float64)
    extra = (factor - 1) * ((place - BROAD + 1) / (NARROW - BROAD + 1)).clamp(0, 1)  # B
    detail = (basis.T * extra.to(mels)) @ basis  # B B
    return mels + detail @ mels


def _cosines(size: int) -> Tensor:
    """The orthonormal discrete cosine transform of type II, (size, size)."""
    place = torch.arange(size, dtype=torch.float64)
    basis = torch.cos(math.pi / size * (place[None, :] + 0.5) * place[:, None]) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis
