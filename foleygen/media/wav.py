"""Sound files: mono WAV out, whatever libsndfile reads in."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.errors import ClipError, printable

_BLOCK = 1 << 16
FLOATS = ("FLOAT", "DOUBLE")


def write(path: Path, chunks: Iterable[NDArray[np.float32]], sample_rate: int, subtype: str = "PCM_24") -> int:
    """Write mono chunks, (n,) float32, as one WAV file; return the number of samples.

    A ``subtype`` of integers holds no more than [-1, 1]: what is louder is lowered before.

    Raises RetryableError when the disk is full, ClipError when the folder cannot be written.
    """
    samples = 0
    with publish(path) as temporary:
        with _disk_errors(temporary):
            file = soundfile.SoundFile(temporary, "w", sample_rate, 1, subtype, format="WAV")
        with file:
            for chunk in chunks:
                assert subtype in FLOATS or np.abs(chunk).max(initial=0) <= 1, "above full scale"
                with _disk_errors(temporary):
                    file.write(chunk)
                samples += len(chunk)
    return samples


@contextmanager
def _disk_errors(temporary: Path) -> Iterator[None]:
    """Turn soundfile's errors into OSError, for ``publish`` to explain; libsndfile hides the errno.

    A file that was made and takes no more bytes has no room left.
    """
    try:
        yield
    except (soundfile.LibsndfileError, AssertionError) as error:
        raise OSError(errno.ENOSPC if temporary.exists() else errno.EACCES, str(error)) from error


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples, (n,) float32, channels averaged to mono; and the sample rate in Hz. Raises ClipError."""
    with _explained(path):
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32)), int(sample_rate)


@dataclass(frozen=True)
class Recording:
    """A sound file, read from its beginning by each iteration: mono chunks (n,) float32."""

    path: Path
    sample_rate: int
    """Hz."""

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        with _explained(self.path):
            for block in soundfile.blocks(self.path, _BLOCK, dtype="float32", always_2d=True):
                yield np.ascontiguousarray(block.mean(axis=1, dtype=np.float32))


def recording(path: Path) -> Recording:
    """The sound file ``path``, of any length. Raises ClipError, now or while it is read."""
    with _explained(path):
        return Recording(path, int(soundfile.info(path).samplerate))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        raise ClipError(f"{printable(path)}: not a sound file that can be read", "give a WAV or FLAC file") from error
