"""Diff-Foley's denoiser: Stable Diffusion's U-Net over mel latents, with video tokens where the words were.

Diff-Foley (NeurIPS 2023) fine-tuned Stable Diffusion v1.4 layer for layer, so diffusers' ``UNet2DConditionModel`` is
it, number for number. Letters: N windows, C latent channels, H W latent height and width, T video features,
F their size, D size of a context token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from foleygen.errors import BundleError
from foleygen.models.alignment import FeatureEmbedder
from foleygen.models.diffusion import Condition

GROUPS = 32
"""Of the group norms; every width is a multiple of it."""
LAYERS_PER_LEVEL = 2


@dataclass(frozen=True)
class DiffFoleyConfig:
    """Geometry; the defaults are the published one."""

    latent_shape: tuple[int, int, int] = (4, 16, 64)
    """(C, H, W)."""
    time_axis: int = 2
    """Index into ``latent_shape`` of the axis that is time."""
    model_channels: int = 320
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    """Width of each level in ``model_channels``, from the finest; the coarsest has no attention."""
    num_heads: int = 8
    """Of every attention, whatever its width."""
    context_dim: int = 768
    feature_dim: int = 512
    num_features: int = 32
    """Video features per window."""
    max_features: int = 40
    """Rows of the table of learned positions; the published training saw the first 32 of them."""
    unconditional: Literal["zeros", "embedded"] = "zeros"
    """The context without a condition: all zeros, as the published sampler has it, or what features of zero are
    embedded as, which is what training dropped the condition to."""

    def __post_init__(self) -> None:
        halvings = len(self.channel_mult) - 1
        _require(
            halvings >= 0 and all(length % 2**halvings == 0 for length in self.latent_shape[1:]),
            f"a latent {self.latent_shape[1]} x {self.latent_shape[2]} cannot be halved {halvings} times",
        )
        _require(self.time_axis in (1, 2), f"time_axis is {self.time_axis}, not 1 or 2")
        _require(
            self.model_channels > 0 and self.model_channels % GROUPS == 0,
            f"model_channels {self.model_channels} is no multiple of {GROUPS}",
        )
        _require(
            all(width > 0 and width % self.num_heads == 0 for width in self.widths),
            f"num_heads {self.num_heads} does not divide the widths {self.widths}",
        )
        _require(
            0 < self.num_features <= self.max_features,
            f"num_features {self.num_features} is not within the {self.max_features} learned positions",
        )
        _require(
            self.unconditional in ("zeros", "embedded"),
            f"unconditional {self.unconditional!r} is neither 'zeros' nor 'embedded'",
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from the finest."""
        return tuple(self.model_channels * factor for factor in self.channel_mult)


def _require(holds: bool, fact: str) -> None:
    if not holds:
        raise BundleError(f"U-Net configuration: {fact}", "correct it in the bundle")


class DiffFoley(nn.Module):
    """Predicts the noise in mel latents from the video features of their window."""

    def __init__(self, config: DiffFoleyConfig) -> None:
        super().__init__()
        self.config = config
        self.unet: Any = conditional_unet(config)
        self.condition = FeatureEmbedder(config.feature_dim, config.context_dim, config.max_features)

    def forward(self, latents: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """latents (N, C, H, W), t (N,) in [0, 999] and maybe fractional, context (N, T, D) -> noise (N, C, H, W)."""
        noise: Tensor = self.unet(latents, t, encoder_hidden_states=context).sample
        return noise

    def context(self, features: Tensor) -> Tensor:
        """Video features (N, T, F), unit rows, as the tokens (N, T, D) that every cross-attention sees."""
        embedded: Tensor = self.condition(features)
        return embedded

    def null_context(self, features: Tensor) -> Tensor:
        """The tokens (N, T, D) that stand for no condition, for as many features (N, T, F)."""
        if self.config.unconditional == "embedded":
            return self.context(torch.zeros_like(features))
        return features.new_zeros(*features.shape[:2], self.config.context_dim)

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> Prepared:
        """For the sampler (``diffusion.DiffusionModel``): valid until the parameters change."""
        features = condition.features.to(self.condition.pos_emb.weight)
        context = self.context(features)
        contexts = torch.cat([context, self.null_context(features)]) if guided else context
        return Prepared(self, contexts, times.to(self.device, torch.float32), guided)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return self.config.latent_shape

    @property
    def time_axis(self) -> int:
        return self.config.time_axis

    @property
    def device(self) -> torch.device:
        return self.condition.pos_emb.weight.device


@dataclass(frozen=True)
class Prepared:
    """The U-Net with the contexts of one condition embedded; valid while its parameters are."""

    predict: Callable[[Tensor, Tensor, Tensor], Tensor]
    contexts: Tensor
    """(N, T, D), or (2 N, T, D) where guidance is asked for: the rows with the condition, then those without."""
    times: Tensor
    """(steps,), float32."""
    guided: bool

    def __call__(self, latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
        """(N, C, H, W) at time ``step`` -> float32 predictions with and, if guided, without the condition."""
        inputs = latents.to(self.contexts)
        inputs = torch.cat([inputs, inputs]) if self.guided else inputs
        predicted = self.predict(inputs, self.times[step].expand(len(inputs)), self.contexts).float()
        if not self.guided:
            return predicted, None
        conditional, unconditional = predicted.chunk(2)
        return conditional, unconditional


def conditional_unet(config: DiffFoleyConfig) -> nn.Module:
    """diffusers' U-Net of this geometry."""
    # diffusers costs seconds to import: only whoever samples with such a model pays
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    attending = len(config.channel_mult) - 1
    model: nn.Module = UNet2DConditionModel(
        in_channels=config.latent_shape[0],
        out_channels=config.latent_shape[0],
        down_block_types=("CrossAttnDownBlock2D",) * attending + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * attending,
        block_out_channels=config.widths,
        layers_per_block=LAYERS_PER_LEVEL,
        cross_attention_dim=config.context_dim,
        attention_head_dim=config.num_heads,  # diffusers' name for the number of heads
        norm_num_groups=GROUPS,
    )
    return model
