"""Masked tokens, filled in over a few steps: the parallel decoding of MaskGIT (Chang et al. 2022).

Every step draws all masked tokens and keeps the most confident; how many stay masked follows a schedule. Known tokens
are never touched, and a row depends on its own generator alone. N batch, R rows and W columns of tokens, L = R W
row by row, K codes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from foleygen.errors import UsageError

Logits = Callable[[Tensor, Tensor, int], Tensor]
"""(tokens (N, R, W), mask (N, R, W) bool, step) -> logits (N, L, K)."""


@dataclass(frozen=True)
class DecodeConfig:
    """``temperature`` of the noise on confidences falls linearly to 0 with the steps.

    ``guidance_scale`` is 1 for the condition alone; under "linear" it falls to 1 with the masked tokens, where
    "constant" keeps it. 12 steps are the authors' later default; the other defaults are MaskGIT's or ours.
    """

    steps: int = 12
    schedule: Literal["cosine", "linear"] = "cosine"
    temperature: float = 4.5
    guidance_scale: float = 3.0
    guidance: Literal["constant", "linear"] = "constant"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"decoding steps are {self.steps}", "give 1 or more")
        if self.temperature < 0 or self.guidance_scale < 0:
            raise UsageError("the decoding temperature or guidance scale is negative", "give 0 or more")

    def masked_share(self, step: int) -> float:
        """Share of the tokens that were to be found that is still masked after ``step``, counted from 0."""
        progress = (step + 1) / self.steps
        return math.cos(math.pi / 2 * progress) if self.schedule == "cosine" else 1 - progress

    def noise(self, step: int) -> float:
        """Temperature of a step."""
        return self.temperature * (1 - (step + 1) / self.steps)

    def guidance_at(self, step: int) -> float:
        """Guidance scale of a step."""
        if self.guidance == "constant":
            return self.guidance_scale
        masked = 1.0 if step == 0 else self.masked_share(step - 1)
        return 1 + (self.guidance_scale - 1) * masked


class TokenModel(Protocol):
    """What decodes: ``SpecMaskGIT``, or anything called alike. ``given`` (N,) says which rows have the condition."""

    def __call__(
        self, tokens: Tensor, mask: Tensor, condition: Tensor | None, given: Tensor | None = None
    ) -> Tensor: ...


def guided(model: TokenModel, condition: Tensor | None, config: DecodeConfig) -> Logits:
    """Logits of ``model`` with classifier-free guidance; ``condition`` (N, C), or None for what it finds likely.

    Both branches are one batch, which is faster than two calls by some percent.
    """

    def logits(tokens: Tensor, mask: Tensor, step: int) -> Tensor:
        scale = config.guidance_at(step)
        if condition is None or scale == 1:
            return model(tokens, mask, condition).float()
        rows = len(tokens)
        given = torch.arange(2 * rows, device=tokens.device) < rows
        both = model(tokens.repeat(2, 1, 1), mask.repeat(2, 1, 1), condition.repeat(2, 1), given)
        told, free = both.float().chunk(2)
        return free + scale * (told - free)

    return logits


@torch.no_grad()
def decode(
    logits: Logits,
    tokens: Tensor,
    mask: Tensor,
    generators: Sequence[torch.Generator],
    config: DecodeConfig,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Tokens (N, R, W) with those under ``mask`` (N, R, W) found anew; the others as they are.

    One generator a row, on the CPU. Each step but the last leaves at least one token of a row masked, while there
    are any, and finds at least one.
    """
    assert len(generators) == len(tokens)
    wanted = mask.flatten(1).sum(1)
    tokens, mask = tokens.clone(), mask.clone()
    for step in range(config.steps):
        drawn, confidence = draw(logits(tokens, mask, step), generators, config.noise(step))
        tokens = torch.where(mask, drawn.view_as(tokens), tokens)
        staying = (wanted * config.masked_share(step)).floor().long()
        open_now = mask.flatten(1).sum(1)
        staying = staying.clamp(min=1).minimum(open_now - 1).clamp(min=0)
        if step == config.steps - 1:
            staying.zero_()
        mask = _least_confident(confidence, mask.flatten(1), staying).view_as(mask)
        if on_step is not None:
            on_step(step + 1, config.steps)
        if not bool(mask.any()):
            break
    return tokens


def columns_mask(grid: tuple[int, int], first: int, last: int) -> Tensor:
    """(R, W) bool, true from column ``first`` to before ``last``: a hole in time, or all after a prefix."""
    mask = torch.zeros(grid, dtype=torch.bool)
    mask[:, first:last] = True
    return mask


def rows_mask(grid: tuple[int, int], first: int) -> Tensor:
    """(R, W) bool, true from row ``first`` (0 is the lowest) up: the band above a frequency."""
    mask = torch.zeros(grid, dtype=torch.bool)
    mask[first:] = True
    return mask


def draw(logits: Tensor, generators: Sequence[torch.Generator], temperature: float) -> tuple[Tensor, Tensor]:
    """A token of each distribution of ``logits`` (N, L, K), (N, L), and the noisy logarithm of its probability."""
    log_probabilities = logits.log_softmax(-1)
    batch, length, _ = logits.shape
    uniform = torch.stack([torch.rand(2, length, generator=generator) for generator in generators]).to(logits.device)
    cumulated = log_probabilities.exp().cumsum(-1)
    level = uniform[:, 0, :, None] * cumulated[..., -1:]
    drawn = torch.searchsorted(cumulated, level, right=True)[..., 0].clamp(max=logits.shape[-1] - 1)
    gumbel = -torch.log(-torch.log(uniform[:, 1].clamp(1e-7, 1 - 1e-7)))
    chosen = log_probabilities.gather(-1, drawn[..., None])[..., 0]
    assert drawn.shape == (batch, length)
    return drawn, chosen + temperature * gumbel


def _least_confident(confidence: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """(N, L) bool: of the masked, the ``count`` (N,) with the least confidence."""
    order = confidence.masked_fill(~mask, math.inf).argsort(1)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    return rank < count[:, None]
