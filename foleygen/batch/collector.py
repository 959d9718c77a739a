"""Python's collector of cycles, which has nothing to do while libraries and models are loaded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting() -> Iterator[None]:
    """What is made inside, the first time, lasts as long as the process, and is never looked at by the collector.

    torch and the models are a quarter of a million objects: looking for cycles among them takes a tenth of a second
    meanwhile, and 0.4 s at the end of the process.
    """
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
        if was_at_work:
            gc.enable()
