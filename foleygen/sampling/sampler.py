"""From noise to mel latents, windows of many clips in one batch.

N windows, C H W latent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from foleygen.errors import UsageError
from foleygen.models.diffusion import Condition, Denoiser, DiffusionModel
from foleygen.sampling.guidance import power_cosine, rescaled
from foleygen.sampling.schedule import ScheduleConfig
from foleygen.sampling.solver import Solver


@dataclass(frozen=True)
class SamplerConfig:
    """How to denoise; the defaults are the paper's."""

    num_inference_steps: int = 25
    guidance_scale: float = 5.0
    """1 follows the condition plainly and halves the work."""
    guidance_power: float = 0.01
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    guidance_rescale: float = 0.0
    """How far guidance keeps the spread of the latents, and with it the level: 0 not at all, 1 fully."""
    times: tuple[float, ...] = ()
    """Where to evaluate, falling from the last time; else at ``num_inference_steps`` times at equal distances."""

    def __post_init__(self) -> None:
        if self.num_inference_steps < 1:
            raise UsageError(f"{self.num_inference_steps} sampling steps are too few", "use at least 1")


@torch.inference_mode()
def sample(
    model: DiffusionModel,
    condition: Condition,
    noise: Tensor,
    config: SamplerConfig,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Denoise ``noise`` (N, C, H, W) under the ``condition`` of its N rows -> float32 latents (N, C, H, W).

    The state stays float32 whatever type the model computes in. ``on_step(done, total)`` follows each step. A row
    depends on its own condition and noise only.
    """
    solver = Solver(config.schedule, config.num_inference_steps, config.times)
    denoiser = model.prepared(condition, solver.times, guided=config.guidance_scale != 1)
    latents = noise.to(model.device, torch.float32)  # N C H W
    for step, t in enumerate(solver.times.tolist()):
        predicted = guided(denoiser, latents, step, t, config)  # N C H W
        latents = solver.step(predicted, step, latents)
        if on_step is not None:
            on_step(step + 1, len(solver.times))
    return latents


def guided(denoiser: Denoiser, latents: Tensor, step: int, t: float, config: SamplerConfig) -> Tensor:
    """The prediction for (N, C, H, W) at step ``step``, time ``t``, led by the condition as ``config`` says."""
    predicted, unconditional = denoiser(latents, step)
    if unconditional is None:
        return predicted
    weight = power_cosine(t, config.guidance_scale, config.guidance_power, config.schedule.num_train_timesteps)
    led = torch.lerp(unconditional, predicted, weight)
    if not config.guidance_rescale:
        return led
    return rescaled(led, predicted, latents, t, config.schedule, config.guidance_rescale)
