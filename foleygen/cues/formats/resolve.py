"""DaVinci Resolve's timeline markers as an EDL: an event of one picture for each, and a line with its name.

Resolve keeps one marker a picture: of cues on one picture the first is written. A marker of several pictures that is
named ``known`` is a stretch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from foleygen.cues import text
from foleygen.cues.clock import ClipClock
from foleygen.cues.marker import Marker
from foleygen.cues.reading import LABEL, CueFile
from foleygen.errors import UsageError
from foleygen.facts import CueSheet

COLOUR = "ResolveColorGreen"
TITLE = "foleygen"
_EVENT = re.compile(rf"\s*[0-9]+\s+\S+\s+\S+\s+\S+(?:\s+[0-9]+)?((?:\s+{LABEL.pattern}){{4}})\s*")
_TEXT = re.compile(r"(?P<note>.*?)\|C:\S*\s*\|M:(?P<name>.*?)\s*\|D:(?P<length>[0-9]{1,9})\s*")
_DROPS = "FCM: DROP FRAME"
_COUNTS = "FCM: NON-DROP FRAME"
_RECORD_IN = 2


def recognises(head: str) -> bool:
    """Any ``.edl``."""
    return True


def read(file: CueFile) -> list[Marker]:
    """The markers of an EDL. Raises UsageError, for one with cuts and no markers too."""
    lines = file.text().splitlines()
    markers = []
    for number, label, said in _events(lines):
        where = f"line {number}"
        found = _TEXT.fullmatch(said)
        if found is None:
            raise file.error(
                f"{where}: has an event that is no marker", "export 'Timeline Markers to EDL' from Resolve"
            )
        length = int(found["length"])
        if length > 1 and text.is_stretch(found["name"]):
            markers.append(Marker(where, label, length=length, sound=text.going(found["name"])))
        else:
            markers.append(text.marker(file, where, label, found["name"], found["note"]))
        file.counted(len(markers))
    if not markers and any(line.strip() and not line.startswith(("TITLE:", "FCM:")) for line in lines):
        raise file.error("has no markers", "export 'Timeline Markers to EDL' from Resolve")
    return markers


def write(sheet: CueSheet, clock: ClipClock) -> bytes:
    """An event for each stretch and each picture with cues. Raises UsageError for a rate beyond two digits."""
    if clock.rate > 100:
        fact = f"Resolve's marker EDL has no room for {float(clock.rate):.5g} pictures per second"
        raise UsageError(fact, "write csv instead")
    lines = [f"TITLE: {TITLE}", _DROPS if clock.drop_frame else _COUNTS, ""]
    for number, (picture, length, name, note) in enumerate(_rows(sheet, clock), start=1):
        span = f"{clock.label_of(picture)} {clock.label_of(picture + 1)}"
        lines += [f"{number:03}  001      V     C        {span} {span}  "]
        lines += [f"{note} |C:{COLOUR} |M:{name} |D:{length}", ""]
    return "".join(f"{line}\n" for line in lines).encode()


def _events(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """Line number, record-in timecode and text of each event."""
    drops, waiting, said = False, None, ""
    for number, line in enumerate(lines, start=1):
        if line.strip().upper() in (_DROPS, _COUNTS):
            drops = line.strip().upper() == _DROPS
        elif event := _EVENT.fullmatch(line):
            if waiting is not None:
                yield (*waiting, said)
            label = event[1].split()[_RECORD_IN]
            waiting, said = (number, label[:8].replace(";", ":") + (";" if drops else label[8]) + label[9:]), ""
        elif waiting is not None and line.strip():
            said = f"{said} {line.strip()}".strip()
    if waiting is not None:
        yield (*waiting, said)


def _rows(sheet: CueSheet, clock: ClipClock) -> list[tuple[int, int, str, str]]:
    """(picture, pictures, name, note) in order; what falls on one picture shares its marker."""
    rows: dict[int, tuple[int, int, str, str]] = {}
    for one, said in text.stretches(sheet):
        start = clock.picture_at(one.start_s)
        if start in rows:
            raise UsageError("two stretches begin on one picture", "write csv instead")
        rows[start] = (start, max(2, clock.picture_at(one.end_s) - start), said.replace("|", "/"), "")
    for index, cue in enumerate(sheet.cues, start=1):
        picture = clock.picture_at(cue.seconds)
        name, note = (part.replace("|", "/") for part in text.spoken(cue, index))
        if picture in rows and rows[picture][1] > 1:
            raise UsageError("a stretch and a cue begin on one picture", "write csv instead")
        rows.setdefault(picture, (picture, 1, name, note))
    return [rows[picture] for picture in sorted(rows)]
