"""The adversary of the vocoder: small discriminators of log spectrograms at several resolutions, hinge loss.

N batch, S samples, F linear frequency bins, T frames, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

SILENCE = 1e-4
"""Least magnitude that a discriminator sees."""


@dataclass(frozen=True)
class AdversaryConfig:
    """``sizes`` are the windows of the spectrograms in samples (hop a quarter); ``channels`` of the convolutions.

    ``weight`` and ``feature_weight`` count the generator's hinge loss and feature matching.
    """

    sizes: tuple[int, ...] = (256, 1024, 2048)
    channels: tuple[int, int, int] = (16, 24, 32)
    weight: float = 0.1
    feature_weight: float = 0.5


class SpectrogramDiscriminator(nn.Module):
    """Samples (N, S) to what each layer saw, the last being the verdicts (N, 1, F', T'): positive for true sound."""

    window: Tensor

    def __init__(self, size: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        first, second, third = channels
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(1, first, (5, 3), (3, 1), (2, 1)),
                nn.Conv2d(first, second, (5, 3), (2, 2), (2, 1)),
                nn.Conv2d(second, third, (5, 3), (2, 1), (2, 1)),
                nn.Conv2d(third, 1, 3, padding=1),
            ]
        )

    def forward(self, samples: Tensor) -> list[Tensor]:
        x = (log_magnitude(samples, self.window, SILENCE)[:, None] + 3) / 3
        seen = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index < len(self.layers) - 1:
                x = functional.leaky_relu(x, 0.1)
            seen.append(x)
        return seen


class Adversary(nn.Module):
    """One discriminator a resolution."""

    def __init__(self, config: AdversaryConfig) -> None:
        super().__init__()
        self.config = config
        self.discriminators = nn.ModuleList(SpectrogramDiscriminator(size, config.channels) for size in config.sizes)

    def forward(self, samples: Tensor) -> tuple[Tensor, ...]:
        """All layers' outputs, discriminator by discriminator."""
        return tuple(seen for discriminator in self.discriminators for seen in discriminator(samples))

    def frozen(self, samples: Tensor) -> tuple[Tensor, ...]:
        """The same as fixed functions of the samples: no gradient reaches the discriminators."""
        trained = [value for value in self.parameters() if value.requires_grad]
        for value in trained:
            value.requires_grad_(False)
        try:
            return self(samples)  # type: ignore[no-any-return]
        finally:
            for value in trained:
                value.requires_grad_(True)

    @property
    def depth(self) -> int:
        """Layers of each discriminator."""
        return len(self.discriminators[0].layers)  # type: ignore[arg-type]


def hinge(true: Sequence[Tensor], found: Sequence[Tensor]) -> Tensor:
    """What the discriminators minimise over their verdicts of true and of found sounds."""
    pairs = zip(true, found, strict=True)
    terms = [functional.relu(1 - good).mean() + functional.relu(1 + bad).mean() for good, bad in pairs]
    return torch.stack(terms).mean()


def persuasion(found: Sequence[Tensor]) -> Tensor:
    """What the generator minimises over the verdicts of its sounds."""
    return torch.stack([-bad.mean() for bad in found]).mean()


def feature_matching(true: Sequence[Tensor], found: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of what the layers saw, relative to what they saw of the true sound."""
    pairs = zip(true, found, strict=True)
    terms = [functional.l1_loss(bad, good) / good.abs().mean().clamp(min=1e-3) for good, bad in pairs]
    return torch.stack(terms).mean()


def log_magnitude(samples: Tensor, window: Tensor, least: float) -> Tensor:
    """log of max(magnitude, ``least``), (N, F, T), of samples (N, S); hop a quarter of the window, zeros outside."""
    size = len(window)
    spectrum = torch.stft(samples, size, size // 4, window=window, pad_mode="constant", return_complex=True)
    return 0.5 * torch.view_as_real(spectrum).square().sum(-1).clamp(min=least**2).log()
