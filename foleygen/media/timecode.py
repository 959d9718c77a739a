"""SMPTE 12M timecode: from the label of a picture to its place in the day, and back."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from foleygen.errors import printable
from foleygen.facts import SAMPLE_RATE

if TYPE_CHECKING:
    from foleygen.media.probe import ClipInfo

_LABEL = re.compile(r"([0-9]{2})[:;]([0-9]{2})[:;]([0-9]{2})([:;.,])([0-9]{2,3})")
_NTSC = Fraction(1000, 1001)
_SNAP = Fraction(1, 500)
"""Share by which a measured rate may miss a standard one: the time stamps of short clips are rounded."""
_MINUTES = 60 * 24


def frame_number(timecode: str, frame_rate: Fraction) -> int | None:
    """Pictures since midnight at a label such as ``01:00:00:00``, or ``01:00:00;00`` with dropped labels.

    ``frame_rate`` is in pictures per second, measured or exact. None for what is no label at that rate.
    """
    found = _LABEL.fullmatch(timecode.strip())
    if found is None:
        return None
    hours, minutes, seconds, frames = (int(found[group]) for group in (1, 2, 3, 5))
    base, exact = _standard(frame_rate)
    if hours >= 24 or minutes >= 60 or seconds >= 60 or frames >= base:
        return None
    minute = hours * 60 + minutes
    number = (minute * 60 + seconds) * base + frames
    if not is_drop_frame(timecode):
        return number
    dropped = _dropped(base, exact)
    if dropped is None or (minute % 10 and seconds == 0 and frames < dropped):
        return None
    return number - dropped * (minute - minute // 10)


def label(number: int, frame_rate: Fraction, drop_frame: bool = False) -> str:
    """The label of the picture ``number`` pictures after midnight; the inverse of ``frame_number``, modulo a day."""
    base, exact = _standard(frame_rate)
    dropped = _dropped(base, exact) if drop_frame else 0
    assert dropped is not None, f"no labels are dropped at {frame_rate} pictures per second"
    # Ten minutes are the period: the first has all its labels, the other nine lack some.
    minute_length = 60 * base - dropped
    tens, rest = divmod(number, 10 * minute_length + dropped)
    minute = 0 if rest < 60 * base else 1 + (rest - 60 * base) // minute_length
    number += dropped * (9 * tens + minute)
    seconds, frames = divmod(number, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes % _MINUTES, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if drop_frame else ':'}{frames:02}"


def is_drop_frame(timecode: str) -> bool:
    """True where the last separator says that labels are dropped."""
    found = _LABEL.fullmatch(timecode.strip())
    return found is not None and found[4] != ":"


def nominal_rate(frame_rate: Fraction) -> Fraction:
    """The exact rate that a measured one stands for: 24000/1001 for 23.98, and the given one where none is near."""
    return _standard(frame_rate)[1]


def is_standard(frame_rate: Fraction) -> bool:
    """True for a rate, measured or exact, at which pictures are labelled: 23.976, 24, 25, 29.97, 30 and so on."""
    base, exact = _standard(frame_rate)
    return exact in (base, base * _NTSC)


def samples_since_midnight(timecode: str, frame_rate: Fraction, sample_rate: int = SAMPLE_RATE) -> int | None:
    """The sample at which a picture begins in a recording of the day, as broadcast wav files count it.

    At 23.976 and 29.97 without dropped labels a labelled hour lasts 3603.6 seconds. None for what is no label.
    """
    number = frame_number(timecode, frame_rate)
    if number is None:
        return None
    _, exact = _standard(frame_rate)
    return round(number / exact * sample_rate)


def time_reference(info: ClipInfo) -> tuple[int, tuple[str, ...]]:
    """48 kHz samples from midnight to the clip's first picture, 0 without timecode; and what to warn of."""
    if info.timecode is None:
        return 0, ()
    labels = info.timecode_rate or info.average_rate
    samples = samples_since_midnight(info.timecode, labels)
    if samples is None:
        rate = f"{float(labels):.4g}"
        fact = f"its timecode {printable(info.timecode)} does not exist at {rate} pictures per second"
        return 0, (f"{fact}, so its stems begin at midnight",)
    return samples, ()


def _standard(frame_rate: Fraction) -> tuple[int, Fraction]:
    """Labels per second, and the exact rate: the nearest standard one, or the given one where none is near."""
    base = max(1, (2 * frame_rate.numerator + frame_rate.denominator) // (2 * frame_rate.denominator))
    known = [Fraction(base)] + ([base * _NTSC] if base % 24 == 0 or base % 30 == 0 else [])
    nearest = min(known, key=lambda rate: abs(rate - frame_rate))
    return base, nearest if abs(nearest - frame_rate) <= _SNAP * frame_rate else frame_rate


def _dropped(base: int, exact: Fraction) -> int | None:
    """Labels left out at the start of nine minutes of ten; None where none are dropped at that rate.

    At exactly 30 and 60 pictures per second the standard drops none, but cameras do.
    """
    return base // 15 if base % 30 == 0 and exact in (base, base * _NTSC) else None
