"""What each kind of output file can hold, and the sound that editors expect in it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import OutputContainer

from foleygen.errors import ClipError, printable


@dataclass(frozen=True)
class Container:
    """A kind of output file."""

    suffix: str
    muxer: str
    """Name of libavformat's muxer."""
    audio_codec: str
    """Encoder of the new sound track."""
    bit_rate: int | None = None
    """Bits per second of a lossy encoder."""
    keeps_hidden_frames: bool = False
    """Edit lists: pictures that are needed for decoding but not shown stay hidden."""
    keeps_timecode: bool = False
    constant_rate_only: bool = False
    """Frames have no time stamps of their own: neither variable rates nor reordered pictures."""
    keeps_rotation: bool = True
    keeps_pixel_aspect: bool = False
    """Pixels that are not square, where the picture's own packets do not say so (PyAV cannot tell other muxers)."""
    codecs: frozenset[str] | None = None
    """Codecs that are read back as what they were; None: all that the muxer takes."""


_BROADCAST = frozenset(
    {"h264", "hevc", "mpeg2video", "mpeg1video", "mpeg4"}
    | {"aac", "mp1", "mp2", "mp3", "mp3float", "ac3", "eac3", "dvbsub", "dvb_teletext"}
)
_TABLE = {
    row.suffix: row
    for row in (
        Container(
            ".mp4", "mp4", "aac", 256_000, keeps_hidden_frames=True, keeps_timecode=True, keeps_pixel_aspect=True
        ),
        Container(
            ".m4v", "mp4", "aac", 256_000, keeps_hidden_frames=True, keeps_timecode=True, keeps_pixel_aspect=True
        ),
        Container(".mov", "mov", "pcm_s24le", keeps_hidden_frames=True, keeps_timecode=True, keeps_pixel_aspect=True),
        Container(".mkv", "matroska", "pcm_s24le"),
        Container(".webm", "webm", "libopus", 160_000),
        Container(".ts", "mpegts", "aac", 256_000, keeps_rotation=False, codecs=_BROADCAST),
        Container(".m2ts", "mpegts", "aac", 256_000, keeps_rotation=False, codecs=_BROADCAST),
        Container(".mts", "mpegts", "aac", 256_000, keeps_rotation=False, codecs=_BROADCAST),
        Container(".avi", "avi", "pcm_s16le", constant_rate_only=True, keeps_rotation=False),
    )
}


def container_for(path: Path) -> Container:
    """The kind of file that the suffix of ``path`` names. Raises ClipError."""
    found = _TABLE.get(path.suffix.lower())
    if found is None:
        known = " ".join(sorted(_TABLE))
        raise ClipError(
            f"{printable(path)}: {path.suffix or 'a name without suffix'} is not a kind of file that can be written",
            f"write to .mkv or .mov instead (known: {known})",
        )
    return found


def suggestion(clip: Path, refused: Container) -> str:
    """A suffix that can hold what ``refused`` cannot: the clip's own, or else Matroska, which holds nearly all."""
    own = clip.suffix.lower()
    if own in _TABLE and own != refused.suffix:
        return own
    return ".mkv" if refused.suffix != ".mkv" else ".mov"


@contextmanager
def created(path: Path, muxer: str, options: dict[str, str], tags: Mapping[str, str]) -> Iterator[OutputContainer]:
    """A new file of libavformat's ``muxer``, to be written to and closed at the end."""
    target = av.open(str(path), "w", format=muxer, container_options=options, metadata_errors="surrogateescape")
    try:
        target.metadata.update(tags)
        yield target
    except BaseException:
        # The failure under way says more than one of closing a file that is thrown away.
        with suppress(av.FFmpegError):
            target.close()
        raise
    target.close()


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn libavformat's I/O errors into OSError, for ``atomic.publish`` to explain; its refusals pass."""
    try:
        yield
    except av.FFmpegError as error:
        if error.errno in errno.errorcode and error.errno != errno.EINVAL:
            raise OSError(error.errno, error.strerror) from error
        raise
