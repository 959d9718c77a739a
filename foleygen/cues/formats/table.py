"""Our own CSV (RFC 4180): ``NAME.cues.csv``, and the markers beside a finished clip.

A row is a cue at ``seconds`` after the first picture, or at a ``timecode``. ``2.0..5.5`` in place of a time is a
stretch: with a sound one in which that goes on, and without one of which the file knows everything; with any of those
without, the rest of the clip is left to the picture. Spreadsheets may save it again with semicolons or tabs, and then
with decimal commas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from fractions import Fraction

from foleygen.cues import text
from foleygen.cues.clock import ClipClock
from foleygen.cues.marker import Marker, Time
from foleygen.cues.reading import CueFile, is_label, number
from foleygen.errors import UsageError, printable
from foleygen.facts import SAMPLE_RATE, Cue, CueSheet, Stretch
from foleygen.strict import did_you_mean

COLUMNS = ("seconds", "timecode", "strength", "confidence", "sound")
NAME = "name"
"""A column more, where a cue has one."""
MARKERS = ("index", "seconds", "timecode", "samples")
"""Of the markers beside a finished clip."""
TO = ".."

_KNOWN = dict.fromkeys((*COLUMNS, NAME, *MARKERS))
_DELIMITERS = (",", ";", "\t")

Row = Mapping[str, str]


def recognises(head: str) -> bool:
    """Any ``.csv`` that is no other program's."""
    return True


def read(file: CueFile) -> list[Marker]:
    """The cues of a table. Raises UsageError."""
    content = file.text()
    if not content.strip():
        return []
    delimiter = _delimiter(content)
    markers: list[Marker] = []
    for line, row in _rows(content, delimiter, file):
        file.counted(len(markers) + 1)
        markers.append(_marker(row, f"line {line}", delimiter, file))
    return markers


def write(sheet: CueSheet, clock: ClipClock) -> bytes:
    """``NAME.cues.csv``: stretches first, then a row for each cue."""
    names = [NAME] if any(cue.name for cue in sheet.cues) else []
    lines = [",".join([*COLUMNS, *names])]
    for stretch, sound in [*((one, "") for one in sheet.known or ()), *((one, one.sound) for one in sheet.lasting)]:
        fields = [_span(stretch), _quoted(_labels(stretch, clock)), "", "", _quoted(sound)]
        lines.append(_line([*fields, *([""] if names else [])]))
    if sheet.known == ():
        raise UsageError("cues that the picture may add to have no form in a file", "use --fill in its place")
    lines += [_line(_fields(cue, clock, bool(names))) for cue in sheet.cues]
    return _encoded(lines)


def write_markers(sheet: CueSheet, clock: ClipClock) -> bytes:
    """The markers beside a finished clip: an index, the sample at 48 kHz, names if any; no strengths or words."""
    names = [NAME] if any(cue.name for cue in sheet.cues) else []
    rows = [
        [
            str(index),
            f"{cue.seconds:.6f}",
            _quoted(clock.label(cue.seconds)),
            str(round(cue.seconds * SAMPLE_RATE)),
            *(_quoted(text.tidy(cue.name)) for _ in names),
        ]
        for index, cue in enumerate(sheet.cues, start=1)
    ]
    return _encoded([",".join([*MARKERS, *names]), *map(_line, rows)])


def _delimiter(content: str) -> str:
    """The one at which the first line falls into the most known columns."""
    header = content.lstrip().splitlines()[0]
    return max(_DELIMITERS, key=lambda each: sum(_heading(name) in _KNOWN for name in header.split(each)))


def _rows(content: str, delimiter: str, file: CueFile) -> Iterator[tuple[int, Row]]:
    """Line numbers and rows as mappings; rows without any text are left out."""
    table = csv.reader(io.StringIO(content.lstrip(), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [_heading(name) for name in next(table)]
        _check(header, file)
        for values in table:
            if len(values) > len(header) and any(value.strip() for value in values[len(header) :]):
                raise file.error(f"line {table.line_num}: has more columns than the header", "quote texts with commas")
            row = {name: value.strip() for name, value in zip(header, values, strict=False)}
            if any(row.values()):
                yield table.line_num, row
    except csv.Error as error:
        raise file.error(f"line {table.line_num}: is no CSV ({error})", "save it again as CSV") from error


def _heading(name: str) -> str:
    return name.strip().strip('"').lower()


def _check(header: list[str], file: CueFile) -> None:
    for name in header:
        if name not in _KNOWN:
            raise file.error(f"has an unknown column {printable(name)!r}", did_you_mean(name, _KNOWN))
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise file.error(f"has the column {twice!r} twice", "remove one")
    if "seconds" not in header and "timecode" not in header:
        raise file.error("has no column 'seconds' and no column 'timecode'", f"begin with {','.join(COLUMNS)}")


def _marker(row: Row, where: str, delimiter: str, file: CueFile) -> Marker:
    at, until = _time(row, where, delimiter, file)
    label = row.get("timecode", "") if row.get("seconds") else ""
    also = label.split(TO)[0].strip() or None
    if also is not None and not is_label(also):
        raise file.error(f"{where}: {printable(also)!r} is no timecode", "write it as 01:00:00:00, or leave it out")
    said = row.get("sound", "")
    sound = text.sound_of(said, file.where(where)) if said else None
    if until is not None:
        return Marker(where, at, until, also=also, sound=sound)
    return Marker(
        where,
        at,
        also=also,
        strength=_share(row, "strength", where, delimiter, file),
        confidence=_share(row, "confidence", where, delimiter, file),
        sound=sound,
        name=text.tidy(row.get(NAME, "")),
    )


def _time(row: Row, where: str, delimiter: str, file: CueFile) -> tuple[Time, Time | None]:
    """When a row is; the second is the end of a stretch."""
    column = "seconds" if row.get("seconds") else "timecode"
    value = row.get(column, "")
    if not value:
        raise file.error(f"{where}: has no time", "fill in its seconds or its timecode, or remove it")
    ends = [_moment(end, column, delimiter) for end in value.split(TO)]
    if len(ends) > 2 or None in ends:
        wanted = "a number, 0 or more" if column == "seconds" else "a timecode"
        raise file.error(f"{where}: its {column} are {printable(value)!r}, not {wanted}", "correct it")
    first, *rest = (end for end in ends if end is not None)
    return first, rest[0] if rest else None


def _moment(value: str, column: str, delimiter: str) -> Time | None:
    if column == "timecode":
        return value.strip() if is_label(value) else None
    seconds = _number(value, delimiter)
    return None if seconds is None or seconds < 0 else seconds


def _share(row: Row, column: str, where: str, delimiter: str, file: CueFile) -> float | None:
    value = row.get(column, "")
    if not value:
        return None
    share = _number(value, delimiter)
    if share is None or not 0 <= share <= 1:
        raise file.error(f"{where}: its {column} is {printable(value)!r}, not a number from 0 to 1", "correct it")
    return float(share)


def _number(value: str, delimiter: str) -> Fraction | None:
    return number(value if delimiter == "," else value.replace(",", "."))


def _span(stretch: Stretch) -> str:
    return f"{stretch.start_s:.6f}{TO}{stretch.end_s:.6f}"


def _labels(stretch: Stretch, clock: ClipClock) -> str:
    return f"{clock.label(stretch.start_s)}{TO}{clock.label(stretch.end_s)}"


def _fields(cue: Cue, clock: ClipClock, has_name: bool) -> list[str]:
    shares = ["" if value is None else f"{value:.3f}" for value in (cue.strength, cue.confidence)]
    time = [f"{cue.seconds:.6f}", _quoted(clock.label(cue.seconds))]
    return [*time, *shares, _quoted(cue.sound or ""), *([_quoted(cue.name)] if has_name else [])]


def _quoted(value: str) -> str:
    """A text that no program splits or takes for a number: LibreOffice cuts ``01:00:00;14`` at its semicolon."""
    return '"' + value.replace('"', '""') + '"' if value else ""


def _line(fields: list[str]) -> str:
    return ",".join(fields)


def _encoded(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
