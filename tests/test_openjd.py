"""The Open Job Description template: it is valid, and a shard that failed is run again alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openjd.cli")

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "docs" / "farm" / "foleygen.template.yaml"


def openjd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``openjd ARGUMENTS`` in ``folder``, where ``foleygen`` is this one."""
    tools = folder / "bin"
    if not tools.exists():
        tools.mkdir()
        (tools / "foleygen").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m foleygen "$@"\n')
        (tools / "foleygen").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "openjd", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        timeout=240,
    )


def summary(folder: Path, shard: int) -> dict[str, Any]:
    """What the last run of this shard told of itself."""
    found: dict[str, Any] = json.loads((folder / "out" / f"run-{shard}-of-3.json").read_text())
    return found


def test_the_template_is_valid(tmp_path: Path) -> None:
    checked = openjd(tmp_path, "check", str(TEMPLATE))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
def test_a_failed_shard_is_run_again_alone(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    names = ["a", "b", "c", "d", "e", "f with 'quotes' and $HOME"]
    for number, name in enumerate(names):
        make_clip(tmp_path / "clips" / f"{name}.mp4", shade=20 * number)
    damaged = tmp_path / "clips" / f"{names[-1]}.mp4"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100])
    listed = "".join(f"{tmp_path}/clips/{name}.mp4\n" for name in names)
    (tmp_path / "my clips.txt").write_text(listed)
    job = ["-p", "List=my clips.txt", "-p", "Out=out", "-p", "Shards=3"]
    job += ["-p", f"Options=--no-cache --model {random_bundle}"]

    first = openjd(tmp_path, "run", str(TEMPLATE), "--step", "Sound", *job)
    assert first.returncode == 1, first.stdout
    assert [len(summary(tmp_path, shard)["done"]) for shard in (1, 2, 3)] == [2, 2, 1]
    assert len(summary(tmp_path, 3)["failed"]) == 1
    assert openjd(tmp_path, "run", str(TEMPLATE), "--step", "Report", *job).returncode == 1

    damaged.write_bytes(whole)
    untouched = (tmp_path / "out" / "run-1-of-3.json").stat().st_mtime_ns
    again = openjd(tmp_path, "run", str(TEMPLATE), "--step", "Sound", "-tp", "Shard=3", *job)
    assert again.returncode == 0, again.stdout
    assert len(summary(tmp_path, 3)["skipped"]) == len(summary(tmp_path, 3)["done"]) == 1
    assert (tmp_path / "out" / "run-1-of-3.json").stat().st_mtime_ns == untouched
    report = openjd(tmp_path, "run", str(TEMPLATE), "--step", "Report", *job)
    assert report.returncode == 0, report.stdout
    assert len(list((tmp_path / "out").glob("*.foley.mp4"))) == 6
