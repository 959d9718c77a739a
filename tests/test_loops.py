"""What goes on, played by a library: which steady stretch, looped without a seam, how loud, and what is said of it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from libraries import Made, Noise, library
from numpy.typing import NDArray

from foleygen.cues import files, text, words
from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import filled, moved, sheet
from foleygen.cues.heard import recording_at
from foleygen.cues.marker import resolved
from foleygen.errors import UsageError
from foleygen.facts import SAMPLE_RATE, Cue, Lasting, Stretch
from foleygen.library.cutting import cut
from foleygen.library.index import Index
from foleygen.library.mono import Mono
from foleygen.pipeline.remarks import obedience
from foleygen.pipeline.voices.loops import Loop, looped
from foleygen.pipeline.voices.own import OwnSound, band_db
from foleygen.pipeline.voices.player import Player, Take
from foleygen.pipeline.voices.shelf import Shelf, opened
from foleygen.scenes.catalogue import CONTINUOUS
from foleygen.settings import ClipSettings, Voice

RATE = 16000
SECONDS = 8.0
CLOCK = ClipClock("a.mov", Fraction(25), Fraction(60), "01:00:00:00")
LASTING = (Lasting(2.0, 5.5, "rain"),)

Samples = NDArray[np.floating]


# What is said


def test_what_goes_on_is_what_scenes_call_continuous() -> None:
    assert tuple(name for name, family in words.table().families.items() if family.goes_on) == CONTINUOUS


def test_a_stretch_with_a_sound_goes_on_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("seconds,sound\n2.0..5.5,rain\n3,glass\n30..32,\n31,\n")
    found = resolved(files.read(path), CLOCK)
    assert found.lasting == LASTING
    assert found.known == (Stretch(30.0, 32.0),)
    path.write_text("seconds,sound\n2.0..5.5,zither\n")
    with pytest.raises(UsageError, match="line 2: the sound 'zither'"):
        files.read(path)


REGIONS = {
    "a.csv": "#,Name,Start,End,Length\nR1,downpour,0:02.000000,0:05.500000,\nM1,known,0:07.000000,,\n",
    "a.txt": "2.0\t5.5\tdownpour\n7\t7\tknown\n",
    "a.edl": "TITLE: a\nFCM: NON-DROP FRAME\n\n001  001      V     C        01:00:02:00 01:00:02:01 01:00:02:00 "
    "01:00:02:01  \n |C:ResolveColorBlue |M:downpour |D:88\n",
}


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_of_a_program_that_names_what_goes_on(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(REGIONS[name])
    (one,) = resolved(files.read(path), CLOCK).lasting
    assert (one.start_s, one.sound) == (2.0, "downpour")
    assert one.end_s == pytest.approx(5.5, abs=0.04)


def test_a_region_with_a_hit_is_a_cue_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("2.0\t5.5\tfootsteps\n")
    assert resolved(files.read(path), CLOCK) == sheet([Cue(2.0, sound="footsteps")], source="a.txt")
    assert [text.going(name) for name in ("rain; loud", "sound: rain", "known", "door")] == ["rain", "rain", None, None]


@pytest.mark.parametrize("kind", ["reaper", "audacity", "resolve"])
def test_what_goes_on_is_written_and_read_again(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{files.FORMATS[kind].suffixes[0]}"
    made = sheet([Cue(1.0, sound="door")], None, "", [Lasting(2.0, 5.52, "rain, water"), Lasting(7.0, 8.0, "wind")])
    path.write_bytes(files.written(kind, made, CLOCK))
    found = resolved(files.read(path), CLOCK)
    assert (found.lasting, found.digest) == (made.lasting, made.digest)
    with pytest.raises(UsageError, match="no length that could hold a stretch"):
        files.written("midi", made, CLOCK)


def test_a_sheet_of_what_goes_on() -> None:
    made = sheet([Cue(1.0)], None, "", [Lasting(4, 5.5, "rain"), Lasting(2, 4, "rain"), Lasting(5, 6, "wind")])
    assert made.lasting == (Lasting(2, 5.5, "rain"), Lasting(5, 6, "wind"))
    assert [made.lasting_at(at) for at in (1.9, 2.0, 5.2, 5.9, 6.0)] == [None, "rain", "wind", "wind", None]
    assert [made.is_known(at) for at in (1.9, 2.0, 6.0)] == [True, False, True]
    assert moved(made, 1.0).lasting == (Lasting(3, 6.5, "rain"), Lasting(6, 7, "wind"))
    assert filled(made).lasting == made.lasting
    assert made.digest != sheet([Cue(1.0)]).digest
    old = json.dumps([[[1000000, None, None]], None], ensure_ascii=False)  # clips of older versions are not made again
    assert sheet([Cue(1.0)]).digest == hashlib.sha256(old.encode()).hexdigest()
    assert made.sounds == (None, "rain", "wind")


def test_what_begins_where_something_goes_on_is_no_fault() -> None:
    told = ClipSettings(sheet([Cue(1.0)], None, "", LASTING))
    assert (found := obedience(told, [1.0, 2.0, 4.0, 7.0])) is not None
    assert (found.missed, found.extra, found.lasting) == ((), (7.0,), 1)
    seen = ClipSettings(sheet([Cue(1.0)]), "rain", spotted=True)
    assert obedience(seen, [0.0, 1.0]) is None  # rain begins at no cue


# What is steady


def test_what_goes_on_at_one_level_is_steady(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rain = 0.05 * rng.standard_normal(12 * SAMPLE_RATE)
    rain[4 * SAMPLE_RATE : 8 * SAMPLE_RATE] *= 2.3  # 7 dB: no hit, and another level
    clap = round(2.0 * SAMPLE_RATE)
    rain[clap : clap + 2400] += np.exp(-np.arange(2400) / 600) * rng.standard_normal(2400)
    soundfile.write(tmp_path / "rain.wav", rain, SAMPLE_RATE, "FLOAT")
    found = cut(Mono(tmp_path / "rain.wav")).steady
    spans = [(one.start / SAMPLE_RATE, one.end / SAMPLE_RATE) for one in found]
    for (start, end), (first, last) in zip(spans, ((0, 2), (2, 4), (4, 8), (8, 12)), strict=True):
        assert first - 0.01 <= start <= first + 0.5
        assert last - 0.5 <= end <= last + 0.26
    assert [one.level_db for one in found] == pytest.approx([-26, -26, -18.8, -26], abs=1)
    assert not any(start - 0.01 <= 2.0 <= end for start, end in spans)


def test_an_hour_is_many_stretches(tmp_path: Path) -> None:
    rain = 0.05 * np.random.default_rng(1).standard_normal(65 * 8000)
    soundfile.write(tmp_path / "rain.wav", rain, 8000, "FLOAT")
    found = cut(Mono(tmp_path / "rain.wav")).steady
    assert [round((one.end - one.start) / 8000) for one in found] == [30, 30, 5]


def test_the_index_knows_them(tmp_path: Path) -> None:
    root = library(tmp_path / "rain", Noise("rain.wav", channels=2, rate=44100))
    index = Index.open(root)
    assert not len(index.events)
    (part,) = index.recordings[0].steady
    samples, rate = index.steady(0, part)
    assert (samples.shape, rate) == ((2, part.end - part.start), 44100)
    assert part.level_db == pytest.approx(-23, abs=0.5)  # of the mean of two channels that have nothing in common
    again = library(tmp_path / "more", Noise("rain.wav", channels=2, rate=44100, level=0.2))
    assert Index.open(again).digest != index.digest


# The loop


def engine(rate: int, seconds: float) -> Samples:
    """Tones and noise, the level of which swings by 3 dB."""
    at = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * 55 * n * at) / n for n in range(1, 9))
    noise = np.random.default_rng(4).standard_normal(len(at))
    swing = 10 ** (1.5 * np.sin(2 * np.pi * 0.7 * at) / 20)
    return np.asarray(0.1 * swing * (tone + 0.5 * noise), np.float32)


def noise(rate: int, seconds: float) -> Samples:
    return np.asarray(0.1 * np.random.default_rng(2).standard_normal(round(seconds * rate)), np.float32)


def tone(rate: int, seconds: float) -> Samples:
    return np.asarray(0.3 * np.sin(2 * np.pi * 123.4 * np.arange(round(seconds * rate)) / rate), np.float32)


def played(loop: Loop, seconds: float) -> Samples:
    parts = list(loop.sound(round(seconds * SAMPLE_RATE), 0, lambda number: (0.37 * number) % 1))
    assert len(parts) > 2
    return np.concatenate(parts, axis=-1)


def flux(samples: Samples) -> Samples:
    """How much its spectrum rises from frame to frame: means over the frequencies, dB, every 5 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 960)[::240] * np.hanning(960)
    levels = 20 * np.log10(np.abs(np.fft.rfft(frames))[:, 2:400] + 1e-3)
    return np.asarray(np.maximum(0, np.diff(levels, axis=0)).mean(axis=1))


@pytest.mark.parametrize("made", [engine, noise, tone])
@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_joint_is_not_heard(made: Callable[[int, float], Samples], rate: int) -> None:
    loop = looped(made(rate, 3.0)[None], rate)
    own, heard = loop.samples[0], played(loop, 20.0)[0]
    assert len(heard) == 20 * SAMPLE_RATE
    for joint in loop.joints:
        middle = loop._joined(joint)[0]
        around = np.concatenate(
            [own[: joint.leave][-3 * loop.fade : -loop.fade], own[joint.enter + loop.fade :][: 2 * loop.fade]]
        )
        level = 10 * np.log10(np.mean(middle**2) / np.mean(own**2))
        beside = 10 * np.log10(np.mean(middle**2) / np.mean(around**2))
        assert abs(level) < 1
        assert abs(beside) < 1.5  # of which 1 dB may be the sound's own
    assert np.abs(np.diff(heard)).max() <= 1.25 * np.abs(np.diff(own)).max()  # the highest of more samples of noise
    assert np.quantile(flux(heard), 0.995) <= 1.05 * np.quantile(flux(own), 0.995) + 0.01
    width = SAMPLE_RATE // 4
    levels = 10 * np.log10((heard[: len(heard) // width * width].reshape(-1, width) ** 2).mean(axis=1))
    owns = 10 * np.log10((own[: len(own) // width * width].reshape(-1, width) ** 2).mean(axis=1))
    assert owns.min() - 1 < levels.min()
    assert levels.max() < owns.max() + 1


@pytest.mark.parametrize("seconds", [1.0, 1.4, 2.0, 3.9])
def test_of_a_short_stretch_next_to_all_is_played_each_round(seconds: float) -> None:
    for made in (engine, noise, tone):
        loop = looped(made(48000, seconds)[None], 48000)
        assert min(joint.leave - joint.enter for joint in loop.joints) >= 0.74 * loop.samples.shape[-1]


def test_channels_are_joined_at_the_same_places() -> None:
    left, right = noise(48000, 2.0), engine(48000, 2.0)
    loop = looped(np.stack([left, right]), 48000)
    heard = played(loop, 7.0)
    assert heard.shape == (2, 7 * SAMPLE_RATE)
    assert np.array_equal(heard[:, : SAMPLE_RATE // 2], np.stack([left, right])[:, : SAMPLE_RATE // 2])
    assert loop.start(SAMPLE_RATE, 0.999) + SAMPLE_RATE <= loop.samples.shape[-1]
    assert loop.start(60 * SAMPLE_RATE, 0.0) == 0


# The player


def model(levels: tuple[float, float, float] = (0.02, 0.02, 0.02)) -> Samples:
    """Noise at three levels, each for a third of the time."""
    rng = np.random.default_rng(0)
    third = round(SECONDS * RATE / 3) + 1
    found = np.concatenate([level * rng.standard_normal(third) for level in levels])
    return np.asarray(found[: round(SECONDS * RATE)], np.float32)


def player(
    shelf: Shelf,
    own: ClipSettings,
    samples: Samples | None = None,
    voice: Voice = "library",
    onsets: tuple[float, ...] = (),
    key: tuple[object, ...] = (0, "clip", 1),
    offset_s: float = 0.0,
) -> Player:
    spool = io.BytesIO((model() if samples is None else samples).astype(np.float32).tobytes())
    return Player(shelf, voice, Take(own, onsets, offset_s, key, SECONDS - 2 * offset_s), OwnSound(spool, RATE))


def heard(one: Player, level: float = 0.0) -> Samples:
    chunks = [np.full(9600, level, np.float32)] * round(SECONDS * SAMPLE_RATE / 9600)
    return np.concatenate(list(one.sound(chunks)))


def rain(*spans: tuple[float, float], cues: tuple[Cue, ...] = ()) -> ClipSettings:
    return ClipSettings(sheet(cues, None, "", [Lasting(*span, "rain") for span in spans]))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return opened(
        library(
            tmp_path_factory.mktemp("library"),
            Noise("rain 1.wav", channels=2, rate=44100),
            Noise("rain 2.wav", seed=1, seconds=3.0),
            Noise("rain 3.wav", seed=2, level=0.05),
            Noise("hum.wav", "engine", "metal", 300.0),
            Made("knock.wav", "knock", "wood", 700, (0.2, 0.4)),
        )
    )


def test_a_stretch_is_played_and_the_model_gives_way(shelf: Shelf) -> None:
    one = player(shelf, rain((1.0, 7.0)))
    found = heard(one, 0.5)  # the model is a constant here
    (hit,) = one.ongoing.played
    assert (hit.seconds, hit.until_s, hit.cents) == (1.0, 7.0, 0.0)
    assert hit.file.startswith("rain ")
    assert hit.rounds is not None
    assert hit.rounds >= 2
    assert 0 <= hit.file_s < (hit.file_until_s or 0) <= 4.0
    assert (hit.licence, hit.source) == ("CC0-1.0", "me")
    assert (
        recording_at(1.0, [hit]) == f"{hit.file} at {hit.file_s:.3f} s to {hit.file_until_s:.3f} s, {hit.rounds} times"
    )
    assert np.array_equal(found[: SAMPLE_RATE - 1], np.full(SAMPLE_RATE - 1, 0.5, np.float32))
    assert np.array_equal(found[7 * SAMPLE_RATE + 1 :], np.full(SAMPLE_RATE - 1, 0.5, np.float32))
    inside = found[round(1.2 * SAMPLE_RATE) : round(6.6 * SAMPLE_RATE)]
    assert abs(inside.mean()) < 0.001  # nothing of the model
    assert np.abs(np.diff(found)).max() < 0.3 * np.abs(found).max()
    assert one.onsets() == [1.0]
    assert list(one.remarks()) == []


def test_it_is_as_loud_as_the_model_has_it_where_that_is_near_what_is_usual(shelf: Shelf) -> None:
    for level in (0.005, 0.02, 0.1):
        samples = model((level, level, level))
        found = heard(player(shelf, rain((0.0, 60.0)), samples))
        theirs = [band_db(found[n : n + 24000], SAMPLE_RATE) for n in range(0, len(found) - 24000, 24000)]
        own = [band_db(samples[n : n + 8000], RATE) for n in range(0, len(samples) - 8000, 8000)]
        assert np.median(theirs) == pytest.approx(float(np.clip(np.median(own), -35, -29)), abs=0.7)
        assert np.ptp(theirs) < 3
    silence = heard(player(shelf, rain((0.0, 60.0)), np.zeros(round(SECONDS * RATE))))
    assert band_db(silence[24000:48000], SAMPLE_RATE) == pytest.approx(-32, abs=1)


def test_beside_told_hits_it_is_as_far_under_them_as_the_model_has_it(shelf: Shelf) -> None:
    samples = model((0.005, 0.005, 0.005))
    hits = tuple(Cue(second + 0.25, 0.3) for second in range(1, 7))
    for cue in hits:
        samples[round(cue.seconds * RATE) :][:1600] *= 40
    alone, beside = (
        heard(player(shelf, rain((0.0, 60.0), cues=cues), samples, onsets=tuple(cue.seconds for cue in hits)))
        for cues in ((), hits)
    )
    own = band_db(samples[round(3.5 * RATE) : 4 * RATE], RATE)
    quiet = slice(round(3.5 * SAMPLE_RATE), 4 * SAMPLE_RATE)
    assert band_db(alone[quiet], SAMPLE_RATE) > -36
    assert band_db(beside[quiet], SAMPLE_RATE) == pytest.approx(own, abs=2)


def test_what_is_like_the_model_is_played(shelf: Shelf) -> None:
    told = ClipSettings(sheet([], None, "", [Lasting(1.0, 3.0, "engine")]))
    one = player(shelf, told)
    heard(one)
    assert [hit.file for hit in one.ongoing.played] == ["hum.wav"]


def test_never_the_same_twice_running(shelf: Shelf) -> None:
    told = rain((0.5, 1.5), (2.0, 3.0), (3.5, 4.5), (5.0, 6.0), (6.5, 7.5))
    files_of = set()
    for take in range(1, 5):
        one = player(shelf, told, key=(0, "clip", take))
        heard(one)
        found = [hit.file for hit in one.ongoing.played]
        assert len(found) == 5
        assert all(a != b for a, b in pairwise(found))
        files_of.add(tuple((hit.file, hit.file_s) for hit in one.ongoing.played))
        assert np.array_equal(
            heard(player(shelf, told, key=(0, "clip", take))), heard(player(shelf, told, key=(0, "clip", take)))
        )
    assert len(files_of) == 4


def test_the_words_of_a_clip_go_on_all_through_as_the_model_has_them(shelf: Shelf) -> None:
    samples = model((0.02, 0.0, 0.08))
    one = player(shelf, ClipSettings(sound="rain"), samples, onsets=(0.5, 3.0))
    found = heard(one, 0.5)
    (hit,) = one.ongoing.played
    assert (hit.seconds, hit.until_s) == (0.0, SECONDS)
    assert one.onsets() == [0.0]  # what the model began is gone with it
    assert abs(found.mean()) < 0.005
    thirds = [band_db(found[round(at * SAMPLE_RATE) :][: SAMPLE_RATE // 2], SAMPLE_RATE) for at in (1.0, 4.0, 7.0)]
    own = [band_db(samples[round(at * RATE) :][: RATE // 2], RATE) for at in (1.0, 7.0)]
    middle = float(np.median(own))
    assert [thirds[0], thirds[2]] == pytest.approx(np.clip(own, middle - 6, middle + 4).tolist(), abs=2.5)
    assert thirds[2] > thirds[0] + 4  # softly, it follows the model
    assert thirds[1] == pytest.approx(thirds[0], abs=4)  # and goes on where the model is silent
    seen = ClipSettings(sheet([Cue(1.0)]), "rain", spotted=True)
    assert player(shelf, seen, samples).ongoing.is_playing
    given = ClipSettings(sheet([Cue(1.0)]), "rain")
    assert not player(shelf, given, samples).ongoing.is_playing
    assert not player(shelf, ClipSettings(sound="rain"), np.zeros(round(SECONDS * RATE))).ongoing.is_playing


def test_a_short_stretch_is_played_where_it_need_not_come_round(tmp_path: Path) -> None:
    short, long = Noise("rain 1.wav", seconds=1.5), Noise("rain 2.wav", seed=1, seconds=6.0)
    found = opened(library(tmp_path / "rain", short, long))
    keys = [(0, "clip", number) for number in range(12)]
    for end_s, wanted in ((7.0, {"rain 2.wav"}), (1.3, {"rain 1.wav", "rain 2.wav"})):
        files_played = set()
        for key in keys:
            one = player(found, rain((0.3, end_s)), key=key)
            heard(one)
            files_played.add(one.ongoing.played[0].file)
            assert not list(one.remarks())
        assert files_played == wanted


def test_what_comes_round_often_is_told(tmp_path: Path) -> None:
    found = opened(library(tmp_path / "rain", Noise("rain 1.wav", seconds=1.5), Noise("rain 2.wav", seconds=1.3)))
    one = player(found, rain((0.0, 7.9)))
    heard(one)
    (hit,) = one.ongoing.played
    steady = {"rain 1.wav": "1.5", "rain 2.wav": "1.3"}[hit.file]
    assert hit.rounds is not None
    assert 5 <= hit.rounds <= 8
    assert list(one.remarks()) == [
        f"{hit.file}: {steady} s of it are steady and come round {hit.rounds} times, which may be heard; put longer "
        "recordings of rain there"
    ]


def test_what_the_library_lacks_stays_the_models(shelf: Shelf) -> None:
    one = player(shelf, ClipSettings(sheet([], None, "", [Lasting(1.0, 3.0, "waves")])))
    assert np.array_equal(heard(one, 0.25), np.full(round(SECONDS * SAMPLE_RATE), 0.25, np.float32))
    assert list(one.remarks()) == ["the library has nothing that goes on for waves: it is the model's"]


def test_both_are_heard_together(shelf: Shelf) -> None:
    alone, both = player(shelf, rain((1.0, 7.0))), player(shelf, rain((1.0, 7.0)), voice="both")
    heard(alone)
    found = heard(both, 0.5)
    assert found[2 * SAMPLE_RATE : 6 * SAMPLE_RATE].mean() == pytest.approx(0.5 * 10 ** (-3.01 / 20), abs=0.002)
    lower = both.ongoing.played[0].gain_db - alone.ongoing.played[0].gain_db
    assert lower == pytest.approx(-3.01, abs=0.01)


def test_hits_are_heard_in_what_goes_on(shelf: Shelf) -> None:
    cues = (Cue(2.0, sound="knock wood"), Cue(4.0, sound="glass bottle"))
    one = player(shelf, rain((1.0, 7.0), cues=cues), onsets=(2.0, 4.0))
    found = heard(one, 0.5)
    assert [hit.seconds for hit in one.played] == [2.0]
    assert one.onsets() == [1.0, 2.0, 4.0]
    assert found[round(4.02 * SAMPLE_RATE) :][:480].mean() == pytest.approx(0.5, abs=0.05)  # the model's own hit
    assert abs(found[round(3.0 * SAMPLE_RATE) :][:24000].mean()) < 0.01
    assert abs(found[round(6.0 * SAMPLE_RATE) :][:24000].mean()) < 0.01


def burst(at_s: float) -> Samples:
    """A model that has one hit and nothing else."""
    own = model((0.0, 0.0, 0.0))
    first, count = round(at_s * RATE), round(0.3 * RATE)
    decay = np.exp(-np.arange(count) / (0.03 * RATE))
    own[first : first + count] = 0.3 * decay * np.random.default_rng(1).standard_normal(count)
    return own


@pytest.mark.parametrize("voice", ["library", "both"])
def test_what_nobody_asked_for_between_stretches_gives_way(voice: Voice, shelf: Shelf) -> None:
    own = burst(3.2)
    one = player(shelf, rain((1.0, 3.0), (4.0, 7.0)), own, voice, onsets=(3.2,))
    track = np.concatenate(list(one.sound([np.repeat(own, 3)])))
    assert one.onsets() == [1.0, 4.0]
    assert np.abs(track[round(3.19 * SAMPLE_RATE) : 4 * SAMPLE_RATE]).max() < 1e-3
    assert np.abs(track[round(5.0 * SAMPLE_RATE) :][:4800]).max() > 0.01


@pytest.mark.parametrize("voice", ["library", "both"])
def test_what_goes_on_by_the_model_begins_after_what_was_taken_out(voice: Voice, shelf: Shelf) -> None:
    lasting = [Lasting(1.0, 3.0, "rain"), Lasting(3.6, 7.0, "waves")]  # of which the library has none
    one = player(shelf, ClipSettings(sheet([], None, "", lasting)), burst(3.2), voice, onsets=(3.2,))
    found = heard(one, 0.5)
    share = 1.0 if voice == "library" else 10 ** (-3.01 / 20)
    assert np.abs(found[round(3.22 * SAMPLE_RATE) : round(3.58 * SAMPLE_RATE)]).max() < 0.01
    assert found[round(3.8 * SAMPLE_RATE) :][: 3 * SAMPLE_RATE].mean() == pytest.approx(0.5 * share, abs=0.002)


def test_what_the_library_does_not_play_keeps_what_nobody_asked_for(shelf: Shelf) -> None:
    one = player(shelf, ClipSettings(sheet([], None, "", [Lasting(4.0, 7.0, "waves")])), onsets=(3.2,))
    assert np.array_equal(heard(one, 0.5), np.full(round(SECONDS * SAMPLE_RATE), 0.5, np.float32))
    assert one.onsets() == [3.2]


def test_it_goes_on_in_what_is_kept_around_the_clip(shelf: Shelf) -> None:
    one = player(shelf, rain((0.0, 6.0)), offset_s=1.0)
    found = heard(one)
    (hit,) = one.ongoing.played
    assert (hit.seconds, hit.until_s) == (0.0, 6.0)
    levels = [band_db(found[n : n + 12000], SAMPLE_RATE) for n in (0, len(found) // 2, len(found) - 12000)]
    assert np.ptp(levels) < 3


def test_a_recording_that_is_gone_gives_place_to_another(tmp_path: Path) -> None:
    root = library(tmp_path / "rain", Noise("a.wav"), Noise("b.wav", seed=1))
    found = opened(root)
    (root / "a.wav").unlink()
    one = player(found, rain((0.5, 2.0), (3.0, 5.0)))
    heard(one)
    assert [hit.file for hit in one.ongoing.played] == ["b.wav", "b.wav"]
    assert "a.wav: is gone since the library was indexed, and the next nearest is played" in " ".join(one.remarks())
    (root / "b.wav").unlink()
    bare = player(opened_without(root), rain((0.5, 2.0)))
    assert np.array_equal(heard(bare, 0.25), np.full(round(SECONDS * SAMPLE_RATE), 0.25, np.float32))
    assert "or the model where none is left (1)" in " ".join(bare.remarks())


def opened_without(root: Path) -> Shelf:
    """Of recordings that are gone by now."""
    return Shelf(Index.open(root))


@pytest.mark.parametrize("seconds", [1e-6, 1e-5, 0.001, 0.04, 0.06, 0.3])
def test_what_is_over_at_once_does_not_go_on(seconds: float, shelf: Shelf) -> None:
    one = player(shelf, rain((1.0, 1.0 + seconds)))
    found = heard(one, 0.25)
    assert len(found) == round(SECONDS * SAMPLE_RATE)
    assert [hit.rounds for hit in one.ongoing.played] == ([1] if seconds > 0.05 else [])


def test_a_cue_without_an_end_is_told(shelf: Shelf) -> None:
    one = player(shelf, ClipSettings(sheet([Cue(1.0, sound="rain"), Cue(3.0, sound="engine")])))
    assert np.array_equal(heard(one, 0.25), np.full(round(SECONDS * SAMPLE_RATE), 0.25, np.float32))
    assert list(one.remarks()) == [
        "rain at 1.000 s and 1 more: goes on for nobody knows how long, and is the model's; say until when, as 2.0..5.5"
    ]
    seen = ClipSettings(sheet([Cue(1.0), Cue(3.0)]), "rain", spotted=True)
    assert list(player(shelf, seen).remarks()) == []
