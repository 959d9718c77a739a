"""The boxes of an ISO base media file (ISO/IEC 14496-12), read before a demuxer sees them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_BOXES = 2**20
"""Boxes that are walked before a file is taken for a trap: a day in fragments of a fifth of a second has fewer."""

_BEGINNINGS = (b"ftyp", b"mdat", b"free", b"skip", b"wide", b"moov", b"pnot")
# Boxes of boxes: libavformat reads a sample table wherever it stands in them.
_FOLDERS = frozenset(
    {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"edts", b"dinf", b"udta"}
)
_MAX_DEPTH = 10


@dataclass(frozen=True)
class Box:
    """A box's type and where its payload lies, in bytes; ``stop`` may be past the end of a file that was cut."""

    kind: bytes
    start: int
    stop: int


def top_level(path: Path) -> list[bytes]:
    """Types of the boxes at the top; empty for other files. Raises OSError."""
    with open(path, "rb") as file:
        found: list[bytes] = []
        for box in between(file, 0, os.fstat(file.fileno()).st_size):
            if not found and box.kind not in _BEGINNINGS:
                break
            found.append(box.kind)
            if len(found) == MAX_BOXES:
                break
        return found


def listed_samples(path: Path) -> int | None:
    """How many samples a demuxer makes an index of in memory; 0 for other files. Raises OSError.

    The number stands in a few bytes of the header, and libavformat believes it. None: there are more boxes than
    ``MAX_BOXES``.
    """
    with open(path, "rb") as file:
        walk = _Walk(file)
        walk.folder(0, os.fstat(file.fileno()).st_size, 0)
        return walk.total if walk.boxes <= MAX_BOXES else None


@dataclass
class _Track:
    samples: int = 0
    is_sound: bool = False
    counts_samples: bool = False
    """Each sample lasts one unit: PCM sound, which is indexed by its chunks."""


class _Walk:
    """Adds up the samples of all tracks and fragments of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.total = self.boxes = 0
        self._track = _Track()

    def folder(self, start: int, stop: int, depth: int) -> None:
        for box in between(self.file, start, stop):
            self.boxes += 1
            if self.boxes > MAX_BOXES:
                return
            if box.kind == b"trak":
                self._track = _Track()
            if box.kind in _FOLDERS and depth < _MAX_DEPTH:
                self.folder(box.start, box.stop, depth + 1)
            else:
                self._leaf(box)
            if box.kind == b"trak" and not (self._track.is_sound and self._track.counts_samples):
                self.total += self._track.samples

    def _leaf(self, box: Box) -> None:
        # All of them begin with version and flags; handler and counts follow (8.4.3, 8.6.1.2, 8.7.3, 8.8.8).
        if box.kind == b"hdlr":
            self._track.is_sound = self._read(box, 8, 4) == b"soun"
        elif box.kind == b"stts":
            self._track.counts_samples = self._number(box, 4) == 1 and self._number(box, 12) == 1
        elif box.kind in (b"stsz", b"stz2"):
            self._track.samples = max(self._track.samples, self._number(box, 8))
        elif box.kind == b"trun":
            self.total += self._number(box, 4)

    def _number(self, box: Box, offset: int) -> int:
        return int.from_bytes(self._read(box, offset, 4), "big")

    def _read(self, box: Box, offset: int, count: int) -> bytes:
        if box.start + offset + count > box.stop:
            return b""
        self.file.seek(box.start + offset)
        return self.file.read(count)


def between(file: BinaryIO, start: int, stop: int) -> Iterator[Box]:
    """The boxes between two places of the file, up to the first that is not one."""
    while start + 8 <= stop:
        file.seek(start)
        head = file.read(16)
        length, kind, size = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, size = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:
            length = stop - start
        if len(head) < size:
            return
        yield Box(kind, start + size, min(start + length, stop))
        if length < size:
            return
        start += length
