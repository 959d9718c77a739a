"""The published CAVP video encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from foleygen.weights.published.checkpoint import Shapes, _checked, read_checkpoint
from foleygen.weights.spec import EncoderSpec


def convert_cavp(path: Path) -> dict[str, Tensor]:
    """CAVP's video side under its published names. The audio tower, the temperature and the optimiser are left out."""
    state = {
        re.sub(r"^backbone\.", "video_encoder.", key): value
        for key, value in read_checkpoint(path).items()
        if not key.startswith(("spec_encoder.", "spec_project_head.")) and key != "logit_scale"
    }
    return _checked(path, "CAVP", state, cavp_shapes())


def _cavp_spec(transformer: Mapping[str, Any]) -> EncoderSpec:
    count = int(transformer["num_features"])
    return EncoderSpec(
        kind="cavp",
        frame_rate=Fraction(4),
        frame_size=224,
        frame_rule="fps_filter",
        num_frames=count,
        num_features=count,
        feature_dim=int(transformer["feature_dim"]),
    )


CAVP_LAYERS = ((3, 64, 1), (4, 128, 1), (6, 256, 3), (3, 512, 3))
"""SlowOnly ResNet3D-50: blocks, planes and temporal kernel of each stage."""


def cavp_shapes() -> Shapes:
    """Keys and shapes of CAVP's video side: the SlowOnly-R50 and its projection, 320 in all."""
    shapes: Shapes = {}

    def unit(name: str, *weight: int) -> None:
        shapes[f"{name}.conv.weight"] = weight
        for statistic in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{statistic}"] = weight[:1]
        shapes[f"{name}.bn.num_batches_tracked"] = ()

    unit("video_encoder.conv1", 64, 3, 1, 7, 7)
    width = 64
    for stage, (blocks, planes, kernel) in enumerate(CAVP_LAYERS, start=1):
        for block in range(blocks):
            name = f"video_encoder.layer{stage}.{block}"
            unit(f"{name}.conv1", planes, width, kernel, 1, 1)
            unit(f"{name}.conv2", planes, planes, 1, 3, 3)
            unit(f"{name}.conv3", 4 * planes, planes, 1, 1, 1)
            if block == 0:
                unit(f"{name}.downsample", 4 * planes, width, 1, 1, 1)
            width = 4 * planes
    shapes["video_project_head.weight"] = (512, width)
    shapes["video_project_head.bias"] = (512,)
    return shapes
