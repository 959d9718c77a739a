"""A bed of ambience of any length, window by window."""

from __future__ import annotations

from collections.abc import Iterator

from foleygen.ambience.inpaint import Ask
from foleygen.ambience.outpaint import continued
from foleygen.engines.composer import Composer, Samples


def bed(composer: Composer, ask: Ask, total: int) -> Iterator[Samples]:
    """Mono chunks (n,), in all ``total`` samples at the composer's rate; in memory is one window."""
    left = total
    for chunk in continued(composer, ask):
        yield chunk[0, :left]
        left -= min(left, chunk.shape[1])
        if not left:
            return
