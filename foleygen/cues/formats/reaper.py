"""Reaper's markers and regions: ``#,Name,Start,End,Length``, the times in the unit of the project's ruler.

Read are seconds, minutes and hours with seconds, and timecode; written are minutes and seconds, the ruler that Reaper
begins with. A region that is named ``known`` is a stretch; any other one is a cue at its beginning.
"""

from __future__ import annotations

import csv
import io
import re
from fractions import Fraction

from foleygen.cues import text
from foleygen.cues.clock import ClipClock
from foleygen.cues.marker import Marker, Time
from foleygen.cues.reading import CueFile, is_label
from foleygen.errors import printable
from foleygen.facts import CueSheet

COLUMNS = ("#", "Name", "Start", "End", "Length")
_HEAD = "#,name,start"
_CLOCK = re.compile(r"(?:([0-9]{1,4}):)?(?:([0-9]{1,4}):)?([0-9]{1,9}\.[0-9]{1,12})")
_REGION = "R"


def recognises(head: str) -> bool:
    """Its header, with or without a colour."""
    return head.replace('"', "").lower().startswith(_HEAD)


def read(file: CueFile) -> list[Marker]:
    """The markers and regions of a file. Raises UsageError."""
    content = file.text()
    if not content.strip():
        return []
    table = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    markers = []
    try:
        missing = next((name for name in COLUMNS[:3] if name not in (table.fieldnames or ())), None)
        if missing is not None:
            raise file.error(f"has no column {missing!r}", "export the markers from Reaper again")
        for row in table:
            markers.append(_marker(row, f"line {table.line_num}", file))
            file.counted(len(markers))
    except csv.Error as error:
        raise file.error(
            f"line {table.line_num}: is no CSV ({error})", "export the markers from Reaper again"
        ) from error
    return markers


def write(sheet: CueSheet, clock: ClipClock) -> bytes:
    """A marker for each cue, a region for each stretch; UTF-8 without a byte order mark."""
    rows = [",".join(COLUMNS)]
    for index, (one, name) in enumerate(text.stretches(sheet), start=1):
        times = [_clock(one.start_s), _clock(one.end_s), _clock(one.end_s - one.start_s)]
        rows.append(",".join([f"{_REGION}{index}", f'"{name}"' if one in sheet.lasting else name, *times]))
    for index, cue in enumerate(sheet.cues, start=1):
        label = text.line(cue, index).replace('"', '""')
        rows.append(f'M{index},"{label}",{_clock(cue.seconds)},,')
    return "".join(f"{row}\r\n" for row in rows).encode()


def _marker(row: dict[str, str | None], where: str, file: CueFile) -> Marker:
    start, end, name = (row.get(column) or "" for column in ("Start", "End", "Name"))
    at = _time(start, where, file)
    if (row.get("#") or "").startswith(_REGION) and text.is_stretch(name):
        return Marker(where, at, _time(end, where, file), sound=text.going(name))
    return text.marker(file, where, at, name)


def _time(value: str, where: str, file: CueFile) -> Time:
    """Whole numbers could be samples or pictures, and two dots are bars and beats: neither says when."""
    if is_label(value):
        return value.strip()
    found = _CLOCK.fullmatch(value.strip())
    if found is None:
        fact = f"{where}: its time {printable(value)!r} is not in seconds or timecode"
        raise file.error(fact, "set Reaper's ruler to minutes:seconds and export the markers again")
    first, second, seconds = found.groups()
    hours, minutes = (int(first), int(second)) if second else (0, int(first or 0))
    return (hours * 60 + minutes) * 60 + Fraction(seconds)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 10**6), 60 * 10**6)
    return f"{minutes}:{rest // 10**6:02}.{rest % 10**6:06}"
