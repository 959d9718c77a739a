"""``NAME.foley.markers.*`` beside a finished clip: when its sounds begin, as the editor's program takes it.

The forms are those that cues are read from (``cues.files``); docs/editors.md has them.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from foleygen import regular
from foleygen.cues import files
from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import sheet
from foleygen.cues.heard import missed, named
from foleygen.errors import FoleygenError
from foleygen.record import sidecar
from foleygen.record.schema import Sidecar


def path_for(output: Path, form: str = "csv") -> Path:
    """Where the markers of ``output`` are or go, beside its sidecar and named alike."""
    return sidecar.path_for(output).with_suffix(files.FORMATS[form].suffix)


def of_record(output: Path, record: Sidecar, form: str = "csv") -> Path:
    """Publish what the sidecar of ``output`` says of its sounds; the path. Raises UsageError, SetupError."""
    path = path_for(output, form)
    files.publish(path, _content(output, record, form))
    return path


def is_ours(output: Path, record: Sidecar, form: str) -> bool:
    """Whether the markers of ``output`` are what its sidecar says, to the byte: nobody else's, and not edited."""
    try:
        content = _content(output, record, form)
        return regular.read(path_for(output, form), len(content)) == content
    except (OSError, ValueError, FoleygenError):
        return False


def refresh(output: Path, before: Sidecar, record: Sidecar) -> None:
    """Bring the markers of ``output``, those that it has of the take before, to the take that is in it now."""
    for form in files.WRITTEN:
        if is_ours(output, before, form):
            of_record(output, record, form)


def _content(output: Path, record: Sidecar, form: str) -> bytes:
    clock = ClipClock(output.name, record.frame_rate, Fraction(record.duration_s), record.timecode)
    lost = missed(record.heard.missed_s, record.own) if form != "csv" else []  # whose rows are sounds
    return files.written(form, sheet([*named(record.heard.onsets_s, record.own, record.heard.played), *lost]), clock)


def picture_at(seconds: float, frame_rate: Fraction) -> int:
    """Number of the picture, from 0, on the screen ``seconds`` after the first one appeared."""
    return ClipClock("", frame_rate, Fraction(0)).picture_at(seconds)
