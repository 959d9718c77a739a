"""Listing the takes of a finished clip, and putting another one in it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
import soundfile
from clips import decoded_sound, packets_of, write_clip
from finished import RATE, Made, bursts, finish
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

from foleygen import regular
from foleygen.cli import app
from foleygen.cli.takes import BLOCKS, PLAIN_BLOCKS, waveform
from foleygen.errors import ClipError, ExitCode, UsageError
from foleygen.facts import take_file
from foleygen.media.loudness import measure
from foleygen.media.probe import probe
from foleygen.record import fit, markers, sidecar, takes
from foleygen.settings import Settings
from foleygen.weights import bundle

Ran = tuple[int, str, str]
Foleygen = Callable[..., Ran]


@pytest.fixture
def foleygen(capfd: pytest.CaptureFixture[str]) -> Foleygen:
    """``foleygen("takes", clip)`` -> exit code, stdout, stderr."""

    def run(*arguments: object) -> Ran:
        code = app.run([str(argument) for argument in arguments])
        return (code, *capfd.readouterr())

    return run


@pytest.fixture
def made(tmp_path: Path, random_bundle: Path) -> Made:
    return finish(tmp_path, random_bundle)


def heard(output: Path) -> NDArray[np.float32]:
    return decoded_sound(output)[0]


def expected(made: Made, weights: Path, settings: Settings) -> dict[str, Any]:
    return {"content_id": probe(made.source).content_id, **fit.identity(settings, bundle.load(weights))}


def rewrite(made: Made, **changes: object) -> None:
    document = json.loads(sidecar.path_for(made.output).read_bytes())
    sidecar.path_for(made.output).write_text(json.dumps({**document, **changes}))


def contents(folder: Path) -> dict[str, bytes]:
    """All files, apart from when the finished clips were written."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return {
        name: re.sub(rb'"output_stamp": "[0-9a-f]*"', b'"output_stamp": ""', content) for name, content in found.items()
    }


def uncircled(content: bytes) -> bytes:
    """The wavs say which of them is in the clip."""
    return content.replace(b"<CIRCLED>TRUE</CIRCLED> ", b"<CIRCLED>FALSE</CIRCLED>")


# Picking


def test_another_take_is_heard_and_the_picture_is_the_same(made: Made) -> None:
    before = packets_of(made.output, 0)
    output, warnings = takes.pick(made.output, 3)
    assert (output, warnings) == (made.output, ())
    np.testing.assert_allclose(heard(output), made.sounds[2], atol=2**-22)
    assert packets_of(output, 0) == before == packets_of(made.source, 0)
    assert probe(output).timecode == "01:00:00:00"
    assert not list(output.parent.glob(".part-*"))


def test_it_goes_back_and_forth(made: Made) -> None:
    for number in (2, 3, 1):
        takes.pick(made.source, number)
        np.testing.assert_allclose(heard(made.output), made.sounds[number - 1], atol=2**-22)
        assert sidecar.load(made.output).picked == number


def test_the_first_take_again_is_the_file_of_the_run(tmp_path: Path, random_bundle: Path) -> None:
    for name, settings in (("a.mov", Settings(takes=2)), ("b.mp4", Settings(takes=2, loudness="ebu"))):
        made = finish(tmp_path, random_bundle, name=name, settings=settings, takes=2, level=3.0)
        before = contents(tmp_path)
        takes.pick(made.output, 2)
        assert contents(tmp_path)[made.output.name] != before[made.output.name]
        takes.pick(made.output, 1)
        assert contents(tmp_path) == before


def test_the_wavs_say_which_take_the_clip_has(made: Made) -> None:
    takes.pick(made.output, 2)
    circled = [b"<CIRCLED>TRUE</CIRCLED>" in take_file(made.output, k).read_bytes() for k in (1, 2, 3)]
    assert circled == [False, True, False]


def test_the_same_batch_again_leaves_it_alone(made: Made, random_bundle: Path) -> None:
    takes.pick(made.output, 2)
    assert fit.judge(made.output, expected(made, random_bundle, Settings(takes=3))).reason is None


def test_only_the_finished_clip_its_sidecar_and_its_markers_change(made: Made) -> None:
    markers.of_record(made.output, sidecar.load(made.output))
    (made.output.parent / "notes.txt").write_text("mine")
    before = contents(made.output.parent)
    takes.pick(made.output, 2)
    after = contents(made.output.parent)
    assert before.keys() == after.keys()
    changed = {name for name in before if uncircled(before[name]) != uncircled(after[name])}
    assert changed == {"shot.foley.mov", "shot.foley.json", "shot.foley.markers.csv"}
    assert b"0.200000" in after["shot.foley.markers.csv"]
    old, new = (json.loads(files["shot.foley.json"]) for files in (before, after))
    assert {key for key in old if old[key] != new[key]} <= {"picked", "output_bytes", "output_sha256", "output_stamp"}


def test_loudness_is_that_of_the_run_for_the_take_that_is_picked(tmp_path: Path, random_bundle: Path) -> None:
    settings = Settings(takes=3, loudness="-30", true_peak=-3.0)
    made = finish(tmp_path, random_bundle, settings=settings)
    for number in (3, 2):
        takes.pick(made.output, number)
        found = sidecar.load(made.output)
        loudness = measure([heard(made.output)], RATE)
        assert loudness.integrated_lufs == pytest.approx(-30, abs=0.1)
        assert found.heard.gain_db == pytest.approx(-30 - (found.heard.loudness_lufs or 0), abs=0.02)
    assert fit.judge(made.output, expected(made, random_bundle, settings)).reason is None


def test_a_take_that_was_edited_is_measured_anew(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, settings=Settings(takes=2, loudness="-30"), takes=2)
    louder = np.repeat((made.sounds[1] * 2)[:, None], 2, axis=1)
    soundfile.write(take_file(made.output, 2), louder, RATE, "PCM_24")
    takes.pick(made.output, 2)
    assert measure([heard(made.output)], RATE).integrated_lufs == pytest.approx(-30, abs=0.1)


def test_the_clip_s_own_sound_is_kept_or_left_out_as_before(tmp_path: Path, random_bundle: Path) -> None:
    import av

    for audio, tracks in (("keep", 2), ("replace", 1), ("mix", 1)):
        folder = tmp_path / audio
        made = finish(folder, random_bundle, settings=Settings(takes=2, audio=audio), takes=2, own_sound=(48000,))  # type: ignore[arg-type]
        takes.pick(made.output, 2)
        with av.open(str(made.output)) as container:
            assert len(container.streams.audio) == tracks
        own = 0.25 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
        sound = heard(made.output)
        assert len(sound) == 2 * RATE
        assert (np.corrcoef(sound, own)[0, 1] > 0.9) == (audio == "mix")


@pytest.mark.parametrize("name", ["shot.ts", "shot.mkv", "shot.mp4"])
def test_every_container_can_be_picked_in(tmp_path: Path, random_bundle: Path, name: str) -> None:
    made = finish(tmp_path, random_bundle, name=name, takes=2)
    takes.pick(made.output, 2)
    sound, start = decoded_sound(made.output)
    early = max(0, round((probe(made.output).start - start) * RATE))
    sound = sound[early : early + 2 * RATE]
    assert np.corrcoef(sound, made.sounds[1][: len(sound)])[0, 1] > 0.98


def test_a_transport_stream_can_become_a_movie(tmp_path: Path, random_bundle: Path) -> None:
    """Its pictures are packed in other bytes there, so their identity is that of size, number and duration."""
    made = finish(tmp_path, random_bundle, name="shot.ts", takes=2)
    movie = made.output.with_suffix(".mov")
    document = sidecar.load(made.output)
    from foleygen.media.mux import mux

    mux(probe(made.source), [made.sounds[0]], RATE, movie)
    sidecar.path_for(made.output).unlink()
    made.output.unlink()
    sidecar.write(movie, document.document())
    takes.pick(movie, 2)
    np.testing.assert_allclose(heard(movie), made.sounds[1], atol=2**-22)


# Finding


def test_a_source_leads_to_its_finished_clip_whatever_that_is_called(made: Made) -> None:
    renamed = made.output.with_name("version 7.mov")
    document = sidecar.load(made.output)
    made.output.rename(renamed)
    sidecar.path_for(made.output).unlink()
    sidecar.write(renamed, replace(document, takes=tuple(replace(t, file=None) for t in document.takes)).document())
    (made.source.parent / "package.json").write_text('{"output": "../x", "source": 3}')
    (made.source.parent / "list.json").write_text("[]")
    assert takes.find(made.source).output == renamed


def test_two_finished_clips_of_one_source_are_told_apart_by_name(made: Made) -> None:
    other = made.output.with_suffix(".mkv")
    shutil.copy(made.output, other)
    sidecar.write(other, sidecar.load(made.output).document())
    with pytest.raises(UsageError, match=r"has 2 finished clips; name one: .*shot\.foley\.mov, .*shot\.foley\.mkv"):
        takes.find(made.source)


def test_a_clip_without_a_finished_one_is_told(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "shot.mov", 3)
    with pytest.raises(ClipError, match="no finished clip of it"):
        takes.find(clip)
    with pytest.raises(ClipError, match="no such file"):
        takes.find(tmp_path / "none.mov")
    with pytest.raises(ClipError, match="has no sidecar"):
        takes.find(write_clip(tmp_path / "shot.foley.mov", 3))


# What pick refuses


def lose_wav(made: Made) -> None:
    take_file(made.output, 2).unlink()


def spoil_wav(made: Made) -> None:
    take_file(made.output, 2).write_bytes(b"no sound")


def lose_source(made: Made) -> None:
    made.source.rename(made.source.with_name("moved.mov"))


def change_source(made: Made) -> None:
    write_clip(made.source, 25)


def change_output(made: Made) -> None:
    made.output.write_bytes(made.output.read_bytes() + b"more")


def swap_output(made: Made) -> None:
    """Another clip in its place, and a sidecar that says it is right."""
    write_clip(made.output, 50, size=(48, 64))
    found = regular.seal(made.output)
    rewrite(made, output_bytes=found.bytes, output_sha256=found.sha256, output_stamp=None)


def aim_at_source(made: Made) -> None:
    """A sidecar that calls the source the finished clip."""
    document = json.loads(sidecar.path_for(made.output).read_bytes())
    found = regular.seal(made.source)
    named = [{**take, "file": f"shot.t{take['number']:02d}.wav"} for take in document["takes"]]
    changed = {
        **document,
        "output": "shot.mov",
        "output_bytes": found.bytes,
        "output_sha256": found.sha256,
        "takes": named,
    }
    sidecar.path_for(made.output).write_text(json.dumps(changed))
    for number in (1, 2, 3):
        shutil.copy(take_file(made.output, number), take_file(made.source, number))


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lose_wav, "shot.foley.t02.wav: is not there"),
        (spoil_wav, "not a sound file that can be read"),
        (lose_source, "its source cannot be read"),
        (change_source, "shows another picture than when"),
        (change_output, "changed since it was made"),
        (swap_output, "shows another picture than its source"),
        (aim_at_source, "the output is the clip itself"),
    ],
)
def test_what_is_not_as_it_was_is_refused_and_nothing_changes(
    made: Made, foleygen: Foleygen, spoil: Callable[[Made], None], word: str
) -> None:
    spoil(made)
    before = contents(made.output.parent)
    clip = made.source if spoil is aim_at_source else made.output
    code, out, err = foleygen("pick", clip, 2)
    assert (code, out) == (ExitCode.ALL_FAILED, "")
    assert err.startswith("error: ")
    assert word in err
    assert err.count("\n") == 1
    assert contents(made.output.parent) == before


def test_there_is_no_take_4(made: Made, foleygen: Foleygen) -> None:
    code, _, err = foleygen("pick", made.source, 4)
    assert code == ExitCode.USAGE
    assert "has no take 4, only takes 1 to 3" in err


@pytest.mark.parametrize("number", ["0", "00", "100", "9" * 5000])
def test_a_number_that_no_take_has(number: str, foleygen: Foleygen) -> None:
    code, _, err = foleygen("pick", "shot.mov", number)
    assert code == ExitCode.USAGE
    assert f"there is no take {number[:40]}" in err
    assert "takes are numbered from 1, to 99 at most" in err
    assert "the number of a take is missing" in foleygen("pick", "shot.mov", "other.mov")[2]


def test_a_clip_without_wavs_has_nothing_to_pick(tmp_path: Path, random_bundle: Path, foleygen: Foleygen) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    code, _, err = foleygen("pick", made.output, 1)
    assert code == ExitCode.ALL_FAILED
    assert "--stems or --takes" in err


def test_pick_prints_the_finished_clip(made: Made, foleygen: Foleygen) -> None:
    assert foleygen("pick", made.source, 2) == (ExitCode.OK, f"{made.output}\n", "")


# Listing


def test_the_table(made: Made, foleygen: Foleygen) -> None:
    takes.pick(made.output, 2)
    take_file(made.output, 3).unlink()
    code, out, err = foleygen("takes", made.source)
    assert (code, err) == (ExitCode.OK, "")
    header, *rows = out.splitlines()
    assert header.split() == ["take", "loudness", "true", "peak", "sounds", "waveform", "file"]
    assert [row.split()[0] for row in rows] == ["1", "*2", "3"]
    assert all(" LUFS " in row and " dBTP " in row for row in rows)
    assert [row.rsplit(maxsplit=1)[1] for row in rows] == ["shot.foley.t01.wav", "shot.foley.t02.wav", "missing"]
    assert rows[0].count(BLOCKS[-1]) >= 1 > rows[2].count(BLOCKS[-1]), "one scale for all takes"
    assert "\x1b" not in out


def test_the_table_as_json(made: Made, foleygen: Foleygen) -> None:
    code, out, _ = foleygen("takes", made.output, "--json")
    document = json.loads(out)
    assert (code, out.count("\n")) == (ExitCode.OK, 1)
    assert document["output"] == str(made.output)
    assert document["picked"] == 1
    assert [take["picked"] for take in document["takes"]] == [True, False, False]
    assert [take["file"] for take in document["takes"]] == [str(take_file(made.output, n)) for n in (1, 2, 3)]
    assert document["takes"][1]["onsets_s"] == [0.2, 1.2]


def test_silence_is_listed(tmp_path: Path, random_bundle: Path, foleygen: Foleygen) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    found = sidecar.load(made.output)
    silent = replace(found.takes[0], loudness_lufs=None, true_peak_dbtp=None, onsets_s=(), peaks=(0.0,) * 64)
    sidecar.write(made.output, replace(found, takes=(silent,)).document())
    _, out, _ = foleygen("takes", made.output)
    assert out.splitlines()[1].split() == ["*1", "-", "-", "0", "-"]


@given(peaks=st.lists(st.floats(0, 1), max_size=100), blocks=st.sampled_from([BLOCKS, PLAIN_BLOCKS]))
def test_a_waveform_shows_the_loudest_and_the_silence(peaks: list[float], blocks: str) -> None:
    drawn = waveform(peaks, max(peaks, default=0.0), blocks)
    assert len(drawn) == min(32, len(peaks))
    assert set(drawn) <= set(blocks)
    assert (blocks[-1] in drawn) == (max(peaks, default=0.0) > 0)
    assert not any(peaks) or drawn.strip()


def test_a_wav_of_any_length_is_read_in_blocks(tmp_path: Path) -> None:
    from foleygen.media import wav

    sound = bursts(5.0, 0.5)
    soundfile.write(tmp_path / "a.wav", sound, RATE, "PCM_24")
    recording = wav.recording(tmp_path / "a.wav")
    chunks = list(recording)
    assert len(chunks) > 1
    np.testing.assert_allclose(np.concatenate(chunks), sound, atol=2**-23)
    np.testing.assert_array_equal(np.concatenate(list(recording)), np.concatenate(chunks))
    assert recording.sample_rate == RATE
    os.truncate(tmp_path / "a.wav", 20)
    with pytest.raises(ClipError, match="not a sound file"):
        list(recording)


# The whole way


def test_from_silent_clips_to_a_timeline_with_takes(
    tmp_path: Path, random_bundle: Path, make_clip: Callable[..., Path], foleygen: Foleygen
) -> None:
    clips = [make_clip(tmp_path / "a.mov", seconds=1.5), make_clip(tmp_path / "b.mp4", seconds=0.6, shade=9)]
    outputs = [tmp_path / "a.foley.mov", tmp_path / "b.foley.mp4"]
    asked = ("add-sound", *clips, "--model", random_bundle, "--overlap", "0.2", "--takes", "3", "--stems")
    code, out, _ = foleygen(*asked, "--timeline", tmp_path / "reel.otio", "--markers", "csv")
    assert (code, out.splitlines()) == (ExitCode.OK, [str(output) for output in outputs])
    schema = json.loads((Path(__file__).parent.parent / "docs" / "sidecar.schema.json").read_bytes())
    for output in outputs:
        Draft202012Validator(schema).validate(json.loads(sidecar.path_for(output).read_bytes()))
        length = round(probe(output).duration * RATE)
        for number in (1, 2, 3):
            facts = soundfile.info(take_file(output, number))
            assert (facts.frames, facts.samplerate, facts.subtype) == (length, RATE, "PCM_24")
        assert markers.path_for(output).exists()
    reel = otio.adapters.read_from_file(str(tmp_path / "reel.otio"))
    assert [clip.name for clip in reel.tracks[0]] == [output.name for output in outputs]
    assert [len(clip.media_references()) for clip in reel.tracks[1]] == [3, 3]

    first = heard(outputs[0])
    assert foleygen("pick", clips[0], 3)[:2] == (ExitCode.OK, f"{outputs[0]}\n")
    assert not np.array_equal(heard(outputs[0]), first)
    third = soundfile.read(take_file(outputs[0], 3), dtype="float32")[0]
    np.testing.assert_allclose(heard(outputs[0]), third, atol=2**-22)
    before = contents(tmp_path)
    assert foleygen(*asked)[:2] == (ExitCode.OK, "")
    assert contents(tmp_path) == before, "what was picked stays"
    assert json.loads(foleygen("takes", clips[0], "--json")[1])["picked"] == 3
