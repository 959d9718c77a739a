"""What the pipeline is asked for and what it tells; all of it can be pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from foleygen.errors import FoleygenError
from foleygen.facts import UNMEASURED, Bed, Loudness, Take, WindowFact
from foleygen.media.ahead import Ahead
from foleygen.media.probe import ClipInfo
from foleygen.regular import Seal
from foleygen.settings import AS_THE_RUN, ClipSettings


@dataclass(frozen=True)
class Job:
    """A clip and where its copy with sound goes."""

    info: ClipInfo
    output: Path
    own: ClipSettings = AS_THE_RUN
    """What is set for this clip alone."""
    ahead: Ahead | None = field(default=None, compare=False, repr=False)
    """Its pictures, where somebody has begun to decode them. Such a job stays in its process."""


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
    loudness: Loudness = UNMEASURED
    """Of the output's default track, gain and mix included."""
    window_facts: tuple[WindowFact, ...] = ()
    bed: Bed | None = None
    handle_pictures: int = 0
    """Pictures for which each wav sounds before the clip, and again after it."""
    repaired_joints: int = 0
    """Over all takes."""
    seal: Seal | None = None
    """Of the output, as it was written."""


@dataclass(frozen=True)
class Progress:
    """``done`` is the share (0..1) of the clip's work; ``stage`` what is being done."""

    clip: Path
    stage: str
    done: float
    clip_seconds: float


Report = Callable[[Progress], None]
