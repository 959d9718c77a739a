"""``manifest.tsv`` beside recordings: what its columns say of each, for words and for credits.

Tab-separated UTF-8 text whose first line names its columns. ``file`` is needed: a name, or a path from the manifest's
folder. A manifest speaks of the files in its folder and below; the nearest one counts.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from foleygen.errors import UsageError
from foleygen.library.tags import clean
from foleygen.strict import file_text

NAME = "manifest.tsv"
_MOST_BYTES = 64 * 2**20
_WORDS = ("class", "sound", "material", "title", "name", "category", "words", "keywords", "tags", "description")
_CATIDS, _LICENCES = ("catid", "cat_id"), ("licence", "license")
_SOURCES = ("author", "creator", "source", "url")


@dataclass(frozen=True)
class Listed:
    """What one line says; ``digest`` changes with it."""

    words: str
    catid: str | None
    licence: str | None
    source: str | None
    digest: str


Listing = Mapping[str, Listed]
"""By file, as it is written."""


def read(path: Path) -> Listing:
    """The lines of a manifest. Raises UsageError for one that cannot be read."""
    text = file_text(path, UsageError, missing="check the path", most=_MOST_BYTES)
    rows = csv.DictReader(io.StringIO(text, newline=None), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
        if "file" not in rows.fieldnames:
            raise UsageError(f"{path}: has no column 'file'", "name its columns in the first line, with tabs between")
        return {cells["file"]: _listed(cells) for row in rows if (cells := _cells(row)).get("file")}
    except csv.Error as error:
        raise UsageError(f"{path}: cannot be read ({error})", "correct it") from error


def line_of(listing: Listing, file: PurePosixPath) -> Listed | None:
    """The line of ``file``, a path from the manifest's folder: by its path, or else by its name."""
    return listing.get(str(file)) or listing.get(file.name)


def _cells(row: Mapping[str | None, object]) -> dict[str, str]:
    return {name: cell.strip() for name, cell in row.items() if name is not None and isinstance(cell, str)}


def _listed(cells: Mapping[str, str]) -> Listed:
    words = " ".join(dict.fromkeys(cells[name] for name in _WORDS if cells.get(name)))
    source = ", ".join(dict.fromkeys(cells[name] for name in _SOURCES if cells.get(name)))
    digest = hashlib.sha256(repr(sorted(cells.items())).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Listed(clean(words), _first(cells, _CATIDS), _first(cells, _LICENCES), clean(source) or None, digest)


def _first(cells: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((clean(cells[name]) for name in names if cells.get(name)), None)
