"""A library as it was indexed: its recordings, the events in them, and those nearest to a sound.

Distances are computed to every event that is asked about: of a million events that is 128 MB in memory, and a query
among them all takes tenths of a second, so nothing cleverer is needed. N events, C channels, S samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import ClipError, UsageError, printable
from foleygen.facts import stamp
from foleygen.library import reading
from foleygen.library.event import Event, Recording, Stretch
from foleygen.library.likeness import DIMENSIONS
from foleygen.library.store import EVENT, STEP_DB, VERSION, Entry, Events, Store, file_of
from foleygen.regular import seal

Numbers = NDArray[np.intp]
_ROWS = 1 << 15
"""Distances are computed so many at a time."""


class GoneError(ClipError):
    """A recording that is in the index is not there any more."""


class EventTable(Sequence[Event]):
    """The events of a library, kept as columns and made one by one."""

    def __init__(self, recording: Numbers, facts: Events) -> None:
        self.recording, self.facts = recording, facts

    def __len__(self) -> int:
        return len(self.facts)

    @overload
    def __getitem__(self, number: int) -> Event: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Event]: ...

    def __getitem__(self, number: int | slice) -> Event | Sequence[Event]:
        if isinstance(number, slice):
            return EventTable(self.recording[number], self.facts[number])
        start, attack, end, level_db, brightness_hz = self.facts[number].item()
        return Event(int(self.recording[number]), start, attack, end, level_db, brightness_hz)

    def __iter__(self) -> Iterator[Event]:
        return (self[number] for number in range(len(self)))


class Index:
    """The index of the library ``root``, read only. ``open`` makes it."""

    def __init__(self, root: Path, entries: Sequence[Entry]) -> None:
        self.root = root
        self.version = VERSION
        self.recordings: tuple[Recording, ...] = tuple(entry.recording for entry in entries)
        owner = np.repeat(np.arange(len(entries)), [len(entry.events) for entry in entries]).astype(np.intp)
        facts = np.concatenate([np.zeros(0, EVENT), *(entry.events for entry in entries)])
        self.events = EventTable(owner, facts)
        steps = np.concatenate([np.zeros((0, DIMENSIONS), np.int8), *(entry.likenesses for entry in entries)])
        self.vectors: NDArray[np.float32] = steps.astype(np.float32) * np.float32(STEP_DB)
        self.digest = _digest(entries)
        self._stamps = [entry.stamp for entry in entries]
        self._unchanged: set[int] = set()

    @classmethod
    def open(cls, root: Path, file: Path | None = None) -> Index:
        """The index of the library ``root``, in ``file`` if that is named.

        Raises UsageError where there is none, or one of another version, or nothing in it.
        """
        if not root.is_dir():
            fact = "is not a folder" if root.exists() else "no such folder"
            raise UsageError(f"{printable(root)}: {fact}", "name the folder of your recordings")
        with Store.to_read(file or file_of(root), root) as store:
            index = cls(root, list(store.entries()))
        if not len(index.events) and not any(one.steady for one in index.recordings):
            again = f"run 'foleygen library index {printable(root)}'"
            remedy = f"put recordings of hits there, or of what goes on, and {again}"
            raise UsageError(f"{printable(root)}: its index has no event, and nothing steady", remedy)
        return index

    def fitting(self, family: str | None, material: str | None) -> Numbers:
        """The events that fit a word: those of family and material, then of the family, then of the material.

        Within the second and third, those of which nothing else is known come before those that are something else.
        All of them, where neither is said; none, where nothing fits.
        """
        groups = self.groups(family, material)
        return np.concatenate([np.zeros(0, np.intp), *groups])

    def groups(self, family: str | None, material: str | None) -> list[Numbers]:
        """The same one by one, the best first; none of them is empty."""
        if family is None and material is None:
            return [np.arange(len(self.events), dtype=np.intp)]
        fits = np.array([_fit(one, family, material) for one in self.recordings], np.int8)
        of_event = fits[self.events.recording]
        found = [np.flatnonzero(of_event == rank) for rank in range(1, _RANKS + 1)]
        return [group for group in found if len(group)]

    def nearest(self, vector: NDArray[np.float32], among: Numbers, count: int) -> Numbers:
        """The ``count`` events of ``among`` nearest to a likeness (DIMENSIONS,), the nearest first, ties by number."""
        distances = self.distances(vector, among)
        return among[np.lexsort((among, distances))[: max(0, count)]]

    def distances(self, vector: NDArray[np.float32], among: Numbers) -> NDArray[np.float64]:
        """How far each event of ``among`` is from a likeness: dB, root mean square over all its numbers."""
        query = np.asarray(vector, np.float64)
        parts = [among[first : first + _ROWS] for first in range(0, len(among), _ROWS)]
        # No product of matrices: how that is rounded depends on the number of rows and of threads.
        squares = [((self.vectors[part] - query) ** 2).mean(axis=1) for part in parts]
        distances: NDArray[np.float64] = np.sqrt(np.concatenate([np.zeros(0), *squares]))
        return distances

    def sound(self, event: int, *, before_s: float = 0.0) -> tuple[NDArray[np.float32], int, int]:
        """Samples (C, S) of an event, their rate in Hz and the place of the attack among them.

        ``before_s`` seconds before its start come too, as far as the recording has them. Raises ClipError where the
        recording is gone, or has changed since it was indexed.
        """
        fact = self.events[event]
        one = self.recordings[fact.recording]
        path = self.path(fact.recording)
        self._check(fact.recording, path)
        first = max(0, fact.start - round(before_s * one.sample_rate))
        samples = reading.part(path, first, fact.end)
        if samples.shape[1] <= fact.attack - first:
            raise ClipError(f"{printable(path)}: ends before the sound that was found in it", self._again())
        return samples, one.sample_rate, fact.attack - first

    def steady(self, recording: int, part: Stretch) -> tuple[NDArray[np.float32], int]:
        """Samples (C, S) of a steady stretch of a recording, and their rate in Hz. Raises ClipError as ``sound``."""
        path = self.path(recording)
        self._check(recording, path)
        samples = reading.part(path, part.start, part.end)
        if samples.shape[1] < part.end - part.start:
            raise ClipError(f"{printable(path)}: ends before the sound that was found in it", self._again())
        return samples, self.recordings[recording].sample_rate

    def path(self, recording: int) -> Path:
        """Where a recording is."""
        return self.root / self.recordings[recording].file

    def _check(self, recording: int, path: Path) -> None:
        """A file that was only touched or copied is the same one; its content is read once to know."""
        if recording in self._unchanged:
            return
        found = stamp(path)
        if found is None:
            raise GoneError(f"{printable(path)}: is gone since the library was indexed", self._again())
        if found != self._stamps[recording] and _content(path) != self.recordings[recording].digest:
            raise ClipError(f"{printable(path)}: has changed since the library was indexed", self._again())
        self._unchanged.add(recording)

    def _again(self) -> str:
        return f"bring it back, or run 'foleygen library index {printable(self.root)}'"


_RANKS = 5


def _fit(one: Recording, family: str | None, material: str | None) -> int:
    """0: not at all; else the rank of its group, from 1."""
    is_family = family is not None and one.family == family
    is_material = material is not None and one.material == material
    if is_family:
        return 1 if is_material or material is None else 2 if one.material is None else 3
    if not is_material:
        return 0
    return 1 if family is None else 4 if one.family is None else 5


def _content(path: Path) -> str | None:
    try:
        return seal(path).sha256
    except OSError:
        return None


def _digest(entries: Sequence[Entry]) -> str:
    """Over all that decides which event is played: contents, words and measures, not the names of the files."""
    total = hashlib.sha256(f"{VERSION}".encode())
    for entry in entries:
        one = entry.recording
        facts = (one.digest, one.family, one.material, len(entry.events), *(astuple(part) for part in one.steady))
        total.update(repr(facts).encode())
        total.update(entry.events.tobytes() + entry.likenesses.tobytes())
    return total.hexdigest()
