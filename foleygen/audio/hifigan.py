"""The neural vocoder of AudioLDM, by way of transformers (the extra ``base``).

N batch, M mel bands, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from foleygen.errors import SetupError


@dataclass(frozen=True)
class HiFiGANConfig:
    """Architecture of the generator (Kong, Kim and Bae 2020, version 1); the defaults are those of AudioLDM-S."""

    num_mels: int = 64
    sample_rate: int = 16000
    upsample_initial_channel: int = 1024
    upsample_rates: tuple[int, ...] = (5, 4, 2, 2, 2)
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 8, 4, 4)
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    leaky_relu_slope: float = 0.1

    @property
    def hop_length(self) -> int:
        """Samples per mel frame."""
        return prod(self.upsample_rates)


class HiFiGAN(nn.Module):
    """Vocoder for natural-log mels in AudioLDM's scale; ``generator`` takes the published tensors by their names.

    Raises SetupError where transformers is not installed.
    """

    goes_on = False

    def __init__(self, config: HiFiGANConfig | None = None) -> None:
        super().__init__()
        try:
            from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
        except ImportError as error:
            raise SetupError(
                "the HiFi-GAN vocoder needs the library transformers", "install it with pip install 'foleygen[base]'"
            ) from error
        self.config = config or HiFiGANConfig()
        self.sample_rate, self.hop_length = self.config.sample_rate, self.config.hop_length
        self.generator: nn.Module = SpeechT5HifiGan(
            SpeechT5HifiGanConfig(
                model_in_dim=self.config.num_mels,
                sampling_rate=self.config.sample_rate,
                upsample_initial_channel=self.config.upsample_initial_channel,
                upsample_rates=list(self.config.upsample_rates),
                upsample_kernel_sizes=list(self.config.upsample_kernel_sizes),
                resblock_kernel_sizes=list(self.config.resblock_kernel_sizes),
                resblock_dilation_sizes=[list(sizes) for sizes in self.config.resblock_dilation_sizes],
                leaky_relu_slope=self.config.leaky_relu_slope,
                normalize_before=False,
            )
        )

    @torch.no_grad()
    def forward(self, mel: Tensor, generators: Sequence[torch.Generator] = (), begun: Tensor | None = None) -> Tensor:
        wanted = mel.shape[-1] * self.hop_length
        if mel.shape[-1] == 0 or len(mel) == 0:
            return mel.new_zeros(len(mel), wanted)
        rows = [self.generator(row[None]) for row in mel.transpose(1, 2)]  # one by one: less memory, same last bits
        samples = torch.cat(rows)  # (N, T * hop_length + surplus)
        # Upsampling by 5 with 16 taps yields a step too many, half of it before the first frame.
        before = (samples.shape[-1] - wanted) // 2
        return samples[:, before : before + wanted]
