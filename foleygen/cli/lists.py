"""What a command's inputs and lists come to: the clips they name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.errors import UsageError

if TYPE_CHECKING:
    from foleygen.batch.discover import Clip, Note
    from foleygen.settings import Settings


def clips_of(inputs: Sequence[Path], settings: Settings, note: Note, frozen: bool = False) -> Sequence[Clip]:
    """The clips of INPUT... and ``--from-file``; ``-`` is stdin in either. Raises UsageError for an unreadable list.

    ``frozen`` sorts those of lists, and makes no object of any, where it can (``batch.frozen``).
    """
    from foleygen.batch.discover import discover
    from foleygen.batch.frozen import freeze

    source = settings.from_file
    if not inputs and source is None:
        raise UsageError("no input given", "name a clip, a folder, or a list with --from-file")
    dashes = sum(str(given) == "-" for given in (*inputs, source))
    if dashes > 1:
        raise UsageError("stdin is named more than once", "give one -")
    listing = sys.stdin.buffer.read() if dashes and str(source) != "-" else b""
    lists = [] if source is None else [content(source)]
    if frozen and all(str(given) == "-" for given in inputs):
        found = freeze([listing, *lists], trusts_names=settings.shard is not None)
        if found is not None:
            return found
    return discover(inputs, [listing], settings.output, note, lists)


def named(inputs: Sequence[Path], settings: Settings) -> str:
    """The inputs and the list as they were typed."""
    return ", ".join(map(str, inputs if settings.from_file is None else (*inputs, settings.from_file)))


def content(source: Path) -> bytes:
    """What a list holds; ``-`` is stdin. Raises UsageError."""
    if str(source) == "-":
        return sys.stdin.buffer.read()
    try:
        return source.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name cannot be one"
        raise UsageError(f"{source}: the list cannot be read ({reason})", "check --from-file") from error
