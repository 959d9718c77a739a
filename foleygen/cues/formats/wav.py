"""The cue points of a wav: ``cue `` with the samples, ``LIST adtl`` with their labels (``labl``), notes and lengths.

Written by Reaper, Audition, WaveLab and Sound Forge. Times count from the first sample, which is taken for the first
picture. A cue point with a length (``ltxt``) that is named ``known`` is a stretch. RIFF, RF64 and BW64. Stems have cue
points of their own (``media.bwf``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from foleygen.cues import text
from foleygen.cues.cue import MAX_CUES
from foleygen.cues.marker import Marker
from foleygen.cues.reading import CueFile

_POINT = struct.Struct("<II4sIII")
_MOST = 16 * 2**20
"""Bytes of a chunk that is read as a whole."""
_FORMS = (b"RIFF", b"RF64", b"BW64")
_SIZE_ELSEWHERE = 0xFFFFFFFF
_MOST_CHUNKS = 100_000


@dataclass
class _Found:
    """What the chunks of one file say."""

    sample_rate: int = 0
    points: dict[int, int] = field(default_factory=dict)
    """Identifier -> sample."""
    texts: dict[int, list[str]] = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    """Identifier -> samples."""


def recognises(head: str) -> bool:
    """Any ``.wav``."""
    return True


def read(file: CueFile) -> list[Marker]:
    """The cue points of a file of any size; only what stands around the sound is read. Raises UsageError."""
    found = _Found()
    with file.opened() as stream:
        for name, size in _chunks(stream, file):
            if name in _READERS:
                if size > _MOST:
                    raise file.error(f"has a chunk {_spoken(name)!r} that is too large", "export it again")
                _READERS[name](_body(stream, name, size, file), found, file)
    if not found.sample_rate:
        raise file.error("says no sample rate", "export it again")
    if not found.points:
        raise file.error("has no cue points", "export it with its markers")
    return [_marker(identifier, found, file) for identifier in sorted(found.points, key=found.points.__getitem__)]


def _chunks(stream: BinaryIO, file: CueFile) -> Iterator[tuple[bytes, int]]:
    """Name and size of each chunk, the stream at its body; a last one that is cut off is given too."""
    head = stream.read(12)
    if head[:4] not in _FORMS or head[8:12] != b"WAVE":
        raise file.error("is no wav file", "give a file of the kind that its name says")
    place, large, total = 12, 0, Path(file.path).stat().st_size
    for _ in range(_MOST_CHUNKS):
        stream.seek(place)
        header = stream.read(8)
        if len(header) < 8:
            return
        name, size = header[:4], int.from_bytes(header[4:], "little")
        if name == b"ds64":
            large = int.from_bytes(stream.read(16)[8:], "little")
            stream.seek(place + 8)
        if name == b"data":
            size = large if size == _SIZE_ELSEWHERE and head[:4] != b"RIFF" else size
        yield name, size
        place += 8 + size + size % 2
        if place >= total:
            return
    raise file.error(f"has more than {_MOST_CHUNKS:,} chunks", "export it again")


def _body(stream: BinaryIO, name: bytes, size: int, file: CueFile) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise file.error(f"ends within its chunk {_spoken(name)!r}", "export it again")
    return body


def _format(body: bytes, found: _Found, file: CueFile) -> None:
    found.sample_rate = int.from_bytes(body[4:8], "little") if len(body) >= 8 else 0


def _cue(body: bytes, found: _Found, file: CueFile) -> None:
    count = int.from_bytes(body[:4], "little")
    if count > MAX_CUES:
        file.counted(count)
    if len(body) < 4 + count * _POINT.size:
        raise file.error("announces more cue points than it has", "export it again")
    for index in range(count):
        identifier, _, _, _, _, sample = _POINT.unpack_from(body, 4 + index * _POINT.size)
        found.points[identifier] = sample


def _list(body: bytes, found: _Found, file: CueFile) -> None:
    """What an ``adtl`` list says of the cue points; lists of other kinds say nothing of them."""
    place = 4 if body[:4] == b"adtl" else len(body)
    while place + 8 <= len(body):
        name, size = body[place : place + 4], int.from_bytes(body[place + 4 : place + 8], "little")
        inner = body[place + 8 : place + 8 + size]
        if name in (b"labl", b"note") and len(inner) > 4:
            found.texts.setdefault(int.from_bytes(inner[:4], "little"), []).append(_text(inner[4:]))
        elif name == b"ltxt" and len(inner) >= 8:
            found.lengths[int.from_bytes(inner[:4], "little")] = int.from_bytes(inner[4:8], "little")
        place += 8 + size + size % 2


_READERS = {b"fmt ": _format, b"cue ": _cue, b"LIST": _list}


def _text(raw: bytes) -> str:
    """Up to its zero: UTF-8, or what Windows wrote before."""
    raw = raw.split(b"\0")[0]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _marker(identifier: int, found: _Found, file: CueFile) -> Marker:
    where = f"cue point {identifier}"
    at = Fraction(found.points[identifier], found.sample_rate)
    texts, length = found.texts.get(identifier, []), found.lengths.get(identifier, 0)
    if length and any(map(text.is_stretch, texts)):
        sound = next((said for said in map(text.going, texts) if said), None)
        return Marker(where, at, at + Fraction(length, found.sample_rate), sound=sound)
    return text.marker(file, where, at, *texts)


def _spoken(name: bytes) -> str:
    return name.decode("latin-1").strip()
