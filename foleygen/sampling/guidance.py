"""How strongly the condition is followed at each time of the diffusion."""

from __future__ import annotations

import math


def power_cosine(t: float, scale: float, power: float, num_train_timesteps: int = 1000) -> float:
    """MDT's power-cosine schedule: 1 at ``t = num_train_timesteps``, ``scale`` at 0.

    At MDSGen's power of 0.01 it lies within one percent of ``scale`` at every time that a sampler visits.
    """
    progress = (1 - t / num_train_timesteps) ** power
    return 1 + (scale - 1) * 0.5 * (1 - math.cos(math.pi * progress))
