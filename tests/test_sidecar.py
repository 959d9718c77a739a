"""Sidecars: their schema, what they are trusted with, and what makes a finished clip be made again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished import Made, finish
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from foleygen.errors import ClipError
from foleygen.facts import Lasting, take_file
from foleygen.media.probe import probe
from foleygen.record import fit, sidecar
from foleygen.settings import Settings
from foleygen.weights import bundle

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "sidecar.schema.json").read_bytes())


def written(made: Made) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(sidecar.path_for(made.output).read_bytes())
    return document


def rewrite(made: Made, change: Callable[[dict[str, Any]], object]) -> None:
    document = written(made)
    change(document)
    sidecar.path_for(made.output).write_text(json.dumps(document))


def expected(made: Made, weights: Path, settings: Settings) -> dict[str, Any]:
    return {"content_id": probe(made.source).content_id, **fit.identity(settings, bundle.load(weights))}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, random_bundle: Path) -> Made:
    """Three takes of a two-second clip, for tests that change nothing."""
    return finish(tmp_path_factory.mktemp("shared"), random_bundle)


@pytest.fixture
def made(tmp_path: Path, random_bundle: Path) -> Made:
    return finish(tmp_path, random_bundle)


def test_it_fits_its_schema(shared: Made) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(written(shared))


def test_stretches_without_their_sound_are_kept_in_it(made: Made) -> None:
    silent = {"start_s": 1.0, "end_s": 1.5, "sound": "rain"}
    rewrite(made, lambda document: document["takes"][1].update(silent=[silent]))
    Draft202012Validator(SCHEMA).validate(written(made))
    assert sidecar.load(made.output).takes[1].silent == (Lasting(1.0, 1.5, "rain"),)
    rewrite(made, lambda document: document["takes"][1].pop("silent"))  # as older versions write it
    assert sidecar.load(made.output).takes[1].silent == ()


def test_the_schema_is_strict(shared: Made) -> None:
    for place in ((), ("settings",), ("takes", 0), ("windows", 0)):
        document = written(shared)
        section: Any = document
        for step in place:
            section = section[step]
        section["more"] = 1
        with pytest.raises(ValidationError):
            Draft202012Validator(SCHEMA).validate(document)


def test_it_says_what_was_made(shared: Made, random_bundle: Path) -> None:
    document = written(shared)
    assert document["schema"] == SCHEMA["properties"]["schema"]["const"] == 3
    assert document["source"] == "shot.mov"
    assert document["timecode"] == "01:00:00:00"
    assert document["frame_rate"] == "25"
    assert document["duration_s"] == 2.0
    assert document["windows"] == [{"start_s": 0.0, "seconds": 1.024, "seed": 2**63 + 1}]
    assert [take["file"] for take in document["takes"]] == [f"shot.foley.t0{k}.wav" for k in (1, 2, 3)]
    assert [take["onsets_s"] for take in document["takes"]] == [[0.1, 1.1], [0.2, 1.2], [0.3, 1.3]]
    loudness = [take["loudness_lufs"] for take in document["takes"]]
    assert loudness == sorted(loudness, reverse=True)
    assert [take["true_peak_dbtp"] for take in document["takes"]] == pytest.approx([-2.0, -8.0, -11.5], abs=0.3)
    assert all(len(take["peaks"]) == 64 for take in document["takes"])
    assert document["picked"] == 1
    assert document["settings"]["duck_db"] is None
    assert document["bundle"] == bundle.load(random_bundle).hash


def test_what_is_written_is_read(shared: Made) -> None:
    found = sidecar.load(shared.output)
    assert found.heard.number == 1
    assert found.heard.file == "shot.foley.t01.wav"
    assert (found.width, found.height, found.frame_rate) == (64, 48, 25)


def test_a_non_commercial_licence_is_a_warning(tmp_path: Path) -> None:
    from conftest import save_random_bundle

    save_random_bundle(tmp_path / "weights", commercial=False)
    document = written(finish(tmp_path, tmp_path / "weights", takes=1))
    assert document["commercial"] is False
    assert any("non-commercial" in warning and "CC-BY-NC-4.0" in warning for warning in document["warnings"])


def test_the_source_is_found_from_another_folder(tmp_path: Path, random_bundle: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep", target_is_directory=True)
    (tmp_path / "real" / "deep").mkdir()
    made = finish(tmp_path / "link", random_bundle, source_folder=tmp_path / "clips", takes=1)
    source = written(made)["source"]
    assert source == "../../clips/shot.mov"
    assert os.path.samefile(made.output.parent / source, made.source)


@pytest.mark.parametrize(
    "name", ["with\nline.mov", 'say "hi".mov', "na\u00efve \U0001f941.mov", os.fsdecode(b"bad\xff.mov")]
)
def test_strange_names_are_kept(tmp_path: Path, random_bundle: Path, name: str) -> None:
    made = finish(tmp_path, random_bundle, name=name, takes=1)
    assert (tmp_path / sidecar.load(made.output).source) == made.source
    Draft202012Validator(SCHEMA).validate(written(made))


# What makes a finished clip be made again


def test_what_matches_stays(shared: Made, random_bundle: Path) -> None:
    assert fit.judge(shared.output, expected(shared, random_bundle, Settings(takes=3))).reason is None


@pytest.mark.parametrize("takes", [1, 2])
def test_fewer_takes_are_there_already(shared: Made, random_bundle: Path, takes: int) -> None:
    assert fit.judge(shared.output, expected(shared, random_bundle, Settings(takes=takes))).reason is None


def test_more_takes_are_not(shared: Made, random_bundle: Path) -> None:
    reason = fit.judge(shared.output, expected(shared, random_bundle, Settings(takes=4))).reason
    assert reason == "it has 3 of 4 takes"


def test_a_missing_wav_is_told(made: Made, random_bundle: Path) -> None:
    take_file(made.output, 2).unlink()
    asked = expected(made, random_bundle, Settings(takes=3))
    assert fit.judge(made.output, asked).reason == "take 2 is missing"
    assert fit.judge(made.output, {**asked, "takes": 1}).reason is None
    assert fit.judge(made.output, expected(made, random_bundle, Settings())).reason is None


def test_a_wav_that_was_never_asked_for_is_told(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    assert fit.judge(made.output, expected(made, random_bundle, Settings())).reason is None
    asked = expected(made, random_bundle, Settings(stems=True))
    assert fit.judge(made.output, asked).reason == "take 1 has no wav"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (Settings(takes=3, loudness="ebu"), "loudness_lufs None -> -23.0"),
        (Settings(takes=3, audio="mix", duck=6.0), "duck_db None -> 6.0"),
        (Settings(takes=3, seams="crossfade"), "seams joint -> crossfade"),
        (Settings(takes=3, cuts=False), "cuts True -> False"),
        (Settings(takes=3, audio_delay=0.05), "audio_delay 0.0 -> 0.05"),
        (Settings(takes=3, seed=9), "seed 0 -> 9"),
    ],
)
def test_settings_that_differ_are_named(shared: Made, random_bundle: Path, settings: Settings, word: str) -> None:
    reason = fit.judge(shared.output, expected(shared, random_bundle, settings)).reason
    assert reason is not None
    assert word in reason


def test_settings_without_effect_are_not_compared(shared: Made, random_bundle: Path) -> None:
    settings = Settings(takes=3, duck=3.0, true_peak=-6.0)
    assert fit.judge(shared.output, expected(shared, random_bundle, settings)).reason is None


def test_an_older_schema_is_told(made: Made, random_bundle: Path) -> None:
    rewrite(made, lambda document: document.update(schema=1))
    asked = expected(made, random_bundle, Settings(takes=3))
    assert fit.judge(made.output, asked).reason == "its sidecar has another schema"
    with pytest.raises(ClipError, match="another schema"):
        sidecar.load(made.output)


# What a sidecar is trusted with


@pytest.mark.parametrize(
    "file", ["../shot.foley.t02.wav", "/etc/passwd", "shot.foley.t03.wav", "other.wav", "", "shot.foley.t02.wav\0"]
)
def test_a_take_is_no_other_file(made: Made, random_bundle: Path, file: str) -> None:
    rewrite(made, lambda document: document["takes"][1].update(file=file))
    with pytest.raises(ClipError, match="names a wav that is not the clip's"):
        sidecar.load(made.output)
    asked = expected(made, random_bundle, Settings(takes=3))
    assert fit.judge(made.output, asked).reason == "its sidecar is damaged"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(data=st.data())
def test_any_damage_is_one_sentence(shared: Made, random_bundle: Path, data: st.DataObject) -> None:
    """Whatever stands in the place of a value: the sidecar is read, or is refused in one sentence."""
    document = written(shared)
    section: Any = document
    while isinstance(section, dict | list):
        keys = sorted(section) if isinstance(section, dict) else range(len(section))
        if not keys:
            break
        parent, key = section, data.draw(st.sampled_from(list(keys)))
        section = section[key]
        if data.draw(st.booleans()):
            break
    parent[key] = data.draw(VALUES)
    folder = shared.output.parent / "damaged"
    folder.mkdir(exist_ok=True)
    output = folder / shared.output.name
    output.touch()
    os.truncate(output, shared.output.stat().st_size)
    for take in (1, 2, 3):
        take_file(output, take).touch()
    sidecar.path_for(output).write_text(json.dumps(document))
    refused = refusal(output)
    assert refused is None or "\n" not in refused
    is_redone = fit.judge(output, expected_once(shared, random_bundle)).reason is not None
    assert is_redone or refused is None


def refusal(output: Path) -> str | None:
    try:
        sidecar.load(output)
    except ClipError as error:
        return str(error)
    return None


_EXPECTED: dict[Path, dict[str, Any]] = {}


def expected_once(made: Made, weights: Path) -> dict[str, Any]:
    if made.output not in _EXPECTED:
        _EXPECTED[made.output] = expected(made, weights, Settings(takes=3))
    return _EXPECTED[made.output]


@pytest.mark.parametrize("rate", ["1e1000000000", "25/0", "-25", "0", "1_0", "", "9" * 50])
def test_a_rate_is_a_plain_fraction(made: Made, rate: str) -> None:
    rewrite(made, lambda document: document.update(frame_rate=rate))
    with pytest.raises(ClipError, match="frame_rate"):
        sidecar.load(made.output)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"output": 3}', b"null"])
def test_no_sidecar_at_all(tmp_path: Path, content: bytes) -> None:
    output = tmp_path / "shot.foley.mov"
    output.write_bytes(b"x")
    (tmp_path / "shot.foley.json").write_bytes(content)
    with pytest.raises(ClipError, match="has no sidecar"):
        sidecar.load(output)


def test_each_window_and_take_is_a_line(shared: Made) -> None:
    lines = sidecar.path_for(shared.output).read_text().splitlines()
    assert sum(line.startswith('    {"number": ') for line in lines) == 3
    assert sum(line.startswith('    {"start_s": ') for line in lines) == 1
