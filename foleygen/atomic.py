"""Files appear whole or not at all (contract 5 of docs/design.md)."""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foleygen.errors import ClipError, RetryableError, printable
from foleygen.regular import Seal, seal

PART_MARK = "part-"
ABANDONED_S = 24 * 3600.0
"""Seconds after which a part is nobody's any more, whoever made it."""

_PART = re.compile(rf"\.{re.escape(PART_MARK)}(?P<owner>.+)-(?P<pid>[0-9]+)-[0-9a-f]{{8}}(\..*)?")
_swept: set[str] = set()


@contextmanager
def publish(destination: Path, seals: list[Seal] | None = None) -> Iterator[Path]:
    """Yield a hidden temporary path beside ``destination``; rename it there on success.

    The temporary keeps the destination's suffix, is flushed to disk before the rename, and is
    removed on any exception or signal; its seal goes to ``seals`` before any other program can know it. What killed
    processes left in the folder is removed too.
    Raises RetryableError when the disk is full, ClipError when the folder cannot be written or goes away meanwhile.
    """
    name = f".{PART_MARK}{_owner()}-{os.getpid()}-{os.urandom(4).hex()}"
    temporary = destination.parent / f"{name}{destination.suffix}"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(destination.parent)
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        if seals is not None:
            seals.append(seal(temporary))
        os.replace(temporary, destination)
    except OSError as error:
        raise _explained(error, destination) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """True for the temporaries of ``publish``, whoever left them."""
    return path.name.startswith(f".{PART_MARK}")


def sweep(folder: Path) -> None:
    """Remove the parts in ``folder`` whose process of this machine is gone, and those older than ABANDONED_S."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _is_abandoned(entry):
                with suppress(OSError):  # another process sweeps too
                    os.unlink(entry.path)


def _sweep_once(folder: Path) -> None:
    place = os.path.realpath(folder)
    if place not in _swept:
        _swept.add(place)
        sweep(folder)


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    part = _PART.fullmatch(entry.name)
    if part is None or not entry.is_file(follow_symlinks=False):
        return False
    if part["owner"] == _owner() and not _is_running(int(part["pid"])):
        return True
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_S


def _owner() -> str:
    """This machine and, where containers share its name, the space in which its process ids count."""
    try:
        return f"{socket.gethostname()}.{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def _is_running(pid: int) -> bool:
    if os.name != "posix":
        return True  # os.kill would end it there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and only its parent does not know yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return state[:1] == ["Z"]


def _explained(error: OSError, destination: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return RetryableError(
            f"{printable(destination)}: no space left to write it", "free some space and run the same command again"
        )
    if error.errno == errno.EISDIR and destination.is_dir():
        return ClipError(f"{printable(destination)}: a folder is in its place", "move it")
    if error.errno in (errno.ENOENT, errno.ESTALE) and _is_gone(error, destination):
        return ClipError(
            f"{printable(destination)}: it, or its folder, was removed while it was written",
            "run the same command again",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return ClipError(
            f"{printable(destination)}: the folder cannot be written ({error.strerror})",
            "choose another one with -o/--output",
        )
    return error


def _is_gone(error: OSError, destination: Path) -> bool:
    """Whether what was not found is the temporary or its folder, and not a file that was read."""
    named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return not destination.parent.is_dir() or any(is_part(name) for name in named)
