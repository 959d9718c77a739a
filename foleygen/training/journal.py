"""A list of finished work on disk, one JSON line each, that survives being killed in the middle of a line."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foleygen.errors import RetryableError


def read(path: Path) -> list[dict[str, Any]]:
    """The finished lines; an unfinished last one is left out."""
    if not path.exists():
        return []
    text = path.read_bytes()
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def repair(path: Path) -> None:
    """Cut an unfinished last line off, so that the next one begins on its own."""
    if path.exists():
        text = path.read_bytes()
        os.truncate(path, text.rfind(b"\n") + 1)


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a line and see it on disk."""
    with room_for(path), open(path, "ab") as handle:
        handle.write(json.dumps(record).encode() + b"\n")


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Turns the errors of a full disk into RetryableError, naming ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise RetryableError(
            f"{path}: no space left to write it", "free some space and run the same command again"
        ) from error
