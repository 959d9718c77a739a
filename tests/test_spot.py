"""``foleygen spot`` and ``add-sound --cues``: from pictures to cues, and from cues to a finished clip."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foleygen.cli.app import run
from foleygen.cues import measured
from foleygen.errors import ExitCode
from foleygen.pipeline import hits as hitting
from foleygen.pipeline.hits import hits
from foleygen.record import sidecar
from foleygen.settings import AS_THE_RUN

MakeClip = Callable[..., Path]
Ran = tuple[int, str, str]
RATE = 62.5


@pytest.fixture
def foleygen(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Ran:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call


# The peaks


def logits(*peaks: tuple[float, float], seconds: float = 4.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A curve with a bump of that height at each time."""
    time = np.arange(round(seconds * RATE)) / RATE
    curve = np.full_like(time, -6.0)
    for place, height in peaks:
        curve = np.maximum(curve, -6 + (height + 6) * np.exp(-(((time - place) / 0.03) ** 2)))
    return curve.astype(np.float32)


def test_peaks_above_the_threshold_are_hits() -> None:
    curve = logits((1.0, 3.0), (2.0, 1.5), (3.0, -3.0))
    found = hits(curve, np.zeros_like(curve), RATE)
    assert [round(hit.seconds, 2) for hit in found] == [1.0, 2.0]
    assert 0.5 < found[1].confidence < found[0].confidence < 1
    assert [round(hit.seconds, 2) for hit in hits(curve, np.zeros_like(curve), RATE, threshold=0.8)] == [1.0]
    assert hits(np.zeros(0, np.float32), np.zeros(0, np.float32), RATE) == []


def test_a_sudden_stop_makes_surer() -> None:
    curve = logits((1.0, 0.5), (2.0, 0.5))
    stops = np.zeros_like(curve)
    stops[round(0.96 * RATE)] = 1.0
    (first,) = hits(curve, stops, RATE)
    assert round(first.seconds, 1) == 1.0
    assert hits(curve, np.zeros_like(curve), RATE) == []


def test_a_plateau_counts_once() -> None:
    curve = np.full(200, -6, np.float32)
    curve[50:80] = 2
    assert len(hits(curve, np.zeros_like(curve), RATE)) == 1


@given(st.lists(st.tuples(st.floats(0, 3.9), st.floats(-2, 4)), max_size=30), st.integers(1, 5), st.floats(0.05, 0.9))
def test_no_second_has_more_than_the_most(peaks: list[tuple[float, float]], most: int, threshold: float) -> None:
    curve = logits(*peaks)
    every = hits(curve, np.zeros_like(curve), RATE, threshold)
    found = hits(curve, np.zeros_like(curve), RATE, threshold, max_rate=most)
    times = [hit.seconds for hit in found]
    assert times == sorted(times)
    assert set(found) <= set(every)
    assert all(hit.confidence >= threshold for hit in found)
    assert all(after - before >= 1 for before, after in zip(times, times[most:], strict=False))
    if every:
        assert max(every, key=lambda hit: hit.confidence).confidence == max(hit.confidence for hit in found)


# spot


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder of random weights sees hits at 0.2 and 0.4 s, whatever is shown."""

    def two(*_: object, **__: object) -> list[hitting.Hit]:
        return [hitting.Hit(0.2, 0.9), hitting.Hit(0.4, 0.625)]

    monkeypatch.setattr("foleygen.pipeline.sight.hits", two)


@pytest.mark.usefixtures("seen")
def test_spot_writes_cues_that_add_sound_finds(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path
) -> None:
    make_clip(tmp_path / "shots" / "a.mp4")
    code, out, err = foleygen("spot", "shots", "--model", told_bundle)
    assert (code, out) == (0, "shots/a.cues.csv\n")
    assert "a.mp4: 2 cues in 0.5 s" in err
    assert "▲" in err
    assert (tmp_path / "shots" / "a.cues.csv").read_bytes() == (
        b"seconds,timecode,strength,confidence,sound\r\n"
        b'0.200000,"00:00:00:05",,0.900,\r\n0.400000,"00:00:00:10",,0.625,\r\n'
    )
    code, out, err = foleygen("add-sound", "shots", "--model", told_bundle)
    assert (code, out) == (0, "shots/a.foley.mp4\n")
    assert "cues from a.cues.csv" in err
    assert "of 2 cues" in err
    own = sidecar.load(tmp_path / "shots" / "a.foley.mp4").own
    assert own.cues is not None
    assert [cue.seconds for cue in own.cues.cues] == [0.2, 0.4]


@pytest.mark.usefixtures("seen")
def test_spot_never_writes_over_cues(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, random_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    make_clip(tmp_path / "b.mp4")
    mine = tmp_path / "a.cues.csv"
    mine.write_text("seconds\n0.1\n")
    code, out, err = foleygen("spot", ".", "--model", random_bundle)
    assert (code, out) == (ExitCode.OK, "b.cues.csv\n")
    assert "skipped: a.cues.csv: is there already; --overwrite replaces it\n" in err
    assert mine.read_text() == "seconds\n0.1\n"
    code, out, _ = foleygen(
        "spot", "a.mp4", "--model", random_bundle, "--overwrite", "--quiet", "--audio-delay", "0.05"
    )
    assert (code, out) == (0, "a.cues.csv\n")
    assert b"\r\n0.250000," in mine.read_bytes()
    mine.unlink()
    mine.symlink_to("nowhere")
    code, _, err = foleygen("spot", "a.mp4", "--model", random_bundle, "--quiet")
    assert (code, mine.is_symlink(), err) == (ExitCode.OK, True, "")


def test_spot_again_loads_no_model(foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "a.cues.csv").write_text("seconds\n0.1\n")
    code, out, err = foleygen("spot", ".", "--model", "not-there")
    assert (code, out) == (ExitCode.OK, "")
    assert err == "skipped: a.cues.csv: is there already; --overwrite replaces it\n"
    code, out, _ = foleygen("spot", ".", "--json", "--model", "not-there")
    assert (code, json.loads(out)) == (0, {"clip": "a.mp4", "file": "a.cues.csv", "skipped": "is there already"})


@pytest.mark.usefixtures("seen")
def test_spot_into_a_folder_and_as_json(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, random_bundle: Path
) -> None:
    make_clip(tmp_path / "shots" / "day1" / "a.mp4")
    code, out, _ = foleygen("spot", "shots", "-o", "cues", "--json", "--model", random_bundle)
    assert code == 0
    assert json.loads(out) == {
        "clip": "shots/day1/a.mp4",
        "file": "cues/day1/a.cues.csv",
        "duration_s": 0.48,
        "cues": [{"seconds": 0.2, "confidence": 0.9}, {"seconds": 0.4, "confidence": 0.625}],
    }
    assert (tmp_path / "cues" / "day1" / "a.cues.csv").exists()


def test_what_is_not_seen_gets_no_cues_and_is_told(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, random_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    code, out, err = foleygen("spot", "a.mp4", "--model", random_bundle, "--threshold", "1")
    assert (code, out) == (0, "")
    assert "a.mp4: nothing is seen in it that would sound; put cues where it should sound" in err
    assert not (tmp_path / "a.cues.csv").exists()


def test_what_was_seen_is_not_decoded_again(
    foleygen: Callable[..., Ran],
    tmp_path: Path,
    make_clip: MakeClip,
    random_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_clip(tmp_path / "a.mp4", seconds=2.0)
    first = foleygen("spot", "a.mp4", "--model", random_bundle, "--threshold", "0", "--json")
    monkeypatch.setattr("foleygen.media.frames.read", None)
    monkeypatch.setattr("foleygen.pipeline.pictures.read", None)
    monkeypatch.setattr("foleygen.pipeline.sight.read", None)
    again = foleygen("spot", "a.mp4", "--model", random_bundle, "--threshold", "0", "--json", "--overwrite")
    assert again[:2] == first[:2]
    assert json.loads(again[1])["cues"]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("option", ["--threshold", "--max-rate"])
def test_what_is_no_number_is_refused(foleygen: Callable[..., Ran], option: str, value: str) -> None:
    code, _, err = foleygen("spot", ".", f"{option}={value}")
    assert code == ExitCode.USAGE
    assert err.startswith(f"error: invalid value for '{option}': ")


def test_spot_without_clips(foleygen: Callable[..., Ran]) -> None:
    assert foleygen("spot", ".")[0] == ExitCode.NO_CLIPS


# add-sound


def test_cues_and_words_are_obeyed_and_counted(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "x.txt").write_text("0.1\t0.1\tdoor\n0.3\t0.3\tstrength 0.5\n")
    code, out, err = foleygen(
        "add-sound", "a.mp4", "--model", told_bundle, "--cues", "x.txt", "--sound", "rain", "--no-picture", "--json",
        "--markers", "resolve,csv",
    )  # fmt: skip
    assert code == 0
    assert err.startswith("cues from x.txt\n1 done; ")
    (done,) = [event for event in map(json.loads, out.splitlines()) if event["event"] == "clip_done"]
    found = done["takes"][0]["cues"]
    assert found["given"] == 2
    assert found["kept"] == 2 - len(found["missed_s"])
    record = sidecar.load(tmp_path / "a.foley.mp4")
    assert record.own.picture is False
    assert record.own.sound == "rain"
    assert record.cached_windows == 0
    assert {path.name for path in tmp_path.glob("*.markers.*")} == {"a.foley.markers.edl", "a.foley.markers.csv"}


def test_none_here_is_not_the_same_as_nothing_said(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "none.csv").write_text("seconds\n")
    assert foleygen("add-sound", "a.mp4", "--model", told_bundle, "--cues", "none")[0] == 0
    assert sidecar.load(tmp_path / "a.foley.mp4").own == AS_THE_RUN
    code, _, err = foleygen("add-sound", "a.mp4", "--model", told_bundle, "--cues", "none.csv", "-v")
    assert code == 0
    assert "redone: a.foley.mp4, because its cues are other ones" in err
    own = sidecar.load(tmp_path / "a.foley.mp4").own
    assert own.cues is not None
    assert (own.cues.cues, own.cues.known) == ((), None)


def test_a_changed_cue_file_is_a_reason(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    cues = tmp_path / "a.cues.csv"
    cues.write_text("seconds\n0.1\n")
    assert foleygen("add-sound", "a.mp4", "--model", told_bundle)[0] == 0
    code, _, err = foleygen("add-sound", "a.mp4", "--model", told_bundle, "-v")
    assert "skipped: a.foley.mp4: done already" in err
    cues.write_text("seconds\n0.14\n")
    code, out, err = foleygen("add-sound", "a.mp4", "--model", told_bundle, "-v")
    assert (code, out) == (0, "a.foley.mp4\n")
    assert "because its cues are other ones" in err


@pytest.mark.parametrize(
    ("arguments", "code", "fact"),
    [
        (["--sound", "hamer"], 2, "--sound: the sound 'hamer': the word 'hamer' is not known; did you mean 'hammer'?"),
        (["--sound", "ceramic"], 2, "the model has not learnt ceramic; choose from bounce,"),
        (["--cues", "lost.csv"], 2, "lost.csv: does not exist; check the path"),
        (["--cues", "bad.csv"], 2, "bad.csv: line 2: its seconds are 'nan', not a number, 0 or more; correct it"),
        (
            ["--cues", "late.csv"],
            4,
            "late.csv: its time lies outside of a.mp4 (0.480 s), line 2 1.520 s after its end;",
        ),
        (["--cues", "negative.csv"], 2, "negative.csv: line 2: its seconds are '-1', not a number, 0 or more; correct"),
        (["--cues", "back.csv"], 2, "back.csv: line 2: the stretch ends before it begins; give its beginning first"),
        (
            ["--cues", "labels.csv"],
            2,
            "labels.csv: line 2: the stretch ends before it begins; give its beginning first",
        ),
        (["--cues", "words.csv"], 4, "a.mp4: the sound 'ceramic': the model has not learnt ceramic; choose from"),
        (["--no-picture"], 4, "a.mp4: has neither cues nor words, and its picture is not to be used; give it cues"),
        (["--cues-start", "1:00"], 2, "--cues-start: '1:00' is not a timecode such as 01:00:00:00 or 'clip'"),
        (["--markers", "csv,resolv"], 2, "did you mean 'resolve'?"),
        (["--midi-map", "lost.yaml", "--cues", "bad.csv"], 2, "lost.yaml: does not exist"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    foleygen: Callable[..., Ran],
    tmp_path: Path,
    make_clip: MakeClip,
    told_bundle: Path,
    arguments: list[str],
    code: int,
    fact: str,
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "bad.csv").write_text("seconds\nnan\n")
    (tmp_path / "late.csv").write_text("seconds\n2.0\n")
    (tmp_path / "negative.csv").write_text("seconds\n-1\n")
    (tmp_path / "back.csv").write_text("seconds,sound\n0.3..0.1,rain\n")
    (tmp_path / "labels.csv").write_text("timecode,sound\n00:00:00:09..00:00:00:02,rain\n")
    (tmp_path / "words.csv").write_text("seconds,sound\n0.1,ceramic\n")
    found, _, err = foleygen("add-sound", "a.mp4", "--model", told_bundle, *arguments)
    assert found == code
    assert fact in err
    assert not (tmp_path / "a.foley.mp4").exists()


def test_cues_beside_a_clip_that_cannot_be_read_fail_that_clip_alone(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    make_clip(tmp_path / "b.mp4")
    (tmp_path / "a.cues.csv").write_text("seconds\nnan\n")
    code, out, err = foleygen("add-sound", ".", "--model", told_bundle)
    assert (code, out) == (ExitCode.SOME_FAILED, "b.foley.mp4\n")
    assert "error: a.cues.csv: line 2: its seconds are 'nan', not a number, 0 or more; correct it" in err
    assert (tmp_path / "a.foley.error.json").exists()


@pytest.mark.parametrize("cues", ["seconds\nnan\n", "seconds\n7.5\n", "seconds,sound\n0.1,ceramic\n"])
def test_a_locked_clip_stays_whatever_its_cues_are(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path, cues: str
) -> None:
    make_clip(tmp_path / "a.mp4")
    assert foleygen("add-sound", "a.mp4", "--model", told_bundle)[0] == 0
    (tmp_path / "a.cues.csv").write_text(cues)
    assert foleygen("add-sound", "a.mp4", "--model", told_bundle)[0] == ExitCode.ALL_FAILED
    assert foleygen("lock", "a.mp4")[0] == 0
    before = (tmp_path / "a.foley.mp4").read_bytes()
    code, _, err = foleygen("add-sound", "a.mp4", "--model", told_bundle, "--overwrite")
    assert code == 0
    assert "1 skipped" in err
    assert "kept: a.foley.mp4: it is locked, so it stays; 'foleygen unlock' frees it (" in err
    assert (tmp_path / "a.foley.mp4").read_bytes() == before
    assert not (tmp_path / "a.foley.error.json").exists()


@pytest.mark.parametrize("typed", [["--fill"], ["--cues-start", "01:00:00:00"], ["--midi-map", "notes.yaml"]])
def test_what_says_something_of_cues_is_refused_without_any(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path, typed: list[str]
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "notes.yaml").write_text("36: footsteps\n")
    code, _, err = foleygen("add-sound", "a.mp4", "--model", told_bundle, "--cues", "none", *typed)
    assert code == ExitCode.USAGE
    assert (
        err == f"error: {typed[0]}: speaks of cues, and --cues none leaves out all of them; leave out one of the two\n"
    )
    (tmp_path / "foleygen.yaml").write_text("fill: true\n")
    assert foleygen("add-sound", "a.mp4", "--model", told_bundle, "--cues", "none", "-n")[0] == 0
    code, _, err = foleygen("add-sound", "a.mp4", "--model", told_bundle, "-n", *typed)
    assert code == 0
    assert "warning: no cues are given for these clips, so that --fill" in err


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips are worked on in this process, where what is seen is known."""
    monkeypatch.setattr("foleygen.cli.add_sound._work", lambda settings: None)


@pytest.mark.usefixtures("seen", "here")
def test_what_is_seen_can_be_the_cues_and_is_never_the_editors(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "a.cues.csv").write_text("seconds\n0.1\n")
    told = ("--model", told_bundle, "--cues", "spot", "--audio-delay", "0.02", "--batch-size", "2")
    code, out, err = foleygen("add-sound", "a.mp4", *told)
    assert (code, out) == (0, "a.foley.mp4\n")
    assert "of 2 cues that were seen" in err
    assert "of 2 cues kept that were seen" in err
    assert "cues from" not in err
    own = sidecar.load(tmp_path / "a.foley.mp4").own
    assert own.cues is not None
    assert [(cue.seconds, cue.confidence) for cue in own.cues.cues] == [(0.22, 0.9), (0.42, 0.625)]
    assert (own.spotted, own.cues.source, own.cues.known) == (True, "spot", None)
    sound = (tmp_path / "a.foley.mp4").read_bytes()
    assert "skipped: a.foley.mp4: done already" in foleygen("add-sound", "a.mp4", *told, "-v")[2]
    for name in "bc":
        make_clip(tmp_path / f"{name}.mp4")
    code, out, _ = foleygen("add-sound", ".", *told, "--shard", "1/2", "--overwrite", "--json")
    done = {one["output"]: one for one in map(json.loads, out.splitlines()) if one["event"] == "clip_done"}
    found = done["a.foley.mp4"]["takes"][0]["cues"]
    assert (found["given"], found["spotted"]) == (2, True)
    assert (tmp_path / "a.foley.mp4").read_bytes() == sound, "whatever shares its batch"
    (tmp_path / "a.cues.csv").unlink()
    assert "skipped: a.foley.mp4: done already" in foleygen("add-sound", "a.mp4", *told, "--cues", "auto", "-v")[2]
    (tmp_path / "a.cues.csv").write_text("seconds\n0.1\n")
    code, _, err = foleygen("add-sound", "a.mp4", *told, "--cues", "auto", "-v")
    assert "redone: a.foley.mp4, because its cues are other ones" in err
    assert "of 1 cues kept" in err


@pytest.mark.usefixtures("here")
def test_a_clip_of_several_windows_has_the_cues_that_spot_finds(
    foleygen: Callable[..., Ran],
    tmp_path: Path,
    make_clip: MakeClip,
    told_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is likely at all counts here, since weights at random are sure of nothing."""
    monkeypatch.setattr("foleygen.pipeline.sight.hits", lambda onsets, stops, rate, *_: hits(onsets, stops, rate, 0.0))
    make_clip(tmp_path / "a.mp4", seconds=3.2)
    options = ("a.mp4", "--model", told_bundle, "--no-cache")
    found = json.loads(foleygen("spot", *options, "--json", "-o", "cues")[1])["cues"]
    assert len(found) > 1
    assert foleygen("add-sound", *options)[0] == 0
    own = sidecar.load(tmp_path / "a.foley.mp4").own
    assert own.spotted
    assert own.cues is not None
    assert [cue.seconds for cue in own.cues.cues] == [cue["seconds"] for cue in found]


@pytest.mark.usefixtures("here")
def test_what_an_earlier_run_has_not_looked_for_is_decoded_in_one_go(
    foleygen: Callable[..., Ran],
    tmp_path: Path,
    make_clip: MakeClip,
    told_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOLEYGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("foleygen.pipeline.sight.read", None)
    make_clip(tmp_path / "a.mp4", seconds=3.2)
    assert foleygen("add-sound", "a.mp4", "--model", told_bundle, "--cues", "none")[0] == 0
    assert foleygen("add-sound", "a.mp4", "--model", told_bundle)[0] == 0
    assert sidecar.load(tmp_path / "a.foley.mp4").cached_windows == 0, "features alone are not enough"
    monkeypatch.setattr("foleygen.pipeline.pictures.read", None)
    assert foleygen("add-sound", "a.mp4", "--model", told_bundle, "--seed", "1")[0] == 0
    assert foleygen("spot", "a.mp4", "--model", told_bundle)[0] == 0


@pytest.mark.usefixtures("here")
def test_where_nothing_is_seen_the_picture_decides(
    foleygen: Callable[..., Ran],
    tmp_path: Path,
    make_clip: MakeClip,
    told_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("foleygen.pipeline.sight.hits", lambda *_: [])
    make_clip(tmp_path / "a.mp4")
    arguments = ("add-sound", "a.mp4", "--model", told_bundle, "--markers", "csv")
    assert foleygen(*arguments, "--cues", "none")[0] == 0
    alone = sidecar.load(tmp_path / "a.foley.mp4")
    code, _, err = foleygen(*arguments, "-v")
    assert code == 0
    assert "redone: a.foley.mp4, because its cues are other ones" in err
    found = sidecar.load(tmp_path / "a.foley.mp4")
    assert (found.own.cues, found.own.spotted, found.takes) == (None, True, alone.takes)


@pytest.mark.parametrize("typed", [["--fill"], ["--no-picture"]])
def test_what_spot_cannot_do_is_refused(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path, typed: list[str]
) -> None:
    make_clip(tmp_path / "a.mp4")
    code, _, err = foleygen("add-sound", "a.mp4", "--model", told_bundle, "--cues", "spot", *typed)
    assert code == ExitCode.USAGE
    assert err.endswith("; leave out one of the two\n")


@pytest.mark.usefixtures("seen")
def test_a_preview_can_have_the_cues_that_are_seen(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    code, _, err = foleygen("preview", "a.mp4", "--model", told_bundle, "--cues", "spot")
    assert code == 0
    (line,) = [line for line in err.splitlines() if line.startswith("cues")]
    assert line.count("▲") == 2


def test_a_model_that_cannot_be_told_says_so(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, random_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "a.cues.csv").write_text("seconds\n0.1\n")
    code, _, err = foleygen("add-sound", "a.mp4", "--model", random_bundle)
    assert code == ExitCode.ENVIRONMENT
    assert "a.mp4: the model noise cannot be told when or what sounds; use --model tiny, or --cues none" in err
    assert foleygen("add-sound", "a.mp4", "--model", random_bundle, "--cues", "none")[0] == 0


def test_a_preview_takes_cues(
    foleygen: Callable[..., Ran], tmp_path: Path, make_clip: MakeClip, told_bundle: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "a.cues.csv").write_text("seconds\n0.1\n0.3\n")
    code, _, err = foleygen("preview", "a.mp4", "--model", told_bundle, "--no-picture")
    assert code == 0
    (line,) = [line for line in err.splitlines() if line.startswith("cues")]
    assert line.count("▲") == 2
    sound = (tmp_path / "a.preview.foley.wav").read_bytes()
    assert foleygen("preview", "a.mp4", "--model", told_bundle, "--cues", "none")[0] == 0
    assert (tmp_path / "a.preview.foley.wav").read_bytes() != sound


def test_numbers_of_other_weights_are_said_to_be_that(
    foleygen: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = replace(measured.measured(), bundle="0123456789abcdef")
    monkeypatch.setattr(measured, "measured", lambda: old)
    assert foleygen("sounds")[2] == "what was measured is of earlier weights of the model tiny\n"


def test_sounds_lists_what_is_known(foleygen: Callable[..., Ran]) -> None:
    code, out, _ = foleygen("sounds")
    assert code == 0
    assert out.splitlines()[0].split() == ["SOUND", "UCS", "MEASURED", "HEARD", "WITH", "ALSO", "CALLED"]
    assert any(line.startswith("dominoes") and "not measured" in line for line in out.splitlines())
    assert any(line.startswith("footsteps") and "FOLYFeet" in line for line in out.splitlines())
    code, out, _ = foleygen("sounds", "--json")
    assert set(json.loads(out)) == {"families", "materials", "things", "measured"}
    code, out, _ = foleygen("sounds", "glass bottle", "walk", "--json")
    assert json.loads(out) == [
        {"text": "glass bottle", "family": "crockery", "material": "glass", "ucs": "FOLYProp"},
        {"text": "walk", "family": "footsteps", "material": None, "ucs": "FOLYFeet"},
    ]
    code, _, err = foleygen("sounds", "glas bottle")
    assert code == ExitCode.USAGE
    assert "did you mean 'glass'?" in err


@pytest.mark.usefixtures("seen")
def test_what_moves_is_computed_once_for_the_encoder_and_the_cues(
    foleygen: Callable[..., Ran],
    tmp_path: Path,
    make_clip: MakeClip,
    told_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from foleygen.features import stops
    from foleygen.models import motion

    make_clip(tmp_path / "a.mp4", seconds=2.5)
    asked: list[int] = []
    block_flow = motion.block_flow

    def counted(grey, blocks=16):
        asked.append(len(grey))
        return block_flow(grey, blocks)

    monkeypatch.setattr(motion, "block_flow", counted)
    monkeypatch.setattr(stops, "block_flow", counted)
    assert foleygen("spot", "a.mp4", "--model", told_bundle, "--no-cache")[0] == 0
    windows = len(asked)
    monkeypatch.setattr("foleygen.engines.foley.Engine.takes_flow", False)
    assert foleygen("spot", "a.mp4", "--model", told_bundle, "--no-cache", "--overwrite")[0] == 0
    assert len(asked) == 3 * windows > 3


def test_features_are_the_same_by_motion_that_is_known(told_bundle: Path) -> None:
    from bundles import load_engine

    from foleygen.features import stops

    engine = load_engine(told_bundle)
    frames = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3)).astype(np.uint8)
    shown, flow = torch.from_numpy(frames)[None], stops.flow_of(frames)
    with torch.inference_mode():
        assert torch.equal(engine.encode(shown, motion=flow), engine.encode(shown))
    np.testing.assert_array_equal(stops.of_flow(flow), stops.motion_and_stops(frames))
