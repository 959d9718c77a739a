"""What the pipeline is asked for and what it tells; all of it can be pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.errors import FoleygenError
from foleygen.media.probe import ClipInfo

if TYPE_CHECKING:
    from foleygen.media.loudness import Loudness


@dataclass(frozen=True)
class Job:
    """A clip and where its copy with sound goes."""

    info: ClipInfo
    output: Path


@dataclass(frozen=True)
class Take:
    """One version of a clip's sound."""

    number: int
    loudness: Loudness
    """Of the track as the model made it, before any gain."""
    gain_db: float
    """What brings it to the loudness asked for; 0 where none was."""
    onsets: tuple[float, ...]
    """Seconds after the first picture at which sounds begin, ascending."""
    peaks: tuple[float, ...]
    """Largest magnitudes (0..1) of 64 stretches of equal length."""
    stem: Path | None
    """Its wav file."""


@dataclass(frozen=True)
class Bed:
    """The ambience under a clip's sound, on a track of its own."""

    prompt: str
    tags: tuple[str, ...]
    """What was taken from the prompt; empty where all of its words count."""
    loudness: Loudness
    """As it was made."""
    gain_db: float
    """What its track adds to it."""
    stem: Path | None
    """Its wav file."""


@dataclass(frozen=True)
class WindowFact:
    """One window of the clip's picture, and the seed of the noise that its first take was made from."""

    start_s: float
    seconds: float
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What became of a job; ``error`` is None when the output exists."""

    job: Job
    seconds: float
    duration: float
    windows: int
    cached_windows: int
    stages: Mapping[str, float]
    audio_codec: str
    warnings: tuple[str, ...]
    error: FoleygenError | None
    takes: tuple[Take, ...] = ()
    """The first is in the output."""
    loudness: Loudness | None = None
    """Of the output's default track, gain and mix included."""
    window_facts: tuple[WindowFact, ...] = ()
    bed: Bed | None = None
    repaired_joints: int = 0
    """Over all takes."""


@dataclass(frozen=True)
class Progress:
    """``done`` is the share (0..1) of the clip's work; ``stage`` what is being done."""

    clip: Path
    stage: str
    done: float
    clip_seconds: float


Report = Callable[[Progress], None]
