"""How often the threads of a run take the interpreter from each other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERVAL_S = 3e-5
"""How long one thread may keep it from another, which asks for it between any two kernels, or pictures."""


@contextmanager
def often() -> Iterator[None]:
    """Whoever waits for the interpreter has it at once, not after 5 ms."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
