"""Recordings in stereo: their image is kept, what is mono is in the middle, and every file says how many it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aaf2
import numpy as np
import opentimelineio as otio
import pytest
import soundfile
from libraries import Made, Noise, library
from numpy.typing import NDArray

from foleygen.batch import events
from foleygen.batch.events import Event
from foleygen.cli import app
from foleygen.cues.cue import sheet
from foleygen.errors import ClipError, ExitCode, UsageError
from foleygen.facts import SAMPLE_RATE, Lasting, side_file, take_file
from foleygen.library import indexing
from foleygen.library.index import Index
from foleygen.media import own_sound
from foleygen.media.loudness import measure
from foleygen.pipeline.channels import delivered
from foleygen.pipeline.voices.mixing import Dip, Laid, mixed
from foleygen.pipeline.voices.own import band_db
from foleygen.pipeline.voices.play import voiced
from foleygen.pipeline.voices.player import Take
from foleygen.pipeline.voices.recorded import Sounded, sounded
from foleygen.pipeline.voices.shelf import opened
from foleygen.record import sidecar
from foleygen.record.timeline import timeline
from foleygen.record.timeline.timeline import Options
from foleygen.settings import ClipSettings, Settings

MakeClip = Callable[..., Path]
Samples = NDArray[np.float32]
TIMES = (0.4, 0.8, 1.3)
CUES = "seconds,strength,sound\n" + "".join(
    f"{time},{strength},knock wood\n" for time, strength in zip(TIMES, (0.9, 0.3, 0.6), strict=True)
)
LEFT_DB = 20 * np.log10(1 / 0.4)
"""By how much the left of these recordings is louder."""
WIDE = Made("knock.wav", "knock", "wood", 700, (0.3, 0.5, 0.7), rate=44100, gains=(1.0, 0.4))
DUAL = Made("knock.wav", "knock", "wood", 700, (0.3, 0.5, 0.7), rate=44100, channels=2)


def levels_db(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """RMS of each channel of samples (C, n)."""
    found: NDArray[np.float64] = 10 * np.log10(np.square(samples, dtype=np.float64).mean(axis=1) + 1e-20)
    return found


def played(made: Made, channels: int, event: int = 0, level_db: float = -20.0) -> Sounded:
    samples = made.samples().T
    first = made.attack(event) - round(0.02 * made.rate)
    piece = np.ascontiguousarray(samples[:, first : first + round(0.6 * made.rate)])
    return sounded(piece, made.rate, made.attack(event) - first, level_db=level_db, cents=20, channels=channels)


# One recording


def test_a_hit_keeps_its_image_under_one_gain() -> None:
    found = played(WIDE, 2)
    assert found.samples.shape[0] == 2
    left, right = levels_db(found.samples)
    assert left - right == pytest.approx(LEFT_DB, abs=0.01)
    np.testing.assert_allclose(found.samples[1], found.samples[0] * np.float32(0.4), atol=1e-6)
    heard = found.samples[:, found.attack : found.attack + round(0.1 * SAMPLE_RATE)]
    assert band_db(heard, SAMPLE_RATE) == pytest.approx(-20, abs=0.02), "as loud as one that is in both"
    assert found.attack == played(WIDE, 1).attack, "cut where it would be in mono"


def test_what_is_alike_in_all_channels_is_in_the_middle_at_its_mono_level() -> None:
    mono = played(DUAL, 1)
    both = played(DUAL, 2)
    for side in both.samples:
        np.testing.assert_allclose(side, mono.samples, atol=1e-6)
    assert both.gain_db == pytest.approx(mono.gain_db, abs=1e-6)
    one = Made("a.wav", hertz=700, rate=44100)
    assert np.array_equal(played(one, 2).samples, played(one, 1).samples), "one channel is one to the bit"


def test_surround_is_mixed_down_to_two() -> None:
    gains = (0.3, 0.6, 0.8, 0.0, 0.1, 0.2)
    left, right = levels_db(played(Made("a.wav", gains=gains), 2).samples)
    sides = [0.3 + 0.7071 * (0.8 + 0.1), 0.6 + 0.7071 * (0.8 + 0.2)]
    assert left - right == pytest.approx(20 * np.log10(sides[0] / sides[1]), abs=0.01)


def test_sides_that_are_opposite_are_not_raised_without_end() -> None:
    found = played(Made("a.wav", gains=(0.5, -0.5)), 2)
    assert band_db(found.samples[:, found.attack : found.attack + 4800], SAMPLE_RATE) == pytest.approx(-20, abs=0.02)


def test_a_tail_is_cut_and_softened_on_both_sides_at_once() -> None:
    rng = np.random.default_rng(0)
    noise = np.stack([rng.standard_normal(24000) * 0.1, np.full(24000, 0.5)]).astype(np.float32)
    found = sounded(noise, SAMPLE_RATE, 0, level_db=-20, cents=0, until_s=0.2, channels=2)
    last = [int(np.flatnonzero(np.abs(side) > 1e-4)[-1]) for side in found.samples]
    assert max(last) <= 0.2 * SAMPLE_RATE
    assert abs(last[0] - last[1]) < 0.01 * SAMPLE_RATE
    assert np.abs(found.samples[:, 0]).max() < 0.02, "where one side would be a step, both fade in"


def test_the_model_is_in_the_middle_and_chunks_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    own = rng.standard_normal(6000).astype(np.float32) * 0.1
    wide = rng.standard_normal((2, 900)).astype(np.float32)
    laid = [Laid(900, 1000, wide, Dip(900, 1000, 1500, 1900)), Laid(2500, 2500, own[:300])]
    whole = np.concatenate([np.broadcast_to(c, (2, c.shape[-1])) for c in mixed([own], laid)], axis=1)
    parts = [own[first : first + 700] for first in range(0, 6000, 700)]
    found = np.concatenate([np.broadcast_to(c, (2, c.shape[-1])) for c in mixed(parts, laid)], axis=1)
    np.testing.assert_array_equal(found, whole)
    assert np.array_equal(found[0, 2000:], found[1, 2000:])
    np.testing.assert_allclose(found[:, 1000:1500], wide[:, :500], atol=1e-6)
    (mono,) = mixed([own], laid[1:])
    assert mono.shape == (6000,)
    np.testing.assert_array_equal(found[0, 2000:], mono[2000:])


def test_what_goes_on_keeps_its_image(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).standard_normal(7 * 16000).astype(np.float32) * np.float32(0.02)
    own = ClipSettings(sheet((), None, "", [Lasting(1.0, 6.0, "rain")]))
    take = Take(own, (), 0.0, ("key",), 7.0)
    shelf = opened(library(tmp_path / "wide", Noise("rain.wav", channels=2, gains=(1.0, 0.4), rate=44100)))
    assert shelf.is_stereo
    both = voiced(noise, 16000, take, shelf, "library", 2).samples
    inside = both[:, round(1.5 * SAMPLE_RATE) : round(5.5 * SAMPLE_RATE)]
    left, right = levels_db(inside)
    assert left - right == pytest.approx(LEFT_DB, abs=0.1)
    assert abs(np.corrcoef(inside)[0, 1]) < 0.1, "no more alike than in the recording"
    assert np.array_equal(*both[:, : SAMPLE_RATE - 1]), "the model is in the middle"
    mono = voiced(noise, 16000, take, shelf, "library").samples
    level = band_db(mono[round(1.5 * SAMPLE_RATE) : round(5.5 * SAMPLE_RATE)], SAMPLE_RATE)
    assert band_db(inside, SAMPLE_RATE) == pytest.approx(level, abs=0.5)

    one = opened(library(tmp_path / "one", Noise("rain.wav")))
    assert not one.is_stereo
    centred, alone = (voiced(noise, 16000, take, one, "library", channels).samples for channels in (2, 1))
    for side in centred:
        np.testing.assert_array_equal(side, alone)


# The index


@pytest.mark.parametrize(
    ("gains", "noise", "is_stereo"),
    [
        ((1.0,), 0.0, False),
        ((0.7, 0.7), 0.0, False),
        ((0.7, 0.7), 1e-4, False),
        ((1.0, 0.97), 0.0, True),
        ((1.0, 0.0), 0.0, True),
        ((0.5, 0.5, 0.9, 0.0, 0.2, 0.2), 0.0, False),
        ((0.5, 0.1, 0.9, 0.0, 0.2, 0.2), 0.0, True),
    ],
)
def test_the_index_knows_whose_sides_differ(
    tmp_path: Path, gains: tuple[float, ...], noise: float, is_stereo: bool
) -> None:
    samples = Made("a.wav", gains=gains).samples()
    samples += noise * np.random.default_rng(0).standard_normal(samples.shape).astype(np.float32)
    for name in ("a.wav", "the same again.wav"):  # of which one is known by its content
        soundfile.write(tmp_path / name, samples, SAMPLE_RATE, "PCM_24")
    indexing.index(tmp_path, tmp_path / "index", lambda told: None)
    found = Index.open(tmp_path, tmp_path / "index")
    assert [one.is_stereo for one in found.recordings] == [is_stereo, is_stereo]
    assert delivered("auto", opened(tmp_path, tmp_path / "index")) == (2 if is_stereo else 1)


def test_what_decides_how_many_are_delivered(tmp_path: Path) -> None:
    wide, dual = opened(library(tmp_path / "wide", WIDE)), opened(library(tmp_path / "dual", DUAL))
    assert [delivered("auto", shelf) for shelf in (None, dual, wide)] == [1, 1, 2]
    assert [delivered("mono", shelf) for shelf in (None, dual, wide)] == [1, 1, 1]
    assert [delivered("stereo", shelf) for shelf in (None, dual, wide)] == [2, 2, 2]
    silent = Made("silent.wav", levels=(), gains=(1.0, 0.4))
    soundless = opened(library(tmp_path / "more", DUAL, silent))
    assert delivered("auto", soundless) == 1, "nothing of it can be played"


# A clip


@pytest.fixture
def clip(tmp_path: Path, make_clip: MakeClip) -> Path:
    path = make_clip(tmp_path / "clips" / "a.mov", seconds=2.0)
    path.with_name("a.cues.csv").write_text(CUES)
    return path


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    return library(tmp_path / "recordings", WIDE)


def finished(clip: Path) -> Path:
    return clip.with_name("a.foley.mov")


def document(clip: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sidecar.path_for(finished(clip)).read_bytes())
    return found


def wav(clip: Path, take: int = 1) -> Samples:
    """(C, n)"""
    samples, rate = soundfile.read(take_file(finished(clip), take), dtype="float32", always_2d=True)
    assert rate == SAMPLE_RATE
    return np.ascontiguousarray(samples.T)


def track(clip: Path) -> Samples:
    """The finished clip's sound, (2, n)."""
    from foleygen.media.probe import probe

    return np.concatenate(list(own_sound.blocks(probe(finished(clip)), SAMPLE_RATE, 2)), axis=1)


def hits_db(samples: Samples) -> list[float]:
    """By how much the left is louder in the first 100 ms of each hit that is in it."""
    places = [round(time * SAMPLE_RATE) for time in TIMES if time * SAMPLE_RATE < samples.shape[1]]
    spans = [samples[:, place : place + round(0.1 * SAMPLE_RATE)] for place in places]
    return [float(np.subtract(*levels_db(span))) for span in spans]


def reason(told: list[Event]) -> str | None:
    (started,) = [event for event in told if isinstance(event, events.ClipStarted)]
    return started.reason


def test_a_library_in_stereo_is_delivered_in_stereo(clip: Path, wide: Path, add_sound: Any) -> None:
    add_sound(clip, voice="library", library=wide, takes=2)
    found = document(clip)
    assert found["settings"]["channels"] == 2
    assert own_sound.channels(finished(clip)) == 2
    for take in (1, 2):
        assert hits_db(wav(clip, take)) == pytest.approx([LEFT_DB] * 3, abs=0.1)
    np.testing.assert_array_equal(track(clip), wav(clip))
    heard = measure([wav(clip)], SAMPLE_RATE, 2)
    assert found["takes"][0]["loudness_lufs"] == pytest.approx(heard.integrated_lufs, abs=0.006)
    assert found["takes"][0]["true_peak_dbtp"] == pytest.approx(heard.true_peak_dbtp, abs=0.006)
    assert max(found["takes"][0]["peaks"]) == pytest.approx(np.abs(wav(clip)).max(), abs=1e-4)


def test_mono_is_asked_for_and_the_same_as_ever(clip: Path, wide: Path, tmp_path: Path, add_sound: Any) -> None:
    add_sound(clip, voice="library", library=wide, channels="mono", stems=True)
    mono = wav(clip)
    assert mono.shape[0] == document(clip)["settings"]["channels"] == own_sound.channels(finished(clip)) == 1
    again = add_sound(clip, voice="library", library=wide, stems=True)
    assert reason(again) == "the settings are other ones (channels 1 -> 2)"
    events_of = [one["file_s"] for one in document(clip)["takes"][0]["played"]]
    told = add_sound(clip, voice="library", library=wide, stems=True)
    assert any(isinstance(event, events.ClipSkipped) for event in told)
    same = add_sound(clip, voice="library", library=wide, stems=True, channels="stereo")
    assert any(isinstance(event, events.ClipSkipped) for event in same), "auto came to stereo"
    add_sound(clip, voice="library", library=wide, channels="mono", stems=True)
    assert [one["file_s"] for one in document(clip)["takes"][0]["played"]] == events_of, "the same hits in both"
    np.testing.assert_array_equal(wav(clip), mono)

    # Channels that are alike are no stereo: the same sound as from one channel.
    add_sound(clip, voice="library", library=library(tmp_path / "dual", DUAL), stems=True)
    assert document(clip)["settings"]["channels"] == 1
    mean = library(tmp_path / "mean", Made(**{**vars(WIDE), "gains": (0.7,)}))
    add_sound(clip, voice="library", library=mean, stems=True)
    np.testing.assert_allclose(wav(clip), mono, atol=2e-4)


def test_the_model_alone_in_stereo_is_its_mono_in_both(clip: Path, add_sound: Any) -> None:
    add_sound(clip, stems=True)
    mono, before = wav(clip)[0], document(clip)["takes"][0]
    add_sound(clip, stems=True, channels="stereo")
    for side in wav(clip):
        np.testing.assert_array_equal(side, mono)
    after = document(clip)["takes"][0]
    assert after["loudness_lufs"] - before["loudness_lufs"] == pytest.approx(3.01, abs=0.02)
    assert after["true_peak_dbtp"] == before["true_peak_dbtp"]
    assert after["peaks"] == before["peaks"]


def test_where_the_library_has_nothing_the_model_is_in_the_middle(clip: Path, tmp_path: Path, add_sound: Any) -> None:
    add_sound(clip, stems=True)
    mono = wav(clip)[0]
    glass = library(tmp_path / "glass", Made("clink.wav", "crockery", "glass", 3000, gains=(1.0, 0.4)))
    add_sound(clip, voice="library", library=glass, stems=True)
    for side in wav(clip):
        np.testing.assert_array_equal(side, mono)


def test_it_is_the_same_whatever_else_is_in_the_batch(
    clip: Path, wide: Path, add_sound: Any, make_clip: MakeClip
) -> None:
    options = {"voice": "both", "library": wide, "stems": True, "batch_size": 2, "overwrite": True}
    add_sound(clip, **options)
    alone = wav(clip)
    other = make_clip(clip.with_name("b.mov"), seconds=1.2, shade=9)
    add_sound(other, clip, **options)
    np.testing.assert_array_equal(wav(clip), alone)


def test_everything_that_moves_a_sound_moves_both_sides(clip: Path, wide: Path, add_sound: Any) -> None:
    add_sound(clip, voice="library", library=wide, stems=True, handles=1.0, audio_delay=0.1, stems_format="float32")
    samples = wav(clip)
    assert samples.shape == (2, 4 * SAMPLE_RATE)
    assert hits_db(samples[:, SAMPLE_RATE:]) == pytest.approx([LEFT_DB] * 3, abs=0.1)
    assert hits_db(track(clip)) == pytest.approx([LEFT_DB] * 3, abs=0.1)


def test_a_level_is_that_of_both_sides(clip: Path, wide: Path, add_sound: Any) -> None:
    add_sound(clip, voice="library", library=wide, loudness="-20", true_peak=0.0)
    assert measure([track(clip)], SAMPLE_RATE, 2).integrated_lufs == pytest.approx(-20, abs=0.06)


def test_own_sound_in_mono_under_foley_in_stereo(tmp_path: Path, wide: Path, add_sound: Any) -> None:
    from clips import write_clip

    clip = write_clip(tmp_path / "a.mov", 50, 25, sound=[48000])
    clip.with_name("a.cues.csv").write_text(CUES)
    add_sound(clip, voice="library", library=wide, audio="mix", duck=6.0, stems=True)
    mix = track(clip)
    foley = wav(clip) * np.float32(10 ** (document(clip)["takes"][0]["gain_db"] / 20))
    rest = mix - foley
    np.testing.assert_allclose(rest[0], rest[1], atol=2e-4)
    levels = (measure([foley], SAMPLE_RATE, 2), measure([rest], SAMPLE_RATE, 2))
    assert levels[0].integrated_lufs == pytest.approx(levels[1].integrated_lufs - 6, abs=0.1)


def test_another_take_is_delivered_in_stereo_too(clip: Path, wide: Path, add_sound: Any) -> None:
    add_sound(clip, voice="library", library=wide, takes=2)
    assert app.run(["pick", str(finished(clip)), "2"]) == ExitCode.OK
    np.testing.assert_array_equal(track(clip), wav(clip, 2))
    # An edited wav that is mono is in the middle.
    soundfile.write(take_file(finished(clip), 1), wav(clip, 2).mean(axis=0), SAMPLE_RATE, "PCM_24")
    assert app.run(["pick", str(finished(clip)), "1"]) == ExitCode.OK
    assert own_sound.channels(finished(clip)) == 2
    np.testing.assert_allclose(track(clip)[0], wav(clip, 2).mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(*track(clip))


def test_a_preview_is_in_stereo(clip: Path, wide: Path, told_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--voice", "library", "--library", str(wide), "--model", str(told_bundle), "--device", "cpu"]
    assert app.run(["preview", str(clip), *options]) == ExitCode.OK
    sound, movie = capsys.readouterr().out.splitlines()[-2:]
    samples, _ = soundfile.read(sound, dtype="float32")
    found = hits_db(samples.T)
    assert len(found) >= 1
    assert found == pytest.approx([LEFT_DB] * len(found), abs=0.1)
    assert own_sound.channels(Path(movie)) == 2
    assert app.run(["preview", str(clip), *options, "--channels", "mono"]) == ExitCode.OK
    assert soundfile.info(sound).channels == own_sound.channels(Path(movie)) == 1


# What is written of it


def test_timelines_tell_how_many_channels_there_are(clip: Path, wide: Path, add_sound: Any, tmp_path: Path) -> None:
    add_sound(clip, voice="library", library=wide, takes=2)
    output = finished(clip)
    for suffix in (".otio", ".fcpxml", ".xml", ".edl"):
        timeline.write(tmp_path / f"reel{suffix}", [output])
    reel = otio.adapters.read_from_file(str(tmp_path / "reel.otio"))
    (sound,) = reel.tracks[1]
    assert {one.metadata["foleygen"]["channels"] for one in sound.media_references().values()} == {2}
    text = (tmp_path / "reel.fcpxml").read_text()
    assert text.count('audioChannels="2"') == text.count("audioChannels=") == 3
    text = (tmp_path / "reel.xml").read_text()
    assert text.count("<channelcount>2</channelcount>") == text.count("<channelcount>") == 3
    assert text.count("<trackindex>2</trackindex>") == text.count("<trackindex>1</trackindex>") == 2
    assert text.count("<marker>") == len(document(clip)["takes"][0]["onsets_s"]), "on one of the two sides"
    read = otio.adapters.read_from_file(str(tmp_path / "reel.edl"), rate=25)
    assert [one.name for one in read.tracks] == ["V", "A1", "A2"]


def test_an_aaf_has_a_mono_wav_for_each_side(clip: Path, wide: Path, add_sound: Any, tmp_path: Path) -> None:
    add_sound(clip, voice="library", library=wide, takes=2)
    output, path = finished(clip), tmp_path / "reel.aaf"
    timeline.write(path, [output])
    for take in (1, 2):
        pair = take_file(output, take)
        for index, side in enumerate("LR"):
            samples, _ = soundfile.read(side_file(pair, side), dtype="float32")
            np.testing.assert_array_equal(samples, wav(clip, take)[index])
            assert "M=mono" in side_file(pair, side).read_bytes()[:2000].decode("latin-1")
            assert b"cue " in side_file(pair, side).read_bytes()[:4000]
    with aaf2.open(str(path)) as file:
        (composition,) = file.content.toplevel()
        names = [slot.name for slot in composition.slots]
        sounds = [mob.name for mob in file.content.mastermobs()]
    assert names[1:5] == ["Foley L", "Foley R", "Foley take 2 L", "Foley take 2 R"]
    assert sorted(sounds) == sorted(side_file(take_file(output, take), side).name for take in (1, 2) for side in "LR")
    read = otio.adapters.read_from_file(str(path))
    assert [one.name for one in read.tracks][:2] == ["Foley L", "Foley R"]

    # Embedded they are the same; a side that is older than its pair is written again.
    timeline.write(tmp_path / "in.aaf", [output], Options(aaf="embed"))
    first = take_file(output, 1)
    changed = wav(clip)[::-1]
    soundfile.write(first, changed.T, SAMPLE_RATE, "PCM_24")
    timeline.write(path, [output])
    np.testing.assert_array_equal(soundfile.read(side_file(first, "L"), dtype="float32")[0], changed[0])

    # What foleygen did not make stays where it is.
    soundfile.write(side_file(first, "R"), changed[0], SAMPLE_RATE)
    before = side_file(first, "R").read_bytes()
    with pytest.raises(ClipError, match=r"is in the way of one side of a\.foley\.t01\.wav"):
        timeline.write(path, [output])
    assert side_file(first, "R").read_bytes() == before

    # In mono again there are no sides.
    add_sound(clip, voice="library", library=wide, takes=2, channels="mono", overwrite=True)
    left = sorted(one.name for one in clip.parent.glob("*.[LR].wav"))
    assert left == ["a.foley.t01.R.wav"], "that of somebody else"


def test_a_sidecar_has_one_channel_or_two(clip: Path, add_sound: Any) -> None:
    add_sound(clip)
    found = document(clip)
    for said, wanted in ((1.0, 1), (2, 2)):
        found["settings"]["channels"] = said
        assert sidecar.checked(finished(clip), found).settings.channels is wanted
    found["settings"]["channels"] = 3
    with pytest.raises(ClipError, match="channels is 3"):
        sidecar.checked(finished(clip), found)
    del found["settings"]["channels"]
    assert sidecar.checked(finished(clip), found).settings.channels == 1, "as all were"


def test_a_page_renders_as_the_clip_was_made(clip: Path, wide: Path, add_sound: Any, tmp_path: Path) -> None:
    from foleygen.review.clip import finished as facts
    from foleygen.review.rendering import settings_for

    add_sound(clip, voice="both", library=wide)
    record = sidecar.load(finished(clip))
    found = settings_for(Settings(), finished(clip), record, None)
    assert (found.channels, found.voice, found.library) == ("stereo", "both", wide)
    elsewhere = Settings(voice="library", library=tmp_path, library_index=tmp_path / "index")
    found = settings_for(elsewhere, finished(clip), record, None)
    assert (found.voice, found.library, found.library_index) == ("both", tmp_path, tmp_path / "index")
    assert facts(finished(clip), clip.parent, document(clip)).channels == 2
    add_sound(clip)
    found = settings_for(elsewhere, finished(clip), sidecar.load(finished(clip)), None)
    assert (found.channels, found.voice, found.library, found.library_index) == ("mono", "model", None, None)


def test_an_index_of_the_former_version_is_refused_and_made_anew(wide: Path) -> None:
    import sqlite3

    from foleygen.library import store

    with sqlite3.connect(store.file_of(wide)) as database:
        database.execute(f"PRAGMA user_version = {store.VERSION - 1}")
        database.execute("ALTER TABLE recordings DROP COLUMN is_stereo")
    with pytest.raises(UsageError, match="its index was made by another version of foleygen"):
        opened(wide)
    assert indexing.index(wide, None, lambda told: None).is_remade
    assert opened(wide).is_stereo
