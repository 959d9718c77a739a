"""The cues of one clip, as the page moves them: read from its file or its sidecar, written as ``NAME.cues.csv``."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from foleygen.cues import files
from foleygen.cues.clock import ClipClock
from foleygen.cues.formats import table
from foleygen.cues.marker import resolved
from foleygen.errors import ClipError, FoleygenError, printable
from foleygen.facts import CueSheet
from foleygen.record.schema import Sidecar
from foleygen.review.tag import digest

NONE = "none"
"""The tag of cues that lie in no file."""


@dataclass(frozen=True)
class Row:
    """One cue; see ``facts.Cue``."""

    seconds: float
    strength: float | None
    confidence: float | None
    sound: str
    name: str


@dataclass(frozen=True)
class Sheet:
    """All cues of a clip."""

    rows: tuple[Row, ...] = ()
    known: tuple[tuple[float, float], ...] | None = None
    """Stretches of which the cues say everything, from and to in seconds; None: all of the clip."""
    lasting: tuple[tuple[float, float, str], ...] = ()
    """Stretches in which a sound goes on, from and to, and its words."""
    file: str = ""
    """What the file with the cues is or would be called."""
    tag: str = NONE
    """Of the bytes of that file."""
    problem: str = ""
    """Why the file cannot be read."""
    is_newer: bool = False
    """Whether the clip was made with other cues than these."""


NO_CUES = Sheet()


def path_of(output: Path, source: Path) -> Path:
    """Where the cues of the finished ``output`` are saved: beside it, by the name of its source."""
    return files.path_for(source, output.parent)


def sheet_of(output: Path, record: Sidecar, source: Path) -> Sheet:
    """The cues beside the finished clip; without any, those that it was made with."""
    made_with = record.own.cues
    path = path_of(output, source)
    try:
        found = files.beside(source, output.parent)
        if found is None:
            return _told(made_with or CueSheet(), path.name, NONE)
        sheet = resolved(files.read(found, source.name), clock_of(record, source))
    except FoleygenError as error:
        return Sheet(file=path.name, tag=digest(path) or NONE, problem=error.message)
    is_newer = made_with is None or (made_with.digest != sheet.digest and made_with.known != ())
    return _told(sheet, found.name, digest(path) or NONE, is_newer)


def clock_of(record: Sidecar, source: Path) -> ClipClock:
    """The clock of the clip that a sidecar is about."""
    duration = Fraction(record.duration_s).limit_denominator(10**6)
    return ClipClock(source.name, record.frame_rate, duration, record.timecode)


def save(output: Path, record: Sidecar, source: Path, content: bytes) -> Path:
    """Publish the cues in ``content``, a table as docs/review.md has it, beside the finished ``output``.

    Raises UsageError or ClipError for cues that are none of the clip's, and where the folder cannot be written.
    """
    path = path_of(output, source)
    other = files.beside(source, output.parent)
    if other is not None and other != path:
        fact = f"{printable(path)}: not saved, because {printable(other.name)} holds the cues of this clip"
        raise ClipError(fact, "move that file out of the folder")
    files.publish(path, table.write(understood(record, source, content), clock_of(record, source)))
    return path


def understood(record: Sidecar, source: Path, content: bytes) -> CueSheet:
    """The sheet that a table of cues comes to. Raises UsageError or ClipError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{source.stem}.cues.csv")
        path.write_bytes(content)
        try:
            return resolved(files.read(path, source.name), clock_of(record, source))
        except FoleygenError as error:
            error.message = error.message.replace(f"{folder}{os.sep}", "")
            raise


def _told(sheet: CueSheet, file: str, tag: str, is_newer: bool = False) -> Sheet:
    rows = tuple(Row(cue.seconds, cue.strength, cue.confidence, cue.sound or "", cue.name) for cue in sheet.cues)
    known = None if sheet.known is None else tuple((one.start_s, one.end_s) for one in sheet.known)
    lasting = tuple((one.start_s, one.end_s, one.sound) for one in sheet.lasting)
    return Sheet(rows, known, lasting, file, tag, is_newer=is_newer)
