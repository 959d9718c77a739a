"""The bars of a batch on a terminal: one for all clips, one for the clip at work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from foleygen.batch import events
from foleygen.cli.terminal.reading import speed
from foleygen.cli.terminal.streams import write_result
from foleygen.cli.terminal.views import View, done_line
from foleygen.errors import printable

if TYPE_CHECKING:
    from foleygen.batch.events import Event

NAME_WIDTH = 20
BAR_WIDTH = 12
MUXING = "muxing"
"""The last stage of a clip."""


class BarView(View):
    """Two rich bars on stderr; messages and results are written above them."""

    def __init__(self, clock: Callable[[], float], terminal: Terminal | None = None) -> None:
        self._clock = clock
        self._terminal = terminal or Terminal(stderr=True)
        self._bars = Progress(
            TextColumn("{task.fields[label]}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=BAR_WIDTH),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            TimeElapsedColumn(),
            console=self._terminal,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._batch = self._bars.add_task("", total=None, label="clips".ljust(NAME_WIDTH), state="")
        self._clip = self._bars.add_task("", total=1.0, label="", state="", visible=False)
        self._began: dict[Path, float] = {}
        self._total = 0
        self._ended = 0
        self._shares: dict[Path, float] = {}
        self._muxing: set[Path] = set()
        self._stage = ""

    def show(self, event: Event) -> None:
        if isinstance(event, events.Started):
            self._total = event.total
            self._bars.update(self._batch, total=event.total)
            self._bars.start()
        elif isinstance(event, events.ClipStarted):
            self._began[event.clip] = self._clock()
        elif isinstance(event, events.ClipProgress):
            self._advance(event)
        elif isinstance(event, events.ENDS):
            self._ended += 1
            self._shares.pop(event.clip, None)
            self._muxing.discard(event.clip)
            self._bars.update(self._batch, completed=self._ended, state=f"{self._ended}/{self._total}")
            self._bars.update(self._clip, visible=False)
            if isinstance(event, events.ClipDone):
                self.message(done_line(event))

    def message(self, text: str) -> None:
        style = "red" if text.startswith("error:") else "yellow" if text.startswith("warning:") else ""
        self._terminal.print(Text(text, style=style), soft_wrap=True, highlight=False)

    def result(self, path: Path) -> None:
        # The bars are on stderr: on a shared terminal they make room, or the line would land inside them.
        drawn = sys.stdout.isatty() and self._bars.live.is_started
        if drawn:
            self._bars.stop()
        write_result(str(path))
        if drawn:
            self._bars.start()

    def close(self) -> None:
        self._bars.stop()

    def _advance(self, event: events.ClipProgress) -> None:
        """The batch's bar grows with every clip at work; the clip's bar shows the first whose sound is not made yet.

        What is left to do of a clip is to wait for its mux, while another one has the models.
        """
        self._shares[event.clip] = event.done
        (self._muxing.add if event.stage == MUXING else self._muxing.discard)(event.clip)
        total = min(self._ended + sum(self._shares.values()), self._total)
        shown = next((clip for clip in self._shares if clip not in self._muxing), next(iter(self._shares)))
        self._bars.update(self._batch, completed=total)
        if event.clip != shown:
            return
        elapsed = self._clock() - self._began.setdefault(event.clip, self._clock())
        label = printable(event.clip.name)
        if len(label) > NAME_WIDTH:
            label = f"{label[: NAME_WIDTH - 1]}…"
        self._bars.update(
            self._clip,
            completed=event.done,
            label=label.ljust(NAME_WIDTH),
            state=f"{event.stage}{speed(event.done, event.seconds, elapsed)}",
            visible=True,
            refresh=event.stage != self._stage,
        )
        self._stage = event.stage
