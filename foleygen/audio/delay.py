"""A sound track, earlier or later than its picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 16


def delayed(
    chunks: Iterable[NDArray[np.float32]], late: int, total: int, channels: int = 1
) -> Iterator[NDArray[np.float32]]:
    """The chunks (n,), ``total`` samples in all, ``late`` samples later; earlier where that is negative.

    Of two ``channels`` they are (2, n). What moves out of the track is lost, what is missing is silence: it stays
    ``total`` samples long.
    """
    left, early = total, max(0, -late)
    for chunk in _silence(min(total, max(0, late)), channels):
        left -= chunk.shape[-1]
        yield chunk
    for chunk in chunks:
        kept = chunk[..., early : early + left]
        early = max(0, early - chunk.shape[-1])
        left -= kept.shape[-1]
        if kept.shape[-1]:
            yield kept
    yield from _silence(left, channels)


def _silence(samples: int, channels: int) -> Iterator[NDArray[np.float32]]:
    for begin in range(0, samples, _CHUNK):
        count = min(_CHUNK, samples - begin)
        yield np.zeros(count if channels == 1 else (channels, count), np.float32)
