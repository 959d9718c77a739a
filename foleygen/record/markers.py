"""``NAME.foley.markers.csv`` beside a finished clip: when its sounds begin. The columns are in docs/editors.md."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from foleygen import atomic, regular
from foleygen.facts import SAMPLE_RATE
from foleygen.record import sidecar
from foleygen.record.schema import Sidecar

COLUMNS = ("index", "seconds", "timecode", "samples")
_LINE = 1024


def path_for(output: Path) -> Path:
    """Where the markers of ``output`` are or go, beside its sidecar and named alike."""
    return sidecar.path_for(output).with_suffix(".markers.csv")


def write(output: Path, onsets_s: Sequence[float], frame_rate: Fraction, timecode: str | None) -> Path:
    """Publish the onsets of the finished ``output``, in seconds after its first picture, as CSV (RFC 4180).

    The timecode is that of the picture on the screen, counted from the clip's own start ``timecode``, or from zero.
    """
    path = path_for(output)
    with atomic.publish(path) as temporary, open(temporary, "w", encoding="ascii", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for index, onset in enumerate(onsets_s, start=1):
            time = label(onset, frame_rate, timecode)
            table.writerow([index, f"{onset:.6f}", time, round(onset * SAMPLE_RATE)])
    return path


def is_ours(path: Path) -> bool:
    """Whether ``path`` begins as the markers that ``write`` publishes. Raises OSError."""
    with regular.opened(path) as file:
        return file.readline(_LINE).rstrip() == ",".join(COLUMNS).encode()


def refresh(output: Path, record: Sidecar) -> None:
    """Bring the markers of ``output``, if it has any, to the take that is in it now."""
    path = path_for(output)
    if path.is_file() and is_ours(path):
        of_record(output, record)


def of_record(output: Path, record: Sidecar) -> Path:
    """``write`` what the sidecar of ``output`` says."""
    return write(output, record.heard.onsets_s, record.frame_rate, record.timecode)


def picture_at(seconds: float, frame_rate: Fraction) -> int:
    """Number of the picture, from 0, on the screen ``seconds`` after the first one appeared."""
    return math.floor(Fraction(seconds).limit_denominator(10**6) * frame_rate)


def label(seconds: float, frame_rate: Fraction, timecode: str | None) -> str:
    """Timecode of the picture on the screen ``seconds`` into a clip that starts at ``timecode``."""
    from foleygen.media import timecode as smpte

    start = None if timecode is None else smpte.frame_number(timecode, frame_rate)
    drop_frame = start is not None and timecode is not None and smpte.is_drop_frame(timecode)
    return smpte.label((start or 0) + picture_at(seconds, smpte.nominal_rate(frame_rate)), frame_rate, drop_frame)
