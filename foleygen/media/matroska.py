"""The size at which a Matroska file has its pictures shown, which PyAV cannot tell the muxer.

The muxer leaves room in the header of a track: a size of eight bytes where one is enough, a void element. What is said
of the display takes that room, and nothing behind it moves. Elements are those of RFC 9559, sizes and checksums those
of RFC 8794.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_SEGMENT, _CLUSTER, _TRACKS = 0x18538067, 0x1F43B675, 0x1654AE6B
_ENTRY, _NUMBER, _VIDEO, _WIDTH, _HEIGHT = 0xAE, 0xD7, 0xE0, 0xB0, 0xBA
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_CHECKSUM, _VOID = 0xBF, 0xEC
_ASPECT_RATIO = 3
_MAX_TRACKS = 2**26
"""Bytes of a track header that are read."""


@dataclass(frozen=True)
class _Element:
    id: int
    payload: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.payload, "big")

    def encoded(self) -> bytes:
        return _id(self.id) + _size(len(self.payload)) + self.payload


def set_pixel_shapes(path: Path, shapes: Mapping[int, Fraction]) -> bool:
    """Write the shape of a pixel (width over height) of tracks, by their numbers, into a finished file.

    False where there is no room for it. Raises OSError.
    """
    with open(path, "r+b") as file:
        found = _tracks(file)
        if found is None:
            return False
        place, payload = found
        elements = [_shaped(element, shapes) for element in _elements(payload) if element.id not in (_CHECKSUM, _VOID)]
        body = b"".join(element.encoded() for element in elements)
        room = len(payload) - len(body)
        filled = _with_checksum(body, room)
        if filled is None:
            return False
        file.seek(place)
        file.write(filled)
        return True


def _with_checksum(body: bytes, room: int) -> bytes | None:
    """The body with a void that leaves just the room for a checksum; without one where the void would be too small."""
    for checksum in (6, 0):
        void = _void(room - checksum)
        if void is not None:
            summed = body + void
            head = _Element(_CHECKSUM, zlib.crc32(summed).to_bytes(4, "little")).encoded() if checksum else b""
            return head + summed
    return None


def _void(length: int) -> bytes | None:
    """An element of that length in all that says nothing; None where there is none."""
    if length == 0:
        return b""
    for head in (2, 3, 4, 5):
        payload = length - head
        if payload >= 0 and len(_size(payload)) <= head - 1:
            return _id(_VOID) + _size(payload, head - 1) + bytes(payload)
    return None


def _shaped(entry: _Element, shapes: Mapping[int, Fraction]) -> _Element:
    """A track with the display of its pictures, and without voids."""
    parts = [part for part in _elements(entry.payload) if part.id not in (_VOID, _CHECKSUM)]
    number = next((part.number for part in parts if part.id == _NUMBER), 0)
    if entry.id != _ENTRY or number not in shapes:
        return entry
    parts = [_displayed(part, shapes[number]) if part.id == _VIDEO else part for part in parts]
    return _Element(_ENTRY, b"".join(part.encoded() for part in parts))


def _displayed(video: _Element, shape: Fraction) -> _Element:
    told = (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT)
    parts = [part for part in _elements(video.payload) if part.id not in told]
    width, height = (next((part.number for part in parts if part.id == id_), 0) for id_ in (_WIDTH, _HEIGHT))
    wide = width * shape
    if wide.denominator == 1:
        parts += [_Element(_DISPLAY_WIDTH, _bytes(int(wide))), _Element(_DISPLAY_HEIGHT, _bytes(height))]
    else:
        ratio = wide / max(1, height)
        parts += [
            _Element(_DISPLAY_WIDTH, _bytes(ratio.numerator)),
            _Element(_DISPLAY_HEIGHT, _bytes(ratio.denominator)),
            _Element(_DISPLAY_UNIT, _bytes(_ASPECT_RATIO)),
        ]
    return _Element(_VIDEO, b"".join(part.encoded() for part in parts))


def _tracks(file: BinaryIO) -> tuple[int, bytes] | None:
    """Where the payload of the track headers begins, and the payload."""
    place = 0
    while (head := _head(file, place)) is not None:
        id_, start, size = head
        if id_ == _TRACKS and size <= _MAX_TRACKS:
            file.seek(start)
            return start, file.read(size)
        if id_ == _CLUSTER:
            return None
        place = start if id_ == _SEGMENT else start + size
    return None


def _head(file: BinaryIO, place: int) -> tuple[int, int, int] | None:
    """Id, start of the payload and its size."""
    file.seek(place)
    read = _header(file.read(12), 0)
    return None if read is None else (read[0], place + read[1], read[2])


def _elements(data: bytes) -> Iterator[_Element]:
    place = 0
    while (read := _header(data, place)) is not None:
        id_, start, size = read
        yield _Element(id_, data[start : start + size])
        place = start + size


def _header(data: bytes, place: int) -> tuple[int, int, int] | None:
    """Id, start and size of the payload of the element at ``place``; None behind the last one."""
    if place + 2 > len(data) or not data[place]:
        return None
    start = place + _length(data[place])
    if start >= len(data) or not data[start]:
        return None
    behind = start + _length(data[start])
    size = int.from_bytes(data[start:behind], "big") & ((1 << 7 * (behind - start)) - 1)
    return int.from_bytes(data[place:start], "big"), behind, size


def _length(first: int) -> int:
    """Bytes of a variable-size integer, from its first one."""
    return 9 - first.bit_length()


def _id(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _size(value: int, length: int | None = None) -> bytes:
    """A size in that many bytes, by default in the fewest: all ones are kept for sizes that nobody knows."""
    length = length or next(count for count in range(1, 9) if value < (1 << 7 * count) - 1)
    return (value | 1 << 7 * length).to_bytes(length, "big")


def _bytes(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
