"""Hits played by a library: which event, when to the sample, how loud, without a click, and always the same."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from libraries import Made, library
from numpy.typing import NDArray
from scipy.signal import resample_poly

from foleygen.cues.cue import sheet
from foleygen.cues.words import Sound
from foleygen.errors import UsageError
from foleygen.facts import SAMPLE_RATE, Cue, Stretch
from foleygen.pipeline.voices.asked import extras, hits
from foleygen.pipeline.voices.mixing import Dip, Laid, mixed
from foleygen.pipeline.voices.own import OwnSound, band_db, rms_db
from foleygen.pipeline.voices.play import voiced
from foleygen.pipeline.voices.player import Player, Take
from foleygen.pipeline.voices.recorded import sounded
from foleygen.pipeline.voices.shelf import Shelf, opened
from foleygen.settings import ClipSettings, Voice

RATE = 16000
"""Hz of the model's sound."""
TIMES = (0.5, 1.0, 1.5, 2.25, 3.0)
SECONDS = 4.0

Samples = NDArray[np.float32]


def model(times: tuple[float, ...] = TIMES, levels: tuple[float, ...] = (), bed: float = 0.0) -> Samples:
    """What a model might make: bursts of noise at these times, over noise that goes on."""
    rng = np.random.default_rng(0)
    found = bed * rng.standard_normal(round(SECONDS * RATE))
    for number, time in enumerate(times):
        first, count = round(time * RATE), round(0.2 * RATE)
        burst = rng.standard_normal(count) * np.exp(-np.arange(count) / (0.03 * RATE))
        level = levels[number] if levels else 0.2
        found[first : first + count] += level * burst[: len(found) - first]
    return found.astype(np.float32)


def asked(*cues: Cue, sound: str | None = None) -> ClipSettings:
    return ClipSettings(cues=sheet(cues) if cues else None, sound=sound)


def spool(samples: Samples) -> io.BytesIO:
    return io.BytesIO(samples.tobytes())


def player(
    shelf: Shelf,
    own: ClipSettings,
    samples: Samples,
    voice: Voice = "library",
    onsets: tuple[float, ...] = TIMES,
    key: tuple[object, ...] = (0, "clip", 1),
    offset_s: float = 0.0,
) -> Player:
    return Player(shelf, voice, Take(own, onsets, offset_s, key), OwnSound(spool(samples), RATE))


def silent(seconds: float = SECONDS) -> list[Samples]:
    """Chunks of the model's sound at 48 kHz, of which nothing is heard."""
    return [np.zeros(9600, np.float32)] * round(seconds * SAMPLE_RATE / 9600)


def heard(one: Player, own: list[Samples] | None = None) -> Samples:
    return np.concatenate(list(one.sound(silent() if own is None else own)))


def cues(words: str | None = "knock wood") -> ClipSettings:
    strengths = (0.9, 0.3, 0.6, 0.45, 0.75)
    return asked(*(Cue(time, strength, sound=words) for time, strength in zip(TIMES, strengths, strict=True)))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return opened(
        library(
            tmp_path_factory.mktemp("library"),
            Made("wood/knock 1.wav", "knock", "wood", 700, (0.1, 0.2, 0.4, 0.8), rate=44100, channels=2),
            Made("glass/clink 1.wav", "crockery", "glass", 3000, (0.3, 0.5, 0.6)),
            Made("door.wav", "door", None, 200, (0.5,), rate=96000),
        )
    )


def test_cues_are_hits_and_where_they_are_known_nothing_else_is() -> None:
    told = asked(Cue(1.0, 0.5, sound="knock"), Cue(2.0), sound="glass")
    assert [(hit.seconds, hit.words) for hit in hits(told, (1.01, 3.0))] == [(1.0, "knock"), (2.0, "glass")]
    assert list(extras(told, (1.01, 3.0))) == [3.0]
    assert list(extras(replace(told, spotted=True), (1.01, 3.0))) == []  # what is seen may not be all
    known = ClipSettings(cues=sheet([Cue(1.0)], [Stretch(0.5, 1.5)]))
    assert [hit.seconds for hit in hits(known, (0.7, 1.01, 3.0))] == [1.0, 3.0]
    assert [hit.is_told for hit in hits(asked(), (0.7, 1.01))] == [False, False]


def test_what_fits_the_words_and_nothing_of_another_material(shelf: Shelf) -> None:
    def files(sound: Sound) -> set[str]:
        return {shelf.recording(int(event)).file for event in shelf.fitting(sound)}

    assert files(Sound("knock", "wood")) == {"wood/knock 1.wav"}
    assert files(Sound("drop", "glass")) == {"glass/clink 1.wav"}  # a blow is a blow
    assert files(Sound("footsteps", "glass")) == set()
    assert files(Sound("door", "metal")) == {"door.wav"}  # which does not say what it is of
    assert files(Sound("knock", "metal")) == set()
    assert len(shelf.fitting(Sound(None, None))) == 8


def test_attacks_are_on_their_sample(shelf: Shelf) -> None:
    one = player(shelf, cues(), model())
    track = heard(one)
    for time in TIMES:
        at = round(time * SAMPLE_RATE)
        # The recordings leap from nothing to their peak in one sample.
        window = np.abs(track[at - 480 : at + 480])
        leap = int(np.argmax(window > 0.3 * window.max()))
        assert abs(leap - 480) <= 1
    assert [hit.seconds for hit in one.played] == list(TIMES)


def test_levels_follow_strengths_and_the_models_level(shelf: Shelf) -> None:
    own = model()
    one = player(shelf, cues(), own)
    track = heard(one)
    strengths = 20 * np.log10((0.9, 0.3, 0.6, 0.45, 0.75))
    levels = [band_db(track[round(t * SAMPLE_RATE) :][: SAMPLE_RATE // 10], SAMPLE_RATE) for t in TIMES]
    assert np.corrcoef(strengths, levels)[0, 1] > 0.97
    usual = np.median([OwnSound(spool(own), RATE).level_db(t, np.inf) for t in TIMES])
    assert abs(np.median(levels) - usual) < 2


def test_without_strengths_it_is_as_loud_as_the_model(shelf: Shelf) -> None:
    own = model(levels=(0.4, 0.1, 0.2, 0.05, 0.3))
    told = asked(*(Cue(time, sound="knock wood") for time in TIMES))
    track = heard(player(shelf, told, own))
    for time in TIMES:
        wanted = OwnSound(spool(own), RATE).level_db(time, np.inf)
        assert abs(band_db(track[round(time * SAMPLE_RATE) :][: SAMPLE_RATE // 10], SAMPLE_RATE) - wanted) < 1.2


def test_no_event_is_heard_twice_running_and_soft_takes_play_soft_hits(shelf: Shelf) -> None:
    times = [0.25 + 0.25 * number for number in range(14)]
    told = asked(*(Cue(time, 0.2 if n % 2 else 0.9, sound="knock wood") for n, time in enumerate(times)))
    one = player(shelf, told, model(tuple(times)), onsets=tuple(times))
    heard(one)
    places = [hit.file_s for hit in one.played]
    assert len(places) == 14
    assert all(before != after for before, after in pairwise(places))
    hard, soft = np.mean(places[::2]), np.mean(places[1::2])
    assert hard > soft  # the recording's takes grow louder


def test_a_single_event_plays_on_for_lack_of_others(tmp_path: Path) -> None:
    alone = opened(library(tmp_path, Made("one.wav", "knock", "wood")))
    one = player(alone, cues(), model())
    heard(one)
    assert len(one.played) == 5
    assert len({hit.cents for hit in one.played}) == 5


def test_the_same_again_and_another_with_another_key(shelf: Shelf) -> None:
    def made(key: tuple[object, ...], chunk: int = 10000) -> tuple[Samples, list[object]]:
        one = player(shelf, cues(), model(), key=key)
        own = np.concatenate(silent())
        chunks = [own[first : first + chunk] for first in range(0, len(own), chunk)]
        return heard(one, chunks), [(hit.file, hit.file_s) for hit in one.played]

    first, again = made((0, "clip", 1)), made((0, "clip", 1), chunk=777)
    assert np.array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert any(made((0, "clip", take))[1] != first[1] for take in (2, 3, 4))


def test_a_cue_more_changes_no_other_hit_of_other_words(shelf: Shelf) -> None:
    told = [Cue(time, 0.5, sound="knock wood") for time in TIMES]
    one = player(shelf, asked(*told), model())
    more = player(shelf, asked(*told, Cue(0.75, 0.5, sound="glass bottle")), model())
    heard(one)
    heard(more)
    kept = [hit for hit in more.played if hit.seconds != 0.75]
    assert [(hit.seconds, hit.file_s, hit.cents) for hit in kept] == [
        (hit.seconds, hit.file_s, hit.cents) for hit in one.played
    ]


@pytest.mark.parametrize("rate", [44100, 48000, 96000, 192000])
def test_an_event_is_laid_without_a_step(rate: int) -> None:
    seconds = np.arange(round(0.5 * rate)) / rate
    event = (0.5 * np.cos(2 * np.pi * 300 * seconds))[None].astype(np.float32)  # full from its first to its last sample
    attack = round(0.2 * rate)
    made = sounded(event, rate, attack, level_db=-20, cents=20)
    steps = np.abs(np.diff(np.concatenate([[0], made.samples, [0]])))
    own = 2 * np.pi * 300 / SAMPLE_RATE * 2 ** (20 / 1200) * np.abs(made.samples).max()
    assert steps.max() < 1.02 * own
    assert made.attack == round(0.005 * SAMPLE_RATE)
    assert abs(band_db(made.samples[made.attack :][: SAMPLE_RATE // 10], SAMPLE_RATE) + 20) < 0.1


def test_pitch_is_raised_by_cents() -> None:
    rate = 44100
    event = np.cos(2 * np.pi * 1000 * np.arange(rate) / rate)[None].astype(np.float32)
    made = sounded(event, rate, 1000, level_db=-20, cents=30)
    spectrum = np.abs(np.fft.rfft(made.samples * np.hanning(len(made.samples))))
    found = np.argmax(spectrum) * SAMPLE_RATE / len(made.samples)
    assert abs(1200 * np.log2(found / 1000) - 30) < 3


def test_a_hit_ends_the_tail_of_its_kind_softly() -> None:
    event = np.cos(np.arange(SAMPLE_RATE * 2) / 20)[None].astype(np.float32)
    made = sounded(event, SAMPLE_RATE, 480, level_db=-20, cents=0, until_s=0.5)
    at = made.attack + SAMPLE_RATE // 2
    assert np.abs(made.samples[at - 7000 : at - 6400]).max() > 0.9 * np.abs(made.samples).max()
    assert np.abs(made.samples[at - 480 :]).max() < 0.001
    assert np.abs(np.diff(np.append(made.samples, 0))).max() < 1.05 * np.abs(made.samples).max() / 20


def test_of_a_recording_one_hit_is_heard() -> None:
    """A click that follows from near silence is another event; what rustles on is the same."""
    rng = np.random.default_rng(0)
    decay = np.exp(-np.arange(SAMPLE_RATE // 2) / 1000)
    click = (rng.standard_normal(len(decay)) * decay).astype(np.float32)
    twice = click.copy()
    twice[9600:] += 0.3 * click[:-9600]
    once, both = (sounded(one[None], SAMPLE_RATE, 0, level_db=-20, cents=0) for one in (click, twice))
    assert np.abs(both.samples[9600 + 1000 :]).max() < 0.01 * np.abs(both.samples).max()
    assert both.gain_db == pytest.approx(once.gain_db, abs=0.1)


def test_the_model_gives_way_and_goes_on_between(shelf: Shelf) -> None:
    """A hiss that goes on is heard before and between the hits, the model's hits are not."""
    own = model(bed=0.01)
    one = player(shelf, cues(), own)
    chunks = [np.repeat(own, 3)]
    track = heard(one, chunks)
    library_alone = heard(player(shelf, cues(), own))
    left = track - library_alone
    for time in TIMES:
        at = round(time * SAMPLE_RATE)
        assert np.abs(left[at : at + 1200]).max() < 1e-6
    assert rms_db(left[: SAMPLE_RATE // 4]) == pytest.approx(rms_db(chunks[0][: SAMPLE_RATE // 4]), abs=0.01)
    assert rms_db(left[round(3.6 * SAMPLE_RATE) :]) == pytest.approx(-40, abs=0.5)
    assert np.abs(np.diff(left)).max() <= np.abs(np.diff(chunks[0])).max() * 1.01


def test_what_nobody_asked_for_gives_way_too(shelf: Shelf) -> None:
    own = model((*TIMES, 3.5))
    one = player(shelf, cues(), own, onsets=(*TIMES, 3.5))
    track = heard(one, [np.repeat(own, 3)])
    assert rms_db(track[round(3.5 * SAMPLE_RATE) :][:4800]) < -50
    assert one.onsets() == list(TIMES)


def test_both_are_as_loud_as_either(shelf: Shelf) -> None:
    own = model(bed=0.01)
    one = player(shelf, cues(), own, voice="both")
    track = heard(one, [np.repeat(own, 3)])
    assert rms_db(track[: SAMPLE_RATE // 4]) == pytest.approx(-43, abs=0.5)
    alone = player(shelf, cues(), own)
    heard(alone)
    lower = [two.gain_db - one.gain_db for one, two in zip(one.played, alone.played, strict=True)]
    assert lower == pytest.approx([3.01] * 5, abs=0.01)


def test_where_nothing_fits_the_model_plays_and_that_is_said(shelf: Shelf) -> None:
    told = asked(Cue(0.5, sound="knock wood"), Cue(1.0, sound="paper"), Cue(1.5, sound="rain"))
    own = model((0.5, 1.0, 1.5))
    one = player(shelf, told, own, onsets=(0.5, 1.0, 1.5))
    track = heard(one, [np.repeat(own, 3)])
    assert [hit.seconds for hit in one.played] == [0.5]
    assert np.array_equal(track[60000:], np.repeat(own, 3)[60000:])
    told_so = sorted(one.remarks())
    assert told_so[1] == "the library has nothing for paper: one of its sounds is the model's"
    assert told_so[0].startswith("rain at 1.500 s: goes on for nobody knows how long")
    assert len(told_so) == 2
    assert one.onsets() == [0.5, 1.0, 1.5]
    nothing = player(shelf, asked(sound="paper"), own)
    assert nothing.is_silent


def test_without_cues_the_models_hits_are_played_and_its_ripples_are_not(shelf: Shelf) -> None:
    own = model((1.0, 2.0), bed=0.02)
    one = player(shelf, asked(sound="knock wood"), own, onsets=(0.4, 1.0, 2.0, 3.3))
    heard(one)
    assert [hit.seconds for hit in one.played] == [1.0, 2.0]


def test_a_file_that_is_gone_is_told_and_the_next_nearest_plays(tmp_path: Path) -> None:
    near = Made("knock a.wav", "knock", "wood", 700, (0.5, 0.4))
    made = library(tmp_path, near, replace(near, file="thump b.wav", hertz=650))
    found = opened(made)
    (tmp_path / "knock a.wav").unlink()
    one = player(found, cues(), model())
    heard(one)
    assert {hit.file for hit in one.played} == {"thump b.wav"}
    assert len(one.played) == 5
    (told,) = one.remarks()
    assert "knock a.wav: is gone since the library was indexed, and the next nearest is played" in told
    last = opened(made)
    (tmp_path / "thump b.wav").unlink()
    other = player(last, cues(), model())
    own = [np.repeat(model(), 3)]
    assert np.array_equal(heard(other, own), own[0])
    assert other.played == []
    (told,) = other.remarks()
    assert "(and so is 1 more), and the next nearest is played, or the model where none is left (5); " in told
    with pytest.raises(UsageError, match="none of the recordings in its index is there"):
        opened(made)


def test_a_recording_that_is_raised_by_much_is_told(tmp_path: Path) -> None:
    made = library(tmp_path, Made("knock a.wav", "knock", "wood", 700, (0.001, 0.001)))
    one = player(opened(made), cues(), model())
    heard(one)
    (told,) = one.remarks()
    assert re.fullmatch(r"5 sounds were raised by more than 15 dB, .*: knock a.wav by \d+ dB", told)


def test_times_are_those_of_the_clip_whatever_comes_before_the_picture(shelf: Shelf) -> None:
    one = player(shelf, asked(Cue(0.5, sound="knock wood")), model((1.5,)), onsets=(0.5,), offset_s=1.0)
    track = heard(one)
    assert one.played[0].seconds == 0.5
    assert np.abs(track[: round(1.49 * SAMPLE_RATE)]).max() == 0
    assert np.abs(track[round(1.5 * SAMPLE_RATE) :][:480]).max() > 0.01


def test_chunks_are_mixed_as_a_whole_would_be() -> None:
    rng = np.random.default_rng(1)
    own = rng.standard_normal(5000).astype(np.float32)
    laid = [
        Laid(-20, -10, np.ones(300, np.float32), Dip(-20, 0, 200, 260)),
        Laid(950, 1000, np.ones(2500, np.float32), Dip(950, 1000, 1900, 2100)),
        Laid(1500, 1600, np.ones(10, np.float32)),
        Laid(4900, 4990, np.ones(300, np.float32)),
    ]
    whole = np.concatenate(list(mixed([own], laid, -3)))
    parts = np.concatenate(list(mixed([own[i : i + 123] for i in range(0, 5000, 123)], laid, -3)))
    assert np.allclose(whole, parts, atol=1e-6)
    assert np.allclose(whole[1100:1590], 1.0)


def test_the_ends_of_a_take_and_cues_that_crowd(shelf: Shelf) -> None:
    """Before, at and after either end, at one time in two words, and nearer than a picture."""
    times = (0.0, 0.001, 1.0, 1.01, 1.02, SECONDS - 0.001, SECONDS + 1)
    told = asked(*(Cue(time, 1.0, sound=words) for time in times for words in ("knock wood", "glass bottle")))
    one = player(shelf, told, model((0.0, 1.0)), onsets=(0.0, 1.0))
    track = heard(one)
    assert len(track) == round(SECONDS * SAMPLE_RATE)
    assert np.isfinite(track).all()
    assert np.abs(track[:480]).max() > 0.01
    assert len(one.played) == len([cue for cue in told.cues.cues if cue.seconds < SECONDS] if told.cues else ())


@pytest.mark.parametrize("length", [1, 2, 40, 500])
@pytest.mark.parametrize("fill", [0.0, 1.0, np.nan, np.inf])
def test_an_event_may_be_anything(length: int, fill: float) -> None:
    event = np.full((2, length), fill, np.float32)
    for attack in (0, length // 2, length - 1):
        for until in (0.0, 0.001, 0.1, np.inf):
            made = sounded(event, 44100, attack, level_db=-10, cents=-30, until_s=until)
            assert np.isfinite(made.samples).all()
            assert 0 <= made.attack < len(made.samples)
            assert np.abs(made.samples).max() <= 4.001


def test_a_take_that_is_silent_or_a_sample_long(shelf: Shelf) -> None:
    for samples, count in ((np.zeros(round(SECONDS * RATE), np.float32), 5), (np.zeros(1, np.float32), 0)):
        one = player(shelf, cues(), samples, onsets=())
        track = heard(one, [np.repeat(samples, 3)])
        assert np.isfinite(track).all()
        assert len(one.played) == count


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_a_sound_of_any_rate_is_played_in(shelf: Shelf, rate: int) -> None:
    """As after --bandwidth full, which leaves takes at another rate than the model's."""
    own = resample_poly(model(), rate // 50, RATE // 50).astype(np.float32)
    made = voiced(own, rate, Take(cues(), TIMES, 0.0, (0, "clip", 1)), shelf, "library")
    assert abs(len(made.samples) - SECONDS * SAMPLE_RATE) <= 1
    assert [hit.seconds for hit in made.played] == list(made.onsets) == list(TIMES)
    for time in TIMES:
        at = round(time * SAMPLE_RATE)
        window = np.abs(made.samples[at - 480 : at + 480])
        assert abs(int(np.argmax(window > 0.3 * window.max())) - 480) <= 1
