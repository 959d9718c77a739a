"""A reel -> CMX3600: one event per picture, and one per sound that is heard, in lines that the oldest programs read.

All timecode counts pictures of the sequence, so that source and record of an event are equally long. A clip of another
rate begins at its own label, with its pictures counted at the sequence's rate, and says so in a comment. Takes that are
not heard have no place in the format.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from foleygen.errors import printable
from foleygen.record.timeline.record import as_line
from foleygen.record.timeline.reel import Placed, Reel
from foleygen.record.timeline.shots import Shot, Sound
from foleygen.settings import AafMedia

REEL_LENGTH = 8
TITLE_LENGTH = 70
UNITY_DB = 0.005
"""Gains that need no word."""
NO_REEL = "AX"
"""What the format calls a source that is no tape."""


def write(reel: Reel, path: Path, media: AafMedia) -> None:
    """The whole list into ``path``."""
    path.write_text(text(reel), encoding="utf-8", newline="\r\n")


def text(reel: Reel) -> str:
    """The whole list, with plain line ends."""
    lines = [f"TITLE: {printable(reel.name)[:TITLE_LENGTH]}", f"FCM: {'' if reel.drop_frame else 'NON-'}DROP FRAME", ""]
    for number, event in enumerate(_events(reel), start=1):
        lines += [f"{number:03}  {event[0]}", *event[1:]]
    # Readers take a comment before the first event for an unknown event.
    return "\n".join([*lines, f"* {as_line(reel.record)}"]) + "\n"


def _events(reel: Reel) -> Iterator[list[str]]:
    names = _reels([one.shot for one in reel.placed])
    # A sound in stereo takes the first two of the format's four channels.
    second = 3 if any(one.shot.takes[0].channels > 1 for one in reel.placed) else 2
    for one, name in zip(reel.placed, names, strict=True):
        shot = one.shot
        yield [*_event(reel, one, name, "V", shot.file_start, shot.path), *_rate(one, reel)]
        foley = shot.takes[0]
        sounds = [(foley, "AA" if foley.channels > 1 else "A"), (shot.bed, f"A{second}"), (shot.own, f"A{second + 1}")]
        for sound, channel in sounds:
            if sound is not None:
                start = round(sound.start_s * shot.rate)
                yield [*_event(reel, one, name, channel, start, sound.path), *_level(reel, one, sound, name)]


def _event(reel: Reel, one: Placed, name: str, channel: str, start: int, path: Path) -> list[str]:
    source, record = _counted(start, one.shot, reel), reel.start + one.place
    times = [_label(number, reel) for first in (source, record) for number in (first, first + one.frames)]
    return [
        f"{name:<8} {channel:<5} C        {' '.join(times)}",
        f"* FROM CLIP NAME: {printable(path.name)}",
        f"* SOURCE FILE: {printable(reel.paths.plain(path))}",
    ]


def _level(reel: Reel, one: Placed, sound: Sound, name: str) -> list[str]:
    if abs(sound.gain_db) < UNITY_DB:
        return []
    return [f"* AUDIO LEVEL AT {_label(reel.start + one.place, reel)} IS {sound.gain_db:+.2f} DB  (REEL {name})"]


def _rate(one: Placed, reel: Reel) -> list[str]:
    return [] if one.shot.rate == reel.rate else [f"* SOURCE RATE: {float(one.shot.rate):.5g} PICTURES PER SECOND"]


def _counted(start: int, shot: Shot, reel: Reel) -> int:
    """The number, at the sequence's rate, of the label that a clip has at picture ``start`` of its day."""
    from foleygen.media import timecode

    if shot.rate == reel.rate:
        return start
    label = timecode.label(start, shot.rate, shot.drop_frame)
    second, picture = label[:8], int(label[9:])
    scaled = picture * math.ceil(reel.rate) // math.ceil(shot.rate)
    number = timecode.frame_number(f"{second}{';' if reel.drop_frame else ':'}{scaled:02}", reel.rate)
    return math.floor(start / shot.rate * reel.rate) if number is None else number


def _label(number: int, reel: Reel) -> str:
    from foleygen.media import timecode

    return timecode.label(number, reel.rate, reel.drop_frame)


def _reels(shots: list[Shot]) -> list[str]:
    """A name of eight letters and digits for each source, none twice."""
    taken: dict[str, int] = {}
    names = []
    for shot in shots:
        plain = re.sub(r"[^A-Z0-9_]", "", shot.path.stem.upper().removesuffix(".FOLEY")) or NO_REEL
        short, count = plain[:REEL_LENGTH], 1
        while short in taken:
            count += 1
            short = plain[: REEL_LENGTH - len(str(count))] + str(count)
        taken[short] = count
        names.append(short)
    return names
