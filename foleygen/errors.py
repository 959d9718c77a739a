"""The errors a user can cause or meet, and the exit codes they end in.

Every message is one sentence: the file, the fact, the next step.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from enum import IntEnum
from typing import NoReturn


class ExitCode(IntEnum):
    """What the process tells its caller; documented in docs/commands.md."""

    OK = 0
    """All clips done or validly skipped."""
    BUG = 1
    """An internal error."""
    USAGE = 2
    """A wrong option, argument or configuration."""
    SOME_FAILED = 3
    """Some clips failed, the others are done."""
    ALL_FAILED = 4
    """Every clip failed."""
    NO_CLIPS = 5
    """No clip was found."""
    ENVIRONMENT = 6
    """Weights, codec or device missing or unusable."""
    TRY_AGAIN = 75
    """Temporary: out of memory after backing off, or disk full."""
    INTERRUPTED = 130
    """SIGINT."""
    TERMINATED = 143
    """SIGTERM."""


def printable(name: str | os.PathLike[str]) -> str:
    """A name, or a text with names in it, with line breaks, control characters and undecodable bytes escaped.

    So it stays one line, and cannot steer a terminal.
    """
    text = os.fspath(name)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class FoleygenError(Exception):
    """Base of everything that foleygen raises on purpose.

    ``remedy`` is the next step for the user; ``str(error)`` joins both in one sentence.
    """

    exit_code = ExitCode.BUG

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class UsageError(FoleygenError):
    """A wrong option, argument or configuration value."""

    exit_code = ExitCode.USAGE


class ClipError(FoleygenError):
    """One clip cannot be read, or cannot be written as asked; the batch goes on."""

    exit_code = ExitCode.ALL_FAILED


class NoClipsError(FoleygenError):
    """The inputs hold no clip."""

    exit_code = ExitCode.NO_CLIPS


class SetupError(FoleygenError):
    """Weights, a codec, a library or the device is missing, damaged or unusable."""

    exit_code = ExitCode.ENVIRONMENT


class BundleError(SetupError):
    """A bundle of weights is missing, damaged, or not what it says it is."""


class RetryableError(FoleygenError):
    """Out of memory or disk full: the same command may succeed later."""

    exit_code = ExitCode.TRY_AGAIN


class Interrupted(BaseException):
    """A signal asked us to stop; cleans up like KeyboardInterrupt, knows its signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode(128 + self.signum)


_asked: list[int] = []
"""The signals that asked this process to stop."""


def interrupt(signum: int) -> NoReturn:
    """Raise Interrupted, and remember that: in a destructor or a class's body the exception is lost, or is another."""
    _asked.append(signum)
    raise Interrupted(signum)


def stop_asked() -> Interrupted | None:
    """What was raised when a signal asked this process to stop, whatever became of it."""
    return Interrupted(_asked[0]) if _asked else None


def check_stop() -> None:
    """Raise Interrupted once more, before something new is begun, if a signal asked for it and it was lost."""
    stop = stop_asked()
    if stop is not None:
        raise stop


def forget_stops() -> None:
    """What was asked is done."""
    _asked.clear()


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_MEMORY = (
    "allocate memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
    "failed to map segment",
    "can't start new thread",
    "not enough memory",
)
"""Parts of what allocators, the loader of libraries and Python's threads say where they raise no MemoryError."""


def shortage(error: BaseException, name: str) -> FoleygenError | None:
    """What ran out, if ``error`` or what led to it says so: memory, open files, space on a disk; ``name`` opens it."""
    for each in _chain(error):
        number = each.errno if isinstance(each, OSError) else None
        if number in (errno.EMFILE, errno.ENFILE) or "Too many open files" in str(each):
            return SetupError(f"{name}: too few files may be open at once", "raise the limit with 'ulimit -n 1024'")
        if isinstance(each, MemoryError) or number == errno.ENOMEM or any(text in str(each) for text in _NO_MEMORY):
            remedy = "close other programs, raise 'ulimit -v', or use a smaller --batch-size"
            return RetryableError(f"{name}: memory ran out", remedy)
        if number in _NO_SPACE:
            return RetryableError(f"{name}: no space left to write", "free some space and run the same command again")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
