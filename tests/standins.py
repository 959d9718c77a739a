"""Stand-in weights that are a pure function of a parameter's name and shape.

The golden arrays in tests/golden were computed with the published architectures filled by these rules, so that a
model can be compared number by number without any trained weights.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Rule = Callable[[str, tuple[int, ...], np.ndarray], np.ndarray]

POSITIONS = ("pos_embed", "decoder_pos_embed", "mask_token")


def fill(shapes: Mapping[str, Sequence[int]], recipe: Literal["mdsgen", "cavp"] = "mdsgen") -> dict[str, Tensor]:
    """A float32 tensor per (name, shape). ``cavp`` leaves scalars such as ``logit_scale`` out."""
    rule: Rule = _mdsgen if recipe == "mdsgen" else _cavp
    filled = {}
    for name, shape in shapes.items():
        if len(shape) == 0:
            continue
        noise = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(tuple(shape))
        filled[name] = torch.from_numpy(rule(name, tuple(shape), noise.astype(np.float32)).astype(np.float32))
    return filled


def fill_module(module: torch.nn.Module, recipe: Literal["mdsgen", "cavp"] = "mdsgen") -> torch.nn.Module:
    """The module in eval mode, every float parameter and buffer of its state dict filled."""
    floats = {name: tuple(value.shape) for name, value in module.state_dict().items() if value.is_floating_point()}
    module.load_state_dict(fill(floats, recipe), strict=False)
    return module.eval()


def _mdsgen(name: str, shape: tuple[int, ...], noise: np.ndarray) -> np.ndarray:
    if name in POSITIONS:
        return 0.02 * noise
    return _by_rank(name, shape, noise)


def _cavp(name: str, shape: tuple[int, ...], noise: np.ndarray) -> np.ndarray:
    last = name.rsplit(".", 1)[-1]
    if last == "running_mean":
        return 0.05 * noise
    if last == "running_var":
        return 1 + 0.1 * np.abs(noise)
    if last == "bias":
        return 0.02 * noise
    return _by_rank(name, shape, noise)


def _by_rank(name: str, shape: tuple[int, ...], noise: np.ndarray) -> np.ndarray:
    if len(shape) >= 2:
        return noise / np.float32(math.sqrt(math.prod(shape[1:])))
    return 1 + 0.05 * noise if name.endswith(".weight") else 0.02 * noise
