"""Which way up a picture is shown: the display matrix of ISO/IEC 14496-12, 8.3.2."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """How a player turns the stored picture: first mirrored left to right, then turned clockwise."""

    degrees: int
    """0, 90, 180 or 270, clockwise."""
    mirrored: bool

    @property
    def sideways(self) -> bool:
        return self.degrees in (90, 270)

    def applied(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture (height, width, channels) the way it is shown."""
        turned = picture[:, ::-1] if self.mirrored else picture
        return np.rot90(turned, -self.degrees // 90)


UPRIGHT = Orientation(0, False)


def orientation_of(frame: VideoFrame) -> Orientation:
    """The frame's orientation to the nearest quarter turn."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return UPRIGHT
    # Rows (a b u), (c d v), (x y w): a stored point (p, q) is shown at (a p + c q, b p + d q), y pointing down.
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    quarter_turns = round(math.degrees(math.atan2(b, a)) / 90) % 4
    return Orientation(90 * quarter_turns, mirrored)


def _display_matrix(frame: VideoFrame) -> bytes | None:
    try:
        # PyAV's mapping iterates over its values; the stubs of the base class say keys.
        side_data = cast(Iterable[SideData], frame.side_data)
        return next((bytes(data) for data in side_data if data.type is Type.DISPLAYMATRIX), None)
    except ValueError:
        # PyAV meets a kind of side data that it has no name for; the angle is still to be had.
        radians = math.radians(-frame.rotation)
        cos, sin = round(65536 * math.cos(radians)), round(65536 * math.sin(radians))
        return struct.pack("=9i", cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30)
