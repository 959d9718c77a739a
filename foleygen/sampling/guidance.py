"""How strongly the condition is followed at each time of the diffusion."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from foleygen.sampling.schedule import ScheduleConfig, alphas_cumprod


def power_cosine(t: float, scale: float, power: float, num_train_timesteps: int = 1000) -> float:
    """MDT's power-cosine schedule: 1 at ``t = num_train_timesteps``, ``scale`` at 0.

    At MDSGen's power of 0.01 it lies within one percent of ``scale`` at every time that a sampler visits.
    """
    progress = (1 - t / num_train_timesteps) ** power
    return 1 + (scale - 1) * 0.5 * (1 - math.cos(math.pi * progress))


def rescaled(led: Tensor, plain: Tensor, state: Tensor, t: float, schedule: ScheduleConfig, share: float) -> Tensor:
    """The prediction ``led`` (N, C, H, W) with the spread that ``plain`` gives to the clean latents, by ``share``.

    Guidance multiplies how far latents are from their mean, which is heard as loudness (Lin et al. 2024, in the clean
    latents instead of the model's output). ``state`` (N, C, H, W) is what both were predicted for, at time ``t``.
    """
    cumulative = float(alphas_cumprod(schedule)[round(t)])
    signal, sigma = math.sqrt(cumulative), math.sqrt(1 - cumulative)
    velocity = schedule.prediction_type == "v_prediction"

    def clean(prediction: Tensor) -> Tensor:
        return signal * state - sigma * prediction if velocity else (state - sigma * prediction) / signal

    wanted, found = clean(plain), clean(led)
    factor = wanted.std(dim=(1, 2, 3), keepdim=True) / found.std(dim=(1, 2, 3), keepdim=True)
    start = found * torch.lerp(torch.ones_like(factor), factor, share)
    return (signal * state - start) / sigma if velocity else (state - signal * start) / sigma
