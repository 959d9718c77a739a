"""What lies beside a clip is parsed once: for one that is skipped, one that was just made, and a folder of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished import finish

from foleygen.batch import run
from foleygen.batch.discover import discover, is_finished
from foleygen.record import finding, fit, markers, sidecar, takes
from foleygen.record.timeline.shots import shot
from foleygen.settings import Settings

MakeClip = Callable[..., Path]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every sidecar that is parsed as a whole, as often as it is."""
    found: list[dict[str, Any]] = []
    loads = json.loads

    def counted(text: Any, **options: Any) -> Any:
        document = loads(text, **options)
        if isinstance(document, dict) and "content_id" in document:
            found.append(document)
        return document

    monkeypatch.setattr(json, "loads", counted)
    return found


def go(folder: Path, bundle: Path, **settings: Any) -> run.Report:
    chosen = Settings(model=str(bundle), device="cpu", **settings)
    return run.run(discover([folder]), chosen, lambda event: None)


def test_a_clip_that_is_made_is_not_read_again(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, parsed: list[dict[str, Any]]
) -> None:
    make_clip(tmp_path / "a.mp4")
    assert len(go(tmp_path, random_bundle, markers=("csv",)).done) == 1
    assert parsed == []
    told = sidecar.load(tmp_path / "a.foley.mp4")
    written = markers.path_for(tmp_path / "a.foley.mp4").read_bytes()
    assert written == markers.of_record(tmp_path / "a.foley.mp4", told).read_bytes(), "the record is what was written"


def test_a_clip_that_is_skipped_is_read_once(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, parsed: list[dict[str, Any]]
) -> None:
    for name in ("a.mp4", "b.mp4"):
        make_clip(tmp_path / name)
    go(tmp_path, random_bundle)
    assert len(go(tmp_path, random_bundle).skipped) == 2
    assert len(parsed) == 2
    assert len(go(tmp_path, random_bundle, markers=("csv",), seed=1, dry_run=True).planned) == 2
    assert len(parsed) == 4


def test_a_folder_of_finished_clips_is_walked_without_parsing(
    tmp_path: Path, random_bundle: Path, parsed: list[dict[str, Any]]
) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    other = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    assert sidecar.path_for(other.output).name == "shot.foley.mp4.json"
    assert not is_finished(made.source)
    assert is_finished(made.output)
    assert [clip.path for clip in discover([tmp_path])] == [made.source, other.source]
    assert parsed == []


def test_a_finished_clip_under_another_name_costs_its_own_sidecar(
    tmp_path: Path, random_bundle: Path, parsed: list[dict[str, Any]]
) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    renamed = made.output.rename(tmp_path / "shot_s0.mov")
    document = sidecar.read(made.output)
    assert document is not None
    sidecar.path_for(made.output).unlink()
    sidecar.write(renamed, {key: document[key] for key in list(document)[3:]})
    parsed.clear()
    assert [clip.path for clip in discover([tmp_path])] == [made.source]
    assert len(parsed) == 1


def test_takes_timelines_and_markers_read_once(
    tmp_path: Path, random_bundle: Path, parsed: list[dict[str, Any]]
) -> None:
    made = finish(tmp_path, random_bundle)
    markers.of_record(made.output, sidecar.load(made.output))
    for look in (finding.find, lambda clip: takes.pick(clip, 2), shot):
        parsed.clear()
        look(made.output)
        assert len(parsed) == 1
    parsed.clear()
    assert takes.find(made.source).output == made.output
    assert len(parsed) == 1


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b'{"schema": 2, "output": "x.foley.webm", "rest": ', "x.foley.mov.json"),
        (b'{"output": "x.foley.mov"', "x.foley.json"),
        (b'{"model": "m", "output": "x.foley.webm"}', "x.foley.mov.json"),
        (b'{"model": "m", "output": "x.foley.mov"}', "x.foley.json"),
        (b'{"schema": 2, "output": "\\u0078.foley.mov"}', "x.foley.json"),
        (b'{"schema": 2, "output": "\\x"}', "x.foley.mov.json"),
        (b"{}", "x.foley.mov.json"),
        (b"no JSON", "x.foley.mov.json"),
    ],
)
def test_the_head_of_a_sidecar_says_whose_it_is(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / "x.foley.json").write_bytes(content)
    assert sidecar.path_for(tmp_path / "x.foley.mov").name == name


def test_a_folder_in_the_place_of_a_sidecar_stays(tmp_path: Path) -> None:
    (tmp_path / "x.foley.json").mkdir()
    output = tmp_path / "x.foley.mov"
    output.write_bytes(b"x")
    assert sidecar.write(output, {"model": "m"}).name == "x.foley.mov.json"
    assert sidecar.read(output) is not None


def test_a_strangers_values_do_not_flood_the_reason(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    document = sidecar.read(made.output)
    assert document is not None
    expected = {key: document.get(key) for key in fit.IDENTITY}
    expected["settings"] = {**document["settings"], "audio": "z" * 10_000}
    found = fit.judge(made.output, {**expected, "takes": 1, "wavs": False})
    assert found.is_own
    assert found.reason is not None
    assert found.reason.startswith("the settings are other ones (audio keep -> zzz")
    assert len(found.reason) < 200
