"""From a folder of recordings to its index, a file at a time: what is known is not measured again.

A file whose size and time of change are those of its row is passed over; one whose content is known under another name
keeps its measures. Each row is written at once, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from foleygen import regular
from foleygen.errors import ClipError, ExitCode, UsageError, printable
from foleygen.facts import stamp
from foleygen.library import naming, tags
from foleygen.library.cutting import Cut, cut
from foleygen.library.event import Recording
from foleygen.library.lacking import Lack, lack
from foleygen.library.mono import Mono
from foleygen.library.store import Entry, Mark, Store, file_of
from foleygen.library.walk import Found, Walk


@dataclass(frozen=True)
class Listed:
    """The walk is through: ``total`` recordings."""

    total: int


@dataclass(frozen=True)
class Indexed:
    """A recording is in the index, with so many events; ``is_new`` where it was measured and not known already."""

    file: str
    events: int
    seconds: float
    is_new: bool
    lack: Lack | None = None
    """Why nothing of it can be played."""


@dataclass(frozen=True)
class Failed:
    """A file that is no recording that can be read, or a folder that cannot be listed."""

    file: str
    error: ClipError


@dataclass(frozen=True)
class LeftOut:
    """A path that was not looked into, and why."""

    path: Path
    reason: str


Told = Callable[[Listed | Indexed | Failed | LeftOut], None]


@dataclass
class Tally:
    """What a run came to."""

    recordings: int = 0
    """In the index, those of folders included that could not be listed this time."""
    events: int = 0
    measured: int = 0
    measured_s: float = 0.0
    failed: list[ClipError] = field(default_factory=list)
    lacking: int = 0
    """Of which nothing can be played."""
    dropped: int = 0
    """Not there any more."""
    is_remade: bool = False
    """The index was of another version."""
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        if not self.failed:
            return ExitCode.OK if self.recordings else ExitCode.NO_CLIPS
        return ExitCode.SOME_FAILED if self.recordings else ExitCode.ALL_FAILED


def index(root: Path, file: Path | None, told: Told) -> Tally:
    """Index the library ``root`` in ``file``, else where its index is kept. Raises UsageError for no folder."""
    if not root.is_dir():
        fact = "is not a folder" if os.path.lexists(root) else "no such folder"
        raise UsageError(f"{printable(root)}: {fact}", "name the folder of your recordings")
    began = time.monotonic()
    walk = Walk(root, lambda path, reason: told(LeftOut(path, reason)))
    found = list(walk.files())
    if "." in walk.unseen:
        raise UsageError(f"{printable(root)}: cannot be listed ({walk.unseen['.']})", "check its permissions")
    told(Listed(len(found)))
    place = file or file_of(root)
    if not found and not walk.unseen and not os.path.lexists(place):
        return Tally(seconds=time.monotonic() - began)  # a folder without recordings is no library
    store, is_remade = Store.to_write(place, root)
    tally = Tally(is_remade=is_remade)
    with store:
        _index(found, walk, store, tally, told)
    tally.seconds = time.monotonic() - began
    return tally


def _index(found: list[Found], walk: Walk, store: Store, tally: Tally, told: Told) -> None:
    known, here = store.marks(), {one.file for one in found}
    unseen = tuple(f"{folder}/" for folder in walk.unseen)
    gone = [name for name in known if name not in here and not name.startswith(unseen)]
    for one in found:
        try:
            _one(one, known.get(one.file), store, tally, told)
        except ClipError as error:
            store.drop([one.file])
            tally.failed.append(error)
            told(Failed(one.file, error))
    store.drop(gone)  # after what was found, which may be the same under another name
    tally.dropped = len(gone)
    for folder, reason in walk.unseen.items():
        lost = ClipError(f"{printable(walk.root / folder)}: cannot be listed ({reason})", "check its permissions")
        tally.failed.append(lost)
        told(Failed(folder, lost))
    tally.recordings, tally.events = store.counts()


def _one(one: Found, mark: Mark | None, store: Store, tally: Tally, told: Told) -> None:
    """Raises ClipError for a file that cannot be read, or changes meanwhile."""
    now, line = stamp(one.path), naming.mark() + ("" if one.listed is None else one.listed.digest)
    if mark is not None and (now, line) == (mark.stamp, mark.listed):
        why = lack(mark.events, mark.steady_bytes, mark.noise_db, mark.is_stereo)
        tally.lacking += why is not None
        return told(Indexed(one.file, mark.events, mark.seconds, False, why))
    entry = _entry(one, store)
    store.put(replace(entry[0], listed=line))
    if entry[1]:
        tally.measured += 1
        tally.measured_s += entry[0].recording.seconds
    found, events = entry[0].recording, len(entry[0].events)
    why = lack(events, len(found.steady), found.noise_db, found.is_stereo)
    tally.lacking += why is not None
    return told(Indexed(one.file, events, found.seconds, entry[1], why))


def _entry(one: Found, store: Store) -> tuple[Entry, bool]:
    """What is to be kept, and whether it was measured now."""
    name, before = printable(one.path), stamp(one.path)
    try:
        seal = regular.seal(one.path)
        recording = Mono(one.path)
        said = naming.said(one.file, tags.read(one.path, recording.tags), one.listed)
    except OSError as error:
        raise ClipError(f"{name}: cannot be read ({error.strerror or error})", "check the file") from error
    known = store.of_content(seal.sha256)
    found = cut(recording) if known is None else _known(known)
    if before is None or before != seal.stamp or stamp(one.path) != before:
        raise ClipError(f"{name}: changed while it was read", "run the same command again when it is finished")
    samples = recording.samples if known is None else known.recording.samples
    fact = Recording(
        one.file, seal.sha256, recording.sample_rate, recording.channels, samples,
        said.words, said.catid, said.family, said.material, said.licence, said.source, found.noise_db, found.steady,
        found.is_stereo,
    )  # fmt: skip
    return Entry(fact, before, found.events, found.likenesses), known is None


def _known(entry: Entry) -> Cut:
    one = entry.recording
    return Cut(entry.events, entry.likenesses, one.noise_db, one.steady, one.is_stereo)
