"""Inputs as typed -> the clips they name, sorted, each once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from foleygen.atomic import is_part
from foleygen.batch import sidecar

_NAMES = "3gp asf avi flv gif m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv y4m"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split(" "))
"""What counts as video in a folder; a file named outright may be called anything."""

Note = Callable[[Path, str], None]
"""Receives each path that a walk leaves out, and why."""


@dataclass(frozen=True)
class Clip:
    """One input; ``mirror`` is the relative folder that its output gets below ``--output``."""

    path: Path
    mirror: Path = Path()


def discover(
    inputs: Iterable[str | Path], listing: Iterable[bytes] = (), output: Path | None = None, note: Note | None = None
) -> list[Clip]:
    """The clips of ``inputs``: files, folders, and ``-`` for the paths in ``listing``, one per line.

    Folders are walked in sorted order; dotfiles, unfinished files, finished clips, the folder ``output`` and folders
    seen before (symlink loops) are left out. Lines that are blank or begin with ``#`` are no paths. A file that does
    not exist is still a clip: the batch reports it.
    """
    walk = _Walk(output, note or (lambda path, reason: None))
    found: dict[str, Clip] = {}
    for clip in _all(inputs, listing, walk):
        found.setdefault(os.path.abspath(clip.path), clip)
    return list(found.values())


def _all(inputs: Iterable[str | Path], listing: Iterable[bytes], walk: _Walk) -> Iterator[Clip]:
    for given in inputs:
        if str(given) == "-":
            for path in _listed(listing):
                inside = not path.is_absolute() and ".." not in path.parts
                yield from walk.start(path, path.parent if inside else Path(), path if inside else Path())
        else:
            yield from walk.start(Path(given), Path(), Path())


def _listed(listing: Iterable[bytes]) -> Iterator[Path]:
    for line in listing:
        text = os.fsdecode(line.rstrip(b"\r\n"))
        if text.strip() and not text.startswith("#"):
            yield Path(text)


class _Walk:
    def __init__(self, output: Path | None, note: Note) -> None:
        self.output = os.path.realpath(output) if output is not None else None
        self.note = note
        self.seen: set[tuple[int, int]] = set()

    def start(self, path: Path, file_mirror: Path, folder_mirror: Path) -> Iterator[Clip]:
        if os.path.isdir(path):
            yield from self.folder(path, folder_mirror, top=True)
        else:
            yield Clip(path, file_mirror)

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
            elif entry.is_dir():
                yield from self.folder(child, mirror / entry.name)
            elif child.suffix.lower() in SUFFIXES and entry.is_file():
                if is_finished(child):
                    self.note(child, "is a finished clip")
                else:
                    yield Clip(child, mirror)
        return None


def is_finished(path: Path) -> bool:
    """True for what foleygen wrote: by its name, or by the sidecar that names it."""
    return path.stem.endswith(sidecar.MARK) or sidecar.read(path) is not None
