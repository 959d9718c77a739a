"""This process' standard streams, so that one that is closed or full does not stop the work.

A closed one becomes the null device: otherwise the next file that is opened would get its number, and be written to.
What cannot be written any more goes to the null device too, and ``lost`` remembers why.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

STDIN, STDOUT, STDERR = range(3)
lost: dict[int, OSError] = {}
"""The streams that could not be written, and the first reason; a reader who went away is none."""


class _Lasting(io.FileIO):
    """A descriptor whose first failure to write is its last."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content) or 0
        except OSError as error:
            number = self.fileno()
            if error.errno != errno.EPIPE:
                lost.setdefault(number, error)
            replace_by_nothing(number)
            return len(memoryview(content).cast("B"))


def replace_by_nothing(number: int) -> None:
    """Let the descriptor ``number`` lead to the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    os.set_inheritable(number, True)


def secure() -> None:
    """Make the standard streams of this process last. Called once, before anything is opened."""
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError as error:
            replace_by_nothing(number)
            if number == STDOUT:
                lost[number] = error
    if sys.stdin is None:
        sys.stdin = open(STDIN, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = _lasting(sys.stdout, STDOUT, "surrogateescape")
    sys.stderr = _lasting(sys.stderr, STDERR, "backslashreplace")


def _lasting(stream: Any, number: int, errors: str) -> io.TextIOWrapper:
    """What stands in for ``stream``, which may be None."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    raw = _Lasting(number, "w", closefd=False)
    buffered = io.BufferedWriter(raw)
    is_terminal = raw.isatty()
    return io.TextIOWrapper(
        buffered,
        encoding,
        getattr(stream, "errors", None) or errors,
        line_buffering=is_terminal or number == STDERR,
        write_through=number == STDERR,
    )
