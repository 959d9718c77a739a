"""The adapter that lets a transformer with aligned conditioning be told when and what, beside what the picture says.

What the transformer hears of a picture, one vector per token column, has a mean over the window, which is about *what*
sounds, and a rest, about *when*. Words blend into the mean; cues rescale the rest and add to it. A column without a
word, in which and beside which nothing is known, is left as it is, to the bit.

Letters: N windows, M token columns, T frames (T / M of them a column), C picture features, X channels behind them
(``CueLayout``), D the transformer's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.models.cue_layout import SUB_STEPS, CueLayout

WORD_RATE = 10.0
"""Words are kept divided by this, so that one learning rate moves them faster than the network."""
DOUBT = -1.0
"""Logit, before training, of how much of the picture's mean is kept beside a word."""


@dataclass(frozen=True, kw_only=True)
class CueAdapterConfig:
    """Sizes; ``condition_size`` and ``columns`` are the transformer's, words count without "not said"."""

    families: int
    materials: int
    condition_size: int = 192
    columns: int = 32
    frames_per_column: int = 4
    sub_steps: int = SUB_STEPS
    hidden_size: int = 384
    blend_size: int = 96


class CueAdapter(nn.Module):
    """(N, M, D) of the picture and (N, T, X) of cues and words -> (N, M, D) of all of them."""

    def __init__(self, config: CueAdapterConfig) -> None:
        super().__init__()
        self.config = config
        self.layout = CueLayout(config.sub_steps)
        width, hidden = config.condition_size, config.hidden_size
        told = 3 * config.frames_per_column * self.layout.cues
        self.families = nn.Embedding(config.families + 1, width)
        self.materials = nn.Embedding(config.materials + 1, width)
        self.blend = nn.Sequential(
            nn.Linear(3 * width, config.blend_size), nn.GELU(), nn.Linear(config.blend_size, width)
        )  # fmt: skip
        self.column = nn.Sequential(
            nn.Linear(2 * width + told + 3, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, 2 * width),
        )  # fmt: skip
        self._begin_silent()

    def forward(self, video: Tensor, behind: Tensor) -> Tensor:
        """``video`` (N, M, D) is what the transformer hears of the picture; ``behind`` (N, T, X)."""
        seen = behind[:, :1, self.layout.picture :].to(video)  # N 1 1
        word, said = self._words(behind)  # N M D, N M 1
        video = video * seen
        mean = video.mean(dim=1, keepdim=True)  # N 1 D
        rest = video - mean
        base = torch.where(said, self._blended(mean, word, seen), mean)  # N M D
        told, known = self._cues(behind)  # N M 3(T/M)(X-3), N M 1
        flags = torch.cat([said.to(word), known.to(word), seen.expand_as(known)], dim=2)
        scale, shift = self.column(torch.cat([rest, word, told.to(word), flags], dim=2)).chunk(2, dim=2)
        return torch.where(said | known, base + rest * (1 + scale) + shift, video)

    def speak(self, families: Tensor, materials: Tensor) -> None:
        """Begin with these vectors, (words + 1, D) each; their sum stands in place of the picture's mean."""
        with torch.no_grad():
            self.families.weight.copy_(families / WORD_RATE)
            self.materials.weight.copy_(materials / WORD_RATE)

    def _words(self, behind: Tensor) -> tuple[Tensor, Tensor]:
        """The vector of each column's words, 0 without one, (N, M, D); and whether it has any (N, M, 1)."""
        family = behind[..., self.layout.family].long()  # N T
        material = behind[..., self.layout.material].long()
        spoken = ((family > 0) | (material > 0))[..., None]  # N T 1
        frames = torch.where(spoken, self.families(family) + self.materials(material), 0.0)
        shape = len(behind), self.config.columns, self.config.frames_per_column
        share = spoken.to(frames).view(*shape, 1).mean(dim=2)  # N M 1
        words = WORD_RATE * frames.view(*shape, -1).mean(dim=2) / share.clamp_min(1e-6)
        return words, share > 0

    def _blended(self, mean: Tensor, word: Tensor, seen: Tensor) -> Tensor:
        """Words (N, M, D) with as much of the picture's mean (N, 1, D) as agrees with them."""
        apart = mean - word  # N M D
        kept = torch.sigmoid(self.blend(torch.cat([mean.expand_as(word), word, apart.abs()], dim=2)) + DOUBT)
        return word + seen * kept * apart

    def _cues(self, behind: Tensor) -> tuple[Tensor, Tensor]:
        """The cues of each column and its neighbours, 0 beyond the window; and whether any of them is known."""
        channels = behind[..., : self.layout.cues]
        stacked = channels.reshape(len(behind), self.config.columns, -1)  # N M (T/M)(X-3)
        padded = F.pad(stacked, (0, 0, 1, 1))
        around = torch.cat([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], dim=2)
        known = behind[..., self.layout.known].reshape(len(behind), self.config.columns, -1).amax(dim=2, keepdim=True)
        beside = F.max_pool1d(known.transpose(1, 2), 3, stride=1, padding=1).transpose(1, 2)
        return around, beside > 0

    def _begin_silent(self) -> None:
        """The network begins by changing nothing."""
        for module in (self.blend[-1], self.column[-1], self.families, self.materials):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
