"""The chunks of a wav as EBU Tech 3285 and 3306 describe them: chunks before the samples, RF64 above 4 GB."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from foleygen.regular import opened, seal

PCM = 1
FLOAT = 3
_UNKNOWN = 0xFFFFFFFF
"""A size that the ds64 chunk tells in 64 bits."""
_HEAD = 12
_ORIGINATOR = (256, 32)
"""Where a bext chunk says who made the file, and how long that may be."""
_CHUNK = 8
_MOST_CHUNKS = 10_000


@dataclass(frozen=True)
class WaveFormat:
    """How samples are kept."""

    tag: int
    bits: int
    sample_rate: int
    channels: int = 1

    @property
    def block(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8

    def chunk(self) -> bytes:
        """``fmt ``: sixteen bytes for PCM, as the oldest readers want them; other tags say that nothing follows."""
        rate, block = self.sample_rate, self.block
        fields = struct.pack("<HHIIHH", self.tag, self.channels, rate, rate * block, block, self.bits)
        return chunk(b"fmt ", fields if self.tag == PCM else fields + struct.pack("<H", 0))


@dataclass(frozen=True)
class Mark:
    """A moment in a file: ``sample`` from its first one, and its name."""

    sample: int
    label: str


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk, padded to whole words."""
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def head(form: WaveFormat, samples: int, chunks: Sequence[bytes]) -> bytes:
    """Everything before the samples of a file whose other ``chunks`` come before them."""
    size = samples * form.block
    fact = [chunk(b"fact", struct.pack("<I", min(samples, _UNKNOWN)))] if form.tag != PCM else []
    body = b"".join([form.chunk(), *fact, *chunks])
    whole = 4 + len(body) + _CHUNK + size + size % 2
    if whole < _UNKNOWN:
        return b"RIFF" + struct.pack("<I", whole) + b"WAVE" + body + b"data" + struct.pack("<I", size)
    large = struct.pack("<QQQI", whole + _CHUNK + 28, size, samples, 0)
    start = b"RF64" + struct.pack("<I", _UNKNOWN) + b"WAVE" + chunk(b"ds64", large)
    return start + body + b"data" + struct.pack("<I", _UNKNOWN)


def cues(marks: Sequence[Mark], encoding: str = "utf-8") -> list[bytes]:
    """``cue `` with the moments, and ``LIST adtl`` with their names; nothing where there are none."""
    if not marks:
        return []
    points = b"".join(
        struct.pack("<II4sIII", number, mark.sample, b"data", 0, 0, mark.sample)
        for number, mark in enumerate(marks, start=1)
    )
    labels = b"".join(
        chunk(b"labl", struct.pack("<I", number) + mark.label.encode(encoding, "replace") + b"\0")
        for number, mark in enumerate(marks, start=1)
    )
    return [chunk(b"cue ", struct.pack("<I", len(marks)) + points), chunk(b"LIST", b"adtl" + labels)]


@dataclass(frozen=True)
class Place:
    """Where a chunk's content is in its file."""

    offset: int
    size: int


def places(path: Path) -> dict[bytes, Place]:
    """The chunks of a RIFF or RF64 file up to its samples, by name, the first of each. Empty for any other file."""
    with opened(path) as file:
        start = file.read(_HEAD)
        if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
            return {}
        return dict(reversed(list(_chunks(file))))


def everywhere(path: Path) -> dict[bytes, Place]:
    """The same for those after the samples too, of a BW64 file as well; what a broken file has of them."""
    with opened(path) as file:
        start = file.read(_HEAD)
        if start[:4] not in (b"RIFF", b"RF64", b"BW64") or start[8:] != b"WAVE":
            return {}
        return dict(reversed(list(islice(_chunks(file, beyond=True), _MOST_CHUNKS))))


def sound_sha256(path: Path) -> str:
    """SHA-256 in hex of a wav's samples, whatever else it says; of all of it where it is no wav. Raises OSError."""
    place = places(path).get(b"data")
    return (seal(path) if place is None else seal(path, place.offset, place.size)).sha256


def is_by(path: Path, originator: str) -> bool:
    """Whether a broadcast wav says that ``originator`` made it."""
    place = places(path).get(b"bext")
    if place is None:
        return False
    with open(path, "rb") as file:
        file.seek(place.offset + _ORIGINATOR[0])
        return file.read(_ORIGINATOR[1]).rstrip(b"\0") == originator.encode()


def _chunks(file: BinaryIO, beyond: bool = False) -> Iterator[tuple[bytes, Place]]:
    """Up to the samples, or ``beyond`` them; the file is read and sought as they are asked for."""
    samples = _UNKNOWN
    while len(header := file.read(_CHUNK)) == _CHUNK:
        name, size = struct.unpack("<4sI", header)
        place = file.tell()
        if name == b"ds64":
            samples = int.from_bytes(file.read(16)[8:], "little")
        if name == b"data":
            size = samples if beyond and size == _UNKNOWN else size
        yield name, Place(place, size)
        if name == b"data" and not beyond:
            return
        file.seek(place + size + size % 2)
