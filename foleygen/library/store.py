"""Where the index of a library is kept: one SQLite file, a row a recording.

SQLite makes it whole after a crash and safe for several processes: a recording is in it with all its events, or not
yet. Rows are written once a second, since each time waits for the disk. Nothing of the sound
is kept but what was measured of it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import FoleygenError, RetryableError, SetupError, UsageError, printable
from foleygen.library.event import Recording, Stretch
from foleygen.library.likeness import BANDS, DIMENSIONS

VERSION = 2
"""Of what is measured and how it is kept; an index of another one is made anew."""
APPLICATION = 0x466F6C79
"""By which SQLite's own header tells our files from those of others."""
STEP_DB = 0.5
"""What likenesses are rounded to: far less than two takes of one sound differ by."""
_WAIT_S = 60.0
"""How long one process waits for another to finish writing."""
_WRITE_S = 1.0

EVENT = np.dtype([("start", "<i8"), ("attack", "<i8"), ("end", "<i8"), ("level_db", "<f4"), ("brightness_hz", "<f4")])
"""How the events of a recording are kept, one after the other."""
STEADY = np.dtype([("start", "<i8"), ("end", "<i8"), ("level_db", "<f4"), ("spectrum", "i1", (BANDS,))])
"""The same for its steady stretches."""
Events = NDArray[np.void]
Likenesses = NDArray[np.int8]

_TABLE = """
CREATE TABLE IF NOT EXISTS recordings (
    file BLOB NOT NULL UNIQUE, stamp TEXT NOT NULL, listed TEXT NOT NULL, digest TEXT NOT NULL,
    sample_rate INTEGER NOT NULL, channels INTEGER NOT NULL, samples INTEGER NOT NULL,
    words TEXT NOT NULL, catid TEXT, family TEXT, material TEXT, licence TEXT, source TEXT,
    noise_db REAL, is_stereo INTEGER NOT NULL, steady BLOB NOT NULL, events BLOB NOT NULL, likenesses BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS library (root BLOB NOT NULL UNIQUE);
CREATE INDEX IF NOT EXISTS by_digest ON recordings (digest);
"""
_COLUMNS = (
    "file, stamp, listed, digest, sample_rate, channels, samples, words, catid, family, material, licence, source, "
    "noise_db, is_stereo, steady, events, likenesses"
)


@dataclass(frozen=True)
class Entry:
    """A recording with all that was measured of it."""

    recording: Recording
    stamp: str
    """Tells this version of the file from others without reading it."""
    events: Events
    """(N,) of EVENT, in order."""
    likenesses: Likenesses
    """(N, DIMENSIONS) in steps of STEP_DB."""
    listed: str = ""
    """Of its line in the manifest and of the words that were understood, a digest."""


class Mark(NamedTuple):
    """What tells a recording from what it was, and what to tell of it."""

    stamp: str
    listed: str
    events: int
    seconds: float
    steady_bytes: int
    """Of its steady stretches."""
    noise_db: float | None
    is_stereo: bool


def file_of(root: Path) -> Path:
    """Where the index of the library ``root`` is, unless another place is named: in the user's data folder."""
    place = os.path.realpath(root)
    name = "".join(char if char.isalnum() else "-" for char in os.path.basename(place))[:40] or "library"
    return _folder() / f"{name}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.sqlite"


def _seconds(samples: object, rate: object) -> float:
    """Of a row that has not been checked."""
    return samples / rate if isinstance(samples, int) and isinstance(rate, int) and rate > 0 else 0.0


def known_libraries() -> list[Path]:
    """The folders whose indexes are in the user's data folder, and that are there with recordings."""
    roots = []
    for file in sorted(_folder().glob("*.sqlite")):
        with suppress(FoleygenError, IndexError), Store.to_read(file, file) as store:
            roots += [store.root()] if store.marks() else []
    return [root for root in roots if root.is_dir()]


def _folder() -> Path:
    from foleygen.weights.store import data_root  # weights bring much along

    return data_root() / "libraries"


class Store:
    """The index in ``file``; a context manager. ``name`` is the library's folder, for messages."""

    def __init__(self, file: Path, name: Path) -> None:
        self.file, self.name = file, name
        self._waiting: dict[str, Entry] = {}
        self._written = time.monotonic()

    @classmethod
    def to_read(cls, file: Path, name: Path) -> Store:
        """Raises UsageError where there is none, or one of another version."""
        if not file.is_file():
            raise UsageError(f"{printable(name)}: has no index ({printable(file)})", _again(name))
        store = cls(file, name)
        store._open("?mode=ro")
        version = store._version()
        if version != VERSION:
            store.close()
            raise UsageError(f"{printable(name)}: its index was made by another version of foleygen", _again(name))
        return store

    @classmethod
    def to_write(cls, file: Path, name: Path) -> tuple[Store, bool]:
        """The store, and whether one of another version had to go. Raises SetupError or UsageError."""
        store = cls(file, name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"{printable(file)}: cannot be made ({error.strerror})", _ELSEWHERE) from error
        store._open()
        version = store._version()
        with store._said():
            if version not in (0, VERSION):
                store._db.execute("DROP TABLE IF EXISTS recordings")
            store._db.executescript(_TABLE)
            store._db.execute("DELETE FROM library")
            store._db.execute("INSERT INTO library VALUES (?)", (os.fsencode(os.path.abspath(name)),))
            store._db.execute("PRAGMA synchronous = NORMAL")
            store._db.execute(f"PRAGMA application_id = {APPLICATION}")
            store._db.execute(f"PRAGMA user_version = {VERSION}")
        return store, version not in (0, VERSION)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What waits is written, whatever stopped the work."""
        try:
            self.write()
        finally:
            self._db.close()

    def root(self) -> Path:
        """The library that it is of, as an absolute path."""
        with self._said():
            return Path(os.fsdecode(self._db.execute("SELECT root FROM library").fetchall()[0][0]))

    def marks(self) -> dict[str, Mark]:
        """What tells each recording from what it was, by file."""
        columns = "file, stamp, listed, length(events), samples, sample_rate, length(steady), noise_db, is_stereo"
        with self._said():
            rows = self._db.execute(f"SELECT {columns} FROM recordings").fetchall()
        return {
            os.fsdecode(file): Mark(mark, listed, size // EVENT.itemsize, _seconds(samples, rate), parts, noise, both)
            for file, mark, listed, size, samples, rate, parts, noise, both in rows
        }

    def counts(self) -> tuple[int, int]:
        """Recordings and events."""
        self.write()
        with self._said():
            row = self._db.execute("SELECT count(*), coalesce(sum(length(events)), 0) FROM recordings").fetchone()
        return row[0], row[1] // EVENT.itemsize

    def entries(self) -> Iterator[Entry]:
        """All that is kept, in order of the files' bytes."""
        with self._said():
            for row in self._db.execute(f"SELECT {_COLUMNS} FROM recordings ORDER BY file"):
                yield self._entry(row)

    def of_content(self, digest: str) -> Entry | None:
        """What was measured of a file of that content, whatever it was called."""
        for entry in self._waiting.values():
            if entry.recording.digest == digest:
                return entry
        with self._said():
            row = self._db.execute(f"SELECT {_COLUMNS} FROM recordings WHERE digest = ? LIMIT 1", (digest,)).fetchone()
        return None if row is None else self._entry(row)

    def put(self, entry: Entry) -> None:
        """Keep it, in place of what was known of the file."""
        self._waiting[entry.recording.file] = entry
        if time.monotonic() - self._written >= _WRITE_S:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        self._written = time.monotonic()
        places = ", ".join("?" * len(_COLUMNS.split(",")))
        if self._waiting:
            with self._said(), self._db:
                self._db.execute("BEGIN IMMEDIATE")
                rows = map(_row, self._waiting.values())
                self._db.executemany(f"INSERT OR REPLACE INTO recordings ({_COLUMNS}) VALUES ({places})", rows)
            self._waiting.clear()

    def drop(self, files: Sequence[str]) -> None:
        """Forget what is not there any more."""
        self.write()
        if not files:
            return
        with self._said(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM recordings WHERE file = ?", [(os.fsencode(file),) for file in files])

    def _entry(self, row: Sequence[Any]) -> Entry:
        """Raises UsageError for a row that nobody of ours has written."""
        try:
            return _entry(row)
        except (ValueError, TypeError) as error:
            raise UsageError(self._damaged(), f"remove it, and {_again(self.name)}") from error

    def _damaged(self) -> str:
        return f"{printable(self.file)}: the index is damaged, or none"

    def _open(self, mode: str = "") -> None:
        try:
            uri = self.file.absolute().as_uri() + mode
            self._db = sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None)
        except sqlite3.Error as error:
            raise SetupError(f"{printable(self.file)}: cannot be opened ({error})", _ELSEWHERE) from error

    def _version(self) -> int:
        """0 for a file that is new. Raises UsageError for one that is not ours."""
        with self._said():
            application = int(self._db.execute("PRAGMA application_id").fetchone()[0])
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            filled = bool(self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())
        if application == APPLICATION or not (application or filled):
            return version
        self.close()
        raise UsageError(f"{printable(self.file)}: is no index of foleygen", "name another file with --index")

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What SQLite refuses, in a sentence."""
        try:
            yield
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._db.rollback()
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> FoleygenError:
        name, code = printable(self.file), getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            return RetryableError(f"{name}: another process has held it for {_WAIT_S:g} s", "try again later")
        if code == sqlite3.SQLITE_FULL:
            return RetryableError(
                f"{name}: no space left to write it", "free some space and run the same command again"
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return UsageError(self._damaged(), f"remove it, and {_again(self.name)}")
        return SetupError(f"{name}: the index cannot be used ({error})", _ELSEWHERE)


_ELSEWHERE = "name another file with --index"


def _again(name: Path) -> str:
    return f"run 'foleygen library index {printable(name)}'"


def in_steps(decibels: NDArray[np.floating]) -> NDArray[np.int8]:
    """Levels as they are kept, in steps of STEP_DB."""
    steps: NDArray[np.int8] = np.clip(np.round(decibels / STEP_DB), -127, 127).astype(np.int8)
    return steps


def _row(entry: Entry) -> tuple[object, ...]:
    one = entry.recording
    steady = np.array([_steady_row(part) for part in one.steady], STEADY).tobytes()
    return (
        os.fsencode(one.file), entry.stamp, entry.listed, one.digest, one.sample_rate, one.channels, one.samples,
        _text(one.words), one.catid, one.family, one.material, _text(one.licence), _text(one.source), one.noise_db,
        int(one.is_stereo), steady, entry.events.tobytes(), entry.likenesses.tobytes(),
    )  # fmt: skip


def _steady_row(part: Stretch) -> tuple[object, ...]:
    return part.start, part.end, part.level_db, in_steps(np.array(part.spectrum))


def _stretch(row: np.void) -> Stretch:
    spectrum = tuple(float(step) * STEP_DB for step in row["spectrum"])
    return Stretch(int(row["start"]), int(row["end"]), float(row["level_db"]), spectrum)


def _text(words: str | None) -> str | None:
    """Bytes that are no text cannot be kept as text."""
    return None if words is None else words.encode("utf-8", "replace").decode("utf-8")


def _entry(row: Sequence[Any]) -> Entry:
    cells: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
    file, steady = os.fsdecode(cells.pop("file")), np.frombuffer(cells.pop("steady"), STEADY)
    events = np.frombuffer(cells.pop("events"), EVENT)
    likenesses = np.frombuffer(cells.pop("likenesses"), np.int8).reshape(-1, DIMENSIONS)
    stamp, listed, is_stereo = cells.pop("stamp"), cells.pop("listed"), bool(cells.pop("is_stereo"))
    if (
        not _is_sane(file, events, len(likenesses))
        or ((steady["start"] < 0) | (steady["end"] <= steady["start"])).any()
    ):
        raise ValueError("an event that no recording can have, or a file outside the library")
    recording = Recording(file, steady=tuple(map(_stretch, steady)), is_stereo=is_stereo, **cells)
    return Entry(recording, stamp, events, likenesses, listed)


def _is_sane(file: str, events: Events, count: int) -> bool:
    path = PurePosixPath(file)
    start, attack, end = (events[name] for name in ("start", "attack", "end"))
    is_ordered = bool(((start >= 0) & (start <= attack) & (attack < end)).all())
    return is_ordered and len(events) == count and not path.is_absolute() and ".." not in path.parts
