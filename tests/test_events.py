"""What ``--json`` says is what docs/events.schema.json promises."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from foleygen.batch import events, run
from foleygen.batch.discover import discover
from foleygen.cli.terminal.console import open_console
from foleygen.cli.terminal.events import document_of
from foleygen.errors import SetupError
from foleygen.facts import UNMEASURED, Lasting, Obedience, Take
from foleygen.settings import Settings

MakeClip = Callable[..., Path]
SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "events.schema.json").read_bytes())


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


def say(capfd: pytest.CaptureFixture[str], folder: Path, **settings: Any) -> list[dict[str, Any]]:
    """What a run of the clips in ``folder`` puts on stdout, line by line."""
    capfd.readouterr()
    chosen = Settings(json=True, device="cpu", **settings)
    with open_console(chosen) as console:
        run.run(discover([folder], output=chosen.output), chosen, console.listen)
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_stretches_without_their_sound_are_told(validator: jsonschema.Draft202012Validator) -> None:
    kept = Obedience(2, (0.5,), (1.5,), lasting=2, silent=(Lasting(2.0, 3.5, "rain"),))
    take = Take(1, UNMEASURED, 0.0, 0.0, (), (), None, obedience=kept)
    path = Path("a.mp4")
    document = document_of(
        events.ClipDone(path, path, path, 8.0, 1.0, {}, 1, 0, "aac", UNMEASURED, ("nothing is heard",), (take,))
    )
    validator.validate(document)
    assert document is not None
    assert document["takes"][0]["cues"] == {
        "given": 2, "kept": 1, "missed_s": [0.5], "extra_s": [1.5], "spotted": False, "stretches": 2,
        "silent": [{"start_s": 2.0, "end_s": 3.5, "sound": "rain"}],
    }  # fmt: skip


def test_every_event_of_real_runs_fits_the_schema(
    tmp_path: Path,
    random_bundle: Path,
    make_clip: MakeClip,
    capfd: pytest.CaptureFixture[str],
    validator: jsonschema.Draft202012Validator,
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    (tmp_path / "clips" / os.fsdecode(b"b\xff.mp4")).write_bytes(b"text")
    common = {"model": str(random_bundle), "output": tmp_path / "out"}
    said = say(capfd, tmp_path / "clips", dry_run=True, **common)
    said += say(capfd, tmp_path / "clips", takes=2, **common)
    said += say(capfd, tmp_path / "clips", shard="1/2", **common)
    for event in said:
        validator.validate(event)
    promised = {definition["$ref"].rpartition("/")[2] for definition in SCHEMA["oneOf"]}
    assert {event["event"] for event in said} == promised
    (done,) = (event for event in said if event["event"] == "clip_done")
    assert [take["number"] for take in done["takes"]] == [1, 2]
    assert all(Path(take["stem"]).is_file() for take in done["takes"])
    errors = [event for event in said if event["event"] == "clip_error"]
    assert {os.fsencode(event["clip"])[-6:] for event in errors} == {b"b\xff.mp4"}
    assert said[-1]["elsewhere"] == 1


def test_the_schema_refuses_what_is_not_said(validator: jsonschema.Draft202012Validator) -> None:
    assert not validator.is_valid({"v": 1, "event": "start", "total": 1, "model": "tiny"})
    assert not validator.is_valid({"v": 2, "event": "start", "total": 1, "model": "tiny", "version": "1"})
    assert validator.is_valid({"v": 1, "event": "start", "total": 1, "model": "tiny", "version": "1"})


def test_a_batch_that_ends_as_a_whole_says_its_exit_code(
    capfd: pytest.CaptureFixture[str], validator: jsonschema.Draft202012Validator
) -> None:
    def work(settings: Settings, planned: Any, listen: events.Listener) -> None:
        listen(events.Opened("tiny", None))
        raise SetupError("no device")

    settings = Settings(json=True)
    with open_console(settings) as console, pytest.raises(SetupError):
        run.run(discover(["a.mp4"]), settings, console.listen, work)
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    for event in said:
        validator.validate(event)
    assert [event["event"] for event in said] == ["start", "summary"]
    assert (said[-1]["exit_code"], said[-1]["untried"]) == (6, 1)
