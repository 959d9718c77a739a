"""The cues of one clip: the moments at which something is heard, and the stretches of which they say everything.

No sheet at all means that nobody said anything, and the picture decides. A sheet without cues means that nothing is
heard where it is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

SAME_S = 0.010
"""Cues of one sound nearer than this are one: nobody hits twice so fast, but pads and detectors report it."""
MAX_CUES = 100_000
DIGITS = 6
"""Decimals of a second that count."""
_UNITS: int = 10**6


@dataclass(frozen=True)
class Cue:
    """One moment at which something is heard."""

    seconds: float
    """After the clip's first picture."""
    strength: float | None = None
    """0 to 1, barely audible to as hard as it gets; None: not said."""
    confidence: float | None = None
    """0 to 1: how sure whoever found it was; None: somebody said so."""
    sound: str | None = None
    """Words for it (see ``words.understand``); None: the picture decides."""
    name: str = ""
    """Whatever else the marker says, for people."""


@dataclass(frozen=True, order=True)
class Stretch:
    """From the one to the other, seconds after the first picture."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class CueSheet:
    """All that was said of one clip. Made by ``sheet``, so in order and without doubles."""

    cues: tuple[Cue, ...] = ()
    known: tuple[Stretch, ...] | None = None
    """Where the cues are all there is; elsewhere the picture decides. None: everywhere. (): only around each cue."""
    source: str = ""
    """Name of the file, for people."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was done to the file's markers, one sentence each."""

    def is_known(self, seconds: float) -> bool:
        """Whether the cues alone decide at ``seconds``."""
        if self.known is None:
            return True
        return any(stretch.start_s <= seconds < stretch.end_s for stretch in self.known)

    def between(self, start_s: float, end_s: float) -> tuple[Cue, ...]:
        """The cues in [start_s, end_s), in order."""
        return tuple(cue for cue in self.cues if start_s <= cue.seconds < end_s)

    def filled(self) -> CueSheet:
        """The same cues, but the picture may add to them everywhere."""
        return replace(self, known=())

    def moved(self, seconds: float) -> CueSheet:
        """Everything later by ``seconds``; times may be negative afterwards."""
        known = self.known and tuple(Stretch(one.start_s + seconds, one.end_s + seconds) for one in self.known)
        return replace(self, cues=tuple(replace(c, seconds=c.seconds + seconds) for c in self.cues), known=known)

    def digest(self) -> str:
        """SHA-256 (hex) over what decides the sound: times, strengths, sounds and stretches."""
        cues = [[_micro(cue.seconds), _rounded(cue.strength), cue.sound] for cue in self.cues]
        known = None if self.known is None else [[_micro(one.start_s), _micro(one.end_s)] for one in self.known]
        return hashlib.sha256(json.dumps([cues, known], ensure_ascii=False).encode()).hexdigest()


def sheet(cues: Iterable[Cue], known: Iterable[Stretch] | None = None, source: str = "") -> CueSheet:
    """The sheet of ``cues`` in any order: sorted, to the microsecond, doubles joined, stretches that touch joined."""
    ordered = sorted((replace(cue, seconds=round(cue.seconds, DIGITS) + 0.0) for cue in cues), key=_order)
    kept: list[Cue] = []
    for cue in ordered:
        double = next((index for index in _near(kept, cue) if _alike(kept[index], cue)), None)
        if double is None:
            kept.append(cue)
        else:
            kept[double] = _joined(kept[double], cue)
    doubles = len(ordered) - len(kept)
    notes = (f"{doubles} of {len(ordered)} cues fall within 10 ms of another one of their sound and count as it",)
    return CueSheet(tuple(kept), None if known is None else _union(known), source, notes if doubles else ())


def closest_s(cues: Iterable[Cue]) -> float | None:
    """Least time between two neighbours; None with fewer than two."""
    times = [cue.seconds for cue in cues]
    return min((after - before for before, after in pairwise(times)), default=None)


def _order(cue: Cue) -> tuple[float, str]:
    return cue.seconds, cue.sound or ""


def _near(kept: list[Cue], cue: Cue) -> Iterable[int]:
    """Indices, from the last, of the kept cues within SAME_S before ``cue``."""
    for index in range(len(kept) - 1, -1, -1):
        if _micro(cue.seconds) - _micro(kept[index].seconds) >= _micro(SAME_S):
            return
        yield index


def _alike(one: Cue, other: Cue) -> bool:
    """Whether they are one sound; what says nothing of its sound goes with any."""
    return one.sound == other.sound or one.sound is None or other.sound is None


def _joined(one: Cue, other: Cue) -> Cue:
    """The first one's time, the greater strength and confidence, and whatever words there are."""
    return Cue(
        one.seconds,
        max((value for value in (one.strength, other.strength) if value is not None), default=None),
        max((value for value in (one.confidence, other.confidence) if value is not None), default=None),
        one.sound or other.sound,
        one.name or other.name,
    )


def _union(known: Iterable[Stretch]) -> tuple[Stretch, ...]:
    joined: list[Stretch] = []
    for one in sorted(Stretch(round(one.start_s, DIGITS), round(one.end_s, DIGITS)) for one in known):
        if joined and one.start_s <= joined[-1].end_s:
            joined[-1] = Stretch(joined[-1].start_s, max(joined[-1].end_s, one.end_s))
        else:
            joined.append(one)
    return tuple(joined)


def _micro(seconds: float) -> int:
    return round(seconds * _UNITS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
