"""How far a training is: a bar on a terminal, a line every ten seconds elsewhere. Only for stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from foleygen.cli.terminal.reading import clock_time
from foleygen.cli.terminal.streams import is_interactive, write_note
from foleygen.cli.terminal.views import LINE_INTERVAL_S

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def open_steps(label: str, quiet: bool) -> Iterator[Steps]:
    """What shows the steps of ``label`` on this process' stderr."""
    if quiet:
        yield Steps()
    elif is_interactive(sys.stderr):
        with _bars() as bars:
            yield BarSteps(label, bars)
    else:
        yield LineSteps(label)


class Steps:
    """Shows nothing."""

    def losses(self, done: int, total: int, means: Mapping[str, float], rate: float) -> None:
        """A training's report: mean losses since the last one, and steps per second."""
        left = clock_time((total - done) / rate) if rate > 0 else "?"
        named = " ".join(f"{name} {value:.4g}" for name, value in means.items())
        self.advance(done, total, f"{named}  {rate:.2f}/s, {left} left")

    def advance(self, done: int, total: int, state: str = "") -> None:
        """``done`` of ``total`` things are done."""

    def message(self, text: str) -> None:
        """A line that stays."""


class LineSteps(Steps):
    """Plain lines, for pipes and logs."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._last = time.monotonic() - LINE_INTERVAL_S

    def advance(self, done: int, total: int, state: str = "") -> None:
        now = time.monotonic()
        if done == total or now - self._last >= LINE_INTERVAL_S:
            self._last = now
            write_note(f"{self._label} {done}/{total} {state}".rstrip())

    def message(self, text: str) -> None:
        write_note(text)


class BarSteps(Steps):
    """A bar with the newest losses."""

    def __init__(self, label: str, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=None, state="")

    def advance(self, done: int, total: int, state: str = "") -> None:
        self._bars.update(self._task, completed=done, total=total, state=state)

    def message(self, text: str) -> None:
        from rich.text import Text

        self._bars.console.print(Text(text), soft_wrap=True, highlight=False)


def _bars() -> Progress:
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        console=Terminal(stderr=True),
        redirect_stdout=False,
        redirect_stderr=False,
    )
