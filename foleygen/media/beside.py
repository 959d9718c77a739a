"""Chunks that are made in one thread while the caller works on those before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from queue import Queue
from threading import Event, Thread
from typing import Generic, TypeVar

Chunk = TypeVar("Chunk")
_AHEAD = 2
"""Chunks that wait, at most."""


class _End:
    """There are no more; ``error`` is why, if it is no good reason."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Beside(Generic[Chunk]):
    """``chunks`` that are made from now on in a thread of its own, which waits once ``most`` of them are not taken."""

    def __init__(self, chunks: Iterable[Chunk], most: int, name: str) -> None:
        self._ready: Queue[Chunk | _End] = Queue(most)
        self._stopped = Event()
        self._thread = Thread(target=self._fill, args=(chunks,), name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Chunk]:
        """All of them in order, for one caller. Raises what making them raised."""
        while not isinstance(chunk := self._ready.get(), _End):
            yield chunk
        if chunk.error is not None:
            raise chunk.error

    def close(self) -> None:
        """Make no more, and wait until the thread is done with the one at hand."""
        self._stopped.set()
        while not self._ready.empty():
            self._ready.get_nowait()
        self._thread.join()

    def _fill(self, chunks: Iterable[Chunk]) -> None:
        try:
            for chunk in chunks:
                self._ready.put(chunk)
                if self._stopped.is_set():
                    return
            self._ready.put(_End())
        except BaseException as error:
            self._ready.put(_End(error))


def beside(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The same chunks in the same order. Raises what making them raised; the thread ends with the iteration."""
    with closing(Beside(chunks, _AHEAD, "foleygen beside")) as made:
        yield from made
