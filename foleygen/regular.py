"""What may lie under a name of ours: only a regular file is read, and whatever else is there is not waited for."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from foleygen.facts import stamp

_BLOCK = 1 << 20


class NotRegularError(OSError):
    """A pipe or a device."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The regular file ``path``, open to be read. Raises OSError: NotRegular for a pipe, without waiting for it."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise NotRegularError(errno.EINVAL, "not a regular file", os.fspath(path))
    flags = getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise NotRegularError(errno.EINVAL, "not a regular file", os.fspath(path))
        yield file


def read(path: Path, most: int) -> bytes:
    """The content of the regular file ``path``. Raises OSError, and ValueError for more than ``most`` bytes."""
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path}: has more than {most} bytes")
    return content


@dataclass(frozen=True)
class Seal:
    """What tells a file from every other one: its size, and the SHA-256 of its bytes in hex."""

    bytes: int
    sha256: str
    stamp: str | None = field(default=None, compare=False)
    """Of its size and time of change (``facts.stamp``), while nobody has copied or touched it."""


def seal(path: Path, offset: int = 0, size: int | None = None) -> Seal:
    """The seal of the file ``path`` as it is now, or of ``size`` bytes of it from ``offset``. Raises OSError."""
    digest, count = hashlib.sha256(), 0
    with opened(path) as file:
        file.seek(offset)
        while block := file.read(_BLOCK if size is None else min(_BLOCK, size - count)):
            digest.update(block)
            count += len(block)
    return Seal(count, digest.hexdigest(), stamp(path))
