"""The stream headers of an AVI file, which say how long each of its sounds is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

_HEADERS = 2**20
"""Bytes at the head of a file in which its stream headers are looked for."""
_FIELDS = struct.Struct("<4I")
_SCALE, _SAMPLE_SIZE = 20, 44
"""Places of dwScale (dwRate, dwStart and dwLength follow) and of dwSampleSize in AVISTREAMHEADER."""


@dataclass(frozen=True)
class Clock:
    """How a stream counts: ``length`` units of ``scale / rate`` seconds, from unit ``start``."""

    scale: int
    rate: int
    start: int
    length: int
    sample_size: int
    """Bytes of a unit; 0 where each packet is one."""

    @property
    def is_set(self) -> bool:
        """A unit has a length."""
        return self.scale > 0 and self.rate > 0

    def counting(self, packets: int, size: int) -> Clock:
        """The same units, as many as there are in that many packets and bytes."""
        return replace(self, length=size // self.sample_size if self.sample_size else packets)


def clocks(path: Path) -> list[Clock]:
    """The clocks of the streams of an AVI file, in order; none for other files. Raises OSError."""
    with open(path, "rb") as file:
        return [_read(file, place) for place in _headers(file)]


def set_clock(path: Path, stream: int, clock: Clock) -> None:
    """Write the clock of a stream into an AVI file. Raises OSError."""
    with open(path, "r+b") as file:
        place = list(_headers(file))[stream]
        file.seek(place + _SCALE)
        file.write(_FIELDS.pack(clock.scale, clock.rate, clock.start, clock.length))
        file.seek(place + _SAMPLE_SIZE)
        file.write(clock.sample_size.to_bytes(4, "little"))


def _read(file: BinaryIO, place: int) -> Clock:
    file.seek(place)
    head = file.read(_SAMPLE_SIZE + 4)
    scale, rate, start, length = _FIELDS.unpack_from(head, _SCALE)
    return Clock(scale, rate, start, length, int.from_bytes(head[_SAMPLE_SIZE:], "little"))


def _headers(file: BinaryIO) -> Iterator[int]:
    """Where the payload of each ``strh`` chunk begins."""
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":
        size = file.seek(0, 2)
        yield from _in_list(file, 12, min(size, _HEADERS), [b"hdrl", b"strl"])


def _in_list(file: BinaryIO, start: int, stop: int, forms: list[bytes]) -> Iterator[int]:
    while start + 12 <= stop:
        file.seek(start)
        kind, length, form = struct.unpack("<4sI4s", file.read(12))
        if kind == b"LIST" and form in forms[:1]:
            yield from _in_list(file, start + 12, min(start + 8 + length, stop), forms[1:])
        elif kind == b"strh" and length >= _SAMPLE_SIZE + 4:
            yield start + 8
        elif kind == b"LIST" and form == b"movi":
            return
        start += 8 + length + length % 2
