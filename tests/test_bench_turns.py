"""Benches that take turns: frames against decoding, and one build against another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import foleygen
from foleygen.cli.bench import against, frames
from foleygen.errors import ClipError, FoleygenError, UsageError
from foleygen.settings import Settings

MakeClip = Callable[..., Path]
HERE = Path(foleygen.__file__).parent.parent


def test_frames_are_timed_against_decoding(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    clip = make_clip(tmp_path / "a.mp4", seconds=3.2)
    measured = frames.measure(Settings(model=str(random_bundle)), clip, rounds=1)
    assert measured["pictures"] == 80
    for kind in ("wall", "processor"):
        row = measured[kind]
        assert row["ratio"] == pytest.approx(row["frames"] / row["decoding"])
    with pytest.raises(ClipError, match="shorter than a window"):
        frames.measure(Settings(model=str(random_bundle)), make_clip(tmp_path / "b.mp4", seconds=0.1), rounds=1)


def test_a_build_that_fails_is_named(tmp_path: Path) -> None:
    build = against.Build("this", HERE, tmp_path)
    with pytest.raises(FoleygenError, match="add-sound failed"):
        build.run("add-sound", tmp_path / "missing.mp4")
    with pytest.raises(UsageError, match="no checkout of foleygen"):
        against.measure(tmp_path, tmp_path / "a.mp4", 1, tmp_path, lambda *_: [])


def test_each_build_runs_its_own_code(tmp_path: Path) -> None:
    other = tmp_path / "other" / "foleygen"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "__main__.py").write_text("print('the other one')\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert against.Build("that", other.parent, scratch).run("--version").printed == "the other one\n"
    assert "foleygen" in against.Build("this", HERE, scratch).run("--version").printed


def test_both_builds_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    ran: list[str] = []

    def run(build: against.Build, *arguments: str | Path) -> against.Run:
        ran.append(f"{build.name} {arguments[0]}")
        printed = json.dumps({"event": "clip_done", "seconds": 2.0 if build.name == "this" else 5.0})
        return against.Run(3.0 if build.name == "this" else 6.0, 1.0, 2**20, printed)

    monkeypatch.setattr(against.Build, "run", run)
    measured = against.measure(HERE, tmp_path / "a.mp4", 2, tmp_path, lambda *_: [tmp_path / "shot.mp4"])
    assert ran[:4] == ["that cache", "that add-sound", "that add-sound", "that preview"]
    assert len(ran) == 3 * 2 * 4
    row = measured["rows"]["cold: first frame read to file closed, s"]
    assert (row["this"]["median"], row["that"]["median"], row["ratio"]["median"]) == (2.0, 5.0, 2.5)
    against.show(measured)
    printed = capsys.readouterr().out
    assert "2.50 (2.50-2.50)" in printed
    assert "1.0 MB" in printed
