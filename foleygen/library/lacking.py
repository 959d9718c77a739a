"""What was measured of a recording -> why nothing in it can be played, if so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lack:
    """Why nothing of a recording can be played."""

    fact: str
    remedy: str | None = None
    """None: it is a sound like others, and no fault of the file."""


UNSTEADY = Lack("has no hit, and nothing that goes on at one level for a second")
SILENT = Lack("is silent, or all but silent, so that nothing can be played of it", "record it again, or take it out")
CANCELLED = Lack(
    "left and right cancel each other, so that nothing is found in their mean and nothing can be played",
    "turn one of them over, or keep one side",
)


def lack(events: int, steady: int, noise_db: float | None, is_stereo: bool) -> Lack | None:
    """Of a recording with so many events and steady stretches; ``noise_db`` and ``is_stereo`` as in ``Recording``."""
    if events or steady:
        return None
    if noise_db is not None:
        return UNSTEADY
    return CANCELLED if is_stereo else SILENT
