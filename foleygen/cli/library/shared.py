"""What the commands of ``foleygen library`` have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foleygen.errors import UsageError, printable

if TYPE_CHECKING:
    from foleygen.library.index import Index

PATH = click.Path(path_type=Path)
Command = TypeVar("Command", bound=Callable[..., Any])

INDEX = click.option(
    "--index", "file", type=PATH, metavar="FILE", help="Where the index is; else the user's data folder."
)
LIBRARY = click.option(
    "--library",
    "root",
    type=PATH,
    metavar="DIR",
    envvar="FOLEYGEN_LIBRARY",
    help="The folder of the recordings; may be left out where only one is indexed.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, instead of the table.")


def limit(default: int) -> Callable[[Command], Command]:
    """``--limit`` of a list."""
    kind = click.IntRange(1, 100_000)
    return click.option("-n", "--limit", type=kind, default=default, show_default=True, metavar="N", help="At most N.")


def opened(root: Path | None, file: Path | None) -> Index:
    """The index of a library, or of the only one. Raises UsageError."""
    from foleygen.library.index import Index
    from foleygen.library.store import known_libraries

    if root is not None:
        return Index.open(root, file)
    known = known_libraries()
    if len(known) == 1:
        return Index.open(known[0], file)
    names = ", ".join(map(str, known))
    remedy = f"choose one of {names} with --library" if known else "run 'foleygen library index DIR' first"
    raise UsageError("several libraries are indexed" if known else "no library is indexed", remedy)


def is_sound(query: Sequence[str]) -> bool:
    """Whether a query is a sound file, and not words. Raises UsageError for files of other kinds, and for several."""
    from foleygen.library.walk import SUFFIXES

    paths = [Path(one) for one in query if Path(one).suffix.lower() in SUFFIXES or _is_path(one)]
    if not paths:
        return False
    if len(query) > 1:
        raise UsageError(
            f"{printable(paths[0])}: a file beside others, or words", "name one sound file alone, or words"
        )
    if paths[0].suffix.lower() not in SUFFIXES:
        fact = f"{printable(paths[0])}: is neither words nor a sound file that is read"
        raise UsageError(fact, f"name one that ends in {', '.join(sorted(SUFFIXES))}, or words")
    return True


def _is_path(text: str) -> bool:
    """Whether somebody means a file: it has a folder or a suffix of films in its name, or is there, with a suffix."""
    from foleygen.batch.discover import SUFFIXES

    path = Path(text)
    return os.sep in text or path.suffix.lower() in SUFFIXES or (path.suffix != "" and path.is_file())
