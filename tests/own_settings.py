"""Settings of one clip alone, as tests carry them; in a module of its own, which other processes import."""

from __future__ import annotations

from dataclasses import dataclass

from foleygen.settings import ClipSettings


@dataclass(frozen=True)
class Spoken(ClipSettings):
    """Two settings that mean nothing to the pipeline."""

    words: str | None = None
    lines: tuple[float, ...] = ()
