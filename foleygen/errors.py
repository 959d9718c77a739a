"""The errors a user can cause or meet, and the exit codes they end in.

Every message is one sentence: the file, the fact, the next step.
"""

from __future__ import annotations

import os
from enum import IntEnum


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
