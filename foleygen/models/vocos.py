"""A small neural vocoder after Vocos (Siuzdak 2023): mel frames to the magnitude and phase of a spectrogram.

Three things keep it small. The magnitude is a correction of what the mel already says; the phase is that of frames
centred on their time, so that a click looks alike wherever it is; and a clock tells the network where in its
period of ``clock`` frames a tone in the middle of a bin stands, which no convolution over frames can know.

N batch, M mel bands, F linear frequency bins, T frames, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class VocosConfig:
    """Geometry: ``depth`` ConvNeXt blocks of ``hidden_size`` channels, ``expansion`` times as many inside them.

    ``clock`` is n_fft / hop_length, in frames.
    """

    num_mels: int = 128
    num_bins: int = 513
    clock: int = 4
    hidden_size: int = 96
    depth: int = 4
    expansion: int = 2
    kernel_size: int = 7


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution along time, then a two-layer perceptron at each frame; (N, C, T) to (N, C, T)."""

    def __init__(self, channels: int, expansion: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion * channels)
        self.narrow = nn.Linear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.depthwise(x).transpose(1, 2)  # (N, T, C)
        h = self.narrow(functional.gelu(self.widen(self.norm(h))))
        out: Tensor = x + (self.scale * h).transpose(1, 2)
        return out


class Vocos(nn.Module):
    """Mel (N, M, T) in [0, 1] and a first guess of the log magnitude (N, F, T) to log magnitude and phase."""

    turns: Tensor
    centre: Tensor

    def __init__(self, config: VocosConfig | None = None) -> None:
        super().__init__()
        self.config = config or VocosConfig()
        width, bins = self.config.hidden_size, self.config.num_bins
        self.embed = nn.Conv1d(self.config.num_mels + self.config.clock, width, 3, padding=1)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(
            *(ConvNeXtBlock(width, self.config.expansion, self.config.kernel_size) for _ in range(self.config.depth))
        )
        self.final_norm = nn.LayerNorm(width)
        self.correction = nn.Linear(width, bins)
        self.direction = nn.Linear(width, 2 * bins, bias=False)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        self.register_buffer("turns", torch.eye(self.config.clock), persistent=False)
        self.register_buffer("centre", 1.0 - 2.0 * (torch.arange(bins) % 2)[:, None], persistent=False)

    def forward(self, mel: Tensor, guess: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
        """Log magnitude (N, F, T) and unit complex phase (N, F, T); frame 0 is the clock's frame ``first``."""
        frames = mel.shape[-1]
        ticks = (torch.arange(frames, device=mel.device) + first) % self.config.clock
        clock = self.turns[:, ticks].expand(len(mel), -1, -1).to(mel.dtype)
        x = self.embed(torch.cat([2 * mel - 1, clock], dim=1))  # (N, C, T)
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        x = self.blocks(x)
        x = self.final_norm(x.transpose(1, 2))  # (N, T, C)
        log_magnitude = guess + self.correction(x).transpose(1, 2).clamp(-6, 6)  # (N, F, T)
        real, imaginary = self.direction(x).float().transpose(1, 2).chunk(2, dim=1)
        length = (real.square() + imaginary.square() + 1e-8).rsqrt() * self.centre
        return log_magnitude.float(), torch.complex(real * length, imaginary * length)
