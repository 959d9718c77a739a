"""The tracks of an MP4 or QuickTime file as its own boxes describe them: what no demuxer tells.

ISO/IEC 14496-12 for the boxes; the timecode sample description is that of the QuickTime File Format.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from foleygen.media import boxes
from foleygen.media.boxes import Box

MAX_DESCRIPTION = 2**20
"""Bytes of a sample description that are read; longer ones are of no track that a camera makes."""
_PATHS = {b"mdia", b"minf", b"stbl", b"edts"}
_COUNTER, _DROP_FRAME = 0x8, 0x1


@dataclass(frozen=True)
class TrackHeader:
    """What the boxes say of one track."""

    id: int
    """The number that libavformat gives its stream, too."""
    handler: str
    """What kind of track it is: ``vide``, ``soun``, ``meta``, ``tmcd``."""
    description: bytes
    """Payload of the ``stsd`` box: version and flags, number of entries, entries."""
    shown: Fraction | None = None
    """Seconds of it that its edit list shows, empty edits not counted; None without one."""
    tick: Fraction = Fraction(0)
    """Seconds to which ``shown`` is rounded."""

    @property
    def code(self) -> str:
        """The four letters of its first sample description."""
        return self.description[12:16].decode("latin-1").ljust(4)

    @property
    def entries(self) -> int:
        """How many sample descriptions it has."""
        return int.from_bytes(self.description[4:8], "big")

    @property
    def is_recorded(self) -> bool:
        """What a camera records beside picture and sound, and that stands for itself.

        Boxed metadata (``mebx``) does not: its tracks refer to others by their numbers.
        """
        return self.handler == "meta" and self.code != "mebx" and self.entries == 1


@dataclass(frozen=True)
class TimecodeTrack:
    """What a timecode track says beside its first label."""

    rate: Fraction
    """Labels per second."""
    drop_frame: bool


def tracks(path: Path) -> list[TrackHeader]:
    """The tracks in file order; none for other files, and for those whose boxes are broken."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            movies = (box for box in boxes.between(file, 0, size) if box.kind == b"moov")
            movie = next(movies, None)
            return [] if movie is None else [found for found in _tracks(file, movie) if found is not None]
    except OSError:
        return []


def timecode_track(header: TrackHeader) -> TimecodeTrack | None:
    """How a ``tmcd`` track counts; None for another track, or one that does not say."""
    # Size and type 8, reserved 6, data reference 2, reserved 4; then flags, time scale, duration of a label, labels.
    entry = header.description[8:]
    if header.code != "tmcd" or len(entry) < 33:
        return None
    flags, scale, duration = (int.from_bytes(entry[at : at + 4], "big") for at in (20, 24, 28))
    if not scale or not duration:
        return None
    rate = Fraction(scale, duration) if not flags & _COUNTER else Fraction(entry[32] or 1)
    return TimecodeTrack(rate, bool(flags & _DROP_FRAME))


def _tracks(file: BinaryIO, movie: Box) -> Iterator[TrackHeader | None]:
    scale = 0
    for number, box in enumerate(boxes.between(file, movie.start, movie.stop)):
        if number == boxes.MAX_BOXES:
            return
        if box.kind == b"mvhd":
            scale = after_times(_read(file, box, 32))
        if box.kind == b"trak":
            yield _track(file, box, scale)


def _track(file: BinaryIO, track: Box, scale: int) -> TrackHeader | None:
    found: dict[bytes, Box] = {}
    for box in _leaves(file, track):
        found.setdefault(box.kind, box)
    if not {b"tkhd", b"hdlr", b"stsd"} <= found.keys():
        return None
    return TrackHeader(
        id=after_times(_read(file, found[b"tkhd"], 32)),
        handler=_read(file, found[b"hdlr"], 12)[8:12].decode("latin-1"),
        description=_read(file, found[b"stsd"], MAX_DESCRIPTION),
        shown=_shown(_read(file, found[b"elst"], MAX_DESCRIPTION), scale) if b"elst" in found and scale else None,
        tick=Fraction(1, scale) if scale else Fraction(0),
    )


def after_times(head: bytes) -> int:
    """The number behind the times of creation and change, of 4 bytes each, or of 8 in version 1 (8.2.2, 8.3.2)."""
    place = 20 if head[:1] == b"\1" else 12
    return int.from_bytes(head[place : place + 4], "big")


def _shown(edits: bytes, scale: int) -> Fraction:
    """Seconds of all edits that show something (8.6.6): a length, the time in the track or -1, a rate."""
    width = 8 if edits[:1] == b"\1" else 4
    ticks = 0
    for place in range(8, len(edits) - 2 * width - 3, 2 * width + 4):
        if int.from_bytes(edits[place + width : place + 2 * width], "big", signed=True) >= 0:
            ticks += int.from_bytes(edits[place : place + width], "big")
    return Fraction(ticks, scale)


def _leaves(file: BinaryIO, folder: Box, depth: int = 0) -> Iterator[Box]:
    """The boxes of a track that are no folders; QuickTime has a second handler, of the data, after the track's."""
    for box in boxes.between(file, folder.start, folder.stop):
        if box.kind in _PATHS and depth < len(_PATHS):
            yield from _leaves(file, box, depth + 1)
        else:
            yield box


def _read(file: BinaryIO, box: Box, most: int) -> bytes:
    file.seek(box.start)
    return file.read(min(most, box.stop - box.start))
