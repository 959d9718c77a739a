"""A small classifier of tags from mels, to judge what ambience sounds like. N batch, M mel rows, T frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foleygen.errors import BundleError
from foleygen.models.patch_autoencoder import ResidualBlock
from foleygen.strict import Reader


@dataclass(frozen=True)
class TaggerConfig:
    """``widths`` are the channels at 1/4 and 1/8 of the mel."""

    num_mels: int = 128
    num_tags: int = 1
    widths: tuple[int, int] = (32, 64)

    def __post_init__(self) -> None:
        if self.num_mels % 8 or self.num_tags < 1:
            fact = f"tagger configuration: {self.num_mels} mels and {self.num_tags} tags"
            raise BundleError(fact, "give a multiple of 8 mels and at least one tag")


class Tagger(nn.Module):
    """Log-mel (N, M, T) in [0, 1] -> logits (N, tags); T is any multiple of 8.

    Frequency is kept to the end; of time the mean and the maximum are, so that rare events count.
    """

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        fine, coarse = config.widths
        self.net = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(16, fine, 3, padding=1),
            ResidualBlock(fine, 8),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * fine, coarse, 1),
            ResidualBlock(coarse, 8),
            nn.Conv2d(coarse, fine, (config.num_mels // 8, 1)),
            nn.SiLU(),
        )
        self.head = nn.Linear(2 * fine, config.num_tags)

    def forward(self, mel: Tensor) -> Tensor:
        heard: Tensor = self.net(mel[:, None] * 2 - 1)[:, :, 0]  # N C T/8
        logits: Tensor = self.head(torch.cat([heard.mean(-1), heard.amax(-1)], dim=1))
        return logits


def load_tagger(config: TaggerConfig | Mapping[str, Any], state: Mapping[str, Tensor] | None = None) -> Tagger:
    """A tagger in eval mode from a mapping or a configuration. Raises BundleError."""
    if isinstance(config, Mapping):
        config = Reader(BundleError).section(TaggerConfig, config, "tagger configuration")
    model = Tagger(config)
    if state is not None:
        try:
            model.load_state_dict({name: value.float() for name, value in state.items()})
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise BundleError(f"the tagger's weights do not fit it ({reason})", "name another folder") from error
    return model.eval()
