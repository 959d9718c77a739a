"""The index of a library: what is kept comes back, what fits a word, what is nearest, and what is read of a file."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from foleygen.errors import ClipError, UsageError
from foleygen.facts import stamp
from foleygen.library import store
from foleygen.library.event import Event, Recording, Stretch
from foleygen.library.index import Index
from foleygen.library.likeness import DIMENSIONS, brightness, likeness
from foleygen.library.store import EVENT, Entry, Store
from foleygen.regular import seal

RATE = 48000


def ring(rate: int, hertz: float, decay_s: float = 0.05, level: float = 0.5) -> NDArray[np.float32]:
    """A hit after 0.1 s of silence, 0.5 s long in all."""
    seconds = np.arange(round(0.4 * rate)) / rate
    hit = level * np.exp(-seconds / decay_s) * np.sin(2 * np.pi * hertz * seconds)
    return np.concatenate([np.zeros(round(0.1 * rate)), hit]).astype(np.float32)


def entry(
    root: Path, file: str, family: str | None, material: str | None, level: int = 0, events: int = 1, channels: int = 2
) -> Entry:
    """A recording of ``events`` hits, one a second, each of the likeness ``level``; it is written too."""
    samples = np.zeros((RATE * events, channels), np.float32)
    facts, likenesses = np.zeros(events, EVENT), np.full((events, DIMENSIONS), level, np.int8)
    for number in range(events):
        at = number * RATE + 4800
        samples[at : at + 2400] = 0.25 + number / 100
        facts[number] = (at - 480, at, at + 9600, -12.0, 900.0)
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(os.fsencode(path), samples, RATE, "PCM_24", format="WAV")
    known = Recording(file, seal(path).sha256, RATE, channels, len(samples), "hit", None, family, material, "CC0", "me")
    return Entry(known, stamp(path) or "", facts, likenesses)


def kept(root: Path, *entries: Entry) -> Index:
    keeper, _ = Store.to_write(store.file_of(root), root)
    with keeper:
        for one in entries:
            keeper.put(one)
    return Index.open(root)


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 96000, 192000])
def test_likeness_is_of_the_sound_and_not_of_its_rate_or_level(rate: int) -> None:
    hit = ring(rate, 900)
    found = likeness(hit, rate, round(0.1 * rate))
    reference = likeness(ring(16000, 900), 16000, 1600)
    other = likeness(ring(16000, 2700), 16000, 1600)
    assert found.shape == (DIMENSIONS,)
    assert found.dtype == np.float32
    assert np.allclose(found, likeness(0.01 * hit, rate, round(0.1 * rate)), atol=0.05)
    assert np.sqrt(np.mean((found - reference) ** 2)) < 0.25 * np.sqrt(np.mean((other - reference) ** 2))


def test_likeness_tells_a_long_sound_from_a_short_one() -> None:
    short, long = (likeness(ring(48000, 900, decay), 48000, 4800) for decay in (0.01, 0.2))
    assert np.sqrt(np.mean((short - long) ** 2)) > 5


def test_likeness_of_silence_and_of_what_is_cut_off() -> None:
    assert not likeness(np.zeros(100, np.float32), RATE, 0).any()
    assert not likeness(np.zeros(0, np.float32), RATE, 0).any()
    assert np.isfinite(likeness(ring(RATE, 500)[:4900], RATE, 4800)).all()


def test_brightness_is_the_centroid() -> None:
    assert brightness(ring(RATE, 3000, 0.2), RATE, 4800) == pytest.approx(3000, rel=0.05)
    assert brightness(np.zeros(10, np.float32), RATE, 0) == 0


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    first = entry(tmp_path, "a/glass \udcff\n'x.wav", "crockery", "glass", level=3, events=3)
    steady = Recording("rain.wav", "0" * 64, 44100, 1, 99, "rain", "RAINConc", "rain", None, None, None, -40.5,
                       (Stretch(0, 90, -20.5, (0.5, -3.0, *6 * (0.0,))),))  # fmt: skip
    rain = Entry(steady, "s", np.zeros(0, EVENT), np.zeros((0, DIMENSIONS), np.int8), "l")
    index = kept(tmp_path, rain, first)
    assert index.recordings == (first.recording, steady)
    assert len(index.events) == 3
    assert index.events[2] == Event(0, 2 * RATE + 4320, 2 * RATE + 4800, 2 * RATE + 14400, -12.0, 900.0)
    assert list(index.events)[1] == index.events[1] == index.events[1:][0]
    assert index.vectors.shape == (3, DIMENSIONS)
    assert (index.vectors == 1.5).all()
    assert index.sound(0)[2] == 480


def test_the_digest_is_of_what_decides_the_sound(tmp_path: Path) -> None:
    def digest(name: str, file: str, **facts: object) -> str:
        return kept(
            tmp_path / name, entry(tmp_path / name, file, **{"family": "drop", "material": None, **facts})
        ).digest

    known = digest("a", "x.wav")
    assert digest("b", "another name.wav") == known
    assert digest("c", "x.wav", family="knock") != known
    assert digest("d", "x.wav", level=1) != known
    assert digest("e", "x.wav", events=2) != known


def test_what_fits_a_word_comes_in_groups(tmp_path: Path) -> None:
    sounds = [("drop", "wood"), ("drop", None), ("drop", "metal"), (None, "wood"), ("knock", "wood"), (None, None)]
    index = kept(tmp_path, *(entry(tmp_path, f"{n}.wav", *sound) for n, sound in enumerate(sounds)))
    assert index.fitting("drop", "wood").tolist() == [0, 1, 2, 3, 4]
    assert [group.tolist() for group in index.groups("drop", "wood")] == [[0], [1], [2], [3], [4]]
    assert index.fitting("drop", None).tolist() == [0, 1, 2]
    assert index.fitting(None, "wood").tolist() == [0, 3, 4]
    assert index.fitting(None, None).tolist() == [0, 1, 2, 3, 4, 5]
    assert index.fitting("typing", "glass").tolist() == []


def test_the_nearest_come_first_and_ties_by_number(tmp_path: Path) -> None:
    index = kept(tmp_path, *(entry(tmp_path, f"{n}.wav", None, None, level) for n, level in enumerate([8, 2, 4, 2])))
    query = np.full(DIMENSIONS, 1.25, np.float32)
    everything = np.arange(4)
    assert index.nearest(query, everything, 3).tolist() == [1, 3, 2]
    assert index.nearest(query, everything[::-1], 9).tolist() == [1, 3, 2, 0]
    assert index.distances(query, np.array([2, 0])).tolist() == [0.75, 2.75]
    assert index.nearest(query, everything[:0], 2).tolist() == []


def test_the_sound_of_an_event(tmp_path: Path) -> None:
    index = kept(tmp_path, entry(tmp_path, "two.wav", None, None, events=2, channels=6))
    samples, rate, attack = index.sound(1)
    assert samples.shape == (6, 480 + 9600)
    assert (rate, attack) == (RATE, 480)
    assert not samples[:, :attack].any()
    assert samples[:, attack] == pytest.approx(np.full(6, 0.26), abs=1e-6)
    longer, _, later = index.sound(1, before_s=0.01)
    assert later == attack + 480
    assert np.array_equal(longer[:, 480:], samples)
    assert index.sound(0, before_s=60)[2] == 4800


def test_a_file_that_vanished_or_changed_is_told(tmp_path: Path) -> None:
    index = kept(tmp_path, *(entry(tmp_path, f"{n}.wav", None, None) for n in range(3)))
    (tmp_path / "0.wav").unlink()
    soundfile.write(tmp_path / "1.wav", np.zeros(RATE, np.float32), RATE)
    (tmp_path / "2.wav").touch()
    with pytest.raises(ClipError, match="is gone since the library was indexed"):
        index.sound(0)
    with pytest.raises(ClipError, match="has changed since the library was indexed"):
        index.sound(1)
    assert index.sound(2)[2] == 480


def test_what_is_no_index_is_told(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    file = store.file_of(library)
    with pytest.raises(UsageError, match="has no index"):
        Index.open(library)
    with pytest.raises(UsageError, match="no such folder"):
        Index.open(tmp_path / "other")
    keeper, _ = Store.to_write(file, library)
    keeper.close()
    with pytest.raises(UsageError, match="has no event"):
        Index.open(library)
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    with pytest.raises(UsageError, match="another version"):
        Index.open(library)
    file.write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(UsageError, match="damaged"):
        Index.open(library)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE somebody (x)")
    database.close()
    with pytest.raises(UsageError, match="no index of foleygen"):
        Index.open(library, other)


@pytest.mark.parametrize(
    "change",
    [
        "events = x'00'",
        "likenesses = x'0000'",
        "events = zeroblob(length(events))",
        "file = CAST('../two.wav' AS BLOB)",
        "file = CAST('/two.wav' AS BLOB)",
        "steady = x'00'",
        "file = 7",
    ],
)
def test_an_index_of_a_stranger_is_not_believed(change: str, tmp_path: Path) -> None:
    kept(tmp_path, entry(tmp_path, "one.wav", None, None))
    with sqlite3.connect(store.file_of(tmp_path)) as database:
        database.execute(f"UPDATE recordings SET {change}")
    database.close()
    with pytest.raises(UsageError, match="damaged"):
        Index.open(tmp_path)
