"""MDSGen prepared for one condition and one row of times, for the sampler."""

from __future__ import annotations

import torch
from torch import Tensor

from foleygen.models.transformer import MDSGen, Modulations


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
