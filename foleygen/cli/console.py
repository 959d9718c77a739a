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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from foleygen.batch import report as events
from foleygen.cli.events import document_of
from foleygen.cli.reading import clock_time, real_time, speed
from foleygen.errors import printable

if TYPE_CHECKING:
    from foleygen.batch.report import Event, Report
    from foleygen.config import Settings

LINE_INTERVAL_S = 10.0
EVENT_INTERVAL_S = 0.5
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


def write_bytes(content: bytes) -> None:
    """``content`` on stdout as it is."""
    _write(sys.stdout, content)


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
        self._total = 0

    def show(self, event: Event) -> None:
        now = self._clock()
        if isinstance(event, events.Started):
            self._total = event.total
        elif isinstance(event, events.ClipStarted):
            position = list(self._began).index(event.clip) + 1 if event.clip in self._began else len(self._began) + 1
            self._began[event.clip] = self._last = now
            length = clock_time(event.seconds)
            self.message(f"[{position}/{self._total}] {printable(event.clip)}: {length} of picture")
        elif isinstance(event, events.ClipProgress) and now - self._last >= LINE_INTERVAL_S:
            self._last = now
            pace = speed(event.done, event.seconds, now - self._began.get(event.clip, now))
            self.message(f"  {printable(event.clip)}: {event.stage} {event.done:.0%}{pace}")
        elif isinstance(event, events.ClipDone):
            taken = f"{clock_time(event.seconds)}, {real_time(event.duration, event.seconds)}"
            self.message(f"  {printable(event.output)}: done in {taken}{levels(event)}")


class EventView(View):
    """One JSON object per line on stdout; docs/batches.md lists the events."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown: dict[Path, tuple[set[str], float]] = {}

    def show(self, event: Event) -> None:
        if isinstance(event, events.ClipProgress) and not self._is_news(event):
            return
        if isinstance(event, events.ENDS):
            self._shown.pop(event.clip, None)
        document = document_of(event)
        if document is not None:
            write_json(document)

    def result(self, path: Path) -> None:
        """The clip_done event says it."""

    def _is_news(self, event: events.ClipProgress) -> bool:
        """The first of each stage of a clip, and what comes EVENT_INTERVAL_S after the last."""
        now = self._clock()
        stages, last = self._shown.setdefault(event.clip, (set(), now))
        if event.stage in stages and now - last < EVENT_INTERVAL_S:
            return False
        self._shown[event.clip] = (stages | {event.stage}, now)
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
            for warning in event.warnings:
                self._talk(f"warning: {printable(event.clip)}: {warning}")
            self._view.result(event.output)
        elif isinstance(event, events.ClipPlanned):
            self._talk(f"would do: {printable(event.output)}{_because(event.reason)}", level=0)
            self._view.result(event.output)
        elif isinstance(event, events.ClipSkipped):
            self._talk(f"skipped: {printable(event.output)}: {event.reason}", level=0 if self._settings.dry_run else 1)
        elif isinstance(event, events.ClipStarted) and event.reason is not None:
            self._talk(f"redone: {printable(event.output)}{_because(event.reason)}", level=1)
        elif isinstance(event, events.ClipFailed):
            self._view.message(f"error: {printable(str(event.error))}")
            for line in event.trace.splitlines():
                self._talk(printable(line), level=2)
        elif isinstance(event, events.Finished):
            self._view.close()
            for line in summary(event.report):
                self._talk(line)

    def left_out(self, path: Path, reason: str) -> None:
        """Say at ``-v`` that the walk leaves ``path`` out."""
        self._talk(f"left out: {printable(path)}: {reason}", level=1)

    def warn(self, text: str) -> None:
        """Say what is not as it should be."""
        self._talk(f"warning: {printable(text)}")

    def log(self, record: logging.LogRecord, text: str) -> None:
        """What a module of foleygen logged; below a warning only at ``-vv``."""
        for line in text.splitlines():
            self._talk(f"{record.levelname.lower()}: {printable(line)}")

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
    if report.elsewhere:
        text += f"; {report.total} of {report.total + report.elsewhere} clips were this run's"
    lines = [f"interrupted: {text}" if report.interrupted else text]
    if report.untried and report.fatal is None and not report.interrupted:
        lines.append(f"stopped after {len(report.failed)} failed; {report.untried} not tried")
    if report.timeline is not None:
        lines.append(f"timeline: {printable(report.timeline)}")
    if report.non_commercial is not None and report.done:
        lines.append(f"these weights are for non-commercial use only ({report.non_commercial}), and so is this sound")
    return lines


def levels(event: events.ClipDone) -> str:
    """``, -23.0 LUFS, peak -3.1 dBTP, 3 takes``, as far as they are known."""
    found = event.levels
    parts = [
        "" if found.integrated_lufs is None else f", {found.integrated_lufs:.1f} LUFS",
        "" if found.true_peak_dbtp is None else f", peak {found.true_peak_dbtp:.1f} dBTP",
        f", {len(event.takes)} takes" if len(event.takes) > 1 else "",
    ]
    return "".join(parts)


def _because(reason: str | None) -> str:
    return "" if reason is None else f", because {reason}"


class _LogHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.log(record, self.format(record))
