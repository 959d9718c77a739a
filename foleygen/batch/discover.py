"""Inputs as typed -> the clips they name, sorted, each once."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from foleygen.atomic import is_part
from foleygen.cues import text
from foleygen.cues.words import understand
from foleygen.errors import UsageError, printable
from foleygen.facts import MARK
from foleygen.record import sidecar
from foleygen.settings import AS_THE_RUN, ClipSettings

_NAMES = (
    "3g2 3gp asf avi dv f4v flv gif insv lrv m2t m2ts m2v m4v mkv mod mov mp4 mpeg mpg mts mxf ogv qt tod ts vob webm "
    "wmv y4m"
)
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split(" "))
"""What counts as video in a folder; a file named outright may be called anything."""

SOUND = b"sound:"
"""What words for a clip's sound begin with in a list."""

Note = Callable[[Path, str], None]
"""Receives each path that a walk leaves out, and why."""


@dataclass(frozen=True)
class Clip:
    """One input; ``mirror`` is the relative folder that its output gets below ``--output``."""

    path: Path
    mirror: Path = Path()
    seconds: float | None = None
    """Its length, where a list has told."""
    own: ClipSettings = AS_THE_RUN
    """What is set for it alone: words that a list has for it."""


def discover(
    inputs: Iterable[str | Path],
    listing: Iterable[bytes] = (),
    output: Path | None = None,
    note: Note | None = None,
    lists: Iterable[bytes] = (),
) -> list[Clip]:
    """The clips of ``inputs``: files, folders, and ``-`` for the list ``listing``; then those of more ``lists``.

    Folders are walked in sorted order; dotfiles, unfinished files, finished clips, the folder ``output`` and folders
    seen before (symlink loops) are left out. A file that does not exist is still a clip: the batch reports it.
    """
    walk = _Walk(output, note or (lambda path, reason: None))
    found: dict[str, Clip] = {}
    for clip in _all(inputs, b"".join(listing), lists, walk):
        found.setdefault(os.path.abspath(clip.path), clip)
    return list(found.values())


def listed(listing: bytes) -> Iterator[Clip]:
    """The paths in a list: one per line, or ended by NUL bytes if it has one.

    A path may be followed by a tab and the clip's seconds, or by a tab alone, and then by a tab and ``sound: WORDS``.
    Lines that are blank or begin with ``#`` are no paths. A relative path is meant from the current folder, and its
    folders are mirrored. Raises UsageError for words that name no known sound.
    """
    for name, seconds, words in entries(listing):
        path = Path(os.fsdecode(name))
        inside = not path.is_absolute() and ".." not in path.parts
        own = AS_THE_RUN if words is None else ClipSettings(sound=sound_told(words, name))
        yield Clip(path, path.parent if inside else Path(), seconds, own)


Entry = tuple[bytes, float | None, bytes | None]
"""The path as it is written, the seconds, the words for its sound."""


def entries(listing: bytes) -> Iterator[Entry]:
    """The same as bytes."""
    for entry in _ended_by_nul(listing) if b"\0" in listing else _lines(listing):
        yield _told(entry) if b"\t" in entry else (entry, None, None)


def sound_told(words: bytes, name: bytes) -> str:
    """The ``words`` that a list has for the clip ``name``, which must be a known sound. Raises UsageError."""
    try:
        return _understood(words)
    except UsageError as error:
        fact = f"{printable(os.fsdecode(name))}: in the list, {error.message}"
        raise UsageError(fact, error.remedy) from error


@lru_cache(maxsize=1024)  # a list of a million clips has few words
def _understood(words: bytes) -> str:
    found = text.tidy(os.fsdecode(words))
    understand(found)
    return found


# Entries come one after the other, since all at once would take as much memory again.
def _lines(listing: bytes) -> Iterator[bytes]:
    for line in io.BytesIO(listing):
        entry = line.rstrip(b"\r\n")
        if entry[:1] != b"#" and entry.strip():
            yield entry


def _ended_by_nul(listing: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(listing):
        end = listing.find(b"\0", begin)
        end = len(listing) if end < 0 else end
        if end > begin:
            yield listing[begin:end]
        begin = end + 1


def _told(entry: bytes) -> Entry:
    """What follows the last tab is the sound if it says so; what is before it is a path, maybe with its seconds."""
    rest, _, last = entry.rpartition(b"\t")
    if not rest or not last.startswith(SOUND):
        return (*_timed(entry), None)
    words = last[len(SOUND) :].strip()
    return (*(_timed(rest) if b"\t" in rest else (rest, None)), words)


def _timed(entry: bytes) -> tuple[bytes, float | None]:
    """What follows the last tab is a length, or nothing; anything else belongs to the name."""
    name, _, last = entry.rpartition(b"\t")
    if not last:
        return name or entry, None
    try:
        seconds = float(last)
    except ValueError:
        try:
            seconds = float(os.fsdecode(last))  # digits of other scripts
        except ValueError:
            return entry, None
    return (name, seconds) if 0 <= seconds < math.inf else (entry, None)


def _all(inputs: Iterable[str | Path], listing: bytes, lists: Iterable[bytes], walk: _Walk) -> Iterator[Clip]:
    for given in inputs:
        if str(given) == "-":
            yield from _of_list(listing, walk)
        else:
            yield from walk.start(Clip(Path(given)), Path())
    for content in lists:
        yield from _of_list(content, walk)


def _of_list(listing: bytes, walk: _Walk) -> Iterator[Clip]:
    for clip in listed(listing):
        inside = not clip.path.is_absolute() and ".." not in clip.path.parts
        yield from walk.start(clip, clip.path if inside else Path())


class _Walk:
    def __init__(self, output: Path | None, note: Note) -> None:
        self.output = os.path.realpath(output) if output is not None else None
        self.note = note
        self.seen: set[tuple[int, int]] = set()

    def start(self, clip: Clip, folder_mirror: Path) -> Iterator[Clip]:
        """The clip as it was named, or those below it if it is a folder."""
        if os.path.isdir(clip.path):
            for found in self.folder(clip.path, folder_mirror, top=True):
                yield replace(found, own=clip.own)
        else:
            yield clip

    def folder(self, path: Path, mirror: Path, top: bool = False) -> Iterator[Clip]:
        try:
            status = path.stat()
            entries = sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            return self.note(path, f"cannot be listed ({error.strerror})")
        identity = (status.st_dev, status.st_ino)
        if identity in self.seen:
            return self.note(path, "was walked already")
        if not top and os.path.realpath(path) == self.output:
            return self.note(path, "is the output folder")
        self.seen.add(identity)
        for entry in entries:
            child = path / entry.name
            if entry.name.startswith(".") or is_part(child):
                self.note(child, "is hidden")
            elif _leads_to(entry.is_dir):
                yield from self.folder(child, mirror / entry.name)
            elif child.suffix.lower() not in SUFFIXES:
                self.note(child, "is no video, by its name")
            elif _leads_to(entry.is_file):
                if is_finished(child):
                    self.note(child, "is a finished clip")
                else:
                    yield Clip(child, mirror)
            else:
                self.note(child, "leads to no file")
        return None


def _leads_to(kind: Callable[[], bool]) -> bool:
    """False, too, for a link that goes round in circles."""
    try:
        return kind()
    except OSError:
        return False


def is_finished(path: Path) -> bool:
    """True for what foleygen wrote: by its name, or by the sidecar that names it."""
    return path.stem.endswith(MARK) or sidecar.read(path) is not None
