"""Chunks that are made in one thread while the caller works on those before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

Chunk = TypeVar("Chunk")
_AHEAD = 2
"""Chunks that wait, at most."""


class _End:
    """There are no more; ``error`` is why, if it is no good reason."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def beside(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The same chunks in the same order. Raises what making them raised; the thread ends with the iteration."""
    ready: Queue[Chunk | _End] = Queue(_AHEAD)
    stopped = Event()
    thread = Thread(target=_fill, args=(ready, chunks, stopped), name="foleygen beside", daemon=True)
    thread.start()
    try:
        while not isinstance(chunk := ready.get(), _End):
            yield chunk
        if chunk.error is not None:
            raise chunk.error
    finally:
        stopped.set()
        while not ready.empty():
            ready.get_nowait()
        thread.join()


def _fill(ready: Queue[Chunk | _End], chunks: Iterable[Chunk], stopped: Event) -> None:
    try:
        for chunk in chunks:
            ready.put(chunk)
            if stopped.is_set():
                return
        ready.put(_End())
    except BaseException as error:
        ready.put(_End(error))
