"""How loud a window should be, by what is heard of its picture and what it is told: a linear map.

N windows, M token columns, D the transformer's width, T frames, X channels of cues and words (``CueLayout``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foleygen.models.cue_layout import FELT, MIDDLE_DB, SPAN_DB, CueLayout

SUMS = 6
"""Numbers that sum up a track of cues."""
_LEAST = 0.1
"""Presence, in frames, below which there is no cue."""


class LevelHead(nn.Module):
    """(N, M, D) of what the transformer hears and (N, T, X) of what is told -> loudness (N,) in LUFS."""

    def __init__(self, condition_size: int, layout: CueLayout) -> None:
        super().__init__()
        self.layout = layout
        self.linear = nn.Linear(2 * condition_size + SUMS, 1)

    def forward(self, heard: Tensor, told: Tensor) -> Tensor:
        loudness: Tensor = self.linear(self.inputs(heard, told).to(self.linear.weight))
        return loudness[:, 0]

    def inputs(self, heard: Tensor, told: Tensor) -> Tensor:
        """(N, 2 D + SUMS): mean and deviation over the columns, and the sums of the cues."""
        return torch.cat([heard.mean(dim=1), heard.std(dim=1), cue_sums(told, self.layout).to(heard)], dim=1)

    @torch.no_grad()
    def set(self, slopes: Tensor, constant: Tensor) -> None:
        """Take the weights (2 D + SUMS,) and the constant of a regression on ``inputs``."""
        self.linear.weight.copy_(slopes[None])
        self.linear.bias.copy_(constant.reshape(1))


def cue_sums(told: Tensor, layout: CueLayout) -> Tensor:
    """What tracks (N, T, X) say as a whole, (N, SUMS).

    How much there is of cues, how strong they are together and on average; the shares of the frames where they and
    their strengths are known; whether there is a picture.
    """
    presence, strength = told[..., layout.presence], told[..., layout.strength]
    felt = presence > FELT
    decibels = SPAN_DB * torch.where(felt, strength / presence.clamp_min(FELT), 0.0) + MIDDLE_DB
    amount = presence.sum(dim=(1, 2))
    power = (presence * torch.where(felt, 10 ** (decibels / 10), 1.0)).sum(dim=(1, 2))
    return torch.stack(
        [
            torch.log1p(amount * _LEAST),
            torch.log10(power * _LEAST + 0.01),
            torch.log10((power + _LEAST) / (amount + _LEAST)),
            told[..., layout.known].mean(dim=1),
            told[..., layout.strength_known].mean(dim=1),
            told[..., layout.picture].mean(dim=1),
        ],
        dim=1,
    )
