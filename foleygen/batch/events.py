"""What a batch tells while it runs (events), and at its end (the report).

Events cross processes, so they hold plain values and errors, and importing them costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from foleygen.errors import ExitCode, FoleygenError, RetryableError, SetupError
from foleygen.facts import Loudness, Take


@dataclass(frozen=True)
class Started:
    """The batch begins: ``total`` clips, with this model."""

    total: int
    model: str


@dataclass(frozen=True)
class Opened:
    """A worker has verified its bundle; ``non_commercial`` is the licence if its sound may not be sold."""

    model: str
    non_commercial: str | None


@dataclass(frozen=True)
class Remark:
    """Something about the batch that is good to know; no warning."""

    text: str


@dataclass(frozen=True)
class Loading:
    """A worker puts its models on the device; ``done`` when they are there."""

    done: bool


@dataclass(frozen=True)
class ClipStarted:
    """Work on a clip of ``seconds`` begins; ``reason`` says why it is done again."""

    clip: Path
    output: Path
    seconds: float
    reason: str | None


@dataclass(frozen=True)
class ClipProgress:
    """``done`` is the share (0..1) of the clip's work; ``stage`` what is being done."""

    clip: Path
    stage: str
    done: float
    seconds: float


@dataclass(frozen=True)
class ClipPlanned:
    """Dry run: this clip would be done."""

    clip: Path
    output: Path
    reason: str | None
    overwrites: tuple[Path, ...] = ()
    """Files that would be replaced."""


@dataclass(frozen=True)
class ClipSkipped:
    """The finished clip stays as it is."""

    clip: Path
    output: Path
    reason: str
    is_kept: bool = False
    """It would have been made again, but its editor has picked, edited or locked it."""


@dataclass(frozen=True)
class ClipDone:
    """A finished clip and its sidecar are in place; ``duration`` is the clip's, ``seconds`` is what it took."""

    clip: Path
    output: Path
    sidecar: Path
    duration: float
    seconds: float
    stages: Mapping[str, float]
    windows: int
    cached_windows: int
    audio_codec: str
    loudness: Loudness
    """Of the finished clip's default track."""
    warnings: tuple[str, ...] = ()
    takes: tuple[Take, ...] = ()

    @property
    def sound_seconds(self) -> float:
        """Of all its takes together."""
        return self.duration * max(1, len(self.takes))


@dataclass(frozen=True)
class ClipFailed:
    """A clip has no output, and why; ``trace`` is for those who look for a bug."""

    clip: Path
    output: Path
    error: FoleygenError
    trace: str = ""


@dataclass
class Report:
    """The counts of a batch; grows with its events."""

    total: int = 0
    elsewhere: int = 0
    """Clips that were found and are not this run's: those of other shards, or that did not fail before."""
    done: list[Path] = field(default_factory=list)
    planned: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    kept: list[ClipSkipped] = field(default_factory=list)
    """Those of the skipped that their editors have picked, edited or locked."""
    failed: list[ClipFailed] = field(default_factory=list)
    cues_given: int = 0
    cues_kept: int = 0
    """Cues at which something begins in the finished clips."""
    spotted_given: int = 0
    spotted_kept: int = 0
    """The same of cues that nobody gave, but were seen in the picture."""
    stretches_given: int = 0
    stretches_heard: int = 0
    """Stretches with a sound that is heard in the finished clips."""
    clip_seconds: float = 0.0
    sound_seconds: float = 0.0
    """Of all takes that were made."""
    wall_seconds: float = 0.0
    non_commercial: str | None = None
    """Licence of the bundle if its sound may not be sold."""
    interrupted: bool = False
    fatal: FoleygenError | None = None
    """What ended the batch as a whole."""
    timeline: Path | None = None
    """The timeline that was written."""

    def hear(self, event: Event) -> None:
        """Count what ``event`` tells."""
        if isinstance(event, Opened):
            self.non_commercial = event.non_commercial
        elif isinstance(event, ClipDone):
            self.done.append(event.output)
            self.clip_seconds += event.duration
            self.sound_seconds += event.sound_seconds
            kept = event.takes[0].obedience if event.takes else None
            if kept is not None:
                self.stretches_given += kept.lasting
                self.stretches_heard += kept.heard
            if kept is not None and kept.spotted:
                self.spotted_given += kept.given
                self.spotted_kept += kept.kept
            elif kept is not None:
                self.cues_given += kept.given
                self.cues_kept += kept.kept
        elif isinstance(event, ClipSkipped):
            self.skipped.append(event.output)
            self.kept += [event] if event.is_kept else []
        elif isinstance(event, ClipPlanned):
            self.planned.append(event.output)
        elif isinstance(event, ClipFailed):
            self.failed.append(event)

    @property
    def untried(self) -> int:
        """Clips that the batch did not come to."""
        return self.total - len(self.done) - len(self.planned) - len(self.skipped) - len(self.failed)

    @property
    def exit_code(self) -> ExitCode:
        """Contract 6: what the process ends with, signals aside."""
        if self.fatal is not None:
            return self.fatal.exit_code
        errors = [failure.error for failure in self.failed]
        if self.total == 0 and self.elsewhere == 0:
            return ExitCode.NO_CLIPS
        if not errors:
            return ExitCode.OK
        if any(error.exit_code == ExitCode.BUG for error in errors):
            return ExitCode.BUG
        if any(isinstance(error, RetryableError) for error in errors):
            return ExitCode.TRY_AGAIN
        if len(errors) < self.total:
            return ExitCode.SOME_FAILED
        if all(isinstance(error, SetupError) for error in errors):
            return ExitCode.ENVIRONMENT
        return ExitCode.ALL_FAILED


@dataclass(frozen=True)
class Finished:
    """The batch is over, or was interrupted."""

    report: Report


Event = (
    Started
    | Remark
    | Opened
    | Loading
    | ClipStarted
    | ClipProgress
    | ClipPlanned
    | ClipSkipped
    | ClipDone
    | ClipFailed
    | Finished
)
ENDS = (ClipPlanned, ClipSkipped, ClipDone, ClipFailed)
"""What may become of a clip: each ends in exactly one of these."""
Listener = Callable[[Event], None]
