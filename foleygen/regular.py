"""What may lie under a name of ours: only a regular file is read, and whatever else is there is not waited for."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 20


class NotRegular(OSError):
    """A folder, a pipe or a device."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The regular file ``path``, open to be read. Raises OSError: NotRegular for a pipe, without waiting for it."""
    flags = getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise NotRegular(errno.EINVAL, "not a regular file", os.fspath(path))
        yield file


def read(path: Path, most: int) -> bytes:
    """The content of the regular file ``path``. Raises OSError, and ValueError where it has more than ``most`` bytes."""
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path}: has more than {most} bytes")
    return content


@dataclass(frozen=True)
class Seal:
    """What tells a file from every other one: its bytes, their SHA-256, and when they were written (ns since 1970)."""

    bytes: int
    sha256: str
    mtime_ns: int

    def holds(self, path: Path) -> bool:
        """Whether ``path`` is the file that was sealed; read only where its size is right and its time is not.

        Raises OSError.
        """
        status = os.stat(path)
        if status.st_size != self.bytes or not stat.S_ISREG(status.st_mode):
            return False
        return status.st_mtime_ns == self.mtime_ns or seal(path).sha256 == self.sha256


def seal(path: Path) -> Seal:
    """The seal of the file ``path`` as it is now. Raises OSError."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
        status = os.fstat(file.fileno())
    return Seal(status.st_size, digest.hexdigest(), status.st_mtime_ns)
