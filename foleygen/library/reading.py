"""Sound files as libsndfile reads them, whatever they are called. C channels, S samples."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from foleygen import regular
from foleygen.errors import ClipError, printable


@contextmanager
def opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """The sound file ``path``, open. Raises ClipError, also for what is read of it inside."""
    try:
        with regular.opened(path):  # a pipe would be waited for
            pass
        # soundfile refuses names that are no text, but not their bytes.
        with soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path)) as file:
            yield file
    except regular.NotRegularError as error:
        raise ClipError(f"{printable(path)}: not a regular file", "give a sound file") from error
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
        fact = f"{printable(path)}: not a sound file that can be read ({reason.strip().rstrip('.')})"
        raise ClipError(fact, "replace it, or convert it to WAV") from error


def part(path: Path, first: int, last: int) -> NDArray[np.float32]:
    """Samples (C, S) from ``first`` to ``last``, or to the end. Raises ClipError."""
    with opened(path) as file:
        file.seek(min(first, file.frames))
        samples = file.read(max(0, last - first), dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T)
