"""A library as it is chosen from: its events by the words that they fit, with how hard each is and what it goes with.

N events.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foleygen.cues.words import Sound
from foleygen.errors import UsageError, printable
from foleygen.library.event import Recording, Stretch
from foleygen.library.index import Index

BLOWS = frozenset(("bounce", "collide", "hammer", "knock", "drop", "chop", "crockery", "dominoes"))
"""Families that are one blow on a body each: of these it is the material that is heard."""
ENOUGH = 4
"""From so many events of the better groups on, no worse one is needed."""

Numbers = NDArray[np.intp]


class Part(NamedTuple):
    """A steady stretch of the recording with that number in the index."""

    recording: int
    stretch: Stretch


class Shelf:
    """An opened index, and what choosing needs beside it."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.thing = _things(index.recordings)[index.events.recording]
        """(N,): events of one number are takes of one thing: of one recording, or of recordings that are numbered."""
        self.takes = np.bincount(self.thing)[self.thing]
        """(N,): how many such takes there are."""
        self.hardness = _hardness(self.thing, index.events.facts["level_db"])
        """(N,) in 0..1: how loud each is among them; 0.5 where it is alone."""
        self.is_stereo = _is_stereo(index)
        """Whether left and right differ in any recording that has something to play, whether it is there or not."""
        self.missing = tuple(n for n in range(len(index.recordings)) if not index.path(n).exists())
        """The recordings that are not there."""
        self.digest = _digest(index.digest, self.thing, self.missing)
        """Of all that decides what is played."""
        self._fitting = lru_cache(maxsize=64)(self._found)
        self._going = lru_cache(maxsize=64)(self._found_going)

    def fitting(self, sound: Sound) -> Numbers:
        """The events that may be played for ``sound``, ascending: the best group, and others while these are few.

        Nothing that is known to be of another material, or of another family unless both are blows.
        """
        return self._fitting(sound)

    def _found(self, sound: Sound) -> Numbers:
        may = np.array([_may(one, sound) for one in self.index.recordings], bool)
        chosen = np.zeros(0, np.intp)
        for group in self.index.groups(sound.family, sound.material):
            chosen = np.concatenate([chosen, group[may[self.index.events.recording[group]]]])
            if len(chosen) >= ENOUGH:
                break
        return np.sort(chosen)

    def going(self, sound: Sound) -> tuple[Part, ...]:
        """The steady stretches that may be played for ``sound``, which goes on: those of its family and material.

        Where these are few, those that say no material too.
        """
        return self._going(sound)

    def _found_going(self, sound: Sound) -> tuple[Part, ...]:
        kin = [
            (number, one)
            for number, one in enumerate(self.index.recordings)
            if one.family == sound.family and _may(one, sound)
        ]
        chosen: list[Part] = []
        for is_material in (True, False):
            if len(chosen) < ENOUGH:
                group = [pair for pair in kin if (sound.material in (None, pair[1].material)) is is_material]
                chosen += [Part(number, part) for number, one in group for part in one.steady]
        return tuple(chosen)

    def recording(self, event: int) -> Recording:
        """What ``event`` is in."""
        return self.index.recordings[int(self.index.events.recording[event])]


def opened(library: Path, index: Path | None = None) -> Shelf:
    """The library in the folder ``library``, whose index is in the file ``index`` if that is named.

    Raises UsageError where it has no index, or an empty one, or one of recordings none of which is there.
    """
    shelf = Shelf(Index.open(library, index))
    if len(shelf.missing) == len(shelf.index.recordings):
        fact = f"{printable(library)}: none of the recordings in its index is there"
        raise UsageError(fact, f"bring them back, or run 'foleygen library index {printable(library)}'")
    return shelf


def _may(one: Recording, sound: Sound) -> bool:
    if None not in (one.material, sound.material) and one.material != sound.material:
        return False
    apart = None not in (one.family, sound.family) and one.family != sound.family
    return not apart or {one.family, sound.family} <= BLOWS


def _things(recordings: tuple[Recording, ...]) -> Numbers:
    """A number for each recording; those whose paths differ in digits alone share it."""
    names = [re.sub(r"[0-9]+", "#", one.file) for one in recordings]
    known = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], np.intp)


def _hardness(thing: Numbers, level_db: NDArray[np.floating]) -> NDArray[np.float64]:
    order = np.lexsort((level_db, thing))
    sizes = np.bincount(thing)
    first = np.cumsum(sizes) - sizes
    rank = np.empty(len(thing))
    rank[order] = np.arange(len(thing)) - first[thing[order]]
    found: NDArray[np.float64] = (rank + 0.5) / sizes[thing]
    return found


def _is_stereo(index: Index) -> bool:
    events = np.bincount(index.events.recording, minlength=len(index.recordings))
    return any(one.is_stereo and (count or one.steady) for one, count in zip(index.recordings, events, strict=True))


def _digest(index: str, thing: Numbers, missing: tuple[int, ...]) -> str:
    total = hashlib.sha256(index.encode())
    total.update(thing.astype("<i8").tobytes())
    if missing:
        total.update(repr(missing).encode())
    return total.hexdigest()
