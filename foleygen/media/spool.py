"""Sound that must be heard twice, kept in memory or, where it is long, on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from foleygen.media.channels import chunk_of, frames

Samples = NDArray[np.float32]
_CHUNK = 1 << 16
IN_MEMORY_BYTES = 64 * 1024**2


class Spool:
    """The ``chunks``, (n,) or (2, n) float32, as often as they are asked for; a context that lets them go."""

    def __init__(self, chunks: Iterable[Samples]) -> None:
        self.samples, self.channels = 0, 1
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        for chunk in chunks:
            self.channels = chunk.ndim
            self._file.write(frames(chunk))
            self.samples += chunk.shape[-1]

    def __iter__(self) -> Iterator[Samples]:
        self._file.seek(0)
        while block := self._file.read(_CHUNK * 4 * self.channels):
            yield chunk_of(block, self.channels)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
