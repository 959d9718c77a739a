"""What moves in the frames of a window, and how suddenly it stops: a blow that needs no training to be seen."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.models.motion import block_flow, grey_of

VERSION = 1
"""Part of the feature cache's key: raise it when the same frames would give other values."""
MOTION, STOPS = range(2)
"""The columns."""


def motion_and_stops(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(T, 2) of uint8 frames (T, S, S, 3): mean speed of the picture's blocks without the camera's own motion, in
    pixels a frame, and by how much they became slower since the frame before."""
    return of_flow(flow_of(frames))


@torch.inference_mode()
def flow_of(frames: NDArray[np.uint8]) -> Tensor:
    """``block_flow`` (1, T, 4, B, B) of uint8 frames (T, S, S, 3)."""
    return block_flow(grey_of(torch.from_numpy(np.ascontiguousarray(frames)))[None])


@torch.inference_mode()
def of_flow(flow: Tensor) -> NDArray[np.float32]:
    """``motion_and_stops`` of frames, from what ``flow_of`` gives."""
    speed = flow[0, :, 2]
    slower = torch.clamp(speed[:-1] - speed[1:], min=0)
    stops = torch.cat([torch.zeros_like(speed[:1]), slower])
    result: NDArray[np.float32] = torch.stack([speed.mean((1, 2)), stops.mean((1, 2))], dim=1).numpy()
    return result
