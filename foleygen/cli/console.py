"""The only file that writes to the terminal: results on stdout, everything else on stderr.

A batch is shown by one of three views: bars on a terminal, plain lines elsewhere, JSON events on request.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from foleygen import __version__
from foleygen.batch import report as events
from foleygen.cli.reading import clock_time, readable, real_time, speed

if TYPE_CHECKING:
    from foleygen.batch.report import Event, Report
    from foleygen.config import Settings

LINE_INTERVAL_S = 10.0
EVENT_INTERVAL_S = 0.5
EVENT_VERSION = 1
MOST_COLUMNS = 160

Clock = Callable[[], float]


@contextmanager
def open_console(settings: Settings, clock: Clock = time.monotonic) -> Iterator[Console]:
    """The console that suits ``settings`` and this process' streams; warnings logged by foleygen go through it."""
    view: View
    if settings.json:
        view = EventView(clock)
    elif settings.quiet:
        view = View()
    elif is_interactive(sys.stderr):
        from foleygen.cli.bars import BarView

        view = BarView(clock)
    else:
        view = LineView(clock)
    console = Console(view, settings)
    handler = _LogHandler(console)
    logger = logging.getLogger("foleygen")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if settings.verbose > 1 else logging.WARNING)
    try:
        yield console
    finally:
        view.close()
        logger.removeHandler(handler)


def is_interactive(stream: Any) -> bool:
    """True where a line can be drawn over: a terminal that is not a dumb one."""
    return bool(stream.isatty()) and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def write_result(text: str) -> None:
    """One line of result on stdout; a path that is not text is written as its bytes."""
    _write(sys.stdout, os.fsencode(f"{text}\n"))


def write_note(text: str) -> None:
    """One line on stderr."""
    _write(sys.stderr, f"{text}\n".encode(sys.stderr.encoding or "ascii", "backslashreplace"))


def _write(stream: TextIO, line: bytes) -> None:
    """A reader who went away does not stop the work."""
    try:
        stream.flush()
        stream.buffer.write(line)
        stream.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_json(document: Any) -> None:
    """``document`` on stdout, on one line."""
    write_result(json.dumps(document))


def write_table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Rows on stdout in aligned columns; those in ``right`` are aligned right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        write_result("  ".join(cells).rstrip())


def draw(settings: Settings, rows: Callable[[int], Sequence[str]]) -> None:
    """Lines of a drawing on stderr, ``rows(width)``, as wide as the terminal; nothing with ``--quiet``."""
    if settings.quiet:
        return
    width = min(shutil.get_terminal_size((100, 24)).columns, MOST_COLUMNS)
    encoding = sys.stderr.encoding or "ascii"
    for row in rows(width):
        write_note(row.encode(encoding, "replace").decode(encoding))


class View:
    """How a batch looks; this one shows nothing but messages."""

    def show(self, event: Event) -> None:
        """Show that ``event`` happened."""

    def message(self, text: str) -> None:
        """One line on stderr."""
        write_note(text)

    def result(self, path: Path) -> None:
        """The path of a finished clip on stdout."""
        write_result(str(path))

    def close(self) -> None:
        """Leave the terminal as it was."""


class LineView(View):
    """Plain lines for pipes and logs: one per clip, and one every LINE_INTERVAL_S in between."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock()
        self._began: dict[Path, float] = {}
        self._count = 0
        self._total = 0

    def show(self, event: Event) -> None:
        now = self._clock()
        if isinstance(event, events.Started):
            self._total = event.total
        elif isinstance(event, events.ClipStarted):
            self._began[event.clip] = self._last = now
            self.message(f"{self._position()} {readable(event.clip)}: {clock_time(event.seconds)} of picture")
        elif isinstance(event, events.ClipProgress) and now - self._last >= LINE_INTERVAL_S:
            self._last = now
            progress = event.progress
            pace = speed(progress, now - self._began.get(progress.clip, now))
            self.message(f"  {readable(progress.clip)}: {progress.stage} {progress.done:.0%}{pace}")
        elif isinstance(event, events.ClipDone):
            outcome = event.outcome
            taken = f"{clock_time(outcome.seconds)}, {real_time(outcome.duration, outcome.seconds)}"
            self.message(f"  {readable(outcome.job.output)}: done in {taken}")

    def _position(self) -> str:
        self._count += 1
        return f"[{self._count}/{self._total}]"


class EventView(View):
    """One JSON object per line on stdout; docs/batches.md lists the events."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown = ("", -EVENT_INTERVAL_S)

    def show(self, event: Event) -> None:
        if isinstance(event, events.ClipProgress) and not self._is_news(event):
            return
        name, content = event_fields(event)
        write_json({"v": EVENT_VERSION, "event": name, **content})

    def result(self, path: Path) -> None:
        """The clip_done event says it."""

    def _is_news(self, event: events.ClipProgress) -> bool:
        stage = f"{event.progress.clip}:{event.progress.stage}"
        now = self._clock()
        if stage == self._shown[0] and now - self._shown[1] < EVENT_INTERVAL_S:
            return False
        self._shown = (stage, now)
        return True


class Console:
    """Hears the batch's events, and tells them through its view."""

    def __init__(self, view: View, settings: Settings) -> None:
        self._view = view
        self._settings = settings

    def listen(self, event: Event) -> None:
        """Show ``event``; finished clips, failures and the summary are the same in every view."""
        self._view.show(event)
        if isinstance(event, events.ClipDone):
            for warning in event.outcome.warnings:
                self._talk(f"warning: {readable(event.outcome.job.info.path)}: {warning}")
            self._view.result(event.outcome.job.output)
        elif isinstance(event, events.ClipPlanned):
            self._talk(f"would do: {readable(event.output)}{_because(event.reason)}", level=0)
            self._view.result(event.output)
        elif isinstance(event, events.ClipSkipped):
            self._talk(f"skipped: {readable(event.output)}: {event.reason}", level=0 if self._settings.dry_run else 1)
        elif isinstance(event, events.ClipStarted) and event.reason is not None:
            self._talk(f"redone: {readable(event.output)}{_because(event.reason)}", level=1)
        elif isinstance(event, events.ClipFailed):
            self._view.message(f"error: {readable(str(event.error))}")
            for line in "".join(traceback.format_exception(event.error)).splitlines():
                self._talk(readable(line), level=2)
        elif isinstance(event, events.Finished):
            self._view.close()
            for line in summary(event.report):
                self._talk(line)

    def left_out(self, path: Path, reason: str) -> None:
        """Say at ``-v`` that the walk leaves ``path`` out."""
        self._talk(f"left out: {readable(path)}: {reason}", level=1)

    def log(self, record: logging.LogRecord, text: str) -> None:
        """What a module of foleygen logged; below a warning only at ``-vv``."""
        for line in text.splitlines():
            self._talk(f"{record.levelname.lower()}: {readable(line)}")

    def _talk(self, text: str, level: int = 0) -> None:
        if not self._settings.quiet and self._settings.verbose >= level:
            self._view.message(text)


def summary(report: Report) -> list[str]:
    """The last lines of a batch."""
    counts = [
        f"{len(items)} {word}"
        for items, word in (
            (report.done, "done"),
            (report.planned, "to do"),
            (report.skipped, "skipped"),
            (report.failed, "failed"),
        )
        if items
    ]
    text = ", ".join(counts) or "nothing done"
    if report.done:
        pace = real_time(report.clip_seconds, report.wall_seconds)
        text += f"; {clock_time(report.clip_seconds)} of sound in {clock_time(report.wall_seconds)} ({pace})"
    lines = [f"interrupted: {text}" if report.interrupted else text]
    if report.non_commercial is not None and report.done:
        lines.append(f"these weights are for non-commercial use only ({report.non_commercial}), and so is this sound")
    return lines


def event_fields(event: Event) -> tuple[str, dict[str, Any]]:
    """Name and fields of the JSON event."""
    if isinstance(event, events.Started):
        return "start", {"total": event.total, "model": event.model, "version": __version__}
    if isinstance(event, events.ClipStarted):
        base = {"clip": str(event.clip), "output": str(event.output)}
        return "clip_start", {**base, "duration_s": event.seconds, "reason": event.reason}
    if isinstance(event, events.ClipProgress):
        progress = event.progress
        return "progress", {"clip": str(progress.clip), "stage": progress.stage, "done": round(progress.done, 4)}
    if isinstance(event, events.ClipPlanned | events.ClipSkipped):
        name = "clip_plan" if isinstance(event, events.ClipPlanned) else "clip_skip"
        return name, {"clip": str(event.clip), "output": str(event.output), "reason": event.reason}
    if isinstance(event, events.ClipDone):
        return "clip_done", _done_fields(event)
    if isinstance(event, events.ClipFailed):
        kind, error = type(event.error).__name__, event.error
        return "clip_error", {"clip": str(event.clip), "type": kind, "message": error.message, "remedy": error.remedy}
    return "summary", _summary_fields(event.report)


def _done_fields(event: events.ClipDone) -> dict[str, Any]:
    outcome = event.outcome
    return {
        "clip": str(outcome.job.info.path),
        "output": str(outcome.job.output),
        "sidecar": str(event.sidecar),
        "duration_s": outcome.duration,
        "seconds": round(outcome.seconds, 3),
        "stages_s": {stage: round(seconds, 3) for stage, seconds in outcome.stages.items()},
        "windows": outcome.windows,
        "cached_windows": outcome.cached_windows,
        "audio_codec": outcome.audio_codec,
        "warnings": list(outcome.warnings),
    }


def _summary_fields(report: Report) -> dict[str, Any]:
    counts = {name: len(getattr(report, name)) for name in ("done", "planned", "skipped", "failed")}
    return {
        "total": report.total,
        **counts,
        "clip_seconds": report.clip_seconds,
        "wall_seconds": round(report.wall_seconds, 3),
        "non_commercial": report.non_commercial,
        "interrupted": report.interrupted,
        "exit_code": None if report.interrupted else int(report.exit_code),
    }


def _because(reason: str | None) -> str:
    return "" if reason is None else f", because {reason}"


class _LogHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.log(record, self.format(record))
