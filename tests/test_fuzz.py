"""Damaged clips end in a finished clip or in one sentence; nothing crashes, hangs or is left half-written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from clips import write_clip
from fuzz import MUTATORS, campaign, mutated
from hypothesis import given, settings
from hypothesis import strategies as st

COUNT = 300
NO_WORSE = {"done", "refused", "long"}


def _mp4(path: Path) -> Path:
    return write_clip(path, 12, sound=[16000], metadata={"title": "a", "timecode": "01:00:00:00"})


def _small(codec: str, pixel_format: str) -> Callable[[Path], Path]:
    return lambda path: write_clip(path, 12, codec=codec, pixel_format=pixel_format, b_frames=0)


SOURCES: dict[str, Callable[[Path], Path]] = {
    "a.mp4": _mp4,
    "index_first.mp4": lambda path: write_clip(path, 12, index_first=True, cover=True),
    "edited.mov": lambda path: write_clip(path, 12, shift=Fraction(-1, 5), sound=[16000]),
    "b.mov": _small("prores_ks", "yuv422p10le"),
    "c.mkv": lambda path: write_clip(path, 12, sound=[48000], second_size=(32, 32)),
    "d.webm": _small("libvpx-vp9", "yuv420p"),
    "e.avi": lambda path: write_clip(path, 12, codec="mpeg4", b_frames=0, sound=[16000]),
    "f.ts": lambda path: write_clip(path, 12, sound=[16000]),
    "g.gif": _small("gif", "rgb8"),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    return [make(folder / name) for name, make in SOURCES.items()]


@pytest.mark.slow
def test_damaged_clips_are_finished_or_refused(sources: list[Path], tmp_path: Path) -> None:
    cases = list(campaign(sources, COUNT, 0, tmp_path))
    worse = [case for case in cases if case.verdict.outcome not in NO_WORSE]
    assert not worse, worse
    outcomes = Counter(case.verdict.outcome for case in cases)
    assert sum(outcomes.values()) == COUNT
    # Otherwise the mutations are too mild or too rough to find anything.
    assert min(outcomes["done"], outcomes["refused"]) > COUNT // 10
    assert {case.mutation for case in cases} == {mutator.__name__ for mutator in MUTATORS}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif("FOLEYGEN_SHARED" not in os.environ, reason="FOLEYGEN_SHARED names no collection of clips")
def test_damaged_real_clips_are_finished_or_refused(tmp_path: Path) -> None:
    files = sorted(Path(os.environ["FOLEYGEN_SHARED"], "media").rglob("*.*"))
    collected = [path for path in files if path.suffix != ".tsv" and 0 < path.stat().st_size <= 1_000_000]
    worse = [case for case in campaign(collected, COUNT, 0, tmp_path) if case.verdict.outcome not in NO_WORSE]
    assert not worse, worse


def test_whole_clips_are_done(sources: list[Path], tmp_path: Path) -> None:
    from fuzz import examine

    for source in sources:
        (tmp_path / source.name).mkdir()
        assert examine(source, tmp_path / source.name).outcome == "done", source.name


def test_a_mutation_is_the_same_for_the_same_number(sources: list[Path]) -> None:
    for source in sources:
        content = source.read_bytes()
        copies = [mutated(content, number) for number in range(40)]
        assert copies == [mutated(content, number) for number in range(40)]
        assert len({copy for _, copy in copies}) > 30
        assert content == source.read_bytes()


@given(content=st.binary(min_size=1, max_size=600), number=st.integers(0, 10_000))
@settings(deadline=None)
def test_anything_can_be_mutated(content: bytes, number: int) -> None:
    name, copy = mutated(content, number)
    assert name in {mutator.__name__ for mutator in MUTATORS}
    assert len(copy) <= 2 * len(content)
