"""Classifiers of alignment: does a sound belong to these video features, at this time?

AlignmentClassifier is Diff-Foley's, on latents: the encoder half of a guided-diffusion U-Net with cross-attention to
the video; parameter names are those of the published ``eval_classifier.ckpt`` and ``double_guidance_classifier.ckpt``.
N batch, (C, H, W) latent or activation, T video features, F their size. MelAlignment is our own, on mels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import BundleError
from foleygen.models.motion import TemporalBlock


@dataclass(frozen=True)
class AlignmentConfig:
    """Geometry; the defaults are the published one. ``channels`` is a multiple of 32."""

    latent_channels: int = 4
    channels: int = 128
    feature_dim: int = 512
    num_heads: int = 8
    max_features: int = 40
    """Positions in the table of learned position embeddings: 10 s of CAVP features."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions after group norm and SiLU, the time embedding added between them."""

    def __init__(self, channels: int, out_channels: int, time_channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_channels, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, out_channels),
            nn.SiLU(),
            nn.Dropout(0.0),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip_connection = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        """x (N, C, H, W), time (N, time_channels); ``context`` is not used."""
        hidden = self.in_layers(x) + self.emb_layers(time)[:, :, None, None]
        out: Tensor = self.skip_connection(x) + self.out_layers(hidden)
        return out


class CrossAttention(nn.Module):
    """Multi-head attention of ``dim`` wide queries over a context, without bias in the three projections."""

    def __init__(self, dim: int, context_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(context_dim, dim, bias=False)
        self.to_v = nn.Linear(context_dim, dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(0.0))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x (N, L, D), context (N, T, context_dim) -> (N, L, D)."""
        query, key, value = (
            rows.view(*rows.shape[:2], self.num_heads, -1).transpose(1, 2)
            for rows in (self.to_q(x), self.to_k(context), self.to_v(context))
        )  # N heads L or T, D/heads
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return out


class GatedGelu(nn.Module):
    """A linear map whose second half of outputs gates the first through GELU."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * out_dim)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        gated: Tensor = value * F.gelu(gate)
        return gated


class FeedForward(nn.Module):
    """GEGLU at four times the width."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GatedGelu(dim, 4 * dim), nn.Dropout(0.0), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention, feed-forward; each after a layer norm and with a residual."""

    def __init__(self, dim: int, config: AlignmentConfig) -> None:
        super().__init__()
        self.attn1 = CrossAttention(dim, dim, config.num_heads)
        self.ff = FeedForward(dim)
        self.attn2 = CrossAttention(dim, config.feature_dim, config.num_heads)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x (N, L, D), context (N, T, F) -> (N, L, D)."""
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), context)
        out: Tensor = x + self.ff(self.norm3(x))
        return out


class SpatialTransformer(nn.Module):
    """A transformer block over the H W positions of a picture."""

    def __init__(self, channels: int, config: AlignmentConfig) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, config)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        """x (N, C, H, W), context (N, T, F); ``time`` is not used."""
        hidden = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # N HW C
        for block in self.transformer_blocks:
            hidden = block(hidden, context)
        out: Tensor = x + self.proj_out(hidden.transpose(1, 2).reshape(x.shape))
        return out


class Convolution(nn.Conv2d):
    """The 3x3 convolution at the input, called like the other layers."""

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)


class Downsample(nn.Module):
    """Half the height and width by a strided 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        out: Tensor = self.op(x)
        return out


class LatentEncoder(nn.Module):
    """Latents, time and context to one logit."""

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        narrow, wide, self.time_channels = config.channels, 2 * config.channels, 4 * config.channels
        time = self.time_channels
        self.time_embed = nn.Sequential(nn.Linear(narrow, time), nn.SiLU(), nn.Linear(time, time))
        levels: list[list[nn.Module]] = [
            [Convolution(config.latent_channels, narrow, 3, padding=1)],
            [ResidualBlock(narrow, narrow, time)],
            [Downsample(narrow)],
            [ResidualBlock(narrow, wide, time), SpatialTransformer(wide, config)],
            [Downsample(wide)],
            [ResidualBlock(wide, wide, time), SpatialTransformer(wide, config)],
        ]
        self.input_blocks = nn.ModuleList(nn.ModuleList(level) for level in levels)
        self.middle_block = nn.ModuleList(
            [ResidualBlock(wide, wide, time), SpatialTransformer(wide, config), ResidualBlock(wide, wide, time)]
        )
        self.out = nn.Sequential(nn.GroupNorm(32, wide), nn.SiLU(), nn.Conv2d(wide, narrow, 3, padding=1))
        self.classifier = nn.Linear(narrow, 1)

    def forward(self, latents: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """latents (N, C, H, W), t (N,), context (N, T, F) -> (N, 1)."""
        time = self.time_embed(_sinusoids(t, self.time_channels // 4))  # N 4*channels
        x = latents  # N C H W
        for level in [*self.input_blocks, self.middle_block]:
            assert isinstance(level, nn.ModuleList)
            for layer in level:
                x = layer(x, time, context)  # N 2*channels H/4 W/4 at the end
        logit: Tensor = self.classifier(self.out(x).mean(dim=(2, 3)))  # N 1
        return logit


class FeatureEmbedder(nn.Module):
    """Video features (N, T, F) as context (N, T, D): a linear map plus learned positions."""

    def __init__(self, feature_dim: int, context_dim: int, max_features: int) -> None:
        super().__init__()
        self.embedder = nn.Sequential(nn.Linear(feature_dim, context_dim))
        self.pos_emb = nn.Embedding(max_features, context_dim)

    def forward(self, features: Tensor) -> Tensor:
        """(N, T, F) -> (N, T, D); T is at most ``max_features``."""
        out: Tensor = self.embedder(features) + self.pos_emb.weight[: features.shape[1]]
        return out


class AlignmentClassifier(nn.Module):
    """Probability that latents and video features belong together and are in time."""

    def __init__(self, config: AlignmentConfig | None = None) -> None:
        super().__init__()
        self.config = config or AlignmentConfig()
        self.model = LatentEncoder(self.config)
        self.cond_model: nn.Module = FeatureEmbedder(
            self.config.feature_dim, self.config.feature_dim, self.config.max_features
        )

    def logit(self, latents: Tensor, features: Tensor, t: Tensor | None = None) -> Tensor:
        """latents (N, C, H, W), features (N, T, F), t (N,) diffusion timesteps, 0 if missing -> (N, 1)."""
        t = latents.new_zeros(len(latents)) if t is None else t
        value: Tensor = self.model(latents, t, self.cond_model(features))
        return value

    def forward(self, latents: Tensor, features: Tensor, t: Tensor | None = None) -> Tensor:
        """The probability, (N, 1); arguments as of ``logit``."""
        return torch.sigmoid(self.logit(latents, features, t))


def _sinusoids(t: Tensor, size: int) -> Tensor:
    """(N,) -> (N, size): cosines, then sines, periods up to 1e4."""
    half = size // 2
    frequencies = torch.exp(-math.log(10000) / half * torch.arange(half, dtype=torch.float32, device=t.device))
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


@dataclass(frozen=True)
class MelAlignmentConfig:
    """Geometry of MelAlignment: ``num_mels`` is a multiple of 16, ``dilations`` are those of its blocks."""

    num_mels: int = 128
    feature_dim: int = 128
    width: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        if self.num_mels < 16 or self.num_mels % 16 or self.width < 8 or not self.dilations:
            raise BundleError(
                f"alignment configuration: {self.num_mels} mels, width {self.width}, dilations {self.dilations}",
                "give a multiple of 16 mels, a width of 8 or more, and at least one dilation",
            )


class MelTower(nn.Module):
    """Level and rise of a mel, a vector per four columns."""

    def __init__(self, num_mels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 16, (8, 4), stride=(4, 2), padding=(2, 1))
        self.norm = nn.GroupNorm(4, 16)
        self.conv2 = nn.Conv2d(16, 32, (4, 4), stride=(4, 2), padding=(0, 1))
        self.join = nn.Conv1d(32 * (num_mels // 16), width, 5, padding=2)
        self.block = TemporalBlock(width, 5, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """(N, M, L) in [0, 1] -> (N, W, L / 4)."""
        rise = mel.diff(dim=2, prepend=mel[:, :, :1])
        x = torch.stack([2 * mel - 1, 8 * rise.clamp(-0.25, 0.25)], dim=1)  # N 2 M L
        x = F.silu(self.norm(self.conv1(x)))  # N 16 M/4 L/2
        x = F.silu(self.conv2(x)).flatten(1, 2)  # N 2M L/4
        out: Tensor = self.block(self.join(x))  # N W L/4
        return out


class MelAlignment(nn.Module):
    """A small classifier of our own: do a mel and the video features of the same stretch belong together, in time?

    Both sides get a vector per four mel columns, and their product is judged along time, so that a shift of a part of
    a second can be seen. It has no diffusion time: it is shown finished sounds.
    """

    def __init__(self, config: MelAlignmentConfig | None = None) -> None:
        super().__init__()
        self.config = config or MelAlignmentConfig()
        width = self.config.width
        self.heard = MelTower(self.config.num_mels, width)
        self.seen = nn.Sequential(nn.Conv1d(self.config.feature_dim, width, 1), TemporalBlock(width, 5, 1))
        self.join = nn.Conv1d(3 * width, width, 1)
        self.blocks = nn.Sequential(*(TemporalBlock(width, 5, dilation) for dilation in self.config.dilations))
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, 1)

    def forward(self, mels: Tensor, features: Tensor) -> Tensor:
        """Logits (N,) of mels (N, M, L) in [0, 1], L a multiple of 4, and features (N, F, C) of the same stretch."""
        heard = self.heard(mels)  # N W L/4
        rows = features.transpose(1, 2)
        if rows.shape[2] != heard.shape[2]:
            rows = F.interpolate(rows, heard.shape[2], mode="linear")
        seen = self.seen(rows)  # N W L/4
        x = self.blocks(self.join(torch.cat([heard, seen, heard * seen], dim=1)))  # N W L/4
        logits: Tensor = self.head(self.norm(torch.cat([x.mean(2), x.amax(2)], dim=1)))  # N 1
        return logits[:, 0]
