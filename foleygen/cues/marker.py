"""Markers as files have them -> the cues of a clip, once its clock is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import sheet
from foleygen.errors import ClipError, printable
from foleygen.facts import Cue, CueSheet, Lasting, Stretch

Time = Fraction | str
"""Seconds after the first picture, or the timecode of a picture."""

_LONG_S = 10**9
"""Times of such a length have no digits that say anything."""
_APART_PICTURES = 1
"""By how much the seconds and the timecode of one marker may differ: either is often rounded."""


@dataclass(frozen=True)
class Marker:
    """One marker, before anything is known of the clip."""

    where: str
    """Which one, for messages: ``line 4``."""
    at: Time
    until: Time | None = None
    """With it, no cue but a stretch: one in which its sound goes on or, without a sound, of which the file says all."""
    length: int | None = None
    """In place of ``until``: how many pictures the stretch has."""
    also: str | None = None
    """The same time again as a timecode."""
    strength: float | None = None
    confidence: float | None = None
    sound: str | None = None
    name: str = ""

    @property
    def is_stretch(self) -> bool:
        """Whether it has a beginning and an end."""
        return self.until is not None or self.length is not None


@dataclass(frozen=True)
class Markers:
    """The markers of a file, in its order."""

    path: Path
    markers: tuple[Marker, ...]


def resolved(found: Markers, clock: ClipClock, start: str | None = None) -> CueSheet:
    """The cues of the clip with that ``clock``; ``start`` is what the markers' clock reads at its first picture.

    Raises ClipError for times outside of the clip and for timecode of another rate.
    """
    own = clock if start is None else clock.starting_at(start)
    placed = [(marker, _seconds(marker, own, found.path, start is not None)) for marker in found.markers]
    _inside([seconds for _, seconds in placed], [marker for marker, _ in placed], own, found.path)
    stretches, lasting = list[Stretch](), list[Lasting]()
    for marker, seconds in placed:
        if marker.is_stretch:
            one = _stretch(marker, seconds, own, found.path, start is not None)
            if marker.sound is None:
                stretches.append(one)
            else:
                lasting.append(Lasting(one.start_s, one.end_s, marker.sound))
    cues = [_cue(marker, seconds) for marker, seconds in placed if not marker.is_stretch]
    made = sheet(cues, stretches or None, printable(found.path.name), lasting)
    for cue in made.cues:
        if not (made.is_known(cue.seconds) or made.lasting_at(cue.seconds)):
            fact = f"{printable(found.path)}: the cue at {cue.seconds:g} s lies outside of the stretches it speaks of"
            raise ClipError(fact, "make a stretch longer, or remove the cue")
    return made


def _cue(marker: Marker, seconds: Fraction) -> Cue:
    return Cue(float(seconds), marker.strength, marker.confidence, marker.sound, marker.name)


def _seconds(marker: Marker, clock: ClipClock, path: Path, is_moved: bool) -> Fraction:
    """When a marker is, from the clip's first picture; may be outside of the clip."""
    where = f"{printable(path)}: {marker.where}"
    seconds = _at(marker.at, clock, where, is_moved)
    if marker.also is None:
        return seconds
    again = clock.seconds_of(marker.also, where)
    if abs(clock.picture_at(float(seconds)) - clock.picture_at(float(again))) > _APART_PICTURES:
        fact = f"{where}: its seconds mean {clock.label(float(seconds))}, its timecode says {printable(marker.also)}"
        raise ClipError(fact, "correct one of them, or leave one out")
    return seconds


def _at(time: Time, clock: ClipClock, where: str, is_moved: bool) -> Fraction:
    """A clock that was moved moves seconds too."""
    if isinstance(time, str):
        return clock.seconds_of(time, where)
    return time - clock.first / clock.rate if is_moved else time


def _stretch(marker: Marker, start: Fraction, clock: ClipClock, path: Path, is_moved: bool) -> Stretch:
    where = f"{printable(path)}: {marker.where}"
    if marker.until is None:
        end = start + Fraction(marker.length or 0) / clock.rate
    else:
        end = _at(marker.until, clock, where, is_moved)
    if end <= start:
        raise ClipError(f"{where}: the stretch ends before it begins", "give its beginning first")
    return Stretch(float(start), float(min(end, clock.duration_s)))


def _inside(times: Sequence[Fraction], markers: Sequence[Marker], clock: ClipClock, path: Path) -> None:
    """Raises ClipError if any of ``times`` is none of the clip, with the likeliest reason."""
    wrong = [index for index, time in enumerate(times) if not 0 <= time < clock.duration_s]
    if not wrong:
        return
    name, first = printable(clock.name), markers[wrong[0]]
    hours = Counter(clock.hour_off(times[index]) for index in wrong).most_common(1)[0][0]
    if hours and len(wrong) == len(times):
        count = "one hour" if abs(hours) == 1 else f"{abs(hours)} hours"
        fact = f"{printable(path)}: its times are {count} {'after' if hours > 0 else 'before'} those of {name}"
        remedy = f"say what they read at its first picture with --cues-start {_start(hours, clock, first)}"
        raise ClipError(fact, remedy)
    each = f"{len(wrong)} of its {len(times)} times lie" if len(times) > 1 else "its time lies"
    what = _told(times[wrong[0]], clock)
    fact = f"{printable(path)}: {each} outside of {name} ({float(clock.duration_s):.3f} s), {first.where} {what}"
    raise ClipError(fact, "check that these are the cues of this clip")


def _start(hours: int, clock: ClipClock, marker: Marker) -> str:
    """The label that such markers' clock has at the first picture."""
    from foleygen.media import timecode

    drop = clock.drop_frame or (isinstance(marker.at, str) and timecode.is_drop_frame(marker.at))
    base = round(clock.rate)
    per_hour = timecode.frame_number(f"01:00:00{';' if drop else ':'}00", clock.frame_rate) or 3600 * base
    return timecode.label(clock.first + hours * per_hour, clock.frame_rate, drop)


def _told(seconds: Fraction, clock: ClipClock) -> str:
    if seconds < 0:
        return f"{_plain(-seconds)} s before its beginning"
    return f"{_plain(seconds - clock.duration_s)} s after its end"


def _plain(seconds: Fraction) -> str:
    return f"{float(seconds):.3f}" if seconds < _LONG_S else f"{float(seconds):.3g}"
