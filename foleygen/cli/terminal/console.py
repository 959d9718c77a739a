"""A batch on the terminal: results on stdout, everything else on stderr.

A batch is shown by one of three views: bars on a terminal, plain lines elsewhere, JSON events on request.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.batch import events
from foleygen.cli.terminal.journal import Journal
from foleygen.cli.terminal.reading import clock_time, real_time
from foleygen.cli.terminal.streams import is_interactive
from foleygen.cli.terminal.views import Clock, EventView, LineView, View
from foleygen.errors import printable

if TYPE_CHECKING:
    from foleygen.batch.events import Event, Report
    from foleygen.settings import Settings


@contextmanager
def open_console(settings: Settings, clock: Clock = time.monotonic) -> Iterator[Console]:
    """The console that suits ``settings`` and this process' streams; warnings logged by foleygen go through it."""
    view: View
    if settings.json:
        view = EventView(clock)
    elif settings.quiet:
        view = View()
    elif is_interactive(sys.stderr):
        from foleygen.cli.terminal.bars import BarView

        view = BarView(clock)
    else:
        view = LineView(clock)
    journal = None if settings.log_file is None else Journal(settings.log_file)
    console = Console(view, settings, journal)
    handler = _LogHandler(console)
    logger = logging.getLogger("foleygen")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if settings.verbose > 1 else logging.WARNING)
    try:
        yield console
    finally:
        view.close()
        logger.removeHandler(handler)
        if journal is not None:
            journal.close()


class Console:
    """Hears the batch's events, and tells them through its view."""

    def __init__(self, view: View, settings: Settings, journal: Journal | None = None) -> None:
        self._view = view
        self._journal = journal
        self._settings = settings

    def listen(self, event: Event) -> None:
        """Show ``event``; finished clips, failures and the summary are the same in every view."""
        self._view.show(event)
        if self._journal is not None:
            self._journal.listen(event)
        if isinstance(event, events.ClipDone):
            for warning in event.warnings:
                self.warn(_named_once(event.clip, warning))
            self._view.result(event.output)
        elif isinstance(event, events.Remark):
            self._talk(printable(event.text))
        elif isinstance(event, events.ClipPlanned):
            self._talk(f"would do: {printable(event.output)}{_because(event.reason)}", level=0)
            for path in event.overwrites:
                self._talk(f"would overwrite: {printable(path)}", level=0)
            self._view.result(event.output)
        elif isinstance(event, events.ClipSkipped):
            self._talk(
                f"skipped: {printable(event.output)}: {printable(event.reason)}",
                level=0 if self._settings.dry_run else 1,
            )
        elif isinstance(event, events.ClipStarted) and event.reason is not None:
            self._talk(f"redone: {printable(event.output)}{_because(event.reason)}", level=1)
        elif isinstance(event, events.ClipFailed):
            self._view.message(f"error: {printable(str(event.error))}")
            for line in event.trace.splitlines():
                self._talk(printable(line), level=2)
        elif isinstance(event, events.Finished):
            self._view.close()
            for line in summary(event.report):
                self._talk(printable(line))
                self._note("info", line)

    def left_out(self, path: Path, reason: str) -> None:
        """Say at ``-v`` that the walk leaves ``path`` out."""
        self._talk(f"left out: {printable(path)}: {reason}", level=1)

    def warn(self, text: str) -> None:
        """Say what is not as it should be."""
        self._talk(f"warning: {printable(text)}")
        self._note("warning", text)

    def fail(self, text: str) -> None:
        """Say what failed, with ``--quiet`` too."""
        self._view.message(f"error: {printable(text)}")
        self._note("error", text)

    def log(self, record: logging.LogRecord, text: str) -> None:
        """What a module of foleygen logged; below a warning only at ``-vv``."""
        for line in text.splitlines():
            self._talk(f"{record.levelname.lower()}: {printable(line)}")
            self._note(record.levelname.lower(), line)

    def _note(self, level: str, text: str) -> None:
        if self._journal is not None:
            self._journal.write(level, text)

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
        pace = real_time(report.sound_seconds, report.wall_seconds)
        text += f"; {clock_time(report.sound_seconds)} of sound in {clock_time(report.wall_seconds)} ({pace})"
    if report.cues_given:
        text += f"; {report.cues_kept} of {report.cues_given} cues kept"
    if report.stretches_given > report.stretches_heard:
        text += f"; {report.stretches_heard} of {report.stretches_given} stretches have their sound"
    if report.spotted_given:
        text += f"; {report.spotted_kept} of {report.spotted_given} cues kept that were seen"
    if report.elsewhere:
        text += f"; {report.total} of {report.total + report.elsewhere} clips were this run's"
    lines = [f"interrupted: {text}" if report.interrupted else text]
    if report.untried and report.fatal is None and not report.interrupted:
        lines.append(f"stopped after {len(report.failed)} failed; {report.untried} not tried")
    lines += [f"kept: {printable(each.output)}: {printable(each.reason)}" for each in report.kept]
    if report.timeline is not None:
        lines.append(f"timeline: {printable(report.timeline)}")
    if report.non_commercial is not None and report.done:
        lines.append(f"these weights are for non-commercial use only ({report.non_commercial}), and so is this sound")
    return lines


def _named_once(clip: Path, warning: str) -> str:
    """A clip's warning with its name, which some have already."""
    named = str(clip)
    return warning if warning.startswith((f"{named}:", f"{printable(clip)}:")) else f"{named}: {warning}"


def _because(reason: str | None) -> str:
    return "" if reason is None else f", because {printable(reason)}"


class _LogHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.log(record, self.format(record))
