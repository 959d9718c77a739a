"""A sound track, earlier or later than its picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 16


def delayed(chunks: Iterable[NDArray[np.float32]], late: int, total: int) -> Iterator[NDArray[np.float32]]:
    """The chunks (n,), ``total`` samples in all, ``late`` samples later; earlier where that is negative.

    What moves out of the track is lost, what is missing is silence: it stays ``total`` samples long.
    """
    left, early = total, max(0, -late)
    for chunk in _silence(min(total, max(0, late))):
        left -= len(chunk)
        yield chunk
    for chunk in chunks:
        kept = chunk[early : early + left]
        early = max(0, early - len(chunk))
        left -= len(kept)
        if len(kept):
            yield kept
    yield from _silence(left)


def _silence(samples: int) -> Iterator[NDArray[np.float32]]:
    for begin in range(0, samples, _CHUNK):
        yield np.zeros(min(_CHUNK, samples - begin), np.float32)
