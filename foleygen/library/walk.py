"""The sound files below a folder, in sorted order, each once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from foleygen.errors import UsageError
from foleygen.facts import is_own_wav
from foleygen.library import listing
from foleygen.library.listing import Listed, Listing

_NAMES = "wav wave bwf rf64 w64 aif aiff aifc flac ogg oga mp3 caf au"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split(" "))
"""What counts as a recording, by its name."""

Note = Callable[[Path, str], None]
"""Receives each path that is left out, and why."""


@dataclass(frozen=True)
class Found:
    """One file: its path, the same from the library's root with slashes, and its line in a manifest."""

    path: Path
    file: str
    listed: Listed | None


@dataclass
class Walk:
    """A walk through ``root``; ``unseen`` are the folders, named as files are, that could not be listed, and why."""

    root: Path
    note: Note
    unseen: dict[str, str] = field(default_factory=dict)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def files(self) -> Iterator[Found]:
        """Every recording, folders after the files beside them in the order of their names."""
        yield from self._folder(PurePosixPath(), [])

    def _folder(self, place: PurePosixPath, manifests: list[tuple[PurePosixPath, Listing]]) -> Iterator[Found]:
        folder = self.root / place
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            self.unseen[str(place)] = error.strerror or "unknown"
            return None
        if (status.st_dev, status.st_ino) in self._seen:
            return self.note(folder, "was walked already")
        self._seen.add((status.st_dev, status.st_ino))
        manifests = [*self._manifest(place), *manifests]
        for entry in entries:
            child = place / entry.name
            if entry.name.startswith("."):
                continue
            if _leads_to(entry.is_dir):
                yield from self._folder(child, manifests)
            elif is_own_wav(entry.name):
                self.note(self.root / child, "is the sound of a finished clip, not a recording")
            elif child.suffix.lower() in SUFFIXES:
                if _leads_to(entry.is_file):
                    yield Found(self.root / child, str(child), _line(child, manifests))
                else:
                    is_there = os.path.exists(self.root / child)
                    self.note(self.root / child, "is no regular file" if is_there else "leads to no file")
        return None

    def _manifest(self, place: PurePosixPath) -> list[tuple[PurePosixPath, Listing]]:
        path = self.root / place / listing.NAME
        if not os.path.lexists(path):
            return []
        try:
            return [(place, listing.read(path))]
        except UsageError as error:
            self.note(path, error.message.removeprefix(f"{path}: "))
            return []


def _line(file: PurePosixPath, manifests: list[tuple[PurePosixPath, Listing]]) -> Listed | None:
    found = (listing.line_of(lines, file.relative_to(place)) for place, lines in manifests)
    return next((line for line in found if line is not None), None)


def _leads_to(kind: Callable[[], bool]) -> bool:
    """False, too, for a link that goes round in circles."""
    try:
        return kind()
    except OSError:
        return False
