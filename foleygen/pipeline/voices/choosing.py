"""Hits and what the model made of them -> the events of a library that play them, each with others in its stead.

What the model's own hit is like decides which events are near; how strong it is, which of these are hard or soft
enough; the seed, the clip, the take and the moment, which of the best it is. Events that are takes of one thing are
kept together, and none is heard twice running.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foleygen.cues.words import Sound
from foleygen.features.cues import WEAKEST
from foleygen.pipeline.voices.asked import Hit
from foleygen.pipeline.voices.own import SILENT_DB, OwnSound
from foleygen.pipeline.voices.shelf import Numbers, Shelf
from foleygen.sampling.noise import share

NEAR = 24
"""Events that are looked at for each hit, and of each kind of them that are kept together."""
BEST = 6
WITHIN_DB = 3.0
"""What is further than that behind the best is not taken."""
HARDNESS_DB = 12.0
"""How far apart the softest and the hardest take of one thing count as being."""
STRANGER_DB = 6.0
"""How much further away what belongs to another thing counts as being."""
RAISED_DB, RAISED_COST = 15.0, 0.5
"""A recording that must be raised by more than that, noise and all, counts as so much further away for each dB."""
FEW = 3
"""Of a thing with fewer takes others are heard beside it."""
RECENT = 3
"""Events that are not heard again so soon, where there are many."""
USUAL_DB = -20.0
"""The level (see ``own.band_db``) of a hit of full strength where the model has none."""


@dataclass(frozen=True)
class Choice:
    """A hit, how loud it shall be, and the events that may play it, the chosen one first."""

    hit: Hit
    level_db: float
    """Of its first 100 ms, as ``own.band_db`` has it."""
    events: tuple[int, ...]
    """None: nothing in the library fits, and the model has it."""


@dataclass(frozen=True)
class Heard:
    """A hit, and the model's own sound for it."""

    hit: Hit
    level_db: float
    likeness: NDArray[np.float32] | None
    """None: the model has nothing there."""

    @property
    def sound(self) -> Sound:
        return self.hit.sound


def heard(hits: Sequence[Hit], places: Sequence[float], own: OwnSound) -> list[Heard]:
    """What the model has for each hit at ``places``, seconds from the beginning of ``own``."""
    found = []
    for hit, place, until in zip(hits, places, ends(places), strict=True):
        level = own.level_db(place, until)
        found.append(Heard(hit, level, own.likeness(place, until) if level > SILENT_DB else None))
    return found


def ends(places: Sequence[float]) -> list[float]:
    """For each of ``places``, ascending, the next later one; infinity after the last."""
    ordered = np.append(np.asarray(places, np.float64), np.inf)
    return [float(end) for end in ordered[np.searchsorted(ordered[:-1], ordered[:-1], side="right")]]


def chosen(shelf: Shelf, found: Sequence[Heard], key: tuple[object, ...]) -> list[Choice]:
    """A choice for each hit, in order; ``key`` is what chance depends on beside the moment of the hit."""
    levels = _levels(found)
    sets = _homes(shelf, found)
    recent: dict[Sound, deque[int]] = defaultdict(lambda: deque(maxlen=RECENT))
    choices = []
    for one, level, hardness in zip(found, levels, _ranks(found, levels), strict=True):
        events = shelf.fitting(one.sound) if not one.hit.is_steady else np.zeros(0, np.intp)
        order: tuple[int, ...] = ()
        if len(events):
            ranked, costs = _ranked(shelf, one, events, hardness, level, sets.get(one.sound))
            order = _drawn(ranked, costs, recent[one.sound], (*key, round(one.hit.seconds * 1000), one.hit.words))
            recent[one.sound].append(order[0])
        choices.append(Choice(one.hit, level, order))
    return choices


def _levels(found: Sequence[Heard]) -> list[float]:
    """How loud each hit shall be: by its strength around the model's usual level, or as the model has it."""
    bases = _bases(found)
    return [
        one.level_db
        if one.hit.strength is None and one.likeness is not None
        else bases.get(one.sound, bases[None]) + _decibels(one.hit.strength)
        for one in found
    ]


def _bases(found: Sequence[Heard]) -> dict[Sound | None, float]:
    """The level of a hit of full strength, for each word and for all."""
    by_word: dict[Sound | None, list[float]] = defaultdict(list)
    for one in found:
        if one.likeness is not None:
            for word in (one.sound, None):
                by_word[word].append(one.level_db - _decibels(one.hit.strength))
    return {None: USUAL_DB, **{word: float(np.median(levels)) for word, levels in by_word.items()}}


def _decibels(strength: float | None) -> float:
    return 0.0 if strength is None else float(20 * np.log10(max(WEAKEST, strength)))


def _ranks(found: Sequence[Heard], levels: Sequence[float]) -> Iterator[float]:
    """The place, 0 to 1, of each hit's level among those of its word."""
    by_word: dict[Sound, list[float]] = defaultdict(list)
    for one, level in zip(found, levels, strict=True):
        by_word[one.sound].append(level)
    for one, level in zip(found, levels, strict=True):
        all_of_it = np.array(by_word[one.sound])
        yield float(((all_of_it < level).sum() + 0.5 * (all_of_it == level).sum()) / len(all_of_it))


def _homes(shelf: Shelf, found: Sequence[Heard]) -> dict[Sound, int]:
    """Of each word, the thing with takes enough that is nearest for most of its hits."""
    votes: dict[Sound, Counter[int]] = defaultdict(Counter)
    for one in found:
        events = shelf.fitting(one.sound)
        many = events[shelf.takes[events] >= FEW]
        if len(many) and one.likeness is not None:
            votes[one.sound][int(shelf.thing[shelf.index.nearest(one.likeness, many, 1)[0]])] += 1
    return {word: min(counts, key=lambda thing: (-counts[thing], thing)) for word, counts in votes.items()}


def _ranked(
    shelf: Shelf, one: Heard, events: Numbers, hardness: float, level_db: float, home: int | None
) -> tuple[Numbers, NDArray[np.float64]]:
    """The nearest of ``events`` for a hit, the best first, and how far away each counts as being, in dB."""
    query = one.likeness if one.likeness is not None else shelf.index.vectors[events].mean(axis=0)
    near = shelf.index.nearest(query, events, NEAR)
    if home is not None:
        kin = shelf.index.nearest(query, events[shelf.thing[events] == home], NEAR)
        near = np.union1d(near, kin)
    cost = shelf.index.distances(query, near) + HARDNESS_DB * np.abs(shelf.hardness[near] - hardness)
    raised = level_db - shelf.index.events.facts["level_db"][near]
    cost += RAISED_COST * np.maximum(0.0, raised - RAISED_DB)
    if home is not None:
        cost += STRANGER_DB * (shelf.thing[near] != home)
    order = np.lexsort((near, cost))
    return near[order], cost[order]


def _drawn(ranked: Numbers, costs: NDArray[np.float64], recent: deque[int], key: tuple[object, ...]) -> tuple[int, ...]:
    """``ranked`` with one of the best of them first, which was not heard just now unless it is the only one."""
    # Few takes would otherwise be played in turn, whatever the strength.
    last = list(recent)[-max(1, len(ranked) // 3) :] if len(ranked) > 1 else []
    fresh = [int(event) for event in ranked if int(event) not in last]
    best = dict(zip(map(int, ranked), map(float, costs), strict=True))
    good = [event for event in fresh[:BEST] if best[event] <= best[fresh[0]] + WITHIN_DB]
    first = good[int(share("play", *key) * len(good))]
    return first, *(event for event in fresh if event != first), *last[::-1]
