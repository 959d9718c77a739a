"""The program as a user meets it: streams, exit codes, one sentence per error, each command once for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import save_random_bundle

from foleygen import __version__
from foleygen.cli.app import COMMANDS, cli, run
from foleygen.cli.reference import walk
from foleygen.errors import ExitCode

MakeClip = Callable[..., Path]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Foleygen = Callable[..., Ended]


@pytest.fixture
def foleygen(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foleygen:
    """Run the command line in this process, with ``tmp_path`` as the current folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Ended:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return call


def sentences(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error: ")]


# The shell's view


def python(arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'rich', 'av', 'diffusers', 'scipy', 'yaml'}"
    code = f"import sys; from foleygen.cli.app import run; run(['--help']); sys.exit(bool({heavy} & set(sys.modules)))"
    assert python(["-c", code]).returncode == 0
    code = code.replace("['--help']", "['add-sound', '--help']")
    assert python(["-c", code]).returncode == 0


def test_completion_imports_nothing_heavy() -> None:
    shell = {"_FOLEYGEN_COMPLETE": "bash_complete", "COMP_WORDS": "foleygen add-sound --dev", "COMP_CWORD": "2"}
    code = "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules)); "
    code += "sys.argv[0] = 'foleygen'; from foleygen.cli.app import main; main()"
    assert python(["-c", code], **shell).stdout.split() == ["plain,--device", "False"]


def test_module_and_version() -> None:
    ended = python(["-m", "foleygen", "--version"])
    assert (ended.returncode, ended.stdout) == (0, f"foleygen {__version__}\n")


def test_every_command_has_help_with_an_example() -> None:
    for path, command in walk(cli, "foleygen"):
        assert command.help, path
        assert "Example" in command.help, path
        assert f"  {path.removesuffix(' models').removesuffix(' cache')}" in command.help, path


def test_the_table_of_commands_is_true() -> None:
    for name in COMMANDS:
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.name == name


# Usage


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add-sond"], "no such command 'add-sond'"),
        (["add-sound"], "no input given"),
        (["add-sound", "x", "--stepz", "3"], "no such option '--stepz'"),
        (["add-sound", "x", "--steps", "0"], "--steps: '0' is not a whole number from 1 to 1000"),
        (["add-sound", "x", "--seed", "x"], "--seed: 'x' is not a whole number"),
        (["add-sound", "x", "--device", "gpu"], "'gpu' is not one of"),
        (["add-sound", "x", "--name", "{stme}"], "did you mean 'stem'?"),
        (["add-sound", "x", "--config", "none.yaml"], "none.yaml: does not exist; correct --config"),
        (["demo", "d", "--size", "12"], "not WIDTHxHEIGHT"),
        (["models", "import", "base", "--cavp", "a", "--mdsgen", "b"], "needs --audioldm"),
        (["models", "fetch", "base"], "--accept-licence"),
        (["models", "fetch", "base", "--link", "x"], "not FILE=URL"),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(foleygen: Foleygen, arguments: list[str], says: str) -> None:
    ended = foleygen(*arguments)
    assert ended.code == ExitCode.USAGE
    assert len(sentences(ended.err)) == 1
    assert says in sentences(ended.err)[0].replace("No such", "no such")
    assert "Traceback" not in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--timeline", "reel.fcpxml", "--timeline", "reel.aaf"],
            "--timeline: takes one, and is given reel.fcpxml and reel.aaf; leave out all but one, and run it",
        ),
        (["-o", "a", "--output", "b"], "--output: takes one, and is given a and b; leave out all but one"),
        (
            ["--from-file", "a", "--from-file", "b", "--from-file", "c"],
            "--from-file: takes one, and is given a and b and",
        ),
        (["--cues", "a.csv", "--cues", "none", "--cues", "b.csv"], "--cues: takes one, and is given a.csv and b.csv"),
    ],
)
def test_of_two_files_none_is_passed_over(foleygen: Foleygen, arguments: list[str], says: str) -> None:
    ended = foleygen("add-sound", "clips", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert sentences(ended.err)[0].startswith(f"error: {says}")
    assert len(sentences(ended.err)) == 1


def test_the_same_file_twice_is_one(foleygen: Foleygen) -> None:
    assert "no such file" in foleygen("add-sound", "clips", "-o", "a", "-o", "a").err


def test_a_word_in_place_of_a_file_leaves_it_out(foleygen: Foleygen) -> None:
    assert "no such file" in foleygen("add-sound", "clips", "--cues", "lost.csv", "--cues", "spot").err


def test_a_misspelt_key_stops_with_a_hint(foleygen: Foleygen, tmp_path: Path) -> None:
    (tmp_path / "foleygen.yaml").write_text("stepz: 20\n")
    ended = foleygen("add-sound", ".")
    assert (ended.code, "did you mean 'steps'?" in ended.err) == (ExitCode.USAGE, True)


def test_no_clip_is_code_5(foleygen: Foleygen, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = foleygen("add-sound", "empty")
    assert (ended.code, ended.out) == (ExitCode.NO_CLIPS, "")
    assert sentences(ended.err) == ["error: empty: no clip found; name a video file, or a folder with some"]


def test_no_such_model_is_code_6(foleygen: Foleygen, tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    ended = foleygen("add-sound", "a.mp4", "--model", "tinny")
    assert (ended.code, len(sentences(ended.err))) == (ExitCode.ENVIRONMENT, 1)


def test_a_bug_keeps_its_traceback_and_is_code_1(
    foleygen: Foleygen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMANDS, "add-sound", "foleygen.no_such_module:command")
    ended = foleygen("add-sound", "x")
    assert ended.code == ExitCode.BUG
    assert "Traceback" in ended.err
    assert ended.err.splitlines()[-1].startswith("error: internal error")


def test_tracebacks_of_errors_only_at_vv(foleygen: Foleygen, tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    assert "Traceback" not in foleygen("add-sound", "a.mp4", "--model", "none", "-v").err
    assert "Traceback" in foleygen("add-sound", "a.mp4", "--model", "none", "-vvv").err


def test_tracebacks_of_failed_clips_only_at_vv(foleygen: Foleygen, tmp_path: Path, random_bundle: Path) -> None:
    (tmp_path / "a.mp4").write_text("text")
    assert "Traceback" not in foleygen("add-sound", "a.mp4", "--model", random_bundle, "-v").err
    assert "Traceback" in foleygen("add-sound", "a.mp4", "--model", random_bundle, "-vv").err


# add-sound


def test_paths_on_stdout_and_everything_else_on_stderr(
    foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    (tmp_path / "clips" / "b.mp4").write_text("text")
    ended = foleygen("add-sound", "clips", "--model", random_bundle)
    assert ended.code == ExitCode.SOME_FAILED
    assert ended.out == "clips/a.foley.mp4\n"
    assert len(sentences(ended.err)) == 1
    assert "1 done, 1 failed" in ended.err.splitlines()[-1]
    assert "\x1b" not in ended.err


def test_a_rerun_says_why_at_v(foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    foleygen("add-sound", "a.mp4", "--model", random_bundle)
    ended = foleygen("add-sound", ".", "--model", random_bundle, "-v")
    assert (ended.code, ended.out) == (0, "")
    assert "skipped: a.foley.mp4: done already" in ended.err
    assert "left out: a.foley.mp4: is a finished clip" in ended.err
    ended = foleygen("add-sound", "a.mp4", "--model", random_bundle, "--seed", "1", "-v")
    assert "redone: a.foley.mp4, because the settings are other ones (seed 0 -> 1)" in ended.err


def test_quiet_says_only_errors(foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text("text")
    ended = foleygen("add-sound", "a.mp4", "b.mp4", "-q", "--model", random_bundle)
    assert ended.out == "a.foley.mp4\n"
    assert ended.err.splitlines() == sentences(ended.err)


def test_json_is_one_event_per_line(
    foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text("text")
    ended = foleygen("add-sound", "a.mp4", "b.mp4", "--json", "--model", random_bundle)
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert {event["v"] for event in events} == {1}
    names = [event["event"] for event in events]
    assert names[0] == "start"
    assert names[-1] == "summary"
    assert {"clip_start", "progress", "clip_done", "clip_error"} <= set(names)
    assert (events[-1]["done"], events[-1]["failed"], events[-1]["exit_code"]) == (1, 1, ended.code)
    error = next(event for event in events if event["event"] == "clip_error")
    assert error["type"] == "ClipError"
    assert error["remedy"]
    page = (Path(__file__).parent.parent / "docs" / "batches.md").read_text(encoding="utf-8")
    words = {word for event in events for word in [event["event"], *event]} - {"v", "event"}
    assert all(f"`{word}`" in page for word in words)


def test_a_list_on_stdin(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "sub" / "a.mp4")
    ended = subprocess.run(
        [sys.executable, "-m", "foleygen", "add-sound", "-", "-n", "-o", "out", "--model", str(random_bundle)],
        input=b"# list\nsub/a.mp4\n",
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, b"out/sub/a.foley.mp4\n")


def test_a_reader_who_goes_away_does_not_stop_the_batch(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text("text")
    reading, writing = os.pipe()
    os.close(reading)
    code = "import sys; from foleygen.cli.app import run; "
    code += f"sys.exit(run(['add-sound', 'b.mp4', 'a.mp4', 'b.mp4', '-n', '--model', {str(random_bundle)!r}]))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (ExitCode.SOME_FAILED, "1 to do, 1 failed")


def test_names_that_are_not_text(foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    odd = os.fsdecode(b"a \xff\x1b[31m'\n.mp4")
    make_clip(tmp_path / "x.mp4").rename(tmp_path / odd)
    (tmp_path / "bad\x1b.mp4").write_text("text")
    ended = foleygen("add-sound", ".", "--model", random_bundle, "-v")
    assert ended.code == ExitCode.SOME_FAILED
    assert (tmp_path / f"{odd.removesuffix('.mp4')}.foley.mp4").is_file()
    assert "\x1b" not in ended.err


def test_a_dry_run_lists_what_would_be(
    foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "a.mp4")
    ended = foleygen("add-sound", "a.mp4", "-n", "--model", random_bundle)
    assert (ended.code, ended.out) == (0, "a.foley.mp4\n")
    assert not (tmp_path / "a.foley.mp4").exists()


def test_non_commercial_weights_are_named_in_the_summary(
    foleygen: Foleygen, tmp_path: Path, make_clip: MakeClip
) -> None:
    save_random_bundle(tmp_path / "nc", commercial=False)
    make_clip(tmp_path / "a.mp4")
    ended = foleygen("add-sound", "a.mp4", "--model", tmp_path / "nc")
    assert "non-commercial use only (CC-BY-NC-4.0)" in ended.err


# The other commands


def test_preview_draws_and_writes_two_files(
    foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "a.mp4", seconds=2)
    ended = foleygen("preview", "a.mp4", "--at", "0.5", "--seconds", "0.75", "--model", random_bundle)
    assert (ended.code, ended.err.count("error")) == (0, 0)
    assert ended.out == "a.preview.foley.wav\na.preview.foley.mp4\n"
    for label in ("motion", "waveform", "mel"):
        assert any(line.startswith(label) for line in ended.err.splitlines())
    with wave.open(str(tmp_path / "a.preview.foley.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(0.75, abs=0.001)
    from foleygen.media.probe import probe

    info = probe(tmp_path / "a.preview.foley.mp4")
    assert float(info.duration) == pytest.approx(0.75, abs=0.05)
    assert info.audio_streams == 1


def test_preview_beyond_the_end_is_refused(
    foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "a.mp4")
    ended = foleygen("preview", "a.mp4", "--at", "9", "--model", random_bundle)
    assert (ended.code, "lasts 0.48 s" in ended.err or "lasts 0.52 s" in ended.err) == (ExitCode.USAGE, True)


def test_preview_without_a_player_says_so(
    foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(tmp_path / "a.mp4")
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = foleygen("preview", "a.mp4", "--play", "-q", "--model", random_bundle)
    assert ended.code == ExitCode.ENVIRONMENT
    assert ended.out.splitlines() == ["a.preview.foley.wav", "a.preview.foley.mp4"]
    assert "there is no player" in ended.err


def test_demo_makes_clips_and_keeps_them(foleygen: Foleygen, tmp_path: Path) -> None:
    arguments = ("demo", "d", "--count", "2", "--size", "64x48", "--seconds", "0.6", "--with-sound")
    ended = foleygen(*arguments)
    assert ended.code == 0
    made = [Path(line) for line in ended.out.splitlines()]
    assert len(made) == 2
    before = [path.read_bytes() for path in made]
    from foleygen.media.probe import probe

    info = probe(made[0])
    assert (info.width, info.height, float(info.duration), info.audio_streams) == (64, 48, 0.6, 1)
    assert foleygen(*arguments).out == ended.out
    assert [path.read_bytes() for path in made] == before


def test_doctor_finds_the_missing_and_the_well(foleygen: Foleygen) -> None:
    ended = foleygen("doctor", "--json")
    findings = {item["name"]: item for item in json.loads(ended.out)}
    assert findings["python"]["ok"]
    assert findings["torch"]["ok"]
    assert all(findings[name]["ok"] for name in ("mp4", "mov", "mkv"))
    assert findings["model tiny"]["fact"].startswith("whole")
    assert "foleygen models fetch base" in findings["model base"]["fact"]
    assert (ended.code == 0) == all(item["ok"] for item in findings.values())
    assert all(item["fix"] for item in findings.values() if not item["ok"])


def test_doctor_names_the_fix_of_an_unwritable_cache(
    foleygen: Foleygen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FOLEYGEN_CACHE_DIR", str(tmp_path / "file"))
    ended = foleygen("doctor")
    assert ended.code == ExitCode.ENVIRONMENT
    assert any(line.startswith("BAD") and "set FOLEYGEN_CACHE_DIR" in line for line in ended.out.splitlines())


def test_cache_is_filled_shown_and_cleared(
    foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "a.mp4")
    foleygen("add-sound", "a.mp4", "--model", random_bundle, "--no-cache")
    assert json.loads(foleygen("cache", "info", "--json").out)["windows"] == 0
    foleygen("add-sound", "a.mp4", "--model", random_bundle, "--overwrite")
    assert json.loads(foleygen("cache", "info", "--json").out)["windows"] == 1
    assert foleygen("cache", "clear").code == 0
    assert json.loads(foleygen("cache", "info", "--json").out)["windows"] == 0


def test_models_show_and_verify(foleygen: Foleygen, tmp_path: Path) -> None:
    save_random_bundle(tmp_path / "mine", commercial=True)
    shown = json.loads(foleygen("models", "show", "mine", "--json").out)
    assert (shown["name"], shown["sample_rate"]) == ("mine", 16000)
    assert "CC0-1.0 (commercial use allowed)" in foleygen("models", "show", "mine").out
    ended = foleygen("models", "verify", "mine")
    assert (ended.code, ended.out) == (0, f"mine: whole, {shown['hash']}\n")
    part = tmp_path / "mine" / "encoder.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"\x7f")
    ended = foleygen("models", "verify", "mine")
    assert ended.code == ExitCode.ENVIRONMENT
    assert "SHA-256" in sentences(ended.err)[0]


def test_models_list_has_what_can_be_fetched(foleygen: Foleygen) -> None:
    listed = {row["name"]: row for row in json.loads(foleygen("models", "list", "--json").out)}
    assert listed["base"]["commercial"] is False
    assert "base" in foleygen("models", "list").out


def test_bench_measures_every_stage(
    foleygen: Foleygen, tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "a.mp4", seconds=2)
    ended = foleygen("bench", "a.mp4", "--json", "--model", random_bundle)
    measured = json.loads(ended.out)
    assert measured["clip_seconds"] == pytest.approx(2.0)
    assert {"probing", "features", "sampling", "muxing", "total"} <= set(measured["cold"])
    assert measured["cold"]["total"] >= measured["cold"]["sampling"] > 0
    assert measured["peak_memory_bytes"] > 50e6
    table = foleygen("bench", "a.mp4", "--model", random_bundle).out
    assert "STAGE" in table
    assert "peak memory" in table
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]
