"""The outline of a sound, small enough to be drawn in a line of text."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def peaks(chunks: Iterable[NDArray[np.float32]], total: int, count: int = 64) -> tuple[float, ...]:
    """The largest absolute value, at most 1, in each of ``count`` equal parts of a sound of ``total`` samples.

    ``chunks`` are (n,) or (2, n) float32, of which the larger of two channels counts; samples that lack are silence,
    samples beyond ``total`` do not count.
    """
    edges = np.arange(count + 1, dtype=np.int64) * total // count
    found = np.zeros(count, np.float32)
    position = 0
    for chunk in chunks:
        sound = np.abs(np.atleast_2d(chunk)[:, : max(0, total - position)]).max(axis=0)
        for part in range(*_parts(edges, position, position + len(sound))):
            first, last = edges[part : part + 2] - position
            found[part] = max(found[part], sound[max(0, first) : max(0, last)].max(initial=0))
        position += len(sound)
    return tuple(float(value) for value in np.minimum(found, 1))


def _parts(edges: NDArray[np.int64], first: int, last: int) -> tuple[int, int]:
    """The range of the parts that the samples from ``first`` to ``last`` reach into."""
    if first == last:
        return 0, 0
    return int(np.searchsorted(edges, first, "right")) - 1, int(np.searchsorted(edges, last, "left"))
