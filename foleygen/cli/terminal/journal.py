"""``--log-file``: one line for each event of a batch, with its time; nothing is drawn, and nothing is overwritten."""

from __future__ import annotations

import logging
import os
import stat
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.batch import events
from foleygen.cli.terminal.reading import clock_time
from foleygen.cli.terminal.views import levels
from foleygen.errors import UsageError, printable

if TYPE_CHECKING:
    from foleygen.batch.events import Event


class Journal:
    """A file that grows by a line at a time, which several processes may share."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError for a file that cannot be written."""
        self._path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, flags, 0o666)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its name cannot be one"
            raise UsageError(f"--log-file: {path} cannot be written ({reason})", "name another file") from error
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            self.close()
            raise UsageError(f"--log-file: {path} is not a regular file", "name another file")

    def write(self, level: str, text: str) -> None:
        """One line; a full disk does not stop the work."""
        time = datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = f"{time} {os.getpid()} {level} {printable(text)}\n"
        try:
            os.write(self._file, line.encode("utf-8", "backslashreplace"))
        except OSError as error:
            logging.getLogger(__name__).debug("%s: %s", self._path, error)

    def listen(self, event: Event) -> None:
        """The line of ``event``, if it has one."""
        line = _line(event)
        if line is not None:
            self.write(*line)

    def close(self) -> None:
        os.close(self._file)


def _line(event: Event) -> tuple[str, str] | None:
    if isinstance(event, events.Started):
        return "info", f"begun: {event.total} clips, model {event.model}"
    if isinstance(event, events.ClipStarted):
        return "info", f"started: {event.clip}" + (f", because {event.reason}" if event.reason else "")
    if isinstance(event, events.ClipDone):
        return "info", f"done: {event.output} in {clock_time(event.seconds)}{levels(event)}"
    if isinstance(event, events.ClipSkipped):
        return "info", f"{'kept' if event.is_kept else 'skipped'}: {event.output}: {event.reason}"
    if isinstance(event, events.ClipPlanned):
        return "info", f"would do: {event.output}"
    if isinstance(event, events.ClipFailed):
        return "error", f"failed: {event.error}"
    return None
