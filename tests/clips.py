"""Small real clips, made with PyAV and a few patched bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48
TICKS = 12800
"""Time base of the clips: a multiple of the usual rates."""


def pictures(count: int, width: int = WIDTH, height: int = HEIGHT) -> Iterator[NDArray[np.uint8]]:
    """RGB pictures, (height, width, 3): a green bar that moves over a red that brightens; the top half is bluer."""
    for k in range(count):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[..., 0] = 40 + k * 5 % 200
        picture[: height // 2, :, 2] = 180
        left = k * 3 % max(1, width - 8)
        picture[:, left : left + 8, 1] = 230
        yield picture


def write_clip(
    path: Path,
    count: int = 25,
    rate: Fraction | int = 25,
    *,
    frames: Iterable[NDArray[np.uint8]] | None = None,
    times: Sequence[Fraction] | None = None,
    shift: Fraction | int = 0,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    b_frames: int = 2,
    sound: Sequence[int] = (),
    metadata: dict[str, str] | None = None,
    subtitles: Path | None = None,
    cover: bool = False,
    second_size: tuple[int, int] | None = None,
    index_first: bool = False,
    pixel_aspect: Fraction | None = None,
    colours: tuple[int, int, int] | None = None,
) -> Path:
    """A clip of ``count`` pictures at ``rate`` or at ``times`` (s), moved by ``shift`` (s) after encoding.

    ``sound``: sample rates of its sound tracks; ``cover``: an attached picture; ``second_size``: another video stream;
    ``index_first``: moov before mdat; ``pixel_aspect``: width of a pixel over its height;
    ``colours``: primaries, transfer and matrix (ITU-T H.273 numbers).
    A negative ``shift`` hides pictures behind an edit list.
    """
    options = {"movflags": "faststart"} if index_first else {}
    with av.open(str(path), "w", container_options=options) as container:
        container.metadata.update(metadata or {})
        if second_size:
            second = _Video(container, "mpeg4", rate, second_size, "yuv420p", 0)
        video = _Video(container, codec, rate, size, pixel_format, b_frames)
        if pixel_aspect:
            video.stream.codec_context.sample_aspect_ratio = pixel_aspect
        if colours:
            context = video.stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace = colours
        video.stream.disposition = Disposition.default
        tracks = [container.add_stream(_sound_codec(path), rate=hertz, layout="mono") for hertz in sound]
        cover_stream = container.add_stream("mjpeg", rate=1, width=32, height=32) if cover else None
        if cover_stream is not None:
            cover_stream.pix_fmt, cover_stream.disposition = "yuvj420p", Disposition.attached_pic
        texts = _Copy(container, subtitles) if subtitles else None
        if cover_stream is not None:
            container.mux(cover_stream.encode(_frame(next(pictures(1, 32, 32)), "yuvj420p", 0, Fraction(1))))
            container.mux(cover_stream.encode(None))
        duration = max(times) if times else count / Fraction(rate)
        for track, hertz in zip(tracks, sound, strict=True):
            container.mux([*track.encode(tone(duration, hertz)), *track.encode(None)])
        if second_size:
            second.write(pictures(count, *second_size), None, 0)
        video.write(frames if frames is not None else pictures(count, *size), times, shift)
        if texts:
            texts.write()
    return path


class _Video:
    def __init__(self, container, codec, rate, size, pixel_format, b_frames) -> None:  # type: ignore[no-untyped-def]
        self.container, self.rate, self.pixel_format = container, Fraction(rate), pixel_format
        # A container without time stamps, such as AVI, counts frames.
        self.time_base = 1 / self.rate if container.format.name == "avi" or codec == "mpeg4" else Fraction(1, TICKS)
        options = {"bf": str(b_frames), "g": "12"} if codec == "libx264" else {}
        self.stream = container.add_stream(codec, rate=self.rate, width=size[0], height=size[1], options=options)
        self.stream.pix_fmt = pixel_format
        self.stream.codec_context.time_base = self.stream.time_base = self.time_base

    def write(
        self, frames: Iterable[NDArray[np.uint8]], times: Sequence[Fraction] | None, shift: Fraction | int
    ) -> None:
        for k, picture in enumerate(frames):
            time = times[k] if times else k / self.rate
            self._mux(_frame(picture, self.pixel_format, round(time / self.time_base), self.time_base), shift)
        self._mux(None, shift)

    def _mux(self, frame: VideoFrame | None, shift: Fraction | int) -> None:
        for packet in self.stream.encode(frame):
            moved = round(shift / Fraction(packet.time_base))
            packet.pts += moved
            packet.dts += moved
            self.container.mux(packet)


class _Copy:
    """A stream copied from another file, for what PyAV cannot encode."""

    def __init__(self, container, path: Path) -> None:  # type: ignore[no-untyped-def]
        self.container, self.path = container, path
        with av.open(str(path)) as source:
            self.stream = container.add_stream_from_template(source.streams[0], opaque=True)

    def write(self) -> None:
        with av.open(str(self.path)) as source:
            for packet in source.demux(source.streams[0]):
                if packet.size:
                    packet.stream = self.stream
                    self.container.mux(packet)


def _frame(picture: NDArray[np.uint8], pixel_format: str, pts: int, time_base: Fraction) -> VideoFrame:
    source_format = "rgba" if picture.shape[2] == 4 else "rgb24"
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=source_format).reformat(format=pixel_format)
    frame.pts, frame.time_base = pts, time_base
    return frame


def _sound_codec(path: Path) -> str:
    return {".webm": "libopus", ".avi": "pcm_s16le", ".mov": "pcm_s16le"}.get(path.suffix, "aac")


def tone(duration: Fraction, hertz: int) -> AudioFrame:
    """A quiet 440 Hz for ``duration`` s."""
    samples = 0.25 * np.sin(2 * np.pi * 440 * np.arange(round(duration * hertz)) / hertz)
    frame = AudioFrame.from_ndarray(samples[np.newaxis].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = hertz, 0, Fraction(1, hertz)
    return frame


def remux(clip: Path, path: Path) -> Path:
    """The first stream of a clip, packet by packet, in another container.

    Encoding the same pictures twice is no substitute: libx264 does not repeat itself to the bit.
    """
    with av.open(str(path), "w") as container:
        _Copy(container, clip).write()
    return path


def turn(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write the display matrix (a b; c d) into every ``tkhd`` box of an MP4 (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    box = data.find(b"tkhd")
    while box >= 0:
        # type 4, version and flags 4, five fields of 4, reserved 8, layer to reserved 8; then the matrix.
        struct.pack_into(">4i", data, box + 44, a << 16, b << 16, 0, c << 16)
        struct.pack_into(">i", data, box + 60, d << 16)
        box = data.find(b"tkhd", box + 4)
    path.write_bytes(data)
    return path


def packets_of(path: Path, index: int) -> list[tuple[bytes, Fraction | None, bool]]:
    """Bytes, presentation time in s, and key flag of every packet of a stream, in file order."""
    with av.open(str(path)) as container:
        stream = container.streams[index]
        time_base = Fraction(stream.time_base)
        return [
            (bytes(packet), packet.pts * time_base if packet.pts is not None else None, packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.size
        ]


def default_sound(container: InputContainer) -> Stream:
    """The audio stream a player starts with: the first default one, else the first."""
    streams = container.streams.audio
    return next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])


def decoded_sound(path: Path) -> tuple[NDArray[np.float32], Fraction]:
    """Samples, (n,) float32, of the default sound track and the presentation time of the first, in s."""
    chunks, start = [], None
    with av.open(str(path)) as container:
        stream = default_sound(container)
        for frame in container.decode(stream):
            if start is None:
                start = frame.pts * Fraction(frame.time_base)
            chunks.append(_as_float(frame.to_ndarray().reshape(-1)))
    assert start is not None
    return np.concatenate(chunks), start


def _as_float(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    scale = {"int16": 2**15, "int32": 2**31}.get(samples.dtype.name, 1)
    return (samples.astype(np.float64) / scale).astype(np.float32)


def impulses(total: int, *places: int, chunk: int = 5000) -> Iterator[NDArray[np.float32]]:
    """Silence with single samples of 0.8, in chunks."""
    samples = np.zeros(total, np.float32)
    samples[list(places)] = 0.8
    for first in range(0, total, chunk):
        yield samples[first : first + chunk]
