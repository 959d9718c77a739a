"""Shots -> their places in one sequence, on whole pictures of its rate."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

from foleygen.errors import UsageError, printable
from foleygen.facts import SAMPLE_RATE
from foleygen.record.timeline.shots import Shot
from foleygen.settings import TimelinePaths

log = logging.getLogger(__name__)
BLANK_RATE = Fraction(25)
BLANK_SIZE = (1920, 1080)


@dataclass(frozen=True)
class Placed:
    """A shot in the sequence."""

    shot: Shot
    place: int
    """Pictures of the sequence before it."""
    frames: int
    """Pictures of the sequence for which it is seen: whole ones, and no more than it has."""


@dataclass(frozen=True)
class Reel:
    """A sequence: the first shot gives its rate, its size and its start."""

    name: str
    rate: Fraction
    start: int
    """Pictures from midnight to its first one."""
    drop_frame: bool
    width: int
    height: int
    placed: tuple[Placed, ...]
    paths: Paths
    record: str
    """One line of ASCII that says how to make the timeline again."""

    @property
    def frames(self) -> int:
        return sum(one.frames for one in self.placed)

    def sample(self, pictures: int) -> int:
        """The 48 kHz sample at which a picture of the sequence begins."""
        return round(pictures / self.rate * SAMPLE_RATE)


@dataclass(frozen=True)
class Paths:
    """How files are named in a timeline in ``folder``."""

    kind: TimelinePaths
    folder: Path

    def plain(self, path: Path) -> str:
        """A path; a URL where one is asked for, or where the bytes of the path are no text."""
        absolute = os.path.abspath(path)
        text = self._relative(absolute) if self.kind == "relative" else absolute
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return self.url(path)
        return Path(absolute).as_uri() if self.kind == "url" else text

    def url(self, path: Path) -> str:
        """A ``file://`` URL, or a relative one."""
        absolute = os.path.abspath(path)
        return quote(os.fsencode(self._relative(absolute))) if self.kind == "relative" else Path(absolute).as_uri()

    def _relative(self, absolute: str) -> str:
        return Path(os.path.relpath(absolute, os.path.abspath(self.folder))).as_posix()


def reel(shots: Sequence[Shot], name: str, paths: Paths, record: str) -> Reel:
    """The ``shots`` one after the other. Raises UsageError where none is as long as one picture of the sequence."""
    rate = shots[0].rate if shots else BLANK_RATE
    placed: list[Placed] = []
    place = 0
    for shot in shots:
        frames = math.floor(min(shot.picture_s, _heard_s(shot)) * rate)
        if not frames:
            log.warning("%s: is shorter than a picture of the timeline, which lacks it", printable(shot.path))
            continue
        placed.append(Placed(shot, place, frames))
        place += frames
    if shots and not placed:
        raise UsageError(f"{printable(name)}: no clip is as long as a picture of the timeline", "give longer clips")
    width, height = (shots[0].width, shots[0].height) if shots else BLANK_SIZE
    first = shots[0] if shots else None
    drop_frame = first is not None and first.drop_frame
    return Reel(name, rate, first.start if first else 0, drop_frame, width, height, tuple(placed), paths, record)


def _heard_s(shot: Shot) -> Fraction:
    """Seconds of sound there are; what rounding of uneven pictures takes off it does not count as missing."""
    return shot.picture_s if shot.picture_s - shot.duration_s < 1 / (2 * shot.rate) else shot.duration_s
