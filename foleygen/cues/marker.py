"""Markers as files have them -> the cues of a clip, once its clock is known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import sheet
from foleygen.errors import ClipError, printable
from foleygen.facts import Cue, CueSheet, Lasting, Stretch

Moment = TypeVar("Moment", Fraction, list[int])
Time = Fraction | str
"""Seconds after the first picture, or the timecode of a picture."""

_LONG_S = 10**9
"""Times of such a length have no digits that say anything."""
_TOLD_S = Fraction(1, 2000)
"""What is less is told as nothing."""
OVER_S = Fraction(1, 2)
"""A stretch that ends so soon after the clip was meant to last to its end."""
_APART_PICTURES = 1
"""By how much the seconds and the timecode of one marker may differ: either is often rounded."""
BACKWARDS = "the stretch ends before it begins", "give its beginning first"
EMPTY = "the stretch ends where it begins", "give it a later end, or its time alone if it is a cue"
"""What is said of such a stretch, and what to do."""


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


@dataclass(frozen=True)
class Placed:
    """The markers of a file in a clip."""

    path: Path
    clip: str
    cues: CueSheet
    over: tuple[tuple[str, Fraction], ...]
    """Which stretches end well after the clip, and how many seconds."""

    def remarks(self) -> Iterator[str]:
        """What to warn of."""
        if not self.over:
            return
        (first, seconds), count = self.over[0], len(self.over) - 1
        more = f" (and so {'does' if count == 1 else 'do'} {count} more)" if count else ""
        late = f"{_plain(seconds)} s after {printable(self.clip)}"
        fact = f"{printable(self.path.name)}: the stretch of {first} ends {late}{more}, and is cut to the clip"
        yield f"{fact}; check that these are its cues"


def resolved(found: Markers, clock: ClipClock, start: str | None = None) -> CueSheet:
    """The cues of ``placed``."""
    return placed(found, clock, start).cues


def placed(found: Markers, clock: ClipClock, start: str | None = None) -> Placed:
    """The markers in the clip with that ``clock``; ``start`` is what their clock reads at its first picture.

    Raises ClipError for times outside of the clip and for timecode of another rate; a stretch that begins in the clip
    ends with it.
    """
    own, is_moved = clock if start is None else clock.starting_at(start), start is not None
    timed = [(marker, _seconds(marker, own, found.path, is_moved)) for marker in found.markers]
    _inside([seconds for _, seconds in timed], [marker for marker, _ in timed], own, found.path)
    spans = [
        (marker, seconds, _end(marker, seconds, own, found.path, is_moved))
        for marker, seconds in timed
        if marker.is_stretch
    ]
    over = [(marker.where, end - own.duration_s) for marker, _, end in spans if end > own.duration_s + OVER_S]
    cues = [_cue(marker, seconds) for marker, seconds in timed if not marker.is_stretch]
    return Placed(found.path, own.name, _sheet(cues, spans, own, found.path), tuple(over))


def _sheet(
    cues: Sequence[Cue], spans: Sequence[tuple[Marker, Fraction, Fraction]], clock: ClipClock, path: Path
) -> CueSheet:
    """Of cues, and of stretches with their beginnings and ends. Raises ClipError for a cue that is in none of them."""
    stretches, lasting = list[Stretch](), list[Lasting]()
    for marker, start, end in spans:
        one = _stretch(marker, start, end, clock, path)
        if marker.sound is None:
            stretches.append(one)
        else:
            lasting.append(Lasting(one.start_s, one.end_s, marker.sound))
    made = sheet(cues, stretches or None, printable(path.name), lasting)
    for cue in made.cues:
        if not (made.is_known(cue.seconds) or made.lasting_at(cue.seconds)):
            fact = f"{printable(path)}: the cue at {cue.seconds:g} s lies outside of the stretches it speaks of"
            raise ClipError(fact, "make a stretch longer, or remove the cue")
    return made


def turned(marker: Marker) -> tuple[str, str] | None:
    """What is wrong with a stretch that does not end after its beginning, whatever the clip, and what to do.

    No clock goes on after midnight.
    """
    if isinstance(marker.at, str) and isinstance(marker.until, str):
        return _turned(_digits(marker.at), _digits(marker.until))
    if isinstance(marker.at, str) or marker.until is None or isinstance(marker.until, str):
        return None
    return _turned(marker.at, marker.until)


def _turned(begin: Moment, end: Moment) -> tuple[str, str] | None:
    if begin == end:
        return EMPTY
    return BACKWARDS if end < begin else None


def _digits(label: str) -> list[int]:
    return [int(part) for part in re.findall("[0-9]+", label)]


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


def _stretch(marker: Marker, start: Fraction, end: Fraction, clock: ClipClock, path: Path) -> Stretch:
    if (wrong := _turned(start, end)) is not None:
        raise ClipError(f"{printable(path)}: {marker.where}: {wrong[0]}", wrong[1])
    return Stretch(float(start), float(min(end, clock.duration_s)))


def _end(marker: Marker, start: Fraction, clock: ClipClock, path: Path, is_moved: bool) -> Fraction:
    """When a stretch that begins at ``start`` ends; may be after the clip."""
    if marker.until is None:
        return start + Fraction(marker.length or 0) / clock.rate
    return _at(marker.until, clock, f"{printable(path)}: {marker.where}", is_moved)


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
    verb = "lies" if len(wrong) == 1 else "lie"
    each = f"{len(wrong)} of its {len(times)} times {verb}" if len(times) > 1 else "its time lies"
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
    late = seconds - clock.duration_s
    return f"{_plain(late)} s after its end" if late >= _TOLD_S else "at its end"


def _plain(seconds: Fraction) -> str:
    return f"{float(seconds):.3f}" if seconds < _LONG_S else f"{float(seconds):.3g}"
