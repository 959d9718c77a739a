"""``foleygen bench --against``: this build and another checkout, each a process of its own, in turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import foleygen
from foleygen.errors import FoleygenError, UsageError

SHOT = ("--count=1", "--seconds=6", "--size=480x270")
"""The shot that is previewed."""
_KIB = 1024
_PROGRAM = (sys.executable, "-m", "foleygen")


@dataclass(frozen=True)
class Run:
    """What one process took: seconds by the clock and of its processors, and the memory of its largest process."""

    wall: float
    processor: float
    peak_bytes: int
    printed: str


@dataclass(frozen=True)
class Build:
    """A checkout that is run with this interpreter, with a cache of its own below ``scratch``."""

    name: str
    checkout: Path
    scratch: Path

    def run(self, *arguments: str | Path) -> Run:
        """``foleygen ARGUMENTS``. Raises FoleygenError where it fails, with the last line that it wrote."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.checkout),
            "FOLEYGEN_CACHE_DIR": str(self.scratch / "cache"),
        }
        output, errors = self.scratch / "stdout", self.scratch / "stderr"
        with open(output, "wb") as out, open(errors, "wb") as err:
            began = time.monotonic()
            # With -m the current folder is looked into before PYTHONPATH: it must be the build's own.
            process = subprocess.Popen(
                [*_PROGRAM, *map(str, arguments)],
                cwd=self.checkout,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            lines = errors.read_text(errors="replace").strip().splitlines() or ["no message"]
            raise FoleygenError(f"{self.checkout}: {' '.join(map(str, arguments[:1]))} failed: {lines[-1]}")
        # Linux counts the largest resident set in KiB, macOS in bytes.
        peak = used.ru_maxrss * (1 if sys.platform == "darwin" else _KIB)
        return Run(wall, used.ru_utime + used.ru_stime, peak, output.read_text(errors="replace"))


def measure(
    checkout: Path, clip: Path, rounds: int, scratch: Path, draw: Callable[..., Sequence[Path]]
) -> dict[str, Any]:
    """Each row of the table, for both builds, ``rounds`` times in turns after one that is not counted.

    ``draw(folder, *options)`` makes the shot that is previewed. Raises UsageError where ``checkout`` holds no foleygen.
    """
    if not (checkout / "foleygen" / "__main__.py").is_file():
        raise UsageError(f"{checkout}: is no checkout of foleygen", "name the folder that holds foleygen/")
    clip, shot = clip.absolute(), draw(scratch / "shot", *SHOT)[-1].absolute()
    here = Path(foleygen.__file__).resolve().parent.parent
    builds = []
    for name, folder in (("this", here), ("that", checkout.resolve())):
        place = scratch / name
        place.mkdir()
        builds.append(Build(name, folder, place))
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds + 1):
        for build in builds if number % 2 else reversed(builds):
            for row, value in _round(build, clip, shot, number):
                if number:
                    rows[row][build.name].append(value)
    return {
        "clip": clip.name,
        "rounds": rounds,
        "that": str(checkout),
        "rows": {row: _summed(rows[row]) for row in rows},
    }


def _round(build: Build, clip: Path, shot: Path, number: int) -> Iterator[tuple[str, float]]:
    """The figures of one round by name: seconds, or bytes."""
    folder = build.scratch / f"round{number}"
    build.run("cache", "clear")
    cold = build.run("add-sound", clip, "-o", folder / "cold", "--json")
    cached = build.run("add-sound", clip, "-o", folder / "cached", "--json")
    yield "cold: first frame read to file closed, s", _seconds(cold)
    yield "cached: the same, s", _seconds(cached)
    yield "cold: whole process, s", cold.wall
    yield "cold: processor time, s", cold.processor
    yield "cold: peak memory, bytes", float(cold.peak_bytes)
    yield "preview of 6 s: whole process, s", build.run("preview", shot, "-o", folder / "preview").wall


def _seconds(run: Run) -> float:
    """What the clip took, as the run's own events tell."""
    events = [json.loads(line) for line in run.printed.splitlines()]
    return float(next(event["seconds"] for event in events if event["event"] == "clip_done"))


def _summed(values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Medians and ranges of both builds, and of the ratios of their rounds (that / this)."""
    ratios = [that / this for this, that in zip(values["this"], values["that"], strict=True)]
    return {
        name: {"median": statistics.median(found), "least": min(found), "most": max(found)}
        for name, found in (("this", values["this"]), ("that", values["that"]), ("ratio", ratios))
    }


def show(measured: Mapping[str, Any]) -> None:
    """The measurement as a table on stdout."""
    from foleygen.cli.terminal.streams import write_result, write_table

    write_result(
        f"{measured['clip']}, {measured['rounds']} rounds in turns against {measured['that']}; medians (range)"
    )
    rows = [("WHAT", "THIS", "THAT", "THAT / THIS")]
    for name, row in measured["rows"].items():
        what, unit = name.rsplit(", ", 1)
        cells = [_ranged(row[build], unit) for build in ("this", "that")]
        ratio = row["ratio"]
        rows.append((what, *cells, f"{ratio['median']:.2f} ({ratio['least']:.2f}-{ratio['most']:.2f})"))
    write_table(rows, right=(1, 2, 3))


def _ranged(figure: Mapping[str, float], unit: str) -> str:
    """The median, and the range in brackets, in seconds or bytes."""
    from foleygen.cli.terminal.reading import byte_size

    median, least, most = (
        byte_size(int(figure[key])) if unit == "bytes" else f"{figure[key]:.2f} s"
        for key in ("median", "least", "most")
    )
    return f"{median} ({least} to {most})"
