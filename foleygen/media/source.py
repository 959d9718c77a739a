"""Opening a clip: read-only, local, and with errors that say what is wrong with the file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from foleygen.errors import ClipError, printable
from foleygen.facts import stamp
from foleygen.media import boxes
from foleygen.media.clock import AS_TOLD, Clock
from foleygen.settings import MAX_PIXELS

_LOCAL_ONLY = {"protocol_whitelist": "file"}
_NO_DECODERS = {"codec_whitelist": "none"}
# Demuxers that make "video" out of pictures, text, or lists of other files.
_NOT_CLIPS = frozenset({"image2", "image2pipe", "tty", "hls", "dash", "concat", "ffmetadata", "lavfi", "sdp", "rtsp"})
DECODER_THREADS = min(4, os.cpu_count() or 1)
"""Of each decoder; by itself each would have one for every processor of the machine."""
MAX_SAMPLES = 2**24
"""Packets of a clip that are listed in memory, at about 60 bytes: a day of sound at 48 kHz and of 120 pictures/s."""


@contextmanager
def opened(path: Path, max_pixels: int = MAX_PIXELS, decodes: bool = True) -> Iterator[InputContainer]:
    """The clip's container, never opened for writing; no larger picture is decoded. Raises ClipError.

    Unless it ``decodes``, opening reads headers alone, in a fifth of the time: what only a decoder knows is missing.
    """
    name = printable(path)
    _refuse_what_is_no_file(path, name)
    _refuse_what_it_cannot_hold(path, name)
    try:
        # An absolute path cannot be taken for a URL ("http:x.mp4").
        absolute = os.path.abspath(path)
        container = av.open(
            absolute,
            "r",
            options={"max_pixels": str(max_pixels)},
            container_options=_LOCAL_ONLY if decodes else _LOCAL_ONLY | _NO_DECODERS,
            metadata_errors="surrogateescape",
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _explained(path, name, error) from error
    for stream in container.streams:
        if stream.codec_context is not None:
            stream.codec_context.thread_count = DECODER_THREADS
    with container:
        demuxers = set(container.format.name.split(","))
        if demuxers & _NOT_CLIPS or container.format.name.endswith("_pipe"):
            raise ClipError(f"{name}: a picture, text or play list, not a clip", "give a video file")
        yield container


def refuse_another(path: Path, known: str | None) -> None:
    """Raises ClipError where ``path`` is not the file any more whose ``facts.stamp`` is ``known``."""
    if known is not None and stamp(path) != known:
        fact = f"{printable(path)}: was replaced, written to or removed while it was read"
        raise ClipError(fact, "run the same command again when it is finished")


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The video stream that is the clip's picture: the default one, else the largest. Raises ClipError."""
    candidates = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not container.streams:
        raise ClipError(f"{printable(path)}: its index is broken or empty", "repair it or export it again")
    if not candidates:
        held = "only sound" if container.streams.audio else "no picture"
        raise ClipError(f"{printable(path)}: holds {held}", "give a file with a video track")
    return max(candidates, key=_preference)


def packets(container: InputContainer, *streams: Stream, clock: Clock = AS_TOLD) -> Iterator[Packet[Stream]]:
    """The packets that hold data, in file order, timed by the clip's clock; an unreadable tail ends them quietly.

    Packets without a dts are data too (key frames of some Matroska files lack one).
    """
    yield from clock.corrected(_with_data(container, *streams))


def _with_data(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    with suppress(av.FFmpegError):
        for packet in container.demux(*streams):
            if packet.size:
                yield packet


def _preference(stream: VideoStream) -> tuple[bool, bool, int, int]:
    default = bool(stream.disposition & Disposition.default)
    has_decoder = stream.codec_context is not None
    area = stream.codec_context.width * stream.codec_context.height if has_decoder else 0
    return has_decoder, default, area, -stream.index


def _refuse_what_is_no_file(path: Path, name: str) -> None:
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise ClipError(f"{name}: no such file", "check the path") from error
    except (OSError, ValueError) as error:
        raise _explained(path, name, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise ClipError(f"{name}: a folder, not a clip", "give the clips in it")
    if not stat.S_ISREG(status.st_mode):
        raise ClipError(f"{name}: not a regular file", "copy the clip to a disk first")
    if status.st_size == 0:
        raise ClipError(f"{name}: the file is empty", "copy or export it again")


def _refuse_what_it_cannot_hold(path: Path, name: str) -> None:
    try:
        samples = boxes.listed_samples(path)
    except OSError as error:
        raise _explained(path, name, error) from error
    if samples is None or samples > min(path.stat().st_size, MAX_SAMPLES):
        held = "too many boxes" if samples is None else f"{samples} pictures and pieces of sound"
        raise ClipError(f"{name}: its index announces {held}, more than it can hold", "export it again")


def _explained(path: Path, name: str, error: Exception) -> ClipError:
    if isinstance(error, PermissionError):
        return ClipError(f"{name}: may not be read", "change the file's permissions")
    if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
        return ClipError(f"{name}: cannot be read ({error.strerror})", "check the disk or the network share")
    try:
        kinds = boxes.top_level(path)
    except OSError:
        kinds = []
    if kinds and b"moov" not in kinds:
        return ClipError(f"{name}: cut short, its index (moov) is missing", "copy or export it again")
    if kinds:
        return ClipError(f"{name}: its index (moov) is broken", "repair it or export it again")
    if isinstance(error, av.error.InvalidDataError | ValueError):
        return ClipError(f"{name}: not a video file, or a broken one", "give a clip that a player opens")
    reason = getattr(error, "strerror", None) or "not a kind of file that is known"
    return ClipError(f"{name}: cannot be opened ({reason})", "export it again in a common format such as .mp4 or .mov")
