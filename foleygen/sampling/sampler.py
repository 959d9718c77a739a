"""From noise to mel latents, windows of many clips in one batch.

Letters as in ``models.transformer``: N windows, C H W latent, T features, M modulations in time, D hidden size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from foleygen.errors import UsageError
from foleygen.models.transformer import MDSGen, Modulations
from foleygen.sampling.guidance import power_cosine
from foleygen.sampling.schedule import ScheduleConfig, make_scheduler


@dataclass(frozen=True)
class SamplerConfig:
    """How to denoise; the defaults are the paper's."""

    num_inference_steps: int = 25
    guidance_scale: float = 5.0
    """1 follows the condition plainly and halves the work."""
    guidance_power: float = 0.01
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        if self.num_inference_steps < 1:
            raise UsageError(f"{self.num_inference_steps} sampling steps are too few", "use at least 1")


class Denoiser:
    """A model with all that does not depend on the latents computed once.

    The position biases, the embedded video and times, and the modulations of the unconditional branch, which
    depend on the time alone. Computes in the model's type and on its device; valid while its parameters are.
    """

    def __init__(self, model: MDSGen, features: Tensor, timesteps: Tensor, guided: bool) -> None:
        """features (N, T, feature_dim); timesteps (steps,); ``guided`` asks for the unconditional branch."""
        weight = model.pos_embed
        self._model = model
        self._dtype, self._device = weight.dtype, weight.device
        self._biases = model.position_biases()
        self._video = model.embed_video(features.to(weight))  # N M D
        self._times = model.embed_time(timesteps.to(weight.device))  # steps 1 D
        self._unconditional = model.modulations(self._times) if guided else None  # steps 1 1 6D

    def __call__(self, latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
        """(N, C, H, W) at ``timesteps[step]`` -> float32 predictions with and, if guided, without the condition."""
        inputs = latents.to(self._device, self._dtype)
        modulations = self._model.modulations(self._times[step : step + 1] + self._video)
        channels = latents.shape[1]
        if self._unconditional is None:
            return self._model.denoise(inputs, modulations, self._biases)[:, :channels].float(), None
        both = _stacked(modulations, self._unconditional, step)
        predicted = self._model.denoise(torch.cat([inputs, inputs]), both, self._biases)[:, :channels].float()
        conditional, unconditional = predicted.chunk(2)
        return conditional, unconditional


def _stacked(conditional: Modulations, unconditional: Modulations, step: int) -> Modulations:
    """One batch of 2 N: the rows with the condition, then the same rows without."""

    def stack(rows: Tensor, steps: Tensor) -> Tensor:
        return torch.cat([rows, steps[step].expand_as(rows)])

    return Modulations(
        tuple(stack(rows, steps) for rows, steps in zip(conditional.blocks, unconditional.blocks, strict=True)),
        stack(conditional.final, unconditional.final),
    )


@torch.inference_mode()
def sample(
    model: MDSGen,
    features: Tensor,
    noise: Tensor,
    config: SamplerConfig,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Denoise ``noise`` (N, C, H, W) under ``features`` (N, T, feature_dim) -> float32 latents (N, C, H, W).

    The state stays float32 whatever type the model computes in. ``on_step(done, total)`` follows each step. A row
    depends on its own features and noise only.
    """
    scheduler = make_scheduler(config.schedule, config.num_inference_steps)
    times = scheduler.timesteps
    denoiser = Denoiser(model, features, times, guided=config.guidance_scale != 1)
    latents = noise.to(model.pos_embed.device, torch.float32)  # N C H W
    for step, t in enumerate(times):
        predicted = guided(denoiser, latents, step, float(t), config)  # N C H W
        latents = scheduler.step(predicted, t, latents, return_dict=False)[0]
        if on_step is not None:
            on_step(step + 1, len(times))
    return latents


def guided(denoiser: Denoiser, latents: Tensor, step: int, t: float, config: SamplerConfig) -> Tensor:
    """The prediction for (N, C, H, W) at step ``step``, time ``t``, led by the condition as ``config`` says."""
    predicted, unconditional = denoiser(latents, step)
    if unconditional is None:
        return predicted
    weight = power_cosine(t, config.guidance_scale, config.guidance_power, config.schedule.num_train_timesteps)
    return torch.lerp(unconditional, predicted, weight)


def window_noise(seed: int, content_id: str, window_start: int, take: int, shape: tuple[int, ...]) -> Tensor:
    """The noise of one window, float32, drawn on the CPU so that every device and batch starts alike."""
    generator = torch.Generator().manual_seed(noise_seed(seed, content_id, window_start, take))
    return torch.randn(shape, generator=generator)


def noise_seed(seed: int, content_id: str, window_start: int, take: int) -> int:
    """The seed of a window's noise, 0..2**63 - 1.

    ``window_start`` is in samples of the soundtrack. The four are hashed, so no two windows, takes or clips share
    their noise.
    """
    digest = hashlib.sha256(f"{seed}\n{content_id}\n{window_start}\n{take}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
