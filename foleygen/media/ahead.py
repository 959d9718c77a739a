"""The pictures of one clip, decoded in a thread of its own before anybody asks for them."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from queue import Full, Queue
from threading import Event, Thread

from foleygen.media.frames import Shot, Warn, shots
from foleygen.media.probe import ClipInfo

MAX_BYTES = 2**24
"""Of small pictures that wait for somebody to take them: 43 s of 64x64 pixels at 31.25 pictures a second."""
FEW_BYTES = 2**20
"""The same from then on."""
_POLL_S = 0.05


class Ahead:
    """``frames.shots`` of a clip at ``size`` pixels, which begins at once; once its pictures are many, it waits."""

    def __init__(self, info: ClipInfo, size: int) -> None:
        self.began = time.monotonic()
        self._info, self._size = info, size
        self._ready: Queue[Shot | str | Exception | None] = Queue(self._pictures(MAX_BYTES))
        self._stopped = Event()
        self._is_taken = False
        self._thread = Thread(target=self._decode, name="foleygen ahead", daemon=True)
        self._thread.start()

    def take(self, size: int) -> bool:
        """Whether the caller may have the pictures, at ``size`` pixels; once."""
        is_free, self._is_taken = not self._is_taken and size == self._size, True
        with self._ready.mutex:
            self._ready.maxsize = min(self._ready.maxsize, self._pictures(FEW_BYTES))
        return is_free

    def shots(self, on_warning: Warn | None = None) -> Generator[Shot, None, None]:
        """The shots, in order, for one caller. Raises ClipError when nothing decodes."""
        while (ready := self._ready.get()) is not None:
            if isinstance(ready, Exception):
                raise ready
            if isinstance(ready, Shot):
                yield ready
            elif on_warning is not None:
                on_warning(ready)

    def close(self) -> None:
        """Stop decoding, and wait until the clip is closed."""
        self._stopped.set()
        self._thread.join()

    def _pictures(self, total: int) -> int:
        return max(1, total // (3 * self._size**2))

    def _decode(self) -> None:
        try:
            with closing(shots(self._info, self._size, self._warn)) as found:
                for shot in found:
                    _ = shot.picture  # scaled here, so that the frame is let go
                    if not self._put(shot):
                        return
        except Exception as error:
            self._put(error)
        self._put(None)

    def _warn(self, fact: str) -> None:
        self._put(fact)

    def _put(self, ready: Shot | str | Exception | None) -> bool:
        """False once nobody wants any more."""
        while not self._stopped.is_set():
            try:
                self._ready.put(ready, timeout=_POLL_S)
            except Full:
                continue
            return True
        return False
