"""The pictures of one clip, decoded in a thread of its own before anybody asks for them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing

from foleygen.media.beside import Beside
from foleygen.media.frames import Shot, Warn, shots
from foleygen.media.probe import ClipInfo

MAX_BYTES = 2**24
"""Of small pictures that wait for somebody to take them: 43 s of 64x64 pixels at 31.25 pictures a second."""
FEW_BYTES = 2**20
"""The same from then on."""


class Ahead(Beside[Shot | str]):
    """``frames.shots`` of a clip at ``size`` pixels, which begins at once; once its pictures are many, it waits."""

    def __init__(self, info: ClipInfo, size: int) -> None:
        self.began = time.monotonic()
        self._size = size
        self._is_taken = False
        super().__init__(_decoded(info, size), self._pictures(MAX_BYTES), "foleygen ahead")

    def take(self, size: int) -> bool:
        """Whether the caller may have the pictures, at ``size`` pixels; once."""
        is_free, self._is_taken = not self._is_taken and size == self._size, True
        with self._ready.mutex:
            self._ready.maxsize = min(self._ready.maxsize, self._pictures(FEW_BYTES))
        return is_free

    def shots(self, on_warning: Warn | None = None) -> Generator[Shot, None, None]:
        """The shots, in order, for one caller. Raises ClipError when nothing decodes."""
        for ready in self:
            if isinstance(ready, Shot):
                yield ready
            elif on_warning is not None:
                on_warning(ready)

    def _pictures(self, total: int) -> int:
        return max(1, total // (3 * self._size**2))


def _decoded(info: ClipInfo, size: int) -> Iterator[Shot | str]:
    """The shots of a clip, scaled, and what is to be warned of before each."""
    warnings: list[str] = []
    try:
        with closing(shots(info, size, warnings.append)) as found:
            for shot in found:
                _ = shot.picture  # scaled here, so that the frame is let go
                yield from warnings
                warnings.clear()
                yield shot
    except Exception:
        yield from warnings
        raise
    yield from warnings
