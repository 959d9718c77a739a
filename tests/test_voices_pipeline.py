"""A clip whose hits a library plays: what sidecar, markers and timelines say of it, and what happens to it then."""

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

from foleygen.batch import events
from foleygen.batch.events import Event
from foleygen.batch.plan import check_voice
from foleygen.cli import app
from foleygen.errors import ExitCode, UsageError
from foleygen.facts import SAMPLE_RATE
from foleygen.record import markers, sidecar
from foleygen.record.timeline import timeline
from foleygen.settings import Settings

MakeClip = Callable[..., Path]
TIMES = (0.4, 0.8, 1.3)
CUES = "seconds,strength,sound\n" + "".join(
    f"{time},{strength},knock wood\n" for time, strength in zip(TIMES, (0.9, 0.3, 0.6), strict=True)
)
KNOCKS = Made("Wood, old/knock;1.wav", "knock", "wood", 700, (0.3, 0.5, 0.7), rate=44100, channels=2)
OTHERS = (Made("door.wav", "door", "wood", 200), Made("clink.wav", "crockery", "glass", 3000))


@pytest.fixture
def clip(tmp_path: Path, make_clip: MakeClip) -> Path:
    path = make_clip(tmp_path / "clips" / "a.mp4", seconds=2.0)
    path.with_name("a.cues.csv").write_text(CUES)
    return path


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return library(tmp_path / "my recordings", KNOCKS, *OTHERS)


@pytest.fixture
def foleygen(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def ran(*arguments: str | Path) -> tuple[int, str, str]:
        code = app.run([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return ran


def warnings(told: list[Event]) -> list[str]:
    return [text for event in told if isinstance(event, events.ClipDone) for text in event.warnings]


def reason(told: list[Event]) -> str | None:
    (started,) = [event for event in told if isinstance(event, events.ClipStarted)]
    return started.reason


def document(clip: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sidecar.path_for(clip.with_name("a.foley.mp4")).read_bytes())
    return found


def wav(clip: Path, take: int = 1) -> Any:
    samples, rate = soundfile.read(clip.with_name(f"a.foley.t{take:02d}.wav"), dtype="float32")
    assert rate == SAMPLE_RATE
    return samples


def test_hits_are_played_and_everything_says_so(
    clip: Path, recordings: Path, add_sound: Any, foleygen: Any, tmp_path: Path
) -> None:
    reel = tmp_path / "reel.aaf"
    add_sound(clip, voice="library", library=recordings, takes=2, markers=("csv", "resolve"), timeline=reel)
    found = document(clip)
    assert found["library"] == "../my recordings"
    assert found["settings"]["voice"] == "library"
    assert len(found["settings"]["library"]) == 64
    for take in found["takes"]:
        assert [one["seconds"] for one in take["played"]] == list(TIMES)
        assert {one["file"] for one in take["played"]} == {KNOCKS.file}
        assert {(one["licence"], one["source"]) for one in take["played"]} == {("CC0-1.0", "me")}
        assert set(TIMES) <= set(take["onsets_s"])
        assert take["missed_s"] == []
    _is_heard_on_its_sample(wav(clip), found["takes"][0])
    assert not np.array_equal(wav(clip), wav(clip, 2))

    for form in ("csv", "resolve"):
        assert "Wood, old/knock,1.wav at " in markers.path_for(clip.with_name("a.foley.mp4"), form).read_text()
    with aaf2.open(str(reel)) as file:
        (composition,) = file.content.toplevel()
        (slot,) = [one for one in composition.slots if isinstance(one, aaf2.mobslots.EventMobSlot)]
        marks = [(mark["Position"].value, mark["Comment"].value) for mark in slot.segment.components]
    assert [picture for picture, _ in marks] == [10, 20, 32]
    assert all(text.startswith("Wood, old/knock,1.wav at ") for _, text in marks)
    read = otio.adapters.read_from_file(str(reel))
    assert len(list(read.find_children(otio.schema.Clip))) == 2

    output = clip.with_name("a.foley.mp4")
    for suffix in (".otio", ".fcpxml", ".xml"):
        timeline.write(tmp_path / f"reel{suffix}", [output])
        assert "Wood, old/knock,1.wav at " in (tmp_path / f"reel{suffix}").read_text()

    # Another take is picked, and the clip is delivered anew, without the library.
    for path in recordings.rglob("*.wav"):
        path.unlink()
    code, _, told = foleygen("pick", clip.with_name("a.foley.mp4"), "2")
    assert code == ExitCode.OK, told
    assert document(clip)["picked"] == 2
    assert len(document(clip)["takes"][1]["played"]) == 3


def _is_heard_on_its_sample(samples: Any, take: dict[str, Any]) -> None:
    for time in TIMES:
        at = round(time * SAMPLE_RATE)
        window = np.abs(samples[at - 200 : at + 480])
        # The recordings leap from nothing to their peak; the model has given way.
        assert abs(int(np.argmax(window > 0.5 * window.max())) - 200) <= 1
    assert take["file_gain_db"] <= 0


def test_it_is_the_same_whatever_else_is_in_the_batch(
    clip: Path, recordings: Path, add_sound: Any, make_clip: MakeClip
) -> None:
    options = {"voice": "library", "library": recordings, "stems": True, "batch_size": 2, "overwrite": True}
    add_sound(clip, **options)
    alone = document(clip)["takes"]
    other = make_clip(clip.with_name("b.mp4"), seconds=1.2, shade=9)
    add_sound(other, clip, **options)
    assert document(clip)["takes"] == alone


def test_another_library_makes_the_clip_again_and_the_same_does_not(
    clip: Path, recordings: Path, add_sound: Any
) -> None:
    add_sound(clip, voice="library", library=recordings)
    told = add_sound(clip, voice="library", library=recordings)
    assert any(isinstance(event, events.ClipSkipped) for event in told)
    assert reason(add_sound(clip)) == "the settings are other ones (voice library -> model)"
    add_sound(clip, voice="library", library=recordings)
    library(recordings, Made("more.wav", "knock", "wood", 500))
    again = add_sound(clip, voice="library", library=recordings)
    assert reason(again) == "the recordings in the library are other ones"


def test_a_model_that_plays_needs_no_library(clip: Path, add_sound: Any) -> None:
    add_sound(clip)
    found = document(clip)
    assert found["library"] is None
    assert found["settings"]["voice"] == "model"
    assert found["takes"][0]["played"] == []


def test_a_library_without_the_words_leaves_the_clip_to_the_model(clip: Path, tmp_path: Path, add_sound: Any) -> None:
    add_sound(clip, stems=True)
    own = wav(clip)
    glass = library(tmp_path / "glass", OTHERS[1])
    told = add_sound(clip, voice="library", library=glass, stems=True)
    assert "the library has nothing for knock wood: 3 of its sounds are the model's" in warnings(told)
    assert document(clip)["takes"][0]["played"] == []
    assert np.array_equal(wav(clip), own)


def test_both_with_all_that_moves_a_sound(clip: Path, recordings: Path, add_sound: Any) -> None:
    add_sound(clip, voice="both", library=recordings, handles=1.0, audio_delay=0.1, stems=True)
    take = document(clip)["takes"][0]
    assert [one["seconds"] for one in take["played"]] == list(TIMES)
    assert len(wav(clip)) == 4 * SAMPLE_RATE


def test_no_library_where_one_must_play(clip: Path, tmp_path: Path, add_sound: Any) -> None:
    for folder, fact in (
        (None, "--voice both: there is no library to play from; name a folder of recordings with --library DIR"),
        (tmp_path / "nowhere", "no such folder"),
        (clip.parent, "has no index"),
        (library(tmp_path / "empty"), "its index has no event"),
    ):
        with pytest.raises(UsageError, match=fact):
            add_sound(clip, voice="both", library=folder)
    assert not clip.with_name("a.foley.mp4").exists()


def test_the_command_says_what_a_voice_lacks(clip: Path, foleygen: Any) -> None:
    code, _, told = foleygen("add-sound", clip, "--voice", "library")
    assert code == ExitCode.USAGE
    assert "--library DIR" in told
    code, _, told = foleygen("add-sound", clip, "--library", clip.parent)
    assert code == ExitCode.USAGE
    assert "--library: the voice is the model's, which plays no library; add --voice library, or --voice both" in told


def test_a_recording_that_is_gone_is_told(clip: Path, recordings: Path, add_sound: Any) -> None:
    (recordings / KNOCKS.file).unlink()
    told = warnings(add_sound(clip, voice="library", library=recordings))
    assert any("is gone since the library was indexed" in text for text in told)
    assert document(clip)["takes"][0]["played"] == []


def test_a_recording_that_is_back_is_noticed(clip: Path, recordings: Path, add_sound: Any) -> None:
    played = (recordings / KNOCKS.file).read_bytes()
    (recordings / KNOCKS.file).unlink()
    (told,) = (text for text in warnings(add_sound(clip, voice="library", library=recordings)) if "is gone" in text)
    assert told.endswith("my recordings', then run it again")
    again = add_sound(clip, voice="library", library=recordings)
    assert any(isinstance(event, events.ClipSkipped) for event in again)
    (recordings / KNOCKS.file).write_bytes(played)
    assert reason(add_sound(clip, voice="library", library=recordings)) == (
        "the recordings in the library are other ones"
    )
    assert len(document(clip)["takes"][0]["played"]) == 3


def test_a_preview_is_played_too(clip: Path, recordings: Path, foleygen: Any, told_bundle: Path) -> None:
    code, out, told = foleygen(
        "preview", clip, "--at", "0.5", "--voice", "library", "--library", recordings, "--model", told_bundle,
        "--device", "cpu",
    )  # fmt: skip
    assert code == ExitCode.OK, told
    samples, rate = soundfile.read(out.splitlines()[0])
    assert rate == SAMPLE_RATE
    at = round(0.3 * SAMPLE_RATE)  # 0.8 s of the clip
    window = np.abs(samples[at - 200 : at + 480])
    assert abs(int(np.argmax(window > 0.5 * window.max())) - 200) <= 1


def test_a_library_that_is_not_played_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    check_voice(Settings(library=tmp_path))
    assert "the library is not played" in caplog.text
    caplog.clear()
    check_voice(Settings())
    check_voice(Settings(voice="library", library=tmp_path))
    assert not caplog.text


def test_an_empty_path_is_not_the_current_folder(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.run(["add-sound", "clips", "--voice", "library", "--library", ""]) == ExitCode.USAGE
    assert "is empty: name a path" in capfd.readouterr().err


def test_what_goes_on_is_played_and_everything_says_so(
    clip: Path, tmp_path: Path, add_sound: Any, foleygen: Any, told_bundle: Path
) -> None:
    recordings = library(tmp_path / "my recordings", KNOCKS, Noise("Rain/roof; 1.wav", channels=2, rate=44100))
    clip.with_name("a.cues.csv").write_text("seconds,sound\n0.2..1.9,rain\n1.3,knock wood\n")
    reel = tmp_path / "reel.aaf"
    add_sound(clip, voice="library", library=recordings, markers=("csv",), timeline=reel, handles=0.5, stems=True)
    (take,) = document(clip)["takes"]
    rain, knock = take["played"]
    assert (rain["seconds"], rain["until_s"], rain["rounds"], rain["file"]) == (0.2, 1.9, 1, "Rain/roof; 1.wav")
    assert rain["file_until_s"] - rain["file_s"] == pytest.approx(1.7, abs=0.001)
    assert (knock["seconds"], knock["until_s"], knock["file_until_s"], knock["rounds"]) == (1.3, None, None, None)
    assert document(clip)["own"]["cues"]["lasting"] == [{"start_s": 0.2, "end_s": 1.9, "sound": "rain"}]
    assert (take["missed_s"], take["extra_s"]) == ([], [])
    said = f"Rain/roof, 1.wav at {rain['file_s']:.3f} s to {rain['file_until_s']:.3f} s, once"
    assert said in markers.path_for(clip.with_name("a.foley.mp4"), "csv").read_text()
    with aaf2.open(str(reel)) as file:
        (composition,) = file.content.toplevel()
        (slot,) = [one for one in composition.slots if isinstance(one, aaf2.mobslots.EventMobSlot)]
        assert said in [mark["Comment"].value.removesuffix(" (0.200 s)") for mark in slot.segment.components]
    told = add_sound(clip, voice="library", library=recordings, markers=("csv",), handles=0.5, stems=True)
    assert any(isinstance(event, events.ClipSkipped) for event in told)
    clip.with_name("a.cues.csv").write_text("seconds,sound\n0.2..1.8,rain\n1.3,knock wood\n")
    assert reason(add_sound(clip, voice="library", library=recordings, markers=("csv",), handles=0.5, stems=True))
    code, _, told = foleygen(
        "preview", clip, "--at", "0.5", "--voice", "library", "--library", recordings, "--model", told_bundle,
        "--device", "cpu",
    )  # fmt: skip
    assert code == ExitCode.OK, told


def test_words_that_go_on_are_played_all_through(clip: Path, tmp_path: Path, add_sound: Any) -> None:
    recordings = library(tmp_path / "my recordings", Noise("rain.wav"))
    clip.with_name("a.cues.csv").unlink()
    add_sound(clip, voice="library", library=recordings, sound="rain", stems=True)
    (take,) = document(clip)["takes"]
    assert [(one["seconds"], one["until_s"]) for one in take["played"]] == [(0.0, 2.0)]
    assert take["extra_s"] == []
    assert len(wav(clip)) == 2 * SAMPLE_RATE
