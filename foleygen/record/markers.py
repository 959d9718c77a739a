"""``NAME.foley.markers.*`` beside a finished clip: when its sounds begin, as the editor's program takes it.

The forms are those that cues are read from (``cues.files``); docs/editors.md has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from foleygen import regular
from foleygen.cues import files
from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import sheet
from foleygen.errors import FoleygenError
from foleygen.facts import Cue
from foleygen.record import sidecar
from foleygen.record.schema import Sidecar

MISSED = "missed"
"""Opens the name of a marker where a sound was asked for and none begins."""


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
    return files.written(form, sheet(_cues(record, form)), clock)


def picture_at(seconds: float, frame_rate: Fraction) -> int:
    """Number of the picture, from 0, on the screen ``seconds`` after the first one appeared."""
    return ClipClock("", frame_rate, Fraction(0)).picture_at(seconds)


def _cues(record: Sidecar, form: str) -> Iterator[Cue]:
    """The sounds of the take that is heard, with what was asked for; the table has those that are there alone."""
    from foleygen.audio.obedience import OBEYED_S

    told = () if record.own.cues is None else record.own.cues.cues
    for onset in record.heard.onsets_s:
        cue = min(told, key=lambda one: abs(one.seconds - onset), default=Cue(-1.0))
        asked = cue if abs(cue.seconds - onset) <= OBEYED_S else Cue(onset)
        yield Cue(onset, asked.strength, None, asked.sound or record.own.sound, asked.name)
    for time in record.heard.missed_s if form != "csv" else ():
        sound = next((cue.sound for cue in told if cue.seconds == time), None)
        yield Cue(time, name=f"{MISSED}: {sound}" if sound else MISSED)
