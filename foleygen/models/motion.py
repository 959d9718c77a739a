"""The video encoder of tiny: what moves, when it stops, and what it looks like, at one vector per 64 ms.

Two views of the same frames are encoded and joined. The *pixel* branch sees colour and frame differences;
the *flow* branch sees block motion with the camera's own motion (the median flow) taken out, which is what
survives shake and transfers best to filmed clips. Temporal convolutions work at every place before the
picture is pooled, so that the sudden stop of one small thing is not averaged away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# N batch, T frames, S frame side, K features (T / 2), C feature channels

GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class MotionEncoderConfig:
    """Sizes; ``num_frames`` pictures become ``num_frames / 2`` features."""

    frame_size: int = 64
    num_frames: int = 256
    feature_dim: int = 128
    pixel_widths: tuple[int, int, int] = (16, 32, 48)
    place_width: int = 64
    flow_width: int = 32
    onsets_per_feature: int = 4
    num_bands: int = 16
    num_families: int = 20
    num_materials: int = 12

    @property
    def num_features(self) -> int:
        return self.num_frames // 2


@dataclass(frozen=True)
class Hearing:
    """What the encoder expects to hear: training targets, and a self-check at run time."""

    onsets: Tensor
    """(N, K * onsets_per_feature) logits of an onset in each mel frame."""
    bands: Tensor
    """(N, num_bands, K) log-mel level in [0, 1] per band."""
    family: Tensor
    """(N, num_families) logits."""
    material: Tensor
    """(N, num_materials) logits."""


def grey_of(frames: Tensor) -> Tensor:
    """Luma (..., S, S) in [0, 1] of uint8 or float RGB frames (..., S, S, 3)."""
    weights = torch.tensor(GREY, device=frames.device) / (255.0 if frames.dtype == torch.uint8 else 1.0)
    return frames.float() @ weights


def block_flow(grey: Tensor, blocks: int = 16) -> Tensor:
    """Lucas-Kanade motion of blocks, camera motion removed.

    ``grey`` is (N, T, S, S) in [0, 1]; the result is (N, T, 4, blocks, blocks): horizontal and vertical motion in
    pixels per frame less the frame's median, their speed, and the mean absolute difference; frame 0 is still.
    """
    count, times, side, _ = grey.shape
    smooth = F.avg_pool2d(grey.reshape(-1, 1, side, side), 3, 1, 1, count_include_pad=False)
    smooth = smooth.reshape(count, times, side, side)
    before, after = smooth[:, :-1], smooth[:, 1:]
    mean = (before + after) / 2
    padded = F.pad(mean, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    dt = after - before
    products = torch.stack([dx * dx, dx * dy, dy * dy, dx * dt, dy * dt, dt.abs()], dim=2)
    step = side // blocks
    pooled = F.avg_pool2d(products.flatten(0, 1), 2 * step, step, step // 2, count_include_pad=False)
    xx, xy, yy, xt, yt, change = pooled[..., :blocks, :blocks].unflatten(0, (count, times - 1)).unbind(2)
    damping = 1e-4
    determinant = (xx + damping) * (yy + damping) - xy * xy
    u = (xy * yt - (yy + damping) * xt) / determinant
    v = (xy * xt - (xx + damping) * yt) / determinant
    flow = torch.stack([u, v], dim=2).clamp(-4, 4)
    flow = flow - flow.flatten(3).median(dim=3).values[..., None, None]
    speed = flow.square().sum(2, keepdim=True).sqrt()
    motion = torch.cat([flow, speed, 8 * change[:, :, None]], dim=2)
    return torch.cat([torch.zeros_like(motion[:, :1]), motion], dim=1)


class TemporalBlock(nn.Module):
    """Residual convolution over time, (N, C, K) -> (N, C, K)."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = nn.Conv1d(channels, channels, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv(F.silu(self.norm(x.transpose(1, 2)).transpose(1, 2)))
        h = self.mix(F.silu(h))
        return x + h


class PlaceConv(nn.Module):
    """Temporal convolutions at every place of an 8x8 grid, then halving of the frame rate and pooling to 4x4."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, (5, 1), padding=(2, 0))
        self.conv2 = nn.Conv2d(width, width, (4, 1), stride=(2, 1), padding=(1, 0))
        self.out_channels = width * 16

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C, 8, 8) -> (N, 16 * width, T / 2)."""
        x = x.permute(0, 2, 1, 3, 4).flatten(3)  # (N, C, T, 64): places side by side, time is a spatial axis
        x = F.silu(self.conv1(x))
        x = F.silu(self.conv2(x))
        places = x.unflatten(3, (8, 8))  # (N, W, T/2, 8, 8)
        pooled = F.max_pool2d(places.flatten(1, 2), 2).unflatten(1, places.shape[1:3])
        joined: Tensor = pooled.permute(0, 1, 3, 4, 2).flatten(1, 3)
        return joined


class PixelBranch(nn.Module):
    """Colour and frame differences, 64x64 -> 8x8 places."""

    def __init__(self, config: MotionEncoderConfig) -> None:
        super().__init__()
        first, second, third = config.pixel_widths
        self.conv1 = nn.Conv2d(4, first, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(first, second, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(second, third, 4, stride=2, padding=1)
        self.places = PlaceConv(third, config.place_width)

    def forward(self, frames: Tensor, grey: Tensor) -> Tensor:
        """RGB (N, T, S, S, 3) in [0, 1] and luma (N, T, S, S) -> (N, 16 * place_width, T / 2)."""
        count, times = frames.shape[:2]
        difference = torch.diff(grey, dim=1, prepend=grey[:, :1])
        scale = difference.flatten(2).abs().mean(dim=(1, 2)).clamp_min(2e-3)[:, None, None, None]
        relative = (difference / scale).clamp(-12, 12) / 4
        x = torch.cat([4 * frames - 2, relative[..., None]], dim=-1)  # (N, T, S, S, 4): channels last, as convolved
        x = F.silu(self.conv1(x.flatten(0, 1).permute(0, 3, 1, 2)))
        x = F.silu(self.conv2(x))
        x = F.silu(self.conv3(x))
        pooled: Tensor = self.places(x.unflatten(0, (count, times)))
        return pooled


class FlowBranch(nn.Module):
    """Block motion, 16x16 -> 8x8 places."""

    def __init__(self, config: MotionEncoderConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, config.flow_width, 4, stride=2, padding=1)
        self.places = PlaceConv(config.flow_width, config.flow_width)

    def forward(self, motion: Tensor) -> Tensor:
        """What ``block_flow`` gives, (N, T, 4, 16, 16) -> (N, 16 * flow_width, T / 2)."""
        count, times = motion.shape[:2]
        x = F.silu(self.conv(motion.flatten(0, 1).contiguous(memory_format=torch.channels_last)))
        pooled: Tensor = self.places(x.unflatten(0, (count, times)))
        return pooled


class MotionEncoder(nn.Module):
    """(N, T, S, S, 3) uint8 frames -> (N, T/2, C) features."""

    def __init__(self, config: MotionEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or MotionEncoderConfig()
        channels = self.config.feature_dim
        self.pixels = PixelBranch(self.config)
        self.flow = FlowBranch(self.config)
        self.join = nn.Conv1d(self.pixels.places.out_channels + self.flow.places.out_channels, channels, 1)
        self.blocks = nn.Sequential(*(TemporalBlock(channels, 5, dilation) for dilation in (1, 2, 4, 1)))
        self.norm = nn.LayerNorm(channels)
        self.onset_head = nn.Linear(channels, self.config.onsets_per_feature)
        self.band_head = nn.Linear(channels, self.config.num_bands)
        self.family_head = nn.Linear(2 * channels, self.config.num_families)
        self.material_head = nn.Linear(2 * channels, self.config.num_materials)
        self.apply(_keep_variance)
        nn.init.constant_(self.onset_head.bias, -4.0)

    def forward(self, frames: Tensor, motion: Tensor | None = None) -> Tensor:
        """Features (N, T/2, C); frames may be uint8, or float in [0, 1]; ``motion`` is their ``block_flow``."""
        grey = grey_of(frames)
        colour = frames / 255 if frames.dtype == torch.uint8 else frames
        if motion is None:
            with torch.no_grad():
                motion = block_flow(grey)
        x = torch.cat([self.pixels(colour, grey), self.flow(motion)], dim=1)  # (N, 16 (P + W), T/2)
        x = self.blocks(self.join(x))  # (N, C, T/2)
        features: Tensor = self.norm(x.transpose(1, 2))  # (N, T/2, C)
        return features

    def hear(self, features: Tensor) -> Hearing:
        """The onsets, band levels, family and material that the features (N, K, C) tell of."""
        summary = torch.cat([features.mean(1), features.amax(1)], dim=1)
        return Hearing(
            onsets=self.onset_head(features).flatten(1),
            bands=self.band_head(features).transpose(1, 2),
            family=self.family_head(summary),
            material=self.material_head(summary),
        )


def _keep_variance(module: nn.Module) -> None:
    """He's initialisation; PyTorch's own shrinks the signal at every layer, and the pixel branch never wakes up."""
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
