"""Nothing of an editor's work is lost: picked, edited and locked takes, and files that foleygen did not make."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from finished import Made, finish

from foleygen import regular
from foleygen.batch import events, run
from foleygen.batch.discover import Clip, discover
from foleygen.batch.events import Event, Report
from foleygen.cli import app
from foleygen.cli.terminal.console import summary
from foleygen.errors import ClipError, ExitCode, UsageError
from foleygen.facts import take_file
from foleygen.media.loudness import measure
from foleygen.media.wav_chunks import sound_sha256
from foleygen.record import finding, markers, sidecar, takes
from foleygen.settings import Settings

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent


def do(clips: list[Clip], bundle: Path, **changes: Any) -> tuple[Report, list[Event]]:
    heard: list[Event] = []
    settings = Settings(model=str(bundle), cache=False, **changes)
    return run.run(clips, settings, heard.append), heard


def edit(wav: Path) -> None:
    """As an editor's program does: other samples, and a header of its own."""
    sound, rate = soundfile.read(wav, dtype="float32")
    soundfile.write(wav, sound * 0.5 + np.linspace(0, 0.01, len(sound), dtype=np.float32), rate, "PCM_24")


@pytest.fixture
def made(tmp_path: Path, random_bundle: Path) -> Made:
    return finish(tmp_path, random_bundle, name="shot.mov", takes=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# What is the editor's stays


def picked(made: Made) -> str:
    takes.pick(made.output, 2)
    return "take 2 was picked"


def edited(made: Made) -> str:
    edit(take_file(made.output, 1))
    return "take 1 was edited"


def locked(made: Made) -> str:
    takes.lock(made.output, True)
    return "it is locked"


@pytest.mark.parametrize("work", [picked, edited, locked])
def test_a_run_with_another_setting_keeps_it_and_says_so(
    made: Made, random_bundle: Path, work: Callable[[Made], str]
) -> None:
    told = work(made)
    before = contents(made.output.parent)
    report, _ = do([Clip(made.source)], random_bundle, takes=2, seed=3)
    assert contents(made.output.parent) == before
    assert report.exit_code == ExitCode.OK
    assert [each.output for each in report.kept] == [made.output]
    line = next(line for line in summary(report) if line.startswith("kept: "))
    assert str(made.output) in line
    assert told in line


@pytest.mark.parametrize("work", [picked, edited])
def test_overwrite_alone_makes_it_again(made: Made, random_bundle: Path, work: Callable[[Made], str]) -> None:
    work(made)
    report, _ = do([Clip(made.source)], random_bundle, takes=2, seed=3, overwrite=True)
    assert report.done == [made.output]
    found = sidecar.load(made.output)
    assert (found.picked, found.settings.seed) == (1, 3)
    assert [take.sound_sha256 for take in found.takes] == [sound_sha256(take_file(made.output, k)) for k in (1, 2)]


def test_a_lock_holds_until_it_is_taken_off(made: Made, random_bundle: Path) -> None:
    takes.lock(made.output, True)
    report, _ = do([Clip(made.source)], random_bundle, takes=2, overwrite=True)
    assert len(report.kept) == 1
    with pytest.raises(ClipError, match="is locked"):
        takes.pick(made.output, 2)
    takes.lock(made.output, False)
    takes.pick(made.output, 2)


def test_a_dry_run_lists_what_would_be_overwritten(made: Made, random_bundle: Path) -> None:
    _, heard = do([Clip(made.source)], random_bundle, takes=1, seed=3, dry_run=True)
    (plan,) = [event for event in heard if isinstance(event, events.ClipPlanned)]
    assert [path.name for path in plan.overwrites] == ["shot.foley.mov", "shot.foley.json"]
    _, heard = do([Clip(made.source)], random_bundle, takes=2, seed=3, dry_run=True)
    (plan,) = [event for event in heard if isinstance(event, events.ClipPlanned)]
    assert [path.name for path in plan.overwrites][2:] == ["shot.foley.t01.wav", "shot.foley.t02.wav"]


def test_takes_of_an_old_seed_go_and_edited_ones_stay(made: Made, random_bundle: Path) -> None:
    edit(take_file(made.output, 2))
    do([Clip(made.source)], random_bundle, seed=3, overwrite=True)
    assert not take_file(made.output, 1).exists()
    assert take_file(made.output, 2).exists()


# Files of others


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.foley.t01.wav", {"takes": 2}),
        ("a.foley.t02.wav", {"stems": True, "takes": 2}),
        ("a.foley.markers.csv", {"markers": ("csv",)}),
        ("a.foley.mp4", {}),
    ],
)
def test_what_foleygen_did_not_make_is_never_overwritten(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, name: str, options: dict[str, Any]
) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    (tmp_path / name).write_text("mine")
    if name.endswith(".mp4"):
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
    report, _ = do([Clip(clip)], random_bundle, **options)
    (failure,) = report.failed
    assert f"{name}: exists and was not made by foleygen" in failure.error.message
    if not name.endswith(".mp4"):
        assert (tmp_path / name).read_text() == "mine"
        report, _ = do([Clip(clip)], random_bundle, overwrite=True, **options)
        assert report.exit_code == ExitCode.OK


@pytest.mark.parametrize("name", ["a.foley.json", "a.foley.error.json"])
def test_a_strangers_record_stays(tmp_path: Path, random_bundle: Path, make_clip: MakeClip, name: str) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    (tmp_path / name).write_text("mine")
    report, _ = do([Clip(clip)], random_bundle)
    assert report.exit_code == ExitCode.OK
    assert (tmp_path / name).read_text() == "mine"
    assert sidecar.load(tmp_path / "a.foley.mp4").source == "a.mp4"


def test_a_shards_summary_is_no_strangers_file(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    mine = tmp_path / "run-1-of-1.json"
    mine.write_text("mine")
    with pytest.raises(UsageError, match="was not made by foleygen"):
        do([Clip(clip)], random_bundle, shard="1/1")
    assert mine.read_text() == "mine"
    assert do([Clip(clip)], random_bundle, shard="1/1", overwrite=True)[0].done
    assert do([Clip(clip)], random_bundle, shard="1/1")[0].skipped


def test_a_sidecar_of_anothers_clip_is_found_out(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    """Two runs on one folder: the clip of one, the sidecar of the other."""
    clip = make_clip(tmp_path / "a.mp4")
    do([Clip(clip)], random_bundle, seed=1)
    output = tmp_path / "a.foley.mp4"
    first = output.read_bytes()
    document = json.loads((tmp_path / "a.foley.json").read_text())
    assert document["output_sha256"] == regular.seal(output).sha256
    do([Clip(clip)], random_bundle, seed=2)
    content = bytearray(output.read_bytes())
    content[-1] ^= 1  # of the same size
    output.write_bytes(content)
    report, heard = do([Clip(clip)], random_bundle, seed=2)
    assert [event.reason for event in heard if isinstance(event, events.ClipStarted)] == [
        "it changed since it was made"
    ]
    assert report.done == [output]
    assert output.read_bytes() != first


# Delivered anew


def levels(output: Path) -> float:
    from foleygen.media import own_sound
    from foleygen.media.probe import probe

    blocks = [block[0] for block in own_sound.blocks(probe(output), 48000, 1)]
    found = measure([np.concatenate(blocks)], 48000).integrated_lufs
    assert found is not None
    return found


WITHOUT_MODELS = """
import sys
from foleygen.batch import run
from foleygen.batch.discover import Clip
from foleygen.settings import Settings
from pathlib import Path

report = run.run([Clip(Path("shot.mov"))], Settings(model=sys.argv[1], takes=2, loudness="-30"), lambda event: None)
print(len(report.done), [failure.error for failure in report.failed], "torch" in sys.modules)
"""


def test_a_level_is_changed_without_the_models(made: Made, random_bundle: Path) -> None:
    takes.pick(made.output, 2)
    wavs = {k: take_file(made.output, k).read_bytes() for k in (1, 2)}
    command = [sys.executable, "-c", WITHOUT_MODELS, str(random_bundle)]
    done = subprocess.run(command, cwd=made.output.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "1 [] False\n"
    found = sidecar.load(made.output)
    assert (found.picked, found.settings.loudness_lufs) == (2, -30)
    assert levels(made.output) == pytest.approx(-30, abs=0.1)
    assert {k: take_file(made.output, k).read_bytes() for k in (1, 2)} == wavs


@pytest.mark.parametrize(
    "changes", [{"audio": "replace"}, {"audio": "mix", "duck": 6.0}, {"container": "mkv"}, {"loudness": "ebu"}]
)
def test_what_the_delivery_decides_needs_no_engine(
    made: Made, random_bundle: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    from foleygen.batch import worker

    monkeypatch.setattr(worker, "load_engine", lambda *_: pytest.fail("the models were loaded"))
    report, _ = do([Clip(made.source)], random_bundle, takes=2, **changes)
    (output,) = report.done
    assert output.suffix == (".mkv" if "container" in changes else ".mov")
    assert do([Clip(made.source)], random_bundle, takes=2, **changes)[0].skipped == [output]


def test_markers_are_added_to_what_is_done(made: Made, random_bundle: Path) -> None:
    report, _ = do([Clip(made.source)], random_bundle, takes=2, markers=("csv",))
    assert report.skipped == [made.output]
    assert "0.100000" in markers.path_for(made.output).read_text()


# The commands


@pytest.fixture
def foleygen(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def ran(*arguments: str | Path) -> tuple[int, str, str]:
        code = app.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return ran


@pytest.fixture
def elsewhere(tmp_path: Path, random_bundle: Path) -> tuple[Made, Made]:
    """Two clips in one folder, finished in another."""
    one = finish(tmp_path / "out", random_bundle, name="a.mov", source_folder=tmp_path / "in", takes=2)
    return one, finish(tmp_path / "out", random_bundle, name="b.mov", source_folder=tmp_path / "in", takes=2)


def test_a_clip_that_was_finished_elsewhere_is_found(
    tmp_path: Path, elsewhere: tuple[Made, Made], foleygen: Any
) -> None:
    source = elsewhere[0].source
    assert foleygen("pick", source, 2)[0] == ExitCode.ALL_FAILED
    code, out, _ = foleygen("pick", source, 2, "-o", tmp_path / "out")
    assert (code, out) == (0, f"{elsewhere[0].output}\n")
    assert sidecar.load(elsewhere[0].output).picked == 2
    code, out, _ = foleygen("takes", tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert [json.loads(line)["picked"] for line in out.splitlines()] == [2, 1]


def test_the_loudest_of_each_and_a_list_of_picks(tmp_path: Path, elsewhere: tuple[Made, Made], foleygen: Any) -> None:
    for made in elsewhere:
        found = sidecar.load(made.output)
        quiet = (replace(found.takes[0], loudness_lufs=-60.0), found.takes[1])
        sidecar.write(made.output, replace(found, takes=quiet).document())
    assert foleygen("pick", tmp_path / "out", "--loudest")[0] == 0
    assert [sidecar.load(made.output).picked for made in elsewhere] == [2, 2]
    listed = {"picks": [{"output": made.output.name, "take": 1} for made in elsewhere]}
    (tmp_path / "out" / "picks.json").write_text(json.dumps(listed))
    assert foleygen("pick", "--from", tmp_path / "out" / "picks.json")[0] == 0
    assert [sidecar.load(made.output).picked for made in elsewhere] == [1, 1]
    listed["picks"][0]["take"] = 9
    (tmp_path / "out" / "picks.json").write_text(json.dumps(listed))
    code, _, err = foleygen("pick", "--from", tmp_path / "out" / "picks.json")
    assert code == ExitCode.SOME_FAILED
    assert "has no take 9" in err


def test_a_list_leads_to_takes(tmp_path: Path, elsewhere: tuple[Made, Made], foleygen: Any) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{made.source}\n" for made in elsewhere))
    code, out, _ = foleygen("takes", "--from-file", tmp_path / "list.txt", "-o", tmp_path / "out")
    assert code == 0
    assert out.count("waveform") == 2


def test_lock_unlock_and_deliver(tmp_path: Path, made: Made, foleygen: Any) -> None:
    assert foleygen("lock", made.source)[:2] == (0, f"{made.output}\n")
    assert "(locked)" in foleygen("takes", made.source)[1]
    assert foleygen("deliver", made.source, "--loudness", "-30")[0] == ExitCode.ALL_FAILED
    assert foleygen("unlock", tmp_path)[0] == 0
    assert foleygen("deliver", made.source, "--loudness", "-30")[:2] == (0, f"{made.output}\n")
    assert levels(made.output) == pytest.approx(-30, abs=0.1)
    assert foleygen("deliver", made.source)[0] == ExitCode.USAGE


def test_a_folder_walk_finds_the_finished_clips_alone(tmp_path: Path, elsewhere: tuple[Made, Made]) -> None:
    shutil.copy(elsewhere[0].source, tmp_path / "out" / "other.mov")
    (tmp_path / "out" / "x.json").write_text("{}")
    assert [found[0] for found in finding.below(tmp_path / "out")] == [made.output for made in elsewhere]
    assert len(discover([tmp_path / "out"])) == 1
