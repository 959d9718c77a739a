"""Weights as whole numbers of one byte, for what is added to others and may be coarse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SCALE = ".scale"
LARGEST = 127


def rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its matrices as int8 and a scale each, and the rest in half precision.

    A number is off by at most 1/254 of the largest of its matrix.
    """
    import torch

    made = {}
    for name, value in state.items():
        if value.ndim != 2:
            made[name] = value.half()
            continue
        scale = value.float().abs().amax().clamp_min(1e-12) / LARGEST
        made[name] = (value.float() / scale).round().to(torch.int8)
        made[name + SCALE] = scale.reshape(1)
    return made


def restored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The numbers of a ``rounded`` state dict, float32."""
    return {
        name: value.float() * state[name + SCALE].float() if name + SCALE in state else value.float()
        for name, value in state.items()
        if not name.endswith(SCALE)
    }
