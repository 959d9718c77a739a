"""How loud a window should be, by what is heard of its picture and what it is told: a linear map.

It does not hear how hard hits are: scenes are as loud with soft hits as with hard ones, but who asks for soft ones
wants them soft (``audio.strikes``).

N windows, M token columns, D the transformer's width, T frames, X channels of cues and words (``CueLayout``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foleygen.models.cue_layout import CueLayout

SUMS = 3
"""Numbers that sum up a track of cues."""
_LEAST = 0.1
"""Of presence, in frames: about a sixth of a cue."""


class LevelHead(nn.Module):
    """(N, M, D) of what the transformer hears and (N, T, X) of what is told -> loudness (N,) in LUFS.

    Both are ``unfelt``: without the strengths of cues.
    """

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
    """What tracks (N, T, X) say as a whole, (N, SUMS): how much there is of cues, the share of the frames where they
    are known, and whether there is a picture."""
    amount = told[..., layout.presence].sum(dim=(1, 2))
    return torch.stack(
        [
            torch.log1p(amount * _LEAST),
            told[..., layout.known].mean(dim=1),
            told[..., layout.picture].mean(dim=1),
        ],
        dim=1,
    )


def unfelt(told: Tensor, layout: CueLayout) -> Tensor:
    """Tracks (N, T, X) without the strengths of their cues."""
    told = told.clone()
    told[..., layout.strength] = 0
    told[..., layout.strength_known] = 0
    return told
