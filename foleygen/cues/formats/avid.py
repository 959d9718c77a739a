"""Avid's markers as text: no header, ``user TAB timecode TAB track TAB colour TAB comment TAB 1``."""

from __future__ import annotations

from foleygen.cues import text
from foleygen.cues.clock import ClipClock
from foleygen.cues.marker import Marker
from foleygen.cues.reading import CueFile, is_label
from foleygen.facts import CueSheet

USER = "foleygen"
TRACK = "V1"
COLOUR = "green"
_COMMENT = 4


def recognises(head: str) -> bool:
    """A timecode after the first tab."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    fields = first.split("\t")
    return len(fields) > _COMMENT and is_label(fields[1])


def read(file: CueFile) -> list[Marker]:
    """The markers of a file. Raises UsageError."""
    markers = []
    for index, line in enumerate(file.text().splitlines(), start=1):
        if line.strip():
            markers.append(_marker(line.split("\t"), f"line {index}", file))
            file.counted(len(markers))
    return markers


def write(sheet: CueSheet, clock: ClipClock) -> bytes:
    """A line for each cue. Raises UsageError for a sheet with stretches."""
    cues = text.without_stretches(sheet, "Avid's").cues
    lines = [
        "\t".join([USER, clock.label(cue.seconds), TRACK, COLOUR, text.line(cue, index), "1"])
        for index, cue in enumerate(cues, start=1)
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _marker(fields: list[str], where: str, file: CueFile) -> Marker:
    if len(fields) <= _COMMENT:
        fact = f"{where}: has {len(fields)} of the {_COMMENT + 1} columns that Avid's markers have"
        raise file.error(fact, "export the markers as text again")
    if not is_label(fields[1]):
        raise file.error(f"{where}: has no timecode in its second column", "export the markers as text again")
    return text.marker(file, where, fields[1].strip(), fields[_COMMENT])
