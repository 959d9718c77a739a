"""MDSGen prepared for one condition and one row of times, for the sampler.

N windows, C H W latent, M modulations in time, D hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Modulations:
    """What the condition says to every layer; each tensor is (N, A or 1, B or 1, 6 D), the final one 2 D."""

    blocks: tuple[Tensor, ...]
    final: Tensor


@dataclass(frozen=True)
class Prepared:
    """A model with all that does not depend on the latents computed once; valid while its parameters are.

    The unconditional branch depends on the time alone, so its modulations are known for every step.
    """

    modulations: Callable[[Tensor], Modulations]
    """Of a condition (N, M, D)."""
    denoise: Callable[[Tensor, Modulations], Tensor]
    """(N, C, H, W) -> (N, C or more, H, W), in the model's type and on its device."""
    video: Tensor
    """(N, M, D), in the model's type."""
    times: Tensor
    """(steps, 1, D)."""
    unconditional: Modulations | None
    """(steps, 1, 1, 6 D); None where guidance is not asked for."""

    def __call__(self, latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
        """(N, C, H, W) at time ``step`` -> float32 predictions with and, if guided, without the condition."""
        inputs = latents.to(self.video)
        modulations = self.modulations(self.times[step : step + 1] + self.video)
        channels = latents.shape[1]
        if self.unconditional is None:
            return self.denoise(inputs, modulations)[:, :channels].float(), None
        both = _stacked(modulations, self.unconditional, step)
        predicted = self.denoise(torch.cat([inputs, inputs]), both)[:, :channels].float()
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
