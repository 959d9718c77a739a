"""What each kind of output file can hold, and the sound that editors expect in it.

PyAV is imported where a file is written: names alone need none of it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.errors import ClipError, printable

if TYPE_CHECKING:
    from av.container import OutputContainer


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
    """Pixels that are not square, where the picture's own packets do not say so."""
    keeps_track_notes: bool = False
    """A track may have a comment of its own."""
    codecs: frozenset[str] | None = None
    """Codecs that are read back as what they were; None: all that the muxer takes."""
    options: tuple[tuple[str, str], ...] = ()
    """Of the muxer, for every file."""


_BROADCAST = frozenset(
    {"h264", "hevc", "mpeg2video", "mpeg1video", "mpeg4"}
    | {"aac", "mp1", "mp2", "mp3", "mp3float", "ac3", "eac3", "dvbsub", "dvb_teletext"}
)
_DISC = frozenset({"h264", "hevc", "mpeg2video", "vc1", "ac3", "eac3", "dca", "truehd", "pcm_bluray", "pgssub"})
_BDAV_PACKET, _SYNC = 192, 0x47
_PLAIN = (("mpegts_m2ts_mode", "0"),)
_MP4 = Container(".mp4", "mp4", "aac", 256_000, keeps_hidden_frames=True, keeps_timecode=True, keeps_pixel_aspect=True)
_MOV = replace(_MP4, suffix=".mov", muxer="mov", audio_codec="pcm_s24le", bit_rate=None)
_MKV = Container(".mkv", "matroska", "pcm_s24le", keeps_pixel_aspect=True, keeps_track_notes=True)
_TS = Container(".ts", "mpegts", "aac", 256_000, keeps_rotation=False, codecs=_BROADCAST, options=_PLAIN)
_BDAV = replace(_TS, audio_codec="ac3", bit_rate=384_000, codecs=_DISC, options=(("mpegts_m2ts_mode", "1"),))
"""Transport streams of Blu-ray Disc and AVCHD: packets of 192 bytes, and AC-3, since they know no AAC."""
_TABLE = {
    row.suffix: row
    for row in (
        _MP4,
        replace(_MP4, suffix=".m4v"),
        _MOV,
        replace(_MOV, suffix=".qt"),
        _MKV,
        replace(_MKV, suffix=".webm", muxer="webm", audio_codec="libopus", bit_rate=160_000),
        _TS,
        replace(_TS, suffix=".m2t"),
        replace(_TS, suffix=".m2ts"),
        replace(_TS, suffix=".mts"),
        Container(".avi", "avi", "pcm_s16le", constant_rate_only=True, keeps_rotation=False),
    )
}


def container_for(path: Path, clip: Path | None = None) -> Container:
    """The kind of file that the suffix of ``path`` names, for the finished ``clip``. Raises ClipError.

    A transport stream has packets of the size that the clip's have.
    """
    found = _TABLE.get(path.suffix.lower())
    if found is None:
        known = " ".join(sorted(_TABLE))
        raise ClipError(
            f"{printable(path)}: {path.suffix or 'a name without suffix'} is not a kind of file that can be written",
            f"write to .mkv or .mov instead (known: {known})",
        )
    if found.muxer == "mpegts" and clip is not None and is_bdav(clip):
        return replace(_BDAV, suffix=found.suffix)
    return found


def is_written(path: Path) -> bool:
    """Files of this suffix can be written."""
    return path.suffix.lower() in _TABLE


def is_bdav(path: Path) -> bool:
    """A transport stream whose packets have four more bytes at their head, as on Blu-ray Discs and AVCHD cameras."""
    try:
        with open(path, "rb") as file:
            head = file.read(3 * _BDAV_PACKET)
    except OSError:
        return False
    return len(head) == 3 * _BDAV_PACKET and all(head[4 + k * _BDAV_PACKET] == _SYNC for k in range(3))


@contextmanager
def created(path: Path, muxer: str, options: dict[str, str], tags: Mapping[str, str]) -> Iterator[OutputContainer]:
    """A new file of libavformat's ``muxer``, to be written to and closed at the end."""
    import av

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
    import av

    try:
        yield
    except av.FFmpegError as error:
        if error.errno in errno.errorcode and error.errno != errno.EINVAL:
            raise OSError(error.errno, error.strerror) from error
        raise
