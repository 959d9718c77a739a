"""The parts of one work, done by several threads at a time.

A kernel over one window is short: shared by two processors it takes hardly less time than on one, because they wait for
each other more often than they compute. Windows know nothing of each other, so each is left to one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Part = TypeVar("Part")
Made = TypeVar("Made")


class Crew:
    """As many threads as torch has on ``device``, which divide the processors among them."""

    def __init__(self, device: str) -> None:
        self._is_cpu = device == "cpu"

    def each(self, work: Callable[[Part], Made], parts: Sequence[Part]) -> list[Made]:
        """``work`` of every part, in order; some at a time on a CPU, and what it raises is raised.

        What a part becomes does not depend on the others, nor on how many threads there are, unless these are more
        than the parts.
        """
        processors = torch.get_num_threads()
        workers = min(processors, len(parts)) if self._is_cpu else 1
        if workers < 2:
            return [work(part) for part in parts]
        with _threads(processors // workers, processors), ThreadPoolExecutor(workers, "foleygen window") as pool:
            return list(pool.map(torch.inference_mode()(work), parts))


@contextmanager
def _threads(own: int, before: int) -> Iterator[None]:
    """Threads that begin inside have ``own`` processors each; afterwards this one has as many as ``before``."""
    torch.set_num_threads(own)
    try:
        yield
    finally:
        torch.set_num_threads(before)
