"""What a batch tells while it runs (events), and at its end (the report)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.errors import ExitCode, FoleygenError, RetryableError, SetupError

if TYPE_CHECKING:
    from foleygen.pipeline import Outcome, Progress


@dataclass
class Report:
    """The counts of a batch; grows while it runs."""

    total: int = 0
    done: list[Path] = field(default_factory=list)
    planned: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, FoleygenError]] = field(default_factory=list)
    clip_seconds: float = 0.0
    wall_seconds: float = 0.0
    non_commercial: str | None = None
    """Licence of the bundle if its sound may not be sold."""
    interrupted: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """Contract 6: what the process ends with, signals aside."""
        errors = [error for _, error in self.failed]
        if self.total == 0:
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
class Started:
    """The batch begins: ``total`` clips, with this model on this device."""

    total: int
    model: str


@dataclass(frozen=True)
class ClipStarted:
    """Work on a clip begins; ``reason`` says why a finished one is redone."""

    clip: Path
    output: Path
    seconds: float
    reason: str | None


@dataclass(frozen=True)
class ClipProgress:
    """Work on a clip goes on."""

    progress: Progress


@dataclass(frozen=True)
class ClipPlanned:
    """Dry run: this clip would be done."""

    clip: Path
    output: Path
    reason: str | None


@dataclass(frozen=True)
class ClipSkipped:
    """The finished clip stays as it is."""

    clip: Path
    output: Path
    reason: str


@dataclass(frozen=True)
class ClipDone:
    """A finished clip and its sidecar are in place."""

    outcome: Outcome
    sidecar: Path


@dataclass(frozen=True)
class ClipFailed:
    """A clip has no output, and why."""

    clip: Path
    error: FoleygenError


@dataclass(frozen=True)
class Finished:
    """The batch is over, or was interrupted."""

    report: Report


Event = Started | ClipStarted | ClipProgress | ClipPlanned | ClipSkipped | ClipDone | ClipFailed | Finished
Listener = Callable[[Event], None]
