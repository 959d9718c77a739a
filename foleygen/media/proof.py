"""The finished file, looked at once more before it gets its name: does its picture come back?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from foleygen.errors import ClipError, printable
from foleygen.media.containers import Container
from foleygen.media.fit import advice
from foleygen.media.probe import ClipInfo, timecode_of
from foleygen.media.source import opened, packets


def prove(info: ClipInfo, written: Path, index: int, kind: Container) -> Iterator[str]:
    """What a finished file lost that no muxer told, without the clip's name; its picture is stream ``index``.

    Raises ClipError where its first picture does not decode to that of the clip.
    """
    with opened(info.path, info.max_pixels) as source:
        before = _first_picture(source, source.streams[info.video_index], info.max_pixels)
        with opened(written, info.max_pixels) as finished:
            stream = finished.streams[index]
            assert isinstance(stream, VideoStream)
            after = _first_picture(finished, stream, info.max_pixels)
            if before is not None and not before.is_corrupt and (after is None or not _are_equal(before, after)):
                remedy = advice(source, info, kind) or "export it again as H.264 or ProRes"
                raise ClipError(
                    f"{printable(info.path)}: its picture ({info.codec}) does not come back from {kind.suffix}", remedy
                )
            if info.timecode and kind.keeps_timecode and timecode_of(finished, stream) != info.timecode:
                yield f"its timecode {printable(info.timecode)} could not be kept in {kind.suffix}"


def _first_picture(container: InputContainer, stream: Stream, max_pixels: int) -> VideoFrame | None:
    assert isinstance(stream, VideoStream)
    if stream.codec_context is None:
        return None
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    for packet in chain(packets(container, stream), [None]):
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            continue
        if frames:
            return frames[0]
    return None


def _are_equal(one: VideoFrame, other: VideoFrame) -> bool:
    """The same kind of samples, and the same samples to the bit."""
    if (one.format.name, one.width, one.height) != (other.format.name, other.width, other.height):
        return False
    return np.array_equal(_samples(one), _samples(other))


def _samples(frame: VideoFrame) -> NDArray[np.generic]:
    try:
        return frame.to_ndarray()
    except ValueError:
        # A format that PyAV makes no array of; what the files say of its colours must not count.
        return frame.reformat(
            format="rgba64le", src_colorspace="ITU709", dst_colorspace="ITU709", src_color_range=2, dst_color_range=2
        ).to_ndarray()
