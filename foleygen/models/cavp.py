"""CAVP: Diff-Foley's contrastive audio-visual encoder.

The video tower is a SlowOnly ResNet3D-50, the audio tower a CNN14 (PANNs). Parameter names are those of the
published checkpoint. Letters: N windows, T frames, C channels, H W pixels, P planes of a stage.

In eval mode batch norms are folded into the convolutions before them. Every convolution of the video tower is
(1, k, k) or (3, 1, 1): the first kind runs as a 2-D convolution over N T pictures, the second over a T x H W plane.
In channels-last memory both are views of the same tensor, and run 1.5 times faster on a CPU than 3-D convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING_DIM = 512
MEL_BINS = 128
LOGIT_SCALE_INIT = math.log(1 / 0.07)


def _convolved(weight: Tensor, norm: nn.BatchNorm2d | nn.BatchNorm3d, convolve: Callable[..., Tensor]) -> Tensor:
    """``convolve(weight, bias)`` and batch norm: with the batch's statistics in training, else folded into one."""
    if norm.training:
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        plain = convolve(weight, None)
        return F.batch_norm(
            plain, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=True, eps=norm.eps
        )
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return convolve(weight * scale.view(-1, *[1] * (weight.ndim - 1)), norm.bias - norm.running_mean * scale)


class ConvUnit(nn.Module):
    """Convolution over space or over time, and batch norm."""

    def __init__(self, channels: int, planes: int, kernel: tuple[int, int, int], stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv3d(channels, planes, kernel, bias=False)
        self.bn = nn.BatchNorm3d(planes)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(N T, C, H, W) channels-last -> (N T, P, H / stride, W / stride)."""
        if self.conv.kernel_size[0] == 1:
            return _convolved(self.conv.weight.squeeze(2), self.bn, partial(self._over_space, x))
        total, channels, height, width = x.shape
        in_time = x.permute(0, 2, 3, 1).reshape(-1, frames, height * width, channels).permute(0, 3, 1, 2)
        mixed = _convolved(self.conv.weight.squeeze(4), self.bn, partial(self._over_time, in_time))  # N P T HW
        return mixed.permute(0, 2, 3, 1).reshape(total, height, width, -1).permute(0, 3, 1, 2)

    def _over_space(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        weight = weight.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, bias, stride=self.stride, padding=weight.shape[-1] // 2)

    def _over_time(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        weight = weight.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, bias, padding=(weight.shape[2] // 2, 0))


class Bottleneck(nn.Module):
    """conv1 (1x1x1 or 3x1x1), conv2 (1x3x3, carries the stride), conv3 (1x1x1, four times the planes)."""

    def __init__(self, channels: int, planes: int, stride: int, temporal_kernel: int, downsample: bool) -> None:
        super().__init__()
        self.conv1 = ConvUnit(channels, planes, (temporal_kernel, 1, 1))
        self.conv2 = ConvUnit(planes, planes, (1, 3, 3), stride)
        self.conv3 = ConvUnit(planes, 4 * planes, (1, 1, 1))
        if downsample:
            self.downsample = ConvUnit(channels, 4 * planes, (1, 1, 1), stride)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        out = self.conv1(x, frames).relu_()
        out = self.conv2(out, frames).relu_()
        out = self.conv3(out, frames)
        shortcut = self.downsample(x, frames) if hasattr(self, "downsample") else x
        summed: Tensor = out.add_(shortcut)
        return summed.relu_()


STAGES = ((3, 64, 1, 1), (4, 128, 2, 1), (6, 256, 2, 3), (3, 512, 2, 3))
"""Per stage: blocks, planes, spatial stride of the first block, temporal kernel of conv1."""


class VideoEncoder(nn.Module):
    """SlowOnly ResNet3D-50 without temporal downsampling: (N T, 3, H, W) -> (N, T, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvUnit(3, 64, (1, 7, 7), stride=2)
        channels = 64
        for number, (blocks, planes, stride, temporal_kernel) in enumerate(STAGES, start=1):
            first = Bottleneck(channels, planes, stride, temporal_kernel, downsample=True)
            channels = 4 * planes
            rest = [Bottleneck(channels, planes, 1, temporal_kernel, downsample=False) for _ in range(blocks - 1)]
            self.add_module(f"layer{number}", nn.ModuleList([first, *rest]))

    def forward(self, frames: Tensor) -> Tensor:
        """(N, T, 3, H, W) -> (N, T, 2048)."""
        batch, count = frames.shape[:2]
        x = frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # NT 3 H W
        x = self.conv1(x, count).relu_()  # NT 64 H/2 W/2
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)  # NT 64 H/4 W/4
        for number in range(1, len(STAGES) + 1):
            for block in cast(nn.ModuleList, self.get_submodule(f"layer{number}")):
                x = block(x, count)
        return x.mean(dim=(2, 3)).view(batch, count, -1)  # N T 2048


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and ReLU."""

    def __init__(self, channels: int, planes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, bias=False)
        self.conv2 = nn.Conv2d(planes, planes, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.bn2 = nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2)):
            x = _convolved(conv.weight, norm, partial(F.conv2d, x, padding=1)).relu_()
        return x


POOLS = ((2, 2), (2, 2), (2, 2), (2, 2), (1, 2), (1, 1))
"""(time, mel) average pooling after each block of the audio tower."""


DROPOUT = 0.2
"""After each block of the audio tower, in training."""


class SpecEncoder(nn.Module):
    """CNN14 over mel: (N, 128, frames) in [0, 1] -> (N, frames / 16, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(MEL_BINS)
        channels = 1
        for number in range(1, len(POOLS) + 1):
            planes = 32 * 2**number
            self.add_module(f"conv_block{number}", ConvBlock(channels, planes))
            channels = planes
        self.fc1 = nn.Linear(channels, channels)
        self.final_project = nn.Linear(channels, EMBEDDING_DIM)

    def forward(self, mel: Tensor) -> Tensor:
        normed: Tensor = self.bn(mel)
        x = normed.transpose(1, 2)[:, None]  # N 1 frames 128
        for number, pool in enumerate(POOLS, start=1):
            x = F.avg_pool2d(self.get_submodule(f"conv_block{number}")(x), pool)
            x = F.dropout(x, DROPOUT, self.training)
        x = x.mean(dim=3)  # N 2048 frames/16
        x = F.max_pool1d(x, 3, stride=1, padding=1) + F.avg_pool1d(x, 3, stride=1, padding=1)
        x = x.transpose(1, 2)  # N frames/16 2048
        x = F.relu(self.fc1(F.relu(self.fc1(x))))  # the published network applies fc1 twice
        projected: Tensor = self.final_project(x)
        return projected


class CAVP(nn.Module):
    """Embeddings of pictures, and with ``audio`` of sound, in one space; 512 wide, 4 per second as trained."""

    def __init__(self, audio: bool = False) -> None:
        """``audio`` adds the audio tower (80.7 of 113.4 million parameters), which sound generation does not need."""
        super().__init__()
        self.video_encoder = VideoEncoder()
        self.video_project_head = nn.Linear(4 * STAGES[-1][1], EMBEDDING_DIM)
        if audio:
            self.spec_encoder = SpecEncoder()
            self.logit_scale = nn.Parameter(torch.tensor(LOGIT_SCALE_INIT))

    def forward(self, frames: Tensor) -> Tensor:
        """uint8 frames (N, T, 224, 224, 3), as every video encoder takes them -> ``encode_video``'s features."""
        return self.encode_video(frames.permute(0, 1, 4, 2, 3).float() / 255)

    @torch.inference_mode()
    def encode_video(self, frames: Tensor, normalise: bool = True) -> Tensor:
        """(N, T, 3, 224, 224) RGB in [0, 1], no mean taken off -> (N, T, 512) float32, of unit length per frame.

        Each frame sees nine on either side, so a window is encoded as a whole; beyond its ends there are zeros.
        """
        assert not self.training, "call eval() first: in training a batch norm depends on the other windows"
        embedded: Tensor = self.video_project_head(self.video_encoder(frames.to(self.video_project_head.weight)))
        return F.normalize(embedded.float(), dim=-1) if normalise else embedded.float()

    @torch.inference_mode()
    def encode_audio(self, mel: Tensor, normalise: bool = True) -> Tensor:
        """(N, 128, frames) mel in [0, 1] at hop 250 (64 frames a second) -> (N, frames / 16, 512) float32."""
        assert not self.training, "call eval() first: in training a batch norm depends on the other windows"
        embedded: Tensor = self.spec_encoder(mel.to(self.video_project_head.weight))
        return F.normalize(embedded.float(), dim=-1) if normalise else embedded.float()
