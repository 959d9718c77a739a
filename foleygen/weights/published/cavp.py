"""The published CAVP video encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from foleygen.models.cavp import CAVP
from foleygen.weights.published.checkpoint import _checked, read_checkpoint, shapes_of
from foleygen.weights.spec import EncoderSpec


def convert_cavp(path: Path) -> dict[str, Tensor]:
    """CAVP's video side under its published names. The audio tower, the temperature and the optimiser are left out."""
    state = {
        re.sub(r"^backbone\.", "video_encoder.", key): value
        for key, value in read_checkpoint(path).items()
        if not key.startswith(("spec_encoder.", "spec_project_head.")) and key != "logit_scale"
    }
    return _checked(path, "CAVP", state, shapes_of(CAVP))


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
