"""Files appear whole or not at all (contract 5 of docs/design.md)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foleygen.errors import ClipError, RetryableError

PART_MARK = ".part-"


@contextmanager
def publish(destination: Path) -> Iterator[Path]:
    """Yield a hidden temporary path beside ``destination``; rename it there on success.

    The temporary keeps the destination's suffix, is flushed to disk before the rename, and is
    removed on any exception or signal. Raises RetryableError when the disk is full, ClipError
    when the folder cannot be written.
    """
    name = f".{PART_MARK}{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
    temporary = destination.parent / f"{name}{destination.suffix}"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, destination)
    except OSError as error:
        raise _explained(error, destination) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """True for the temporaries of ``publish``, whoever left them."""
    return path.name.startswith(f".{PART_MARK}")


def _explained(error: OSError, destination: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return RetryableError(
            f"{destination}: no space left to write it", "free some space and run the same command again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return ClipError(
            f"{destination}: the folder cannot be written ({error.strerror})",
            "choose another one with -o/--output",
        )
    return error
