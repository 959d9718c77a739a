"""What is written to stdout and stderr, and how it is drawn."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from foleygen.cli.terminal.lasting import replace_by_nothing
from foleygen.errors import printable

if TYPE_CHECKING:
    from foleygen.settings import Settings

MOST_COLUMNS = 160


def is_interactive(stream: Any) -> bool:
    """True where a line can be drawn over: a terminal that is not a dumb one."""
    return bool(stream.isatty()) and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def write_result(text: str) -> None:
    """One line of result on stdout; a path that is not text is written as its bytes."""
    _write(sys.stdout, os.fsencode(f"{text}\n"))


def write_bytes(content: bytes) -> None:
    """``content`` on stdout as it is."""
    _write(sys.stdout, content)


def write_note(text: str) -> None:
    """One line on stderr, or several; what is not printable is escaped, since it may come from a stranger's file."""
    text = "\n".join(map(printable, text.split("\n")))
    _write(sys.stderr, f"{text}\n".encode(sys.stderr.encoding or "ascii", "backslashreplace"))


def _write(stream: TextIO, line: bytes) -> None:
    """A reader who went away does not stop the work."""
    try:
        stream.flush()
        stream.buffer.write(line)
        stream.buffer.flush()
    except BrokenPipeError:
        replace_by_nothing(stream.fileno())


def write_json(document: Any) -> None:
    """``document`` on stdout, on one line."""
    write_result(json.dumps(document))


def write_table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Rows on stdout in aligned columns; those in ``right`` are aligned right. What is not printable is escaped."""
    rows = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        write_result("  ".join(cells).rstrip())


def _shown(cell: str) -> str:
    """Bytes of a name that are no text stay as they are: they are written as they came."""
    return "".join(char if "\udc80" <= char <= "\udcff" else printable(char) for char in cell)


def draw(settings: Settings, rows: Callable[[int], Sequence[str]]) -> None:
    """Lines of a drawing on stderr, ``rows(width)``, as wide as the terminal; nothing with ``--quiet``."""
    if settings.quiet:
        return
    width = min(shutil.get_terminal_size((100, 24)).columns, MOST_COLUMNS)
    encoding = sys.stderr.encoding or "ascii"
    for row in rows(width):
        write_note(row.encode(encoding, "replace").decode(encoding))
