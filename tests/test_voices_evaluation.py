"""What is measured of a library's hits: whether they are on their cues, and whether playing added a step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from libraries import Made, Noise, library

from foleygen.evaluation import playing
from foleygen.evaluation.voices import played_by
from foleygen.facts import SAMPLE_RATE, Played
from foleygen.pipeline.voices import recorded
from foleygen.pipeline.voices.shelf import opened


def test_an_attack_is_where_the_level_leaps_up() -> None:
    rng = np.random.default_rng(0)
    samples = 0.001 * rng.standard_normal(2 * SAMPLE_RATE)
    for at, late in ((24000, 0), (60000, 480)):
        burst = rng.standard_normal(4800) * np.exp(-np.arange(4800) / 1000)
        samples[at + late : at + late + 4800] += burst
    errors = playing.leaps(samples.astype(np.float32), [0.5, 1.25])
    assert errors[0] < 0.001
    assert errors[1] == pytest.approx(0.01, abs=0.001)


def test_a_step_that_playing_adds_is_a_click(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A low hum that is cut in its middle has one, and with its fades none."""
    shelf = opened(library(tmp_path, Made("hum.wav")))
    hum = np.sin(2 * np.pi * 60 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)[None].astype(np.float32)
    monkeypatch.setattr(shelf.index, "sound", lambda event, before_s: (hum, SAMPLE_RATE, 5000))
    one = Played(0.5, "hum.wav", 0.1, 0.0, 12.0)
    assert not playing.has_click(shelf, 0, one)
    monkeypatch.setattr(recorded, "_shape", lambda length, *_: np.ones(length))
    assert playing.has_click(shelf, 0, one)


def test_what_is_heard_twice_running_is_counted() -> None:
    played = [Played(0.1 * n, "a.wav", place, 0.0, 0.0) for n, place in enumerate((0.1, 1.1, 1.1, 0.1))]
    assert playing.repeats(played) == 1


def test_voices_are_measured_beside_the_model(
    tmp_path: Path, told_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scenes of clocks and knocks, and a library that has some: it plays all of them, each on its cue."""
    from foleygen.cli import app
    from foleygen.scenes import TEST_SEEDS
    from foleygen.training.data.dataset import DatasetConfig, make

    config = DatasetConfig(count=4, first_seed=TEST_SEEDS.start, families=("clock", "knock"), num_frames=32)
    make(tmp_path / "scenes", config)
    ticks = Made("tick.wav", "clock", None, 2000, (0.3, 0.4, 0.5), decay_s=0.01)
    folder = library(tmp_path / "library", ticks, Made("knock.wav", "knock", None, 300, (0.3, 0.5)))
    scenes = tmp_path / "scenes"
    arguments = [
        "evaluate",
        "voices",
        folder,
        "--data",
        scenes,
        "--train-data",
        scenes,
        "--model",
        told_bundle,
        "--json",
    ]
    assert app.run([str(argument) for argument in arguments]) == 0
    report = json.loads(capsys.readouterr().out)["voices"]
    model, played, both = report["voices"]
    assert report["true_family"] == 1  # what a judge has learnt it can name
    assert 0 <= played["family"] <= 1
    assert [one["voice"] for one in (model, played, both)] == ["model", "library", "both"]
    assert played["played"] == played["cues"] == both["played"] > 0
    assert played["on_cue"] == played["on_cue_played"] == 1
    assert played["clicks"] == 0
    assert (model["played"], model["on_cue_played"], model["speed"]) == (0, None, 1)
    assert 0 < played["speed"] < 1


def test_the_library_is_a_column_of_the_picture(
    tmp_path: Path, told_bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    from foleygen.cli import app
    from foleygen.engines.foley import Engine
    from foleygen.pipeline.voices.shelf import opened
    from foleygen.scenes import TEST_SEEDS
    from foleygen.training.data.dataset import DatasetConfig, SceneDataset, make
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    scenes, picture = tmp_path / "scenes", tmp_path / "cues.png"
    make(scenes, DatasetConfig(count=3, first_seed=TEST_SEEDS.start, families=("clock", "rain"), num_frames=32))
    ticks = Made("tick.wav", "clock", None, 2000, (0.3, 0.4, 0.5), decay_s=0.01)
    folder = library(tmp_path / "library", ticks, Noise("rain.wav", seconds=2.0))
    arguments = ["evaluate", "cues", "--data", scenes, "--model", told_bundle, "--arm", "picture, cues, words"]
    assert app.run([*map(str, arguments), "--library", str(folder)]) == 2
    assert "--library is a column of the picture, and none is asked for; add --picture PNG" in capfd.readouterr().err
    assert app.run([*map(str, arguments), "--library", str(folder), "--picture", str(picture)]) == 0
    with Image.open(picture) as drawn:
        assert drawn.size[0] == pytest.approx(3 * 3.2 * 80, abs=1)  # true sounds, the arm, the library

    engine, dataset = Engine.load(store.load(told_bundle, Bundle), "cpu", "fp32"), SceneDataset(scenes)
    sounds = played_by(engine, dataset, opened(folder), 2)
    assert [one.record.family for one in sounds] == [clip.family for clip in dataset.clips[:2]]
    assert {one.mel.shape for one in sounds} == {sounds[0].mel.shape}
