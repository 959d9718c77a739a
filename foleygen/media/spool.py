"""Sound that must be heard twice, kept in memory or, where it is long, on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
_CHUNK = 1 << 16
IN_MEMORY_BYTES = 64 * 1024**2


class Spool:
    """The samples of ``chunks``, (n,) float32, as often as they are asked for; a context that lets them go."""

    def __init__(self, chunks: Iterable[Samples]) -> None:
        self.samples = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        for chunk in chunks:
            self._file.write(np.ascontiguousarray(chunk, np.float32).tobytes())
            self.samples += len(chunk)

    def __iter__(self) -> Iterator[Samples]:
        self._file.seek(0)
        while block := self._file.read(_CHUNK * 4):
            yield np.frombuffer(block, np.float32)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
