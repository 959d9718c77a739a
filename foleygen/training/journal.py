"""A list of finished work on disk, one JSON line each, that survives being killed in the middle of a line."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from foleygen.errors import RetryableError, UsageError

Record = TypeVar("Record")

_REMEDY = "make its folder again"


def read(path: Path, *needed: str) -> list[dict[str, Any]]:
    """The finished lines; an unfinished last one is left out. Raises UsageError for others'.

    Every line is an object that has the keys ``needed``.
    """
    if not path.exists():
        return []
    try:
        text = path.read_bytes()
        found = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
        if all(isinstance(record, dict) and record.keys() >= {*needed} for record in found):
            return found
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as a list of finished work", _REMEDY) from error
    raise UsageError(f"{path}: is not a list of finished work", _REMEDY)


def read_as(kind: type[Record], path: Path) -> list[Record]:
    """The finished lines as dataclasses. Raises UsageError."""
    try:
        return [kind(**record) for record in read(path)]
    except TypeError as error:
        raise UsageError(f"{path}: has other fields than this foleygen's", _REMEDY) from error


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
