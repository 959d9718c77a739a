"""Frames of windows to conditioning features, one window at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.errors import SetupError

Encoder = Callable[[Tensor], Tensor]
"""(1, T, S, S, 3) uint8 RGB -> (1, F, C); it owns scaling, layout and normalisation."""


def extract(
    windows: Iterable[tuple[int, NDArray[np.uint8]]], encoder: Encoder, device: torch.device | str = "cpu"
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (index, features (F, C) float32) for every (index, frames (T, S, S, 3) uint8), in order.

    One window is in memory at a time. Raises SetupError when the encoder gives values that are not finite.
    """
    for index, frames in windows:
        yield index, _encoded(frames, encoder, device)


@torch.inference_mode()
def _encoded(frames: NDArray[np.uint8], encoder: Encoder, device: torch.device | str) -> NDArray[np.float32]:
    pixels = torch.tensor(frames).unsqueeze(0).to(device)  # (1, T, S, S, 3)
    features = encoder(pixels).squeeze(0).float().cpu()  # (F, C)
    if not torch.isfinite(features).all():
        raise SetupError(
            "the video encoder gave values that are not finite", "use another precision or verify the model's weights"
        )
    result: NDArray[np.float32] = features.numpy()
    return result
