"""Published mel autoencoders: Stable Diffusion's and AudioLDM's ``AutoencoderKL``, run by diffusers.

N batch, M mel bands, T mel frames, Z latent channels. Both shrink the two axes of a mel alike, by 8 (Stable
Diffusion) or 4 (AudioLDM).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn

from foleygen.errors import BundleError

Channel = Literal["R", "G", "B", "mean"]
CHANNELS: dict[Channel, int] = {"R": 0, "G": 1, "B": 2}


@dataclass(frozen=True)
class KLConfig:
    """Geometry of an ``AutoencoderKL``; ``time_first``: its pictures are (T, M) and its latents time first."""

    in_channels: int
    out_channels: int
    latent_channels: int
    block_out_channels: tuple[int, ...]
    time_first: bool
    layers_per_block: int = 2
    norm_num_groups: int = 32

    @property
    def downsampling(self) -> int:
        """Mel frames, and mel bands, per latent position."""
        return int(2 ** (len(self.block_out_channels) - 1))


KL_PRESETS: dict[str, KLConfig] = {
    "stable_diffusion": KLConfig(3, 3, 4, (128, 256, 512, 512), time_first=False),
    "audioldm": KLConfig(1, 1, 8, (128, 256, 512), time_first=True),
}


class KLAutoencoder(nn.Module):
    """Mel (N, M, T) <-> latents: (N, Z, M/f, T/f), or (N, Z, T/f, M/f) with ``time_first``.

    Encoded latents are multiplied by ``latent_scale`` and divided by it before decoding. With three channels the
    mel goes in as a grey picture and comes out of ``channel``. Values are neither rescaled nor clipped
    (Diff-Foley feeds [0, 1], AudioLDM natural logarithms).
    """

    def __init__(self, config: KLConfig, latent_scale: float, channel: Channel) -> None:
        super().__init__()
        self.config = config
        self.latent_scale = latent_scale
        self.channel = channel
        self.kl: Any = _autoencoder_kl(config)

    def encode(self, mel: Tensor) -> Tensor:
        """The posterior's mean, scaled; ``mel`` is (N, M, T)."""
        return self.posterior(mel)[0] * self.latent_scale

    def posterior(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the unscaled latents."""
        picture = mel.transpose(1, 2) if self.config.time_first else mel
        channels = picture[:, None].expand(-1, self.config.in_channels, -1, -1)
        distribution = self.kl.encode(channels).latent_dist
        mean, log_variance = distribution.mean, distribution.logvar
        return mean, log_variance

    def decode(self, latents: Tensor) -> Tensor:
        """Mel (N, M, T)."""
        picture: Tensor = self.kl.decode(latents / self.latent_scale).sample
        if self.config.out_channels == 1:
            mel = picture[:, 0]
        else:
            mel = picture.mean(1) if self.channel == "mean" else picture[:, CHANNELS[self.channel]]
        return mel.transpose(1, 2) if self.config.time_first else mel


def load_kl(
    config: str | Mapping[str, Any] | KLConfig,
    weights: Mapping[str, Tensor] | None = None,
    *,
    latent_scale: float = 1.0,
    channel: Channel = "G",
) -> KLAutoencoder:
    """An autoencoder in eval mode and float32 from a name of KL_PRESETS, a bundle's mapping or a KLConfig.

    ``weights`` have diffusers' names; without them the parameters are random. Raises BundleError when the
    configuration or the weights do not fit.
    """
    resolved = config if isinstance(config, KLConfig) else _config_from(config)
    with torch.device("cpu" if weights is None else "meta"):
        model = KLAutoencoder(resolved, latent_scale, channel)
    if weights is not None:
        try:
            model.kl.load_state_dict({name: value.float() for name, value in weights.items()}, assign=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            fact = f"the autoencoder's weights do not fit its configuration ({reason})"
            raise BundleError(fact, "verify the bundle") from error
    return model.eval().requires_grad_(False)


def _config_from(config: str | Mapping[str, Any]) -> KLConfig:
    if isinstance(config, str):
        if config not in KL_PRESETS:
            raise BundleError(f"unknown autoencoder {config!r}", f"use one of {', '.join(KL_PRESETS)}")
        return KL_PRESETS[config]
    names = {item.name for item in fields(KLConfig)}
    if unknown := set(config) - names:
        raise BundleError(f"autoencoder configuration: unknown key {min(unknown)!r}", "correct the bundle")
    values = {**config, "block_out_channels": tuple(config.get("block_out_channels", ()))}
    try:
        return KLConfig(**values)
    except TypeError as error:
        raise BundleError(f"autoencoder configuration: {error}", "correct the bundle") from error


def _autoencoder_kl(config: KLConfig) -> nn.Module:
    # diffusers costs seconds to import: only whoever decodes with such a model pays
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    levels = len(config.block_out_channels)
    model: nn.Module = AutoencoderKL(
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        latent_channels=config.latent_channels,
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_num_groups,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
    )
    return model
