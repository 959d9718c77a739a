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

from foleygen.errors import ClipError

MAX_PIXELS = 2**27
"""Pixels of one picture beyond which a clip is refused (16384 x 8192); libavutil itself stops short of 2**28."""

_LOCAL_ONLY = {"protocol_whitelist": "file"}
# Demuxers that make "video" out of pictures, text, or lists of other files.
_NOT_CLIPS = frozenset({"image2", "image2pipe", "tty", "hls", "dash", "concat", "ffmetadata", "lavfi", "sdp", "rtsp"})
_MP4_BRANDS = (b"ftyp", b"mdat", b"free", b"skip", b"wide", b"moov", b"pnot")


def printable(path: Path | str) -> str:
    """The name with line breaks, control characters and undecodable bytes escaped."""
    text = os.fspath(path)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The clip's container, never opened for writing. Raises ClipError."""
    name = printable(path)
    _refuse_what_is_no_file(path, name)
    try:
        # An absolute path cannot be taken for a URL ("http:x.mp4").
        absolute = os.path.abspath(path)
        container = av.open(absolute, "r", container_options=_LOCAL_ONLY, metadata_errors="surrogateescape")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _explained(path, name, error) from error
    with container:
        demuxers = set(container.format.name.split(","))
        if demuxers & _NOT_CLIPS or container.format.name.endswith("_pipe"):
            raise ClipError(f"{name}: a picture, text or play list, not a clip", "give a video file")
        yield container


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The video stream that is the clip's picture: the default one, else the largest. Raises ClipError."""
    candidates = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not container.streams:
        raise ClipError(f"{printable(path)}: its index is broken or empty", "repair it or export it again")
    if not candidates:
        held = "only sound" if container.streams.audio else "no picture"
        raise ClipError(f"{printable(path)}: holds {held}", "give a file with a video track")
    return max(candidates, key=_preference)


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """The packets that hold data, in file order; an unreadable tail ends them quietly.

    Packets without a dts are data too (key frames of some Matroska files lack one).
    """
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


def _explained(path: Path, name: str, error: Exception) -> ClipError:
    if isinstance(error, PermissionError):
        return ClipError(f"{name}: may not be read", "change the file's permissions")
    if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
        return ClipError(f"{name}: cannot be read ({error.strerror})", "check the disk or the network share")
    boxes = _top_level_boxes(path)
    if boxes and b"moov" not in boxes:
        return ClipError(f"{name}: cut short, its index (moov) is missing", "copy or export it again")
    if boxes:
        return ClipError(f"{name}: its index (moov) is broken", "repair it or export it again")
    if isinstance(error, av.error.InvalidDataError | ValueError):
        return ClipError(f"{name}: not a video file, or a broken one", "give a clip that a player opens")
    reason = getattr(error, "strerror", None) or "not a kind of file that is known"
    return ClipError(f"{name}: cannot be opened ({reason})", "export it again in a common format such as .mp4 or .mov")


def _top_level_boxes(path: Path) -> list[bytes]:
    """Types of the boxes at the top of an ISO base media file (ISO/IEC 14496-12, 4.2); empty for other files."""
    boxes: list[bytes] = []
    size = path.stat().st_size
    with open(path, "rb") as file:
        while len(boxes) < 1000:
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if len(head) < 8 or (not boxes and kind not in _MP4_BRANDS):
                break
            boxes.append(kind)
            start = file.tell() - len(head)
            if length < 8 or start + length >= size:
                break
            file.seek(start + length)
    return boxes
