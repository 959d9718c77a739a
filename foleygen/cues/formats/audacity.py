"""Audacity's labels: ``start TAB end TAB text`` in seconds, both equal for a point.

A label over a stretch that is named ``known`` is a stretch; any other one is a cue at its beginning.
"""

from __future__ import annotations

from foleygen.cues import text
from foleygen.cues.clock import ClipClock
from foleygen.cues.marker import Marker
from foleygen.cues.reading import CueFile, number
from foleygen.facts import CueSheet

_RANGE = "\\"
"""Opens a line with the frequencies of the label above it."""


def recognises(head: str) -> bool:
    """Two numbers and a tab."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    fields = first.split("\t")
    return len(fields) >= 2 and all(number(field.replace(",", ".")) is not None for field in fields[:2])


def read(file: CueFile) -> list[Marker]:
    """The labels of a file. Raises UsageError."""
    markers = []
    for index, line in enumerate(file.text().splitlines(), start=1):
        if line.strip() and not line.startswith(_RANGE):
            markers.append(_marker(line, f"line {index}", file))
            file.counted(len(markers))
    return markers


def write(sheet: CueSheet, clock: ClipClock) -> bytes:
    """A label for each cue, and one over each stretch."""
    lines = [f"{one.start_s:.6f}\t{one.end_s:.6f}\t{name}" for one, name in text.stretches(sheet)]
    for index, cue in enumerate(sheet.cues, start=1):
        lines.append(f"{cue.seconds:.6f}\t{cue.seconds:.6f}\t{text.line(cue, index)}")
    return "".join(f"{line}\n" for line in lines).encode()


def _marker(line: str, where: str, file: CueFile) -> Marker:
    start, end, label = (*line.split("\t", 2), "", "")[:3]
    times = [number(time.replace(",", ".")) for time in (start, end)]
    first, last = times
    if first is None or last is None:
        raise file.error(f"{where}: does not begin with two times in seconds", "export the labels from Audacity again")
    if first < last and text.is_stretch(label):
        return Marker(where, first, last, sound=text.going(label))
    return text.marker(file, where, first, label)
