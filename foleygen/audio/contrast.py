"""Detail along frequency that a model has made too smooth, made larger.

Global variance is what a sampler that follows its condition strongly loses first; it is given back as in speech
synthesis (Toda and Tokuda 2007), here on the cepstrum of each mel frame: narrow detail is multiplied, what is broad
stays. What is there gets clearer; what is not there does not come back.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

BROAD, NARROW = 4, 8
"""Cepstral coefficients below the first stay as they are, those from the second on are multiplied in full."""


def contrasted(mels: Tensor, factor: float) -> Tensor:
    """Mels (N, B, T) in [0, 1] with their detail times ``factor``, unlimited; at 1 the same bits."""
    if factor == 1:
        return mels
    detail = _detail(mels.shape[1], factor, mels.dtype, mels.device)  # B B
    return mels + detail @ mels


@lru_cache(maxsize=4)
def _detail(size: int, factor: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What is to be added to a mel of ``size`` bands, as a map of it, (size, size)."""
    basis = _cosines(size).to(device, dtype)  # rows are coefficients
    place = torch.arange(size, dtype=torch.float64)
    extra = (factor - 1) * ((place - BROAD + 1) / (NARROW - BROAD + 1)).clamp(0, 1)
    return (basis.T * extra.to(device, dtype)) @ basis


def _cosines(size: int) -> Tensor:
    """The orthonormal discrete cosine transform of type II, (size, size)."""
    place = torch.arange(size, dtype=torch.float64)
    basis = torch.cos(math.pi / size * (place[None, :] + 0.5) * place[:, None]) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis
