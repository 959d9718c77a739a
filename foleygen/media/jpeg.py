"""Small pictures for pages: a JPEG in memory."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_QUANTISER = 6
"""Of 2 (best) to 31, as libavcodec counts."""


def encode(picture: NDArray[np.uint8]) -> bytes:
    """``picture``, RGB (height, width, 3), as the bytes of a JPEG file."""
    height, width = picture.shape[:2]
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
    context.framerate = Fraction(1)
    context.qmin = context.qmax = _QUANTISER
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
