"""The first picture of a file, and whether another file gives the same one."""

from __future__ import annotations

import io
from itertools import chain, islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from foleygen.media.containers import Container
from foleygen.media.forms import added, form_for, strictness
from foleygen.media.source import opened, packets

_TRIED = 64
"""Packets among which a first picture decodes, unless the clip is damaged there."""


def first_picture(container: InputContainer, stream: VideoStream, max_pixels: int) -> VideoFrame | None:
    """The first picture of a stream that decodes; None without any, or without a decoder."""
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


def are_equal(one: VideoFrame, other: VideoFrame) -> bool:
    """The same kind of samples, and the same samples to the bit."""
    if (one.format.name, one.width, one.height) != (other.format.name, other.width, other.height):
        return False
    return np.array_equal(_samples(one), _samples(other))


def comes_back(clip: Path, index: int, kind: Container, max_pixels: int) -> bool:
    """Whether a file of ``kind`` gives the first picture of stream ``index`` back: its head is written to memory.

    Raises ClipError for a clip that cannot be opened.
    """
    with opened(clip, max_pixels) as source:
        before = first_picture(source, _video(source, index), max_pixels)
    with opened(clip, max_pixels) as source:
        stream = _video(source, index)
        written = _written(stream, list(islice(packets(source, stream), _TRIED)), source, kind)
    if before is None or written is None:
        return written is not None
    try:
        with av.open(io.BytesIO(written), "r", options={"max_pixels": str(max_pixels)}) as finished:
            after = first_picture(finished, finished.streams.video[0], max_pixels)
    except (av.FFmpegError, IndexError):
        return False
    return after is not None and are_equal(before, after)


def _written(stream: VideoStream, head: list[Packet[Stream]], source: InputContainer, kind: Container) -> bytes | None:
    """A file with those packets alone; None where the muxer refuses them."""
    strict = strictness(source, stream, kind)
    form = form_for(stream, source, kind, strict)
    if form is None:
        return None
    file, options = io.BytesIO(), {**dict(kind.options), "strict": strict}
    try:
        with av.open(file, "w", format=kind.muxer, container_options=options) as target:
            copy = added(target, stream, form, stream.average_rate)
            for number, packet in enumerate(head):
                # Only what is decoded first counts here, and one packet after the other is always taken.
                packet.stream, packet.pts, packet.dts = copy, number, number
                target.mux(packet)
    except (ValueError, av.FFmpegError):
        return None
    return file.getvalue()


def _video(container: InputContainer, index: int) -> VideoStream:
    stream = container.streams[index]
    assert isinstance(stream, VideoStream)
    return stream


def _samples(frame: VideoFrame) -> NDArray[np.generic]:
    try:
        return frame.to_ndarray(format="rgba") if frame.format.has_palette else frame.to_ndarray()
    except ValueError:
        # A format that PyAV makes no array of; what the files say of its colours must not count.
        return frame.reformat(
            format="rgba64le", src_colorspace="ITU709", dst_colorspace="ITU709", src_color_range=2, dst_color_range=2
        ).to_ndarray()
