"""A batch as lines or as events, for terminals, pipes and programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.batch import events
from foleygen.cli.terminal.events import document_of
from foleygen.cli.terminal.reading import clock_time, real_time, speed
from foleygen.cli.terminal.streams import write_json, write_note, write_result
from foleygen.errors import printable
from foleygen.facts import Obedience

if TYPE_CHECKING:
    from foleygen.batch.events import Event

LINE_INTERVAL_S = 10.0
EVENT_INTERVAL_S = 0.5
Clock = Callable[[], float]


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
            self.message(f"  {done_line(event)}")


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


def done_line(event: events.ClipDone) -> str:
    """``NAME: done in 5.0 s, 4.0x real time`` with its levels."""
    taken = f"{clock_time(event.seconds)}, {real_time(event.sound_seconds, event.seconds)}"
    return f"{printable(event.output)}: done in {taken}{levels(event)}"


def levels(event: events.ClipDone) -> str:
    """``, -23.0 LUFS, peak -3.1 dBTP, 3 takes, 14 of 14 cues, 2 stretches``, as far as they are known."""
    found = event.loudness
    kept = (event.takes[0].obedience if event.takes else None) or Obedience()
    parts = [
        "" if found.integrated_lufs is None else f", {found.integrated_lufs:.1f} LUFS",
        "" if found.true_peak_dbtp is None else f", peak {found.true_peak_dbtp:.1f} dBTP",
        f", {len(event.takes)} takes" if len(event.takes) > 1 else "",
        f", {kept.kept} of {kept.given} cues{' that were seen' if kept.spotted else ''}" if kept.given else "",
        f", {stretches(kept.heard, kept.lasting)}" if kept.lasting else "",
    ]
    return "".join(parts)


def stretches(heard: int, given: int) -> str:
    """``2 stretches``, or how many of them have their sound."""
    return f"{'' if heard == given else f'{heard} of '}{given} stretch{'' if given == 1 else 'es'}"
