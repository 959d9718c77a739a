"""Sound files: WAV of one channel or two out, whatever libsndfile reads in."""

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
from foleygen.media.channels import in_stereo

_BLOCK = 1 << 16
FLOATS = ("FLOAT", "DOUBLE")


def write(
    path: Path, chunks: Iterable[NDArray[np.float32]], sample_rate: int, subtype: str = "PCM_24", channels: int = 1
) -> int:
    """Write chunks, (n,) or of two ``channels`` (2, n) float32, as one WAV file; return the number of samples.

    A ``subtype`` of integers holds no more than [-1, 1]: what is louder is lowered before.

    Raises RetryableError when the disk is full, ClipError when the folder cannot be written.
    """
    samples = 0
    with publish(path) as temporary:
        with _disk_errors(temporary):
            file = soundfile.SoundFile(temporary, "w", sample_rate, channels, subtype, format="WAV")
        with file:
            for chunk in chunks:
                assert subtype in FLOATS or np.abs(chunk).max(initial=0) <= 1, "above full scale"
                with _disk_errors(temporary):
                    file.write(np.ascontiguousarray(chunk.T))
                samples += chunk.shape[-1]
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
    """A sound file, read from its beginning by each iteration: chunks (n,) or (2, n) float32."""

    path: Path
    sample_rate: int
    """Hz."""
    channels: int = 1
    """As it is read, whatever it has: 1, the mean of its channels; 2, what is left and right of them."""

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        with _explained(self.path):
            for block in soundfile.blocks(self.path, _BLOCK, dtype="float32", always_2d=True):
                if self.channels == 1:
                    yield np.ascontiguousarray(block.mean(axis=1, dtype=np.float32))
                else:
                    yield np.ascontiguousarray(in_stereo(block.T))


def recording(path: Path, channels: int = 1) -> Recording:
    """The sound file ``path``, of any length, in 1 or 2 ``channels``. Raises ClipError, now or while it is read."""
    with _explained(path):
        return Recording(path, int(soundfile.info(path).samplerate), channels)


def channels(path: Path) -> int:
    """How many the sound file ``path`` has; its header is read. Raises ClipError."""
    with _explained(path):
        return int(soundfile.info(path).channels)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        raise ClipError(f"{printable(path)}: not a sound file that can be read", "give a WAV or FLAC file") from error
