"""A recording cut into events: from where one comes out of what was before to where its tail sinks into the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from foleygen.library import attacks, levels, steady
from foleygen.library.attacks import Place
from foleygen.library.event import Stretch
from foleygen.library.levels import HOP_S, SILENCE_DB, Levels
from foleygen.library.likeness import DIMENSIONS, SECONDS, brightness, likeness
from foleygen.library.mono import Mono
from foleygen.library.store import EVENT, Events, Likenesses, in_steps

SUNK_DB = 3.0
"""Above the noise floor: where a tail ends."""
FAINT_DB = 60.0
"""Below its peak: where a tail ends in any case."""
LONGEST_S = 10.0
SHORTEST_S = 0.02
_SMOOTH = 10
"""Frames that the level of a tail is averaged over, 50 ms."""
_LOUDEST_S = 0.05
_SPARE_S = 0.011
"""What a likeness looks at before the attack and after its end."""


@dataclass(frozen=True)
class Cut:
    """What a recording holds; ``noise_db`` and ``is_stereo`` as in ``Recording``."""

    events: Events
    likenesses: Likenesses
    noise_db: float | None
    steady: tuple[Stretch, ...]
    is_stereo: bool = False


def cut(recording: Mono) -> Cut:
    """The events of a recording, and what else there is to know of it. Raises ClipError."""
    bands = levels.band_levels(recording.blocks(), recording.sample_rate)
    level = levels.total(bands)
    floor = levels.noise_floor(level)
    places = [attacks.placed(recording, frame) for frame in attacks.frames(bands, level, floor)]
    events, vectors = _measured(recording, _ordered(places, recording), level, floor)
    steps = in_steps(vectors)
    parts = steady.stretches(recording, level, events)
    is_silent = float(level.max(initial=SILENCE_DB)) <= steady.QUIETEST_DB
    if not len(events) and not parts and (recording.is_cancelled or is_silent):
        return Cut(events, steps, None, (), recording.is_cancelled)
    noise = float(np.percentile(level, levels.FLOOR_PERCENTILE)) if len(level) else SILENCE_DB
    return Cut(events, steps, noise, parts, recording.is_stereo)


def _ordered(places: Sequence[Place], recording: Mono) -> list[Place]:
    """In order of time, none before the attack of the one before it, none twice, and none that is cut off at once.

    Where a recording stops short, its spectrum rises too.
    """
    least = min(round(SHORTEST_S * recording.sample_rate), recording.samples / 2)
    found: list[Place] = []
    for start, attack in sorted(places, key=lambda place: place.attack):
        if recording.samples - attack >= least and (not found or attack > found[-1].attack):
            found.append(Place(max(start, found[-1].attack + 1) if found else start, attack))
    return found


def _measured(
    recording: Mono, places: Sequence[Place], level: Levels, floor: Levels
) -> tuple[Events, NDArray[np.float32]]:
    """Events (N,) and their likenesses (N, DIMENSIONS)."""
    events, vectors = np.zeros(len(places), EVENT), np.zeros((len(places), DIMENSIONS), np.float32)
    smooth = uniform_filter1d(level, _SMOOTH, mode="nearest") if len(level) else level
    rate = recording.sample_rate
    for number, (start, attack) in enumerate(places):
        following = places[number + 1].start if number + 1 < len(places) else recording.samples
        end = _end(attack, following, rate, smooth, floor)
        first, spare = attack - round(_SPARE_S * rate), round((SECONDS + _SPARE_S) * rate)
        sound = recording.part(first, min(end, attack + spare))
        at = attack - first
        events[number] = (start, attack, end, _loudness(sound[at:], rate), brightness(sound, rate, at))
        vectors[number] = likeness(sound, rate, at)
    return events, vectors


def _end(attack: int, following: int, rate: int, level: Levels, floor: Levels) -> int:
    """The sample at which a tail ends."""
    hop = levels.hop(rate)
    first = min(attack // hop + 1, len(level) - 1)
    last = min(len(level), first + round(LONGEST_S / HOP_S), following // hop + 1)
    part = level[first:last]
    lowest = max(float(floor[first]) + SUNK_DB, float(part[:_SMOOTH].max(initial=SILENCE_DB)) - FAINT_DB)
    sunk = np.flatnonzero(part <= lowest)
    end = (first + int(sunk[0]) if len(sunk) else last) * hop
    return max(min(max(end, attack + round(SHORTEST_S * rate)), following), attack + 1)


def _loudness(sound: NDArray[np.float32], rate: int) -> float:
    """dBFS of the loudest _LOUDEST_S of mono samples (S,)."""
    width = max(1, round(_LOUDEST_S * rate))
    power = np.cumsum(np.pad(sound.astype(np.float64), (1, max(0, width - len(sound)))) ** 2)
    return float(10 * np.log10(max((power[width:] - power[:-width]).max() / width, 1e-12)))
