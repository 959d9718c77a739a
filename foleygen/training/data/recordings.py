"""Recordings to learn from or to measure on: a folder of sound files with a ``manifest.tsv`` that lists them.

The manifest is tab-separated UTF-8 text, a line a recording; quotes mean nothing. The columns ``file`` (a name or a
path below the folder) and ``fold`` (``train``, ``test``) are needed everywhere, others by whoever asks for them. This
is its only reader: whatever is wrong with it is one UsageError.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import ClipError, UsageError
from foleygen.strict import did_you_mean, file_text, shortened

NAME = "manifest.tsv"
COLUMNS = ("file", "fold")
MOST_BYTES = 64 * 2**20
_HINT = f"list the recordings there: columns {' and '.join(COLUMNS)}, with tabs between them"


@dataclass(frozen=True)
class Line:
    """One recording: the ``number`` of its line, from 1, and its cells by column, without blanks around them."""

    number: int
    cells: Mapping[str, str]


class Manifest:
    """The manifest of ``folder``, read when it is first asked for something."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME

    def files(self, fold: str) -> dict[str, Path]:
        """The recordings of one ``fold`` in the manifest's order: name as listed -> where it is.

        A name is sought in the folder itself and then in the folders below. Raises UsageError for a manifest that
        cannot be read, has nothing of that fold, or lists what is not there, or not once.
        """
        return {line.cells["file"]: self._place(line) for line in listed(self.path, fold)}

    @cached_property
    def _places(self) -> Mapping[str, list[Path]]:
        """Every file below the folder, by name."""
        found: dict[str, list[Path]] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                found.setdefault(path.name, []).append(path)
        return found

    def _place(self, line: Line) -> Path:
        file = line.cells["file"]
        if (self.folder / file).is_file():
            return self.folder / file
        found = self._places.get(PurePath(file).name, [])
        where = f"{self.path}: line {line.number} lists {shortened(file)}"
        if not found:
            raise UsageError(f"{where}, which is not there", "bring it back or remove the line")
        if len(found) > 1:
            places = " and ".join(str(path.relative_to(self.folder)) for path in found[:2])
            raise UsageError(f"{where}, which may be {places}", "write its path from the manifest's folder")
        return found[0]


def listed(manifest: Path, fold: str, columns: Sequence[str] = COLUMNS) -> list[Line]:
    """The lines of one ``fold``, with at least these ``columns``. Raises UsageError, also where there is none."""
    text = file_text(manifest, UsageError, missing=_HINT, most=MOST_BYTES)
    reader = csv.DictReader(io.StringIO(text, newline=None), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        _check_columns(manifest, names, (*COLUMNS, *columns))
        reader.fieldnames = names
        found = [_line(manifest, reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{manifest}: line {reader.line_num + 1} cannot be read ({error})", "correct it") from error
    _once(manifest, found)
    chosen = [line for line in found if line.cells["fold"] == fold]
    if not chosen:
        folds = sorted({line.cells["fold"] for line in found})
        remedy = f"mark some so; {did_you_mean(fold, folds)}" if folds else _HINT
        raise UsageError(f"{manifest}: has no recording of the fold {fold!r}", remedy)
    return chosen


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples (n,) of a recording, mono, n > 0, and its rate in Hz. Raises UsageError."""
    from foleygen.media import wav

    try:
        samples, rate = wav.read(path)
    except ClipError as error:
        raise UsageError(error.message, "replace it or remove its line from the manifest") from error
    if not len(samples):
        raise UsageError(f"{path}: holds no sound", "replace it or remove its line from the manifest")
    return samples, rate


def _check_columns(manifest: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    if not names:
        raise UsageError(f"{manifest}: is empty", _HINT)
    for column in needed:
        if names.count(column) != 1:
            fact = "no column" if column not in names else "more than one column"
            raise UsageError(f"{manifest}: has {fact} {column!r}", "correct its first line, with tabs between columns")


def _line(manifest: Path, number: int, row: Mapping[str | None, str | list[str] | None]) -> Line:
    where = f"{manifest}: line {number}"
    if None in row:
        raise UsageError(f"{where} has more cells than there are columns", "correct it")
    cells = {str(name): str(value or "").strip() for name, value in row.items()}
    for column in COLUMNS:
        if not cells[column]:
            raise UsageError(f"{where} names no {column}", "add it or remove the line")
    file = PurePath(cells["file"])
    if file.is_absolute() or ".." in file.parts or "\0" in cells["file"]:
        raise UsageError(f"{where} names a file outside its folder", "move the file there, and write its name")
    return Line(number, cells)


def _once(manifest: Path, found: Sequence[Line]) -> None:
    """Raises UsageError for a recording that is listed twice."""
    first: dict[str, int] = {}
    for line in found:
        before = first.setdefault(line.cells["file"], line.number)
        if before != line.number:
            fact = f"{manifest}: line {line.number} lists {shortened(line.cells['file'])} again, after line {before}"
            raise UsageError(fact, "remove one of them")
