"""A sampler that takes few steps may overshoot: nothing of a mel is louder than sounds are. M mels, L columns."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from foleygen.audio.mel import DB_PER_UNIT

LOUDEST_DB = 97.0
"""Of a column, all its bands together, where 0 dB is the bottom of the scale. The loudest of 224 held-out scenes has
96.8; it comes out at 2 to 3 dB above full scale."""
_NEPERS = 10 * math.log(10)
"""Of power, in a whole scale of 100 dB."""


def lowered(mels: Tensor) -> Tensor:
    """Mels (N, M, L) on the scale of decibels, each column that is louder than LOUDEST_DB lowered to it."""
    return torch.stack([_lowered(mel) for mel in mels])  # one by one: sums must not depend on the batch


def _lowered(mel: Tensor) -> Tensor:
    level = torch.logsumexp(_NEPERS * mel, dim=0, keepdim=True) / _NEPERS
    return mel - (level - LOUDEST_DB / DB_PER_UNIT).clamp(min=0.0)
