"""Cues in any order -> the sheet of one clip: sorted, each once, with a digest of what decides the sound."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace

from foleygen.facts import Cue, CueSheet, Lasting, Stretch

SAME_S = 0.010
"""Cues of one sound nearer than this are one: nobody hits twice so fast, but pads and detectors report it."""
MAX_CUES = 100_000
DIGITS = 6
"""Decimals of a second that count."""
_UNITS: int = 10**6


def sheet(
    cues: Iterable[Cue],
    known: Iterable[Stretch] | None = None,
    source: str = "",
    lasting: Iterable[Lasting] = (),
) -> CueSheet:
    """The sheet of ``cues`` in any order: sorted, to the microsecond, doubles joined, stretches that touch joined."""
    ordered = sorted((replace(cue, seconds=round(cue.seconds, DIGITS) + 0.0) for cue in cues), key=_order)
    kept: list[Cue] = []
    for cue in ordered:
        double = next((index for index in _near(kept, cue) if _alike(kept[index], cue)), None)
        if double is None:
            kept.append(cue)
        else:
            kept[double] = _joined(kept[double], cue)
    stretches = None if known is None else _union(known)
    going = _joined_by_sound(lasting)
    return CueSheet(tuple(kept), stretches, source, _digest(kept, stretches, going), going)


def filled(found: CueSheet) -> CueSheet:
    """The same cues, but the picture may add to them everywhere."""
    return sheet(found.cues, (), found.source, found.lasting)


def moved(found: CueSheet, seconds: float) -> CueSheet:
    """Everything later by ``seconds``; times may be negative afterwards."""
    known = found.known and [Stretch(one.start_s + seconds, one.end_s + seconds) for one in found.known]
    lasting = [Lasting(one.start_s + seconds, one.end_s + seconds, one.sound) for one in found.lasting]
    return sheet([replace(cue, seconds=cue.seconds + seconds) for cue in found.cues], known, found.source, lasting)


def _digest(cues: Iterable[Cue], known: Iterable[Stretch] | None, lasting: Iterable[Lasting]) -> str:
    """SHA-256 (hex) over what decides the sound."""
    told = [[_micro(cue.seconds), _rounded(cue.strength), cue.sound] for cue in cues]
    where = None if known is None else [[_micro(one.start_s), _micro(one.end_s)] for one in known]
    going = [[_micro(one.start_s), _micro(one.end_s), one.sound] for one in lasting]
    # Sheets in which nothing goes on keep the digests that are in sidecars.
    decides = [told, where, going] if going else [told, where]
    return hashlib.sha256(json.dumps(decides, ensure_ascii=False).encode()).hexdigest()


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


def _joined_by_sound(lasting: Iterable[Lasting]) -> tuple[Lasting, ...]:
    by_sound: dict[str, list[Lasting]] = {}
    for one in lasting:
        by_sound.setdefault(one.sound, []).append(one)
    found = [Lasting(one.start_s, one.end_s, sound) for sound, some in by_sound.items() for one in _union(some)]
    return tuple(sorted(found))


def _micro(seconds: float) -> int:
    return round(seconds * _UNITS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
