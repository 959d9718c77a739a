"""``foleygen library``: folders indexed, again and again, whatever is in them; shown, searched and listened to."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from foleygen.cli.app import run
from foleygen.errors import ExitCode, Interrupted
from foleygen.library import indexing, naming, store, ucs
from foleygen.library.index import Index
from foleygen.library.indexing import Indexed, Tally
from foleygen.library.mono import Mono
from foleygen.library.store import Store

RATE = 48000


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error: ")]


Foleygen = Callable[..., Ended]


@pytest.fixture
def foleygen(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foleygen:
    """``foleygen library ...`` in this process, with ``tmp_path`` as the current folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Ended:
        capfd.readouterr()
        code = run(["library", *(str(argument) for argument in arguments)])
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return call


def steps(rate: int = RATE, hertz: float = 300, count: int = 3, seed: int = 1) -> NDArray[np.float64]:
    """``count`` hits, one every half second, over a little noise."""
    random = np.random.default_rng(seed)
    sound = 0.0003 * random.standard_normal(round((count * 0.5 + 0.3) * rate))
    for number in range(count):
        first = round((0.2 + number * 0.5) * rate)
        time = np.arange(len(sound) - first) / rate
        sound[first:] += 0.3 * np.exp(-time / 0.03) * np.sin(2 * np.pi * hertz * time + seed)
    return sound


def record(path: Path, samples: NDArray[np.float64] | None = None, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, steps(rate) if samples is None else samples, rate)
    return path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Steps on two grounds, a glass, and rain."""
    root = tmp_path / "library"
    record(root / "Footsteps" / "gravel boots 01.wav", steps(hertz=200, seed=1))
    record(root / "Footsteps" / "wood heels 01.flac", steps(hertz=450, seed=2))
    record(root / "GLASImpt_Clink_JD_KITCHEN.wav", steps(hertz=3000, seed=3, count=1))
    record(root / "rain.wav", 0.05 * np.random.default_rng(4).standard_normal(3 * RATE))
    return root


def indexed(root: Path, told: Callable[[object], None] = lambda event: None) -> Tally:
    return indexing.index(root, None, told)


# Indexing


def test_a_folder_is_indexed_and_shown(foleygen: Foleygen, library: Path) -> None:
    ended = foleygen("index", "library")
    assert (ended.code, ended.out) == (ExitCode.OK, "")
    assert "library: 7 events in 4 recordings, 4 measured in" in ended.err
    index = Index.open(library)
    assert [one.file for one in index.recordings] == [
        "Footsteps/gravel boots 01.wav", "Footsteps/wood heels 01.flac", "GLASImpt_Clink_JD_KITCHEN.wav", "rain.wav"
    ]  # fmt: skip
    assert [(one.family, one.material) for one in index.recordings] == [
        ("footsteps", "stone"), ("footsteps", "wood"), ("crockery", "glass"), ("rain", None)
    ]  # fmt: skip
    assert index.recordings[2].source == "JD, KITCHEN"
    assert not index.recordings[0].steady
    assert index.recordings[3].steady
    shown = foleygen("show")
    assert shown.code == ExitCode.OK
    assert "footsteps" in shown.out
    assert "WORDS THAT NAME NO KNOWN SOUND  boots, heels" in shown.out
    found = json.loads(foleygen("show", "--library", "library", "--json").out)
    assert (found["recordings"], found["events"], found["digest"]) == (4, 7, index.digest)
    assert found["unknown_words"] == {"boots": 1, "heels": 1}
    assert sorted(os.listdir(library)) == ["Footsteps", "GLASImpt_Clink_JD_KITCHEN.wav", "rain.wav"]


def test_what_cannot_be_played_is_told(foleygen: Foleygen, tmp_path: Path) -> None:
    hits, noise = steps(count=2), np.random.default_rng(4).standard_normal(3 * RATE)
    swell = noise * np.geomspace(1e-4, 0.1, len(noise))
    swell[: RATE // 2] = 0
    sounds = {
        "dark.wav": 1e-4 * np.random.default_rng(5).standard_normal((RATE, 2)),
        "empty.wav": np.zeros(0),
        "good.wav": np.stack([hits, 0.5 * hits], axis=1),
        "knocks.wav": np.stack([hits, -hits], axis=1),
        "rain.wav": 0.05 * np.stack([noise, -noise], axis=1),
        "swell.wav": swell,
    }
    for name, samples in sounds.items():
        record(tmp_path / "fx" / name, samples)
    for _ in range(2):  # the second time from what is kept
        ended = foleygen("index", "fx")
        assert ended.code == ExitCode.OK
        warnings = [line for line in ended.err.splitlines() if line.startswith("warning: ")]
        assert [re.split("[:;] ", line)[1] for line in warnings] == [
            f"fx/{name}.wav" for name in ("dark", "empty", "knocks", "rain")
        ]
        assert "left and right cancel each other" in warnings[2]
        assert "is silent, or all but silent" in warnings[0]
        assert "fx: 2 events in 6 recordings" in ended.err
        assert "5 of which nothing can be played" in ended.err
        lines = [json.loads(line) for line in foleygen("index", "fx", "--json").out.splitlines()]
        lacks = {line["file"]: line["lack"] for line in lines if line["event"] == "recording"}
        assert [name for name, why in lacks.items() if why is None] == ["good.wav"]
        assert "has no hit" in lacks["swell.wav"]
        assert lines[-1]["lacking"] == 5
    assert foleygen("index", "fx", "--quiet").err == ""


def test_what_is_known_is_not_measured_again(library: Path) -> None:
    assert indexed(library).measured == 4
    before = Index.open(library)
    told: list[object] = []
    again = indexed(library, told.append)
    assert (again.measured, again.recordings, again.dropped) == (0, 4, 0)
    known = [one for one in told if isinstance(one, Indexed)]
    assert [one.is_new for one in known] == [False] * 4
    assert sum(one.events for one in known) == len(before.events)
    assert {one.seconds for one in known} == {recording.seconds for recording in before.recordings}
    (library / "rain.wav").touch()
    (library / "Footsteps" / "wood heels 01.flac").rename(library / "metal steps.flac")
    moved = indexed(library)
    assert (moved.measured, moved.recordings, moved.dropped) == (0, 4, 1)
    after = Index.open(library)
    assert after.recordings[2].material == "metal"
    assert len(after.events) == len(before.events)
    record(library / "rain.wav", steps(count=2))
    (library / "GLASImpt_Clink_JD_KITCHEN.wav").unlink()
    changed = indexed(library)
    assert (changed.measured, changed.recordings, changed.dropped, changed.events) == (1, 3, 1, 8)
    assert Index.open(library).digest != after.digest


def test_a_manifest_is_read_again_without_measuring(library: Path) -> None:
    manifest = library / "manifest.tsv"
    manifest.write_text("file\tclass\tlicence\tauthor\ngravel boots 01.wav\tfootsteps on snow\tCC0\tsomebody\n")
    indexed(library)
    one = Index.open(library).recordings[0]
    assert (one.licence, one.source) == ("CC0", "somebody")
    assert one.words.startswith("footsteps on snow gravel boots 01 Footsteps")
    manifest.write_text(manifest.read_text().replace("CC0", "CC BY"))
    assert indexed(library).measured == 0
    assert Index.open(library).recordings[0].licence == "CC BY"


def test_what_is_understood_anew_is_said_anew(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(ucs, "_CATEGORIES", {})
        before.setattr(naming, "mark", lambda: "before")
        indexed(library)
        assert Index.open(library).recordings[2].material is None
    assert indexed(library).measured == 0
    assert Index.open(library).recordings[2].material == "glass"


@pytest.mark.parametrize("rate", [8000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels(rate: int, channels: int, tmp_path: Path) -> None:
    record(tmp_path / "library" / "a.wav", np.tile(steps(rate)[:, None], channels), rate)
    assert indexed(tmp_path / "library").events == 3
    index = Index.open(tmp_path / "library")
    samples, found, attack = index.sound(1)
    assert (len(samples), found) == (channels, rate)
    assert index.events[1].attack / rate == pytest.approx(0.7, abs=0.002)
    assert attack == index.events[1].attack - index.events[1].start


@pytest.mark.parametrize("form", ["wav", "flac", "aiff", "ogg", "mp3", "w64", "caf"])
def test_any_format_is_read_again_where_its_events_are(form: str, tmp_path: Path) -> None:
    if form.upper() not in soundfile.available_formats():
        pytest.skip(f"libsndfile here reads no {form}")
    path = record(tmp_path / "library" / f"a.{form}", steps(count=9))
    assert indexed(tmp_path / "library").events == 9
    index = Index.open(tmp_path / "library")
    everything = np.concatenate(list(Mono(path).blocks()))
    for number, event in enumerate(index.events):
        assert event.attack / RATE == pytest.approx(0.2 + 0.5 * number, abs=0.003)
        samples, _, _ = index.sound(number)
        assert samples[0] == pytest.approx(everything[event.start : event.end], abs=1e-3)


def test_names_of_any_kind_and_links_in_circles(tmp_path: Path, foleygen: Foleygen) -> None:
    library = tmp_path / "library"
    for name in (
        "a\nb.wav",
        "ünïcode 音.wav",
        " -q.wav",
        "'; DROP TABLE recordings; --.wav",
        "x" * 240 + ".wav",
        "UP.WAV",
    ):
        record(library / name, steps(seed=len(name)))
    raw = os.fsencode(library) + b"/caf\xe9.wav"
    os.link(library / "UP.WAV", raw)
    record(library / ".hidden.wav")
    record(library / ".Trash" / "b.wav")
    (library / "round").symlink_to(library)
    (library / "nowhere.wav").symlink_to(library / "none.wav")
    (library / "itself.wav").symlink_to("itself.wav")
    os.mkfifo(library / "pipe.wav")
    (library / "notes.txt").write_text("no sound")
    record(library / "shot.foley.t01.wav")
    record(library / "shot.foley.bed.wav")
    ended = foleygen("index", "library")
    assert ended.code == ExitCode.OK
    assert "7 recordings" in ended.err
    assert "pipe.wav: is no regular file" in ended.err
    assert "shot.foley.t01.wav: is the sound of a finished clip" in ended.err
    assert "nowhere.wav: leads to no file" in ended.err
    index = Index.open(library)
    assert [os.fsencode(one.file) for one in index.recordings] == sorted(
        os.fsencode(one.file) for one in index.recordings
    )
    assert [index.sound(number)[1] for number in range(0, 21, 3)] == [RATE] * 7
    assert foleygen("search", "caf", "--json").code in (ExitCode.OK, ExitCode.NO_CLIPS)
    assert foleygen("show").code == ExitCode.OK


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(foleygen: Foleygen, library: Path) -> None:
    (library / "broken.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    (library / "text.aiff").write_text("this is no sound")
    (library / "empty.flac").touch()
    ended = foleygen("index", "library")
    assert ended.code == ExitCode.SOME_FAILED
    assert len(ended.errors) == 3
    assert all("not a sound file that can be read" in line for line in ended.errors)
    assert "7 events in 4 recordings" in ended.err
    assert "3 failed" in ended.err
    again = foleygen("index", "library", "--json")
    told = [json.loads(line) for line in again.out.splitlines()]
    assert [one["event"] for one in told].count("error") == 3
    assert (told[0]["event"], told[0]["total"]) == ("start", 7)
    assert (told[-1]["event"], told[-1]["exit_code"], told[-1]["measured"]) == ("summary", 3, 0)
    assert again.err == ""


def test_what_was_whole_and_is_broken_now_is_forgotten(library: Path) -> None:
    indexed(library)
    (library / "rain.wav").write_bytes(b"RIFF")
    assert indexed(library).recordings == 3


def test_silence_and_short_files_are_recordings_without_events(tmp_path: Path, foleygen: Foleygen) -> None:
    library = tmp_path / "library"
    record(library / "silence.wav", np.zeros(RATE))
    record(library / "nothing.wav", np.zeros(0))
    record(library / "one.wav", np.zeros(1))
    assert foleygen("index", "library").code == ExitCode.OK
    ended = foleygen("search", "silence")
    assert ended.code == ExitCode.USAGE
    assert len(ended.errors) == 1
    assert "library: its index has no event, and nothing steady; put recordings of hits there" in ended.errors[0]


def test_folders_that_hold_nothing(foleygen: Foleygen, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.wav").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.wav").touch()
    for name, code, says in (
        ("empty", ExitCode.NO_CLIPS, "empty: no recording found"),
        ("none", ExitCode.USAGE, "none: no such folder"),
        ("a.wav", ExitCode.USAGE, "a.wav: is not a folder"),
        ("broken", ExitCode.ALL_FAILED, "not a sound file"),
    ):
        ended = foleygen("index", name)
        assert ended.code == code, name
        assert len(ended.errors) == 1
        assert says in ended.errors[0]
    assert store.known_libraries() == [], "none of them is a library"


def test_a_folder_that_cannot_be_listed_keeps_what_was_in_it(
    foleygen: Foleygen, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foleygen("index", "library")
    listed = os.scandir

    def refused(path: Path) -> object:
        if Path(path).name == refused_name:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    refused_name = "Footsteps"
    monkeypatch.setattr("foleygen.library.walk.os.scandir", refused)
    ended = foleygen("index", "library")
    assert ended.code == ExitCode.SOME_FAILED
    assert ended.errors == ["error: library/Footsteps: cannot be listed (Permission denied); check its permissions"]
    assert len(Index.open(library).recordings) == 4
    refused_name = "library"
    ended = foleygen("index", "library")
    assert (ended.code, len(ended.errors)) == (ExitCode.USAGE, 1)
    assert len(Index.open(library).recordings) == 4


def test_an_interrupted_run_keeps_what_is_done(library: Path) -> None:
    def told(event: object) -> None:
        if isinstance(event, Indexed) and event.file.startswith("GLAS"):
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        indexed(library, told)
    assert len(Index.open(library).recordings) == 3
    assert indexed(library).measured == 1


def test_an_index_of_another_version_is_made_anew(foleygen: Foleygen, library: Path) -> None:
    foleygen("index", "library")
    with sqlite3.connect(store.file_of(library)) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    ended = foleygen("search", "glass", "--library", "library")
    assert ended.code == ExitCode.USAGE
    assert ended.errors == [
        "error: library: its index was made by another version of foleygen; run 'foleygen library index library'"
    ]
    ended = foleygen("index", "library")
    assert (ended.code, "was made anew" in ended.err) == (ExitCode.OK, True)
    assert len(Index.open(library).events) == 7


def test_an_index_may_be_anywhere_but_in_a_stranger_s_file(foleygen: Foleygen, library: Path, tmp_path: Path) -> None:
    assert foleygen("index", "library", "--index", "here/fx.sqlite").code == ExitCode.OK
    assert not store.known_libraries()
    assert foleygen("show", "--library", "library", "--index", "here/fx.sqlite").code == ExitCode.OK
    (tmp_path / "notes.txt").write_text("mine, not to be touched, " * 99)
    ended = foleygen("index", "library", "--index", "notes.txt")
    assert ended.code == ExitCode.USAGE
    assert (tmp_path / "notes.txt").read_text().startswith("mine")
    ended = foleygen("index", "library", "--index", "notes.txt/fx.sqlite")
    assert (ended.code, len(ended.errors)) == (ExitCode.ENVIRONMENT, 1)


def test_two_processes_at_once_leave_one_whole_index(library: Path) -> None:
    tallies: list[Tally] = []

    def told(event: object) -> None:
        if isinstance(event, Indexed) and not tallies:
            tallies.append(Tally())
            tallies[0] = indexed(library)

    indexed(library, told)
    index = Index.open(library)
    assert (len(index.recordings), len(index.events)) == (4, 7)
    with sqlite3.connect(store.file_of(library)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_a_file_that_grows_while_it_is_read_is_told(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(recording: Mono) -> object:
        with open(recording.path, "ab") as file:
            file.write(b"more")
        return cut(recording)

    cut = indexing.cut
    monkeypatch.setattr(indexing, "cut", slow)
    tally = indexed(library)
    assert len(tally.failed) == 4
    assert all("changed while it was read" in str(error) for error in tally.failed)
    assert tally.exit_code == ExitCode.ALL_FAILED


def test_rows_are_written_once_a_second_and_at_the_end(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_WRITE_S", 0.0)
    seen: list[int] = []

    def told(event: object) -> None:
        if isinstance(event, Indexed):
            with Store.to_read(store.file_of(library), library) as other:
                seen.append(len(other.marks()))

    indexed(library, told)
    assert seen == [1, 2, 3, 4]


# Searching and listening


def test_words_find_recordings(foleygen: Foleygen, library: Path) -> None:
    foleygen("index", "library")
    found = json.loads(foleygen("search", "walking", "on", "gravel", "--json").out)
    assert [one["file"] for one in found] == ["Footsteps/gravel boots 01.wav", "Footsteps/wood heels 01.flac"]
    assert found[0]["events"] == 3
    assert json.loads(foleygen("search", "heel", "--json").out)[0]["file"] == "Footsteps/wood heels 01.flac"
    assert json.loads(foleygen("search", "mug", "-n", "1", "--json").out)[0]["family"] == "crockery"
    ended = foleygen("search", "helicopter")
    assert (ended.code, ended.out) == (ExitCode.NO_CLIPS, "")
    table = foleygen("search", "glass").out.splitlines()
    assert table[0].split()[:3] == ["FILE", "FAMILY", "MATERIAL"]
    assert table[1].startswith("GLASImpt_Clink_JD_KITCHEN.wav  crockery  glass")


def test_a_sound_finds_what_is_like_it(foleygen: Foleygen, library: Path, tmp_path: Path) -> None:
    foleygen("index", "library")
    record(tmp_path / "hit.wav", 0.1 * steps(16000, 3000, 1, seed=3), 16000)
    found = json.loads(foleygen("search", "hit.wav", "--json").out)
    assert found[0]["file"] == "GLASImpt_Clink_JD_KITCHEN.wav"
    assert found[0]["at_s"] == pytest.approx(0.2, abs=0.002)
    assert [one["distance_db"] for one in found] == sorted(one["distance_db"] for one in found)
    record(tmp_path / "silent.wav", np.zeros(RATE))
    ended = foleygen("search", "silent.wav")
    assert (ended.code, ended.errors) == (4, ["error: silent.wav: is silent; give a sound to search for"])
    assert "none.wav: no such file" in foleygen("search", "none.wav").errors[0]


def test_events_are_written_to_be_heard(foleygen: Foleygen, library: Path, tmp_path: Path) -> None:
    record(library / "wood 5.1.wav", np.tile(steps(96000)[:, None], 6), 96000)
    foleygen("index", "library")
    ended = foleygen("audition", "footsteps", "wood", "-o", "steps.wav", "-n", "7", "--gap", "0.25", "--json")
    assert ended.code == ExitCode.OK
    told = json.loads(ended.out)
    files = [one["file"] for one in told["events"]]
    assert files[:3] == ["Footsteps/wood heels 01.flac", "Footsteps/gravel boots 01.wav", "wood 5.1.wav"]
    assert len(files) == 7
    with soundfile.SoundFile(tmp_path / "steps.wav") as file:
        assert (file.samplerate, file.channels, file.subtype) == (48000, 2, "PCM_24")
        samples = file.read()
    assert 0.05 < np.abs(samples).max() < 1
    for number, one in enumerate(told["events"]):
        assert one["at_s"] == pytest.approx(told["events"][number]["at_s"])
        first = round(one["at_s"] * 48000)
        assert np.abs(samples[first : first + 4800]).max() > 0.05
    assert foleygen("audition", "wood", "-o", "steps.wav").code == ExitCode.USAGE
    assert foleygen("audition", "wood", "-o", "steps.wav", "--overwrite").out.splitlines()[0].split() == [
        "AT", "S", "FILE", "LEVEL", "DB"
    ]  # fmt: skip
    assert foleygen("audition", "helicopter", "-o", "x.wav").code == ExitCode.NO_CLIPS


def test_what_cannot_be_listened_to_is_said(foleygen: Foleygen, library: Path) -> None:
    foleygen("index", "library")
    ended = foleygen("audition", "glass", "-o", "heard.mp3")
    assert (ended.code, "give it the suffix .wav" in ended.err) == (ExitCode.USAGE, True)
    ended = foleygen("search", "nowhere.wav")
    assert "nowhere.wav: no such file" in ended.err


def test_what_vanished_is_left_out_of_what_is_heard(foleygen: Foleygen, library: Path, tmp_path: Path) -> None:
    foleygen("index", "library")
    (library / "Footsteps" / "gravel boots 01.wav").unlink()
    ended = foleygen("audition", "footsteps", "-o", "steps.wav", "-n", "2")
    assert (ended.code, len(ended.errors)) == (ExitCode.SOME_FAILED, 1)
    assert "is gone since the library was indexed" in ended.errors[0]
    assert (tmp_path / "steps.wav").is_file()
    (library / "Footsteps" / "wood heels 01.flac").unlink()
    ended = foleygen("audition", "footsteps", "-o", "none.wav")
    assert ended.code == ExitCode.ALL_FAILED
    assert not (tmp_path / "none.wav").exists()


def test_the_library_may_be_left_out_where_there_is_one(foleygen: Foleygen, library: Path, tmp_path: Path) -> None:
    assert foleygen("show").errors == ["error: no library is indexed; run 'foleygen library index DIR' first"]
    foleygen("index", "library")
    assert foleygen("show").code == ExitCode.OK
    record(tmp_path / "other" / "a.wav")
    foleygen("index", "other")
    ended = foleygen("show")
    assert (ended.code, len(ended.errors)) == (ExitCode.USAGE, 1)
    assert "several libraries are indexed; choose one of " in ended.errors[0]


def test_the_environment_names_the_library(
    foleygen: Foleygen, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foleygen("index", "library")
    record(tmp_path / "other" / "a.wav")
    foleygen("index", "other")
    monkeypatch.setenv("FOLEYGEN_LIBRARY", str(library))
    assert json.loads(foleygen("show", "--json").out)["recordings"] == 4


def test_a_file_is_not_taken_for_words(tmp_path: Path, foleygen: Foleygen) -> None:
    record(tmp_path / "library" / "knock.wav", steps())
    foleygen("index", "library")
    (tmp_path / "notes.txt").write_text("glass")
    for query in ("clip.mp4", "notes.txt", "folder/clip", "CLIP.MOV"):
        for command in (["search", query], ["audition", query, "-o", "heard.wav"]):
            ended = foleygen(*command)
            assert ended.code == ExitCode.USAGE
            assert ended.errors == [
                f"error: {query}: is neither words nor a sound file that is read; name one that ends in .aif, .aifc, "
                ".aiff, .au, .bwf, .caf, .flac, .mp3, .oga, .ogg, .rf64, .w64, .wav, .wave, or words"
            ]
    ended = foleygen("search", "knock.wav", "glass")
    assert (ended.code, ended.errors) == (
        ExitCode.USAGE,
        ["error: knock.wav: a file beside others, or words; name one sound file alone, or words"],
    )
    assert foleygen("search", "knock").code == ExitCode.OK
