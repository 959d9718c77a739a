"""Where settings come from, in what order, and what is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from foleygen.cli import config
from foleygen.errors import ExitCode, UsageError
from foleygen.record import fit
from foleygen.settings import RenderSettings, Settings, spec, specs
from foleygen.weights import bundle
from foleygen.weights.spec import ClassifierSpec

OTHERS: dict[str, Any] = {
    "seed": 1,
    "steps": 3,
    "guidance": 1.0,
    "classifier_guidance": 7.0,
    "overlap": 0.5,
    "audio": "replace",
    "duck": 1.0,
    "loudness": "atsc",
    "true_peak": -3.0,
    "seams": "crossfade",
    "cuts": False,
    "audio_delay": 0.1,
    "bandwidth": "full",
    "voice": "both",
    "channels": "stereo",
    "ambience": "wind",
    "ambience_level": -3.0,
}
"""A value that is not the default for each setting that decides the sound."""
NOT_HEARD = {"take", "takes", "stems", "stems_format", "batch_size", "creator", "source", "handles"}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_without_any_source(tmp_path: Path) -> None:
    assert config.load({}, {}, tmp_path) == Settings()


def test_every_source_beats_the_next(tmp_path: Path, isolated: Path) -> None:
    write(isolated / "config" / "foleygen" / "foleygen.yaml", "seed: 1\nsteps: 1\nguidance: 1\noverlap: 1.5")
    write(tmp_path / "foleygen.yaml", "seed: 2\nsteps: 2\nguidance: 2")
    found = config.load({"seed": "4"}, {"FOLEYGEN_SEED": "3", "FOLEYGEN_STEPS": "3"}, tmp_path)
    assert (found.seed, found.steps, found.guidance, found.overlap) == (4, 3, 2.0, 1.5)


def test_the_nearest_project_file_upward_counts(tmp_path: Path) -> None:
    write(tmp_path / "foleygen.yaml", "seed: 1")
    write(tmp_path / "a" / "foleygen.yaml", "steps: 7")
    (tmp_path / "a" / "b").mkdir()
    found = config.load({}, {}, tmp_path / "a" / "b")
    assert (found.seed, found.steps) == (0, 7)


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_a_named_file_stands_in_for_the_others(tmp_path: Path, by: str) -> None:
    write(tmp_path / "foleygen.yaml", "seed: 1")
    named = write(tmp_path / "other.yaml", "steps: 9")
    if by == "flag":
        found = config.load({}, {}, tmp_path, named)
    else:
        found = config.load({}, {"FOLEYGEN_CONFIG": str(named)}, tmp_path)
    assert (found.seed, found.steps) == (0, 9)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stepz: 20", "did you mean 'steps'?"),
        ("batch-sise: 2", "did you mean 'batch_size'?"),
        ("steps: 0", "a whole number from 1 to 1000"),
        ("steps: many", "a whole number from 1 to 1000 or 'bundle'"),
        ("seed: 1.5", "a whole number"),
        ("seed: true", "a whole number"),
        ("seed: -1", "a whole number, 0 or more"),
        ("guidance: .nan", "a number from 0 to 100"),
        ("overwrite: maybe", "true or false"),
        ("audio: keeep", "did you mean 'keep'?"),
        ("name: ''", "text"),
        ("- seed", "not a list of options"),
        ("seed: [", "not valid YAML at line 1"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_named_and_explained(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path / "foleygen.yaml", text)
    with pytest.raises(UsageError) as caught:
        config.load({}, {}, tmp_path)
    assert caught.value.exit_code == ExitCode.USAGE
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_a_missing_or_binary_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist; correct --config"):
        config.load({}, {}, tmp_path, tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        config.load({}, {}, tmp_path, tmp_path / "binary.yaml")


def test_the_environment_is_checked_and_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FOLEYGEN_DEVICE: 'gpu' is not one of"):
        config.load({}, {"FOLEYGEN_DEVICE": "gpu"}, tmp_path)
    found = config.load({}, {"FOLEYGEN_CACHE": "off", "FOLEYGEN_BATCH_SIZE": "auto", "FOLEYGEN_SEED": ""}, tmp_path)
    assert (found.cache, found.batch_size, found.seed) == (False, None, 0)


def test_paths_in_a_file_are_meant_from_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "job" / "foleygen.yaml", "output: finished\nmodel: models/mine\n")
    found = config.load({}, {}, tmp_path, path)
    assert found.output == tmp_path / "job" / "finished"
    assert found.model == str(tmp_path / "job" / "models" / "mine")
    write(path, "model: tiny\noutput: null\n")
    found = config.load({}, {}, tmp_path, path)
    assert (found.model, found.output) == ("tiny", None)


def test_a_flag_can_undo_a_file(tmp_path: Path) -> None:
    write(tmp_path / "foleygen.yaml", "steps: 9\ncache: false\n")
    found = config.load({"steps": "bundle", "cache": True}, {}, tmp_path)
    assert (found.steps, found.cache) == (None, True)


def test_the_pipeline_gets_the_same_defaults() -> None:
    assert Settings().render_settings(1) == RenderSettings()
    assert {item.name for item in fields(RenderSettings)} - specs().keys() == {"take"}


def test_the_pipeline_gets_what_was_asked_for() -> None:
    asked = Settings(**OTHERS, takes=3, stems=True, batch_size=7).render_settings(2)
    assert asked == RenderSettings(**OTHERS, takes=3, stems=True, batch_size=2)


@pytest.mark.parametrize("name", sorted({item.name for item in fields(RenderSettings)} - NOT_HEARD))
def test_what_decides_the_sound_is_in_the_sidecar(random_bundle: Path, name: str) -> None:
    """A clip is made again whenever the pipeline would make another sound."""
    led = ClassifierSpec(config={}, scale=50.0)
    weights = replace(bundle.load(random_bundle), classifier=led)
    usual = Settings(audio="mix", loudness="ebu", ambience="rain")
    other = replace(usual, **{name: OTHERS[name]})
    assert fit.identity(usual, weights)["settings"] != fit.identity(other, weights)["settings"]


def test_every_setting_explains_itself() -> None:
    for setting in fields(Settings):
        rule = spec(setting)
        assert rule.help.endswith("."), setting.name
        assert config.convert(setting.name, setting.default, "default") == setting.default


@given(st.integers(0, 2**63 - 1))
def test_whole_numbers_survive_as_text(seed: int) -> None:
    assert config.convert("seed", str(seed), "test") == seed


@given(st.text(max_size=20))
@example("~0")
def test_no_text_is_more_than_a_usage_error(text: str) -> None:
    for name in specs():
        try:
            value = config.convert(name, text, "test")
        except UsageError:
            continue
        assert value is None or type(value) in (int, float, str, bool, type(Path()))


# Cues and words


def test_paths_of_cues_and_words_are_meant_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "foleygen.yaml").write_text("cues: spotted\nsound: sounds.yaml\nmidi_map: notes.yaml\n")
    found = config.load({}, {}, tmp_path / "deeper")
    assert (found.cues, found.sound) == (str(tmp_path / "spotted"), str(tmp_path / "sounds.yaml"))
    assert found.midi_map == tmp_path / "notes.yaml"
    (tmp_path / "foleygen.yaml").write_text("cues: auto\nsound: glass bottle\n")
    found = config.load({}, {}, tmp_path)
    assert (found.cues, found.sound) == ("auto", "glass bottle")
    (tmp_path / "foleygen.yaml").write_text("cues: none\n")
    assert config.load({}, {}, tmp_path).cues is None


@pytest.mark.parametrize(
    ("value", "forms"),
    [("csv", ("csv",)), ("csv,resolve", ("csv", "resolve")), ("midi, csv,midi", ("midi", "csv")), ("none", None)],
)
def test_markers_are_one_form_or_several(value: str, forms: tuple[str, ...] | None) -> None:
    assert config.load({"markers": value}, {}).markers == forms


def test_markers_may_be_a_list_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "foleygen.yaml").write_text("markers: [csv, avid]\ncues_start: '01:00:00;00'\n")
    found = config.load({}, {}, tmp_path)
    assert (found.markers, found.cues_start) == (("csv", "avid"), "01:00:00;00")


@pytest.mark.parametrize(
    ("name", "value", "fact"),
    [
        ("markers", "csv,resolv", "is not none, or one or several of csv, resolve, .*; did you mean 'resolve'?"),
        ("markers", "", "is not none, or one or several of csv"),
        ("markers", 3, "is not none, or one or several of csv"),
        ("cues_start", "01:00", "is not a timecode such as 01:00:00:00 or 'clip'"),
        ("cues", 5, "is not a path, 'auto', 'spot' or 'none'"),
        ("cues", "", "is not a path, 'auto', 'spot' or 'none'"),
    ],
)
def test_cues_and_markers_at_fault(name: str, value: object, fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        config.load({name: value}, {})
