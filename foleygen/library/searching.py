"""What of a library answers to words, or sounds like a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foleygen.cues.words import Sound, recognise
from foleygen.errors import ClipError, printable
from foleygen.library.cutting import cut
from foleygen.library.event import Recording
from foleygen.library.index import Index
from foleygen.library.likeness import likeness
from foleygen.library.mono import Mono
from foleygen.library.naming import spaced
from foleygen.library.store import STEP_DB

_PART = 0.5
"""What a word counts that a recording's word begins with."""
_MOST_S = 10.0


def by_words(index: Index, text: str) -> list[int]:
    """The recordings that answer to ``text``, the best first: one point for each word that they have, and one each for
    family and material that it names."""
    asked = [word.lower() for word in spaced(text).split()]
    sound = recognise(text).sound
    scores = np.array([_score(one, asked, sound) for one in index.recordings])
    order = np.argsort(-scores, kind="stable")
    return [int(number) for number in order if scores[number] > 0]


def like(path: Path) -> NDArray[np.float32]:
    """The likeness of the loudest event of a sound file, or of its beginning where it has none. Raises ClipError."""
    if not path.exists():
        raise ClipError(f"{printable(path)}: no such file", "check the path")
    recording = Mono(path)
    found = cut(recording)
    if len(found.events):
        loudest = int(np.argmax(found.events["level_db"]))
        return np.asarray(found.likenesses[loudest] * np.float32(STEP_DB), np.float32)
    vector = likeness(recording.part(0, round(_MOST_S * recording.sample_rate)), recording.sample_rate, 0)
    if not vector.any():
        raise ClipError(f"{printable(path)}: is silent", "give a sound to search for")
    return vector


def in_turn(index: Index, recordings: Iterable[int], count: int) -> list[int]:
    """Events of recordings: the first of each, then the second of each, as many as are wanted."""
    chosen = list(recordings)
    events: dict[int, list[int]] = {number: [] for number in chosen}
    for event, number in enumerate(index.events.recording):
        if int(number) in events:
            events[int(number)].append(event)
    turns = (turn for turn in zip_longest(*(events[number] for number in chosen)))
    return [event for turn in turns for event in turn if event is not None][:count]


def unknown_words(index: Index) -> Counter[str]:
    """Words that recordings have and that name no sound of ours, with the number of recordings."""
    return Counter(word for one in index.recordings for word in set(_unknown(one)))


def _unknown(one: Recording) -> Iterator[str]:
    for word in recognise(one.words).unknown:
        if len(word) > 2 and not any(char.isdigit() for char in word) and word != (one.catid or "").lower():
            yield word


def _score(one: Recording, asked: list[str], sound: Sound) -> float:
    words = one.words.lower().split()
    score = sum(1.0 if word in words else _PART * any(own.startswith(word) for own in words) for word in asked)
    pairs = ((sound.family, one.family), (sound.material, one.material))
    return score + sum(wanted is not None and wanted == own for wanted, own in pairs)
