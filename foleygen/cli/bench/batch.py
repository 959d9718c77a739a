"""``foleygen bench --batch``: what is gained where the next clips are decoded while one is sampled."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.errors import NoClipsError
from foleygen.settings import Settings

if TYPE_CHECKING:
    from foleygen.pipeline import Engine, Job

COUNT = 20
"""Clips that are drawn where there are none."""


def measure(settings: Settings, folder: Path, scratch: Path, draw: Callable[..., Sequence[Path]]) -> dict[str, Any]:
    """Seconds of each stage and of the whole, for the clips of ``folder`` one by one and then together.

    Each way has an empty feature cache. ``draw(folder, *options)`` makes sample clips where there are none.
    """
    from foleygen.batch.discover import discover
    from foleygen.batch.loading import batch_size, load_bundle, load_engine

    clips = [clip.path for clip in discover([folder])] if folder.is_dir() else []
    clips = clips or list(draw(folder, f"--count={COUNT}"))
    if not clips:
        raise NoClipsError(f"{folder}: no clip found", "name a folder with some, or one that is not there")
    engine = load_engine(settings, load_bundle(settings))
    size = batch_size(settings, engine.device)
    _run(clips[:1], engine, settings, size, scratch / "warm")
    alone = _Taken()
    for number, clip in enumerate(clips):
        alone.add(_run([clip], engine, settings, size, scratch / f"alone{number}"))
    together = _run(clips, engine, settings, size, scratch / "together")
    return {
        "folder": str(folder),
        "clips": len(clips),
        "clip_seconds": round(together.clips, 3),
        "model": engine.bundle.name,
        "device": engine.device,
        "batch_size": size,
        "one_by_one": alone.row(),
        "together": together.row(),
    }


def show(measured: Mapping[str, Any]) -> None:
    """The measurement as a table on stdout."""
    from foleygen.cli.terminal.reading import real_time
    from foleygen.cli.terminal.streams import write_result, write_table

    alone, together = measured["one_by_one"], measured["together"]
    setting = f"{measured['model']} on {measured['device']}, batch {measured['batch_size']}"
    write_result(f"{measured['clips']} clips, {measured['clip_seconds']:.1f} s; {setting}")
    rows = [("STAGE", "ONE BY ONE s", "TOGETHER s")]
    rows += [(name, f"{alone[name]:.2f}", f"{together.get(name, 0.0):.2f}") for name in alone]
    write_table(rows, right=(1, 2))
    pace = real_time(measured["clip_seconds"], together["wall"])
    gain = alone["stages"] / together["wall"]
    write_result(f"together {pace}, {gain:.2f} times as fast as the sum of the stages one by one")


@dataclass
class _Taken:
    """Seconds of work by stage, by the clock, and of the clips."""

    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    wall: float = 0.0
    clips: float = 0.0

    def add(self, other: _Taken) -> None:
        for name, seconds in other.stages.items():
            self.stages[name] += seconds
        self.wall += other.wall
        self.clips += other.clips

    def row(self) -> dict[str, float]:
        named = {**self.stages, "stages": sum(self.stages.values()), "wall": self.wall}
        return {name: round(seconds, 3) for name, seconds in named.items()}


def _run(clips: Sequence[Path], engine: Engine, settings: Settings, size: int, folder: Path) -> _Taken:
    from foleygen.features.cache import FeatureCache
    from foleygen.media.probe import probe
    from foleygen.pipeline import Job, render

    taken = _Taken()

    def jobs() -> Iterator[Job]:
        for number, clip in enumerate(clips):
            before = time.monotonic()
            info = probe(clip, settings.max_pixels)
            taken.stages["probing"] += time.monotonic() - before
            yield Job(info, folder / f"{number}{clip.suffix}")

    began = time.monotonic()
    cache = FeatureCache(folder / "cache")
    for outcome in render(jobs(), engine, settings.render_settings(size), cache, lambda progress: None):
        if outcome.error is not None:
            raise outcome.error
        for name, seconds in outcome.stages.items():
            taken.stages[name] += seconds
        taken.clips += outcome.duration
    taken.wall = time.monotonic() - began
    return taken
