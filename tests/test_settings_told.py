"""Where settings come from and what a batch writes down: variables, files of others, the log, and processors."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foleygen.batch import cores, events
from foleygen.batch.events import Report
from foleygen.cli import app, config
from foleygen.cli.terminal.console import open_console, summary
from foleygen.errors import ClipError, UsageError
from foleygen.facts import UNMEASURED, Loudness, Take
from foleygen.settings import Settings

Foleygen = Callable[..., tuple[int, str, str]]


@pytest.fixture
def foleygen(capsys: pytest.CaptureFixture[str]) -> Foleygen:
    def ran(*arguments: str | Path) -> tuple[int, str, str]:
        code = app.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return ran


# Settings


def test_a_misspelt_variable_is_an_error_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FOLEYGEN_LOUDNES: no such variable; did you mean FOLEYGEN_LOUDNESS"):
        config.load({}, {"FOLEYGEN_LOUDNES": "ebu"}, tmp_path)
    for name in ("FOLEYGEN_CACHE_DIR", "FOLEYGEN_DATA_DIR", "_FOLEYGEN_COMPLETE", "FOLEYGEN"):
        config.load({}, {name: "x"}, tmp_path)


def test_a_file_above_that_names_a_cluster_is_not_taken_silently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "shots"
    here.mkdir()
    (tmp_path / "foleygen.yaml").write_text("ray: 10.0.0.1:6379\nseed: 3\n")
    assert config.load({}, {}, here) == Settings()
    assert "foleygen.yaml: names a Ray cluster, so it is not taken" in capsys.readouterr().err
    assert config.load({}, {}, here, tmp_path / "foleygen.yaml").seed == 3
    assert config.load({}, {}, tmp_path).seed == 3


def test_a_file_above_of_another_user_is_not_taken_silently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "shots"
    here.mkdir()
    (tmp_path / "foleygen.yaml").write_text("seed: 3\n")
    assert config.load({}, {}, here).seed == 3
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert config.load({}, {}, here).seed == 0
    assert "belongs to another user" in capsys.readouterr().err


def test_config_show_says_where_each_comes_from(
    tmp_path: Path, foleygen: Foleygen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foleygen.yaml").write_text("steps: 7\n")
    monkeypatch.setenv("FOLEYGEN_SEED", "3")
    code, out, _ = foleygen("config", "show", "--json", "--takes", "2")
    shown = json.loads(out)
    assert code == 0
    assert shown["seed"] == {"value": 3, "from": "FOLEYGEN_SEED"}
    assert shown["steps"] == {"value": 7, "from": str(tmp_path / "foleygen.yaml")}
    assert shown["takes"] == {"value": 2, "from": "--takes"}
    assert shown["audio"] == {"value": "keep", "from": "default"}
    assert foleygen("config", "show")[1].splitlines()[0].split() == ["setting", "value", "from"]


def test_the_file_that_counts_is_said_at_v(tmp_path: Path, foleygen: Foleygen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foleygen.yaml").write_text("seed: 7\n")
    assert f"settings: {tmp_path / 'foleygen.yaml'}" in foleygen("add-sound", "none", "-n", "-v")[2]
    assert "settings:" not in foleygen("add-sound", "none", "-n")[2]


# The log


def done(**changes: Any) -> events.ClipDone:
    facts: dict[str, Any] = {
        "clip": Path("a.mp4"),
        "output": Path("a.foley.mp4"),
        "sidecar": Path("a.foley.json"),
        "duration": 20.0,
        "seconds": 5.0,
        "stages": {},
        "windows": 1,
        "cached_windows": 0,
        "audio_codec": "aac",
        "loudness": Loudness(-23.0, None, -3.0),
    }
    return events.ClipDone(**{**facts, **changes})


def test_the_log_has_a_line_with_its_time_for_each_event(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "batch.log"
    for _ in range(2):
        with open_console(Settings(log_file=path, quiet=True)) as console:
            console.listen(events.Started(2, "tiny"))
            console.listen(done(warnings=("is silent\x1b[2J",)))
            console.listen(
                events.ClipFailed(Path("b.mp4"), Path("b.foley.mp4"), ClipError("b.mp4: gone\nfor good", "x"))
            )
            logging.getLogger("foleygen.x").warning("careful")
            console.listen(events.Finished(Report()))
    lines = path.read_text().splitlines()
    assert len(lines) == 12
    said = [line.split(" ", 3)[2:] for line in lines[:6]]
    assert said == [
        ["info", "begun: 2 clips, model tiny"],
        ["info", "done: a.foley.mp4 in 5.0 s, -23.0 LUFS, peak -3.0 dBTP"],
        ["warning", "a.mp4: is silent\\x1b[2J"],
        ["error", "failed: b.mp4: gone\\nfor good; x"],
        ["warning", "careful"],
        ["info", "nothing done"],
    ]
    assert all(line[4] == "-" and line[10] == "T" and line.split(" ", 2)[1] == str(os.getpid()) for line in lines)


def test_a_log_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError, match="--log-file"), open_console(Settings(log_file=path)):
            pass


# What the terminal says


def test_nothing_from_a_file_reaches_the_terminal_raw(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "x\x1b]0;owned\x07"
    with open_console(Settings(verbose=2)) as console:
        console.listen(done(warnings=(evil,)))
        console.listen(events.ClipSkipped(Path("a.mp4"), Path("a.foley.mp4"), evil))
        console.listen(events.ClipFailed(Path("b.mp4"), Path("b.foley.mp4"), ClipError(evil), evil))
        console.left_out(Path(evil), evil)
        console.listen(events.Finished(Report(total=1, done=[Path("a")], non_commercial=evil)))
    assert "\x1b" not in capsys.readouterr().err


def test_a_warning_names_its_clip_once(capsys: pytest.CaptureFixture[str]) -> None:
    with open_console(Settings()) as console:
        console.listen(done(warnings=("is silent", "a.mp4: is short")))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert lines == ["warning: a.mp4: is silent", "warning: a.mp4: is short"]


def test_real_time_counts_the_sound_that_was_made() -> None:
    take = Take(1, UNMEASURED, 0.0, 0.0, (), (), None)
    report = Report(total=1, wall_seconds=10.0)
    report.hear(done(takes=(take, take, take)))
    assert "60.0 s of sound in 10.0 s (6.0x real time)" in summary(report)[0]


def test_nothing_typed_prints_the_help(foleygen: Foleygen) -> None:
    code, out, err = foleygen()
    assert (code, err) == (0, "")
    assert "add-sound" in out
    assert foleygen("models")[0] == 0


def test_near_misses_are_proposed(foleygen: Foleygen) -> None:
    assert "did you mean 'add-sound'?" in foleygen("add-sund")[2]
    assert "--loudness" in foleygen("add-sound", "--loudnes", "ebu", "x")[2]


# Processors


def test_threads_are_as_asked_or_those_that_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(cores, "cgroup_quota", lambda: None)
    for load, free in ((0.0, 8), (12.0, 4), (40.0, 1)):
        monkeypatch.setattr(cores, "busy", lambda load=load: load)
        assert cores.threads(None, {}) == free
        assert cores.threads(3, {}) == 3
        assert cores.threads(None, {"OMP_NUM_THREADS": "2"}) is None
    monkeypatch.setattr(cores, "busy", lambda: 0.0)
    monkeypatch.setattr(cores, "cgroup_quota", lambda: 2.0)
    assert cores.threads(None, {}) == 2


def test_what_keeps_processors_busy_is_what_runs_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "loadavg"
    told.write_text("9.99 5.00 1.00 4/116 777\n")
    assert cores.busy(told) == 3
    told.write_text("9.99 5.00 1.00 1/116 777\n")
    assert cores.busy(told) == 0
    monkeypatch.setattr(os, "getloadavg", lambda: (2.5, 0.0, 0.0))
    assert cores.busy(tmp_path / "missing") == 2.5


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/job/step\n", {"job/cpu.max": "150000 100000", "job/step/cpu.max": "max 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "50000 100000"}, 0.5),
        (
            "3:cpu,cpuacct:/a\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "200000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("0::/job\n", {"job/cpu.max": "nonsense"}, None),
        ("", {}, None),
    ],
)
def test_cgroups_limit_the_processors(
    tmp_path: Path, membership: str, files: dict[str, str], quota: float | None
) -> None:
    (tmp_path / "self").write_text(membership)
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text + "\n")
    assert cores.cgroup_quota(tmp_path / "root", tmp_path / "self") == quota


def test_waiting_is_passive_and_decoders_are_few(
    tmp_path: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from foleygen.media.source import DECODER_THREADS, opened

    with opened(make_clip(tmp_path / "a.mp4")) as container:
        counts = {stream.codec_context.thread_count for stream in container.streams}
    assert counts == {DECODER_THREADS}
    assert DECODER_THREADS <= 4
    assert cores.PASSIVE["OMP_WAIT_POLICY"] == "PASSIVE"


def test_the_templates_of_farms_set_the_threads() -> None:
    farm = Path(__file__).parent.parent / "docs" / "farm"
    assert "FOLEYGEN_THREADS" in (farm / "foleygen.sbatch").read_text()
    assert "--threads" in (farm / "foleygen.template.yaml").read_text()
