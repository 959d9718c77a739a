"""In what form a stream goes into another file: its parameters as they are, and the four letters of its codec.

The parameters are copied whole (libavcodec's ``avcodec_parameters_copy``, by the bitstream filter that does nothing):
a stream of PyAV's that is made from a template loses its four letters (PyAV 1224), and is refused where a muxer knows
the codec only by them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from foleygen.media.containers import Container

_NO_TAG = "\0\0\0\0"
_DEMUXERS = {"mov": "isom", "avi": "riff", "asf": "riff", "matroska": "matroska", "mpegts": "mpegts"}
_MUXERS = {"mov": "isom", "mp4": "isom", "avi": "riff", "matroska": "matroska", "webm": "matroska", "mpegts": "mpegts"}
# What Dolby Vision and pictures all around come in: their boxes are written beyond the plain standard only.
_WITH_EXTENSIONS = frozenset({"hevc", "h264", "av1", "libdav1d", "vp9", "libvpx-vp9"})
_PARAMETER_SETS = {32, 33, 34}


@dataclass(frozen=True)
class Form:
    """The parameters of a stream in its new file."""

    tag: str | None = None
    """Four letters, zeros for those that the muxer thinks best; None: the clip's."""


def family(source: InputContainer) -> str | None:
    """Which files have the same four letters for the same codecs as this one."""
    return next((_DEMUXERS[name] for name in source.format.name.split(",") if name in _DEMUXERS), None)


def strictness(source: InputContainer, picture: Stream, kind: Container) -> str:
    """How much the muxer may write beyond the plain standard: what a file of the same family had, it may have again."""
    is_same = family(source) == _MUXERS[kind.muxer]
    return "unofficial" if is_same or codec(picture) in _WITH_EXTENSIONS else "normal"


def form_for(stream: Stream, source: InputContainer, kind: Container, strict: str) -> Form | None:
    """How ``stream`` goes into a file of ``kind``; None where it cannot."""
    if stream.codec_context is None or (kind.codecs is not None and codec(stream) not in kind.codecs):
        return None
    for form, severity in _forms(stream, source, kind, strict):
        if _is_taken(stream, form, kind, severity):
            return form
    return None


def added(target: OutputContainer, stream: Stream, form: Form, rate: Fraction | None = None) -> Stream:
    """A new stream of ``target`` in that form; ``rate``: pictures, or labels of the timecode, per second.

    Raises ValueError or FFmpegError where the muxer refuses it.
    """
    copy = target.add_mux_stream(target.default_video_codec, rate=rate or 0)
    with _formed(stream, form) as parameters:
        BitStreamFilterContext("null", in_stream=parameters, out_stream=copy)
    assert stream.time_base is not None
    copy.time_base = stream.time_base
    return copy


def added_data(target: OutputContainer) -> Stream:
    """A new stream of an MP4 or QuickTime file for what a camera records; what it is, is said later.

    PyAV lets such a stream be made for MP4 alone, and be copied into QuickTime.
    """
    with av.open(io.BytesIO(), "w", format="mp4") as scratch:
        recorded = scratch.add_data_stream("bin_data")
        scratch.start_encoding()
        return target.add_stream_from_template(recorded)


def codec(stream: Stream) -> str:
    """Name of the codec, as its decoder has it."""
    return stream.codec_context.name if stream.codec_context is not None else "unknown codec"


def letters(stream: Stream) -> str | None:
    """The four letters (or bytes) of its codec in the clip; None where they are no letters at all."""
    try:
        return stream.codec_context.codec_tag
    except (AttributeError, UnicodeDecodeError):
        return None


def _forms(stream: Stream, source: InputContainer, kind: Container, strict: str) -> Iterator[tuple[Form, str]]:
    """What to try, best first, and how severe the muxer is to be about it."""
    target, own = _MUXERS[kind.muxer], letters(stream)
    if family(source) == target:
        yield Form(), strict
        if kind.muxer in source.format.name.split(","):
            return
    elif target == "isom" and codec(stream) == "hevc" and _has_parameter_sets(stream.codec_context.extradata or b""):
        yield Form("hvc1"), strict
    elif (own is not None and own.isprintable()) or family(source) == "riff":
        # Other files use the same letters here and there: those that the muxer knows for this codec are kept.
        yield Form(), "normal"
    yield Form(_NO_TAG), strict


def _is_taken(stream: Stream, form: Form, kind: Container, strict: str) -> bool:
    """Try it on a file in memory."""
    options = {**dict(kind.options), "strict": strict}
    trial = av.open(io.BytesIO(), "w", format=kind.muxer, container_options=options)
    try:
        added(trial, stream, form, stream.average_rate if isinstance(stream, VideoStream) else None)
        trial.start_encoding()
    except (ValueError, av.FFmpegError):
        return False
    finally:
        with suppress(av.FFmpegError):
            trial.close()
    return True


@contextmanager
def _formed(stream: Stream, form: Form) -> Iterator[Stream]:
    """A stream with the parameters to be copied: the clip's own, or one of a file that is never written."""
    aspect = shape(stream) if isinstance(stream, VideoStream) else None
    if isinstance(stream, VideoStream) and aspect == stream.codec_context.sample_aspect_ratio:
        aspect = None
    tag = form.tag or letters(stream)
    if tag is None or (form.tag is None and aspect is None):
        yield stream
        return
    with av.open(io.BytesIO(), "w", format="null") as scratch:
        formed = scratch.add_stream_from_template(stream, opaque=True)
        formed.codec_context.codec_tag = tag
        if aspect is not None and isinstance(formed, VideoStream):
            formed.codec_context.sample_aspect_ratio = aspect
        scratch.start_encoding()
        yield formed


def shape(stream: VideoStream) -> Fraction | None:
    """Width of a pixel over its height, the file's word before the codec's; None where neither says."""
    aspect = stream.sample_aspect_ratio
    return aspect if aspect and aspect > 0 else None


def _has_parameter_sets(extradata: bytes) -> bool:
    """HEVC's three kinds are all in the description, so that no packet needs to bring them (ISO/IEC 14496-15, 8.4)."""
    kinds = _kinds_in_record(extradata) if extradata[:1] == b"\1" else _kinds_in_stream(extradata)
    return set(kinds) >= _PARAMETER_SETS


def _kinds_in_record(record: bytes) -> Iterator[int]:
    """Kinds of the units in an HEVCDecoderConfigurationRecord."""
    place = 23
    for _ in range(record[22] if len(record) > 22 else 0):
        if place + 3 > len(record):
            return
        yield record[place] & 0x3F
        units, place = int.from_bytes(record[place + 1 : place + 3], "big"), place + 3
        for _ in range(units):
            place += 2 + int.from_bytes(record[place : place + 2], "big")


def _kinds_in_stream(data: bytes) -> Iterator[int]:
    """Kinds of the units behind start codes (ITU-T H.265, annex B)."""
    for unit in data.split(b"\0\0\1")[1:]:
        if unit:
            yield unit[0] >> 1 & 0x3F
