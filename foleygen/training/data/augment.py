"""What real cameras do to a clip, applied to small frames on the fly.

An encoder that has not seen it fails at one pixel of shake.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# T frames, S side; every function takes and gives float RGB (T, 3, S, S) in [0, 1]

SOURCE_RATES = (8.0, 10.0, 12.0, 12.5, 15.0, 20.0, 24.0, 25.0, 30.0)


def augment(frames: Tensor, frame_rate: float, generator: torch.Generator) -> Tensor:
    """uint8 frames (T, S, S, 3) -> float (T, S, S, 3) in [0, 1], seen by another camera."""
    x = frames.permute(0, 3, 1, 2).float() / 255
    if _chance(generator, 0.25):
        x = slower_source(x, frame_rate, generator)
    if _chance(generator, 0.6):
        x = reframe(x, generator)
    x = recolour(x, generator)
    if _chance(generator, 0.2):
        x = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    if _chance(generator, 0.35):
        noise = torch.randn(x.shape, generator=generator)
        x = x + noise * (_uniform(generator, 2, 14) / 255)
    return x.clamp(0, 1).permute(0, 2, 3, 1)


def slower_source(x: Tensor, frame_rate: float, generator: torch.Generator) -> Tensor:
    """Shoot at a lower rate and interpolate linearly in time, as the pipeline does."""
    source = SOURCE_RATES[int(torch.randint(len(SOURCE_RATES), (1,), generator=generator))]
    phase = _uniform(generator, 0, 1)
    position = torch.arange(len(x)) / frame_rate * source + phase
    index = position.floor()
    weight = (position - index)[:, None, None, None]
    shown = [((index + offset - phase) * frame_rate / source).round().long().clamp(0, len(x) - 1) for offset in (0, 1)]
    return torch.lerp(x[shown[0]], x[shown[1]], weight)


def reframe(x: Tensor, generator: torch.Generator) -> Tensor:
    """Zoom, tilt, mirror, drift and shake, in one resampling."""
    count, side = len(x), x.shape[-1]
    zoom = math.exp(_uniform(generator, -0.35, 0.3))
    creep = _uniform(generator, -0.15, 0.15) if _chance(generator, 0.25) else 0.0
    scale = zoom * torch.exp(torch.linspace(-creep, creep, count))
    angle = math.radians(_uniform(generator, -8, 8))
    mirror = -1.0 if _chance(generator, 0.5) else 1.0
    path = torch.zeros(count, 2) + (torch.rand(2, generator=generator) - 0.5) * 16
    if _chance(generator, 0.5):
        path = path + _drift(count, generator) * _uniform(generator, 0.5, 3)
    if _chance(generator, 0.5):
        path = path + (torch.rand(count, 2, generator=generator) - 0.5) * 2 * _uniform(generator, 0.3, 2)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * math.cos(angle) / scale, -math.sin(angle) / scale
    theta[:, 1, 0], theta[:, 1, 1] = mirror * math.sin(angle) / scale, math.cos(angle) / scale
    theta[:, :, 2] = path * 2 / side
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def recolour(x: Tensor, generator: torch.Generator) -> Tensor:
    """Contrast, brightness, tint, sometimes grey or inverted hue."""
    x = (x - 0.5) * _uniform(generator, 0.6, 1.3) + 0.5 + _uniform(generator, -0.15, 0.15)
    if _chance(generator, 0.2):
        return x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return x * (1 + (torch.rand(3, generator=generator) - 0.5)[None, :, None, None] * 0.3)


def _drift(count: int, generator: torch.Generator) -> Tensor:
    knots = torch.randn(1, 2, max(4, count // 20), generator=generator)
    return F.interpolate(knots, size=count, mode="linear", align_corners=True)[0].T


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=generator))


def _chance(generator: torch.Generator, probability: float) -> bool:
    return float(torch.rand(1, generator=generator)) < probability
