"""Descriptions of tracks, put from one MP4 or QuickTime file into another, box by box.

What libavformat does not know it does not write: Dolby Vision in QuickTime, apertures, the tracks in which cameras
record beside the picture. The boxes that describe a track are taken from the clip; those that say where its samples
are stay the new file's. The muxer writes ``moov`` behind everything else, so that it may change its size.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from foleygen.media import boxes
from foleygen.media.boxes import Box
from foleygen.media.moov import MAX_DESCRIPTION, after_times

_FOLDERS = frozenset({b"mdia", b"minf", b"stbl"})
_HEADERS = frozenset({b"vmhd", b"smhd", b"nmhd", b"gmhd", b"hmhd", b"sthd"})
"""Media headers: one of them says what a track is, as its handler does."""
_UNWRITTEN = frozenset({b"uuid", b"tapt"})
_MAX_MOVIE = 2**30


@dataclass(frozen=True)
class Graft:
    """Boxes of a track of a clip that take the place of those in the new file, whole: head and payload."""

    description: bytes
    handler: bytes | None = None
    header: bytes | None = None
    beside: bytes = b""
    """Boxes that the new track has none of: pictures all around were described by an ``uuid`` once, apertures are."""


def cut(path: Path, track: int, whole: bool) -> Graft | None:
    """The description of a track of a clip; ``whole``: with its handler and media header. None where one is missing."""
    with open(path, "rb") as file:
        movie = _movie(file)
        found = None if movie is None else _trak(file, movie, track)
        if found is None:
            return None
        parts = dict(_parts(file, found))
        if b"stsd" not in parts or (whole and not {b"hdlr", b"head"} <= parts.keys()):
            return None
        if whole:
            return Graft(parts[b"stsd"], parts[b"hdlr"], parts[b"head"])
        return Graft(parts[b"stsd"], beside=b"".join(_beside(file, found)))


def set_in(path: Path, grafts: Mapping[int, Graft]) -> bool:
    """Put grafts into a finished file, by its numbers of tracks. False where its boxes do not allow it."""
    with open(path, "r+b") as file:
        movie = _movie(file)
        if movie is None or movie.stop != os.fstat(file.fileno()).st_size or movie.stop - movie.start > _MAX_MOVIE:
            return False
        file.seek(movie.start - 4)
        if file.read(4) != b"moov":
            # A size of eight bytes stands between its name and its payload.
            return False
        payload = b"".join(_grown(io.BytesIO(file.read(movie.stop - movie.start)), grafts))
        file.seek(movie.start - 8)
        file.write(_box(b"moov", payload))
        file.truncate()
        return True


def _grown(movie: BinaryIO, grafts: Mapping[int, Graft]) -> Iterator[bytes]:
    """The boxes of a movie, its tracks with their grafts."""
    for box in boxes.between(movie, 0, movie.seek(0, 2)):
        graft = grafts.get(_number(movie, box)) if box.kind == b"trak" else None
        yield _whole(movie, box) if graft is None else _box(b"trak", _regrown(movie, box, graft) + graft.beside)


def _regrown(movie: BinaryIO, folder: Box, graft: Graft) -> bytes:
    payload = b""
    for box in boxes.between(movie, folder.start, folder.stop):
        new = None
        if box.kind in _FOLDERS:
            new = _box(box.kind, _regrown(movie, box, graft))
        elif box.kind == b"stsd":
            new = graft.description
        elif box.kind == b"hdlr" and folder.kind == b"mdia":
            new = graft.handler
        elif box.kind in _HEADERS:
            new = graft.header
        payload += new or _whole(movie, box)
    return payload


def _parts(file: BinaryIO, folder: Box, depth: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """The boxes of a track that describe it, whole; its media header is called ``head``."""
    for box in boxes.between(file, folder.start, folder.stop):
        if box.kind in _FOLDERS and depth < len(_FOLDERS):
            yield from _parts(file, box, depth + 1)
        elif box.stop - box.start > MAX_DESCRIPTION:
            continue
        elif box.kind == b"stsd" or (box.kind == b"hdlr" and folder.kind == b"mdia"):
            yield box.kind, _whole(file, box)
        elif box.kind in _HEADERS:
            yield b"head", _whole(file, box)


def _beside(file: BinaryIO, trak: Box) -> Iterator[bytes]:
    """The boxes right in a track that muxers do not write."""
    for box in boxes.between(file, trak.start, trak.stop):
        if box.kind in _UNWRITTEN and box.stop - box.start <= MAX_DESCRIPTION:
            yield _whole(file, box)


def _movie(file: BinaryIO) -> Box | None:
    size = os.fstat(file.fileno()).st_size
    return next((box for box in boxes.between(file, 0, size) if box.kind == b"moov"), None)


def _trak(file: BinaryIO, movie: Box, track: int) -> Box | None:
    traks = (box for box in boxes.between(file, movie.start, movie.stop) if box.kind == b"trak")
    return next((box for box in traks if _number(file, box) == track), None)


def _number(file: BinaryIO, trak: Box) -> int:
    """The number of a track, by which files refer to it."""
    heads = (box for box in boxes.between(file, trak.start, trak.stop) if box.kind == b"tkhd")
    return next((after_times(_payload(file, head)) for head in heads), 0)


def _payload(file: BinaryIO, box: Box) -> bytes:
    file.seek(box.start)
    return file.read(box.stop - box.start)


def _whole(file: BinaryIO, box: Box) -> bytes:
    return _box(box.kind, _payload(file, box))


def _box(kind: bytes, payload: bytes) -> bytes:
    return (8 + len(payload)).to_bytes(4, "big") + kind + payload
