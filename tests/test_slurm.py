"""The Slurm script: its shards and signals under bash, and on a real Slurm where there is one.

``sbatch`` is taken from PATH, or from the folder that FOLEYGEN_SLURM names.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "docs" / "farm" / "foleygen.sbatch"
SBATCH = shutil.which("sbatch", path=os.environ.get("FOLEYGEN_SLURM", os.environ["PATH"]))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where ``foleygen`` is this one, as task 2 of an array."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "foleygen").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m foleygen "$@"\n')
    (tools / "foleygen").chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_ARRAY_")}
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "PYTHONPATH": str(ROOT), "SLURM_ARRAY_TASK_ID": "2"}


@pytest.fixture
def batch(tmp_path: Path, make_clip: MakeClip) -> Path:
    """A folder with four clips, and their list."""
    paths = [make_clip(tmp_path / "clips" / f"{number} clip.mp4", shade=20 * number) for number in range(4)]
    (tmp_path / "clips.txt").write_text("".join(f"{path}\n" for path in paths))
    return tmp_path


def start(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        ["bash", str(SCRIPT), *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def options(bundle: Path) -> list[str]:
    return ["clips.txt", "out", "--no-cache", "--model", str(bundle)]


def test_the_task_works_on_its_shard(batch: Path, environment: dict[str, str], random_bundle: Path) -> None:
    task = start(batch, environment, "3", *options(random_bundle))
    out, err = task.communicate(timeout=240)
    assert task.returncode == 0, err
    assert out.splitlines() == ["out/1 clip.foley.mp4"]
    assert (batch / "out" / "run-2-of-3.json").exists()


def test_sigterm_reaches_foleygen(batch: Path, environment: dict[str, str], random_bundle: Path) -> None:
    task = start(batch, environment, "2", *options(random_bundle), "--json", "--steps", "1000")
    assert task.stdout is not None
    while (line := task.stdout.readline()) and json.loads(line)["event"] != "progress":
        pass
    assert line, task.communicate()
    task.terminate()
    _, err = task.communicate(timeout=120)
    assert task.returncode == 143, err
    assert [path.name for path in (batch / "out").iterdir()] == ["run-2-of-2.json"]


@pytest.mark.parametrize("code", [3, 75])
def test_the_exit_code_is_foleygens(code: int, batch: Path, environment: dict[str, str]) -> None:
    (batch / "bin" / "foleygen").write_text(f"#!/bin/sh\nexit {code}\n")
    task = start(batch, environment, "3", "clips.txt", "out")
    task.communicate(timeout=60)
    assert task.returncode == code


@pytest.mark.parametrize("arguments", [[], ["3"], ["3", "clips.txt"]])
def test_what_is_missing_is_said(arguments: list[str], batch: Path, environment: dict[str, str]) -> None:
    task = start(batch, environment, *arguments)
    _, err = task.communicate(timeout=60)
    assert task.returncode == 2
    assert err.startswith("usage: sbatch --array=1-SHARDS")


def test_outside_an_array_nothing_is_done(batch: Path, environment: dict[str, str]) -> None:
    del environment["SLURM_ARRAY_TASK_ID"]
    task = start(batch, environment, "3", "clips.txt", "out")
    task.communicate(timeout=60)
    assert task.returncode == 2
    assert not (batch / "out").exists()


def test_a_shard_that_is_none_is_refused(batch: Path, environment: dict[str, str]) -> None:
    task = start(batch, {**environment, "SLURM_ARRAY_TASK_ID": "4"}, "3", "clips.txt", "out")
    _, err = task.communicate(timeout=60)
    assert task.returncode == 2
    assert "--shard" in err


@pytest.mark.slow
@pytest.mark.skipif(SBATCH is None, reason="no Slurm here")
def test_an_array_on_a_real_slurm(batch: Path, environment: dict[str, str], random_bundle: Path) -> None:
    """One clip is broken: its shard fails, and is run again alone, with the number of shards of the whole."""
    assert SBATCH is not None
    del environment["SLURM_ARRAY_TASK_ID"]
    broken = batch / "clips" / "2 clip.mp4"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])

    def submit(array: str) -> tuple[int, str]:
        command = [SBATCH, "--wait", f"--array={array}", "--cpus-per-task=1", str(SCRIPT), "3", *options(random_bundle)]
        done = subprocess.run(command, cwd=batch, env=environment, capture_output=True, text=True, timeout=280)
        return done.returncode, done.stderr

    def ends() -> list[int]:
        return [json.loads((batch / "out" / f"run-{shard}-of-3.json").read_text())["exit_code"] for shard in (1, 2, 3)]

    assert submit("1-3") == (4, "")
    assert ends() == [0, 0, 4]
    broken.write_bytes(whole)
    began = time.time()
    assert submit("3") == (0, "")
    assert ends() == [0, 0, 0]
    assert (batch / "out" / "run-1-of-3.json").stat().st_mtime < began
    assert len(list((batch / "out").glob("*.foley.mp4"))) == 4
