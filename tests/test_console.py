"""What a batch looks like on a terminal, in a pipe and as JSON, and the drawings of a preview."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rich.console import Console as Terminal

from foleygen.batch import events
from foleygen.batch.events import Report
from foleygen.cli.terminal import plots, reading, views
from foleygen.cli.terminal.bars import BarView
from foleygen.cli.terminal.console import open_console, summary
from foleygen.cli.terminal.streams import is_interactive
from foleygen.cli.terminal.views import EventView, LineView
from foleygen.errors import ClipError, printable
from foleygen.facts import UNMEASURED, Lasting, Loudness, Obedience, Take
from foleygen.settings import Settings

MakeClip = Callable[..., Path]
CLIP = Path("shots/a.mp4")
OUTPUT = Path("shots/a.foley.mp4")


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def done(**changes: Any) -> events.ClipDone:
    values = {
        "clip": CLIP,
        "output": OUTPUT,
        "sidecar": Path("x.json"),
        "duration": 20.0,
        "seconds": 5.0,
        "stages": {"sampling": 2.0},
        "windows": 3,
        "cached_windows": 0,
        "audio_codec": "aac",
        "loudness": Loudness(-23.04, 2.0, -2.5),
    }
    return events.ClipDone(**{**values, **changes})


def progress(share: float, stage: str = "sampling", clip: Path = CLIP) -> events.ClipProgress:
    return events.ClipProgress(clip, stage, share, 20.0)


def test_plain_lines_come_per_clip_and_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    view = LineView(clock)
    view.show(events.Started(2, "tiny"))
    view.show(events.ClipStarted(CLIP, OUTPUT, 20.0, None))
    for second in range(25):
        clock.now = 100.0 + second
        view.show(progress(second / 25))
    take = Take(1, Loudness(-30.0, None, -9.5), 0.0, 7.0, (), (), None)
    view.show(done(takes=(take, take)))
    view.show(done(loudness=UNMEASURED))
    assert capsys.readouterr().err.splitlines() == [
        "[1/2] shots/a.mp4: 20.0 s of picture",
        "  shots/a.mp4: sampling 40%, 0.8x real time, 15.0 s left",
        "  shots/a.mp4: sampling 80%, 0.8x real time, 5.0 s left",
        "  shots/a.foley.mp4: done in 5.0 s, 8.0x real time, -23.0 LUFS, peak -2.5 dBTP, 2 takes",
        "  shots/a.foley.mp4: done in 5.0 s, 4.0x real time",
    ]


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (None, ""),
        (Obedience(), ""),
        (Obedience(14, (1.0,)), ", 13 of 14 cues"),
        (Obedience(2, spotted=True), ", 2 of 2 cues that were seen"),
        (Obedience(lasting=1), ", 1 stretch"),
        (Obedience(3, lasting=2), ", 3 of 3 cues, 2 stretches"),
        (Obedience(3, lasting=2, silent=(Lasting(1.0, 2.0, "rain"),)), ", 3 of 3 cues, 1 of 2 stretches"),
        (Obedience(lasting=1, silent=(Lasting(1.0, 2.0, "rain"),)), ", 0 of 1 stretch"),
    ],
)
def test_a_line_tells_of_the_cues_and_stretches_that_there_are(kept: Obedience | None, told: str) -> None:
    take = Take(1, UNMEASURED, 0.0, 0.0, (), (), None, obedience=kept)
    assert views.levels(done(loudness=UNMEASURED, takes=(take,))) == told


def test_progress_events_are_not_a_flood(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    view = EventView(clock)
    for step in range(100):
        clock.now = 100.0 + step / 100
        view.show(progress(step / 100))
    view.show(progress(1.0, "muxing"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["done"] for line in lines] == [0.0, 0.5, 1.0]
    assert lines[-1] == {"v": 1, "event": "progress", "clip": str(CLIP), "stage": "muxing", "done": 1.0}


def test_clips_and_stages_that_take_turns_are_no_flood_either(capsys: pytest.CaptureFixture[str]) -> None:
    view = EventView(Clock())
    for step in range(100):
        stage = ("features", "sampling")[step % 2]
        view.show(progress(step / 100, stage, Path(f"{step // 2 % 2}.mp4")))
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_bars_show_clip_stage_speed_and_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERM", raising=False)
    clock, drawn = Clock(), io.StringIO()
    view = BarView(clock, Terminal(file=drawn, force_terminal=True, width=120, color_system=None, legacy_windows=False))
    view.show(events.Started(4, "tiny"))
    view.show(events.ClipStarted(CLIP, OUTPUT, 20.0, None))
    clock.now += 2.0
    view.show(progress(0.5))
    view.show(progress(0.5, "features", Path("shots/next.mp4")))
    view.message("error: [bold]b.mp4[/bold]: not a video file")
    view.show(events.ClipFailed(CLIP, OUTPUT, ClipError("b")))
    view.close()
    text = drawn.getvalue()
    assert "a.mp4" in text
    assert "sampling, 5.0x real time, 2.0 s left" in text
    assert "error: [bold]b.mp4[/bold]: not a video file" in text
    assert "1/4" in text
    assert "next.mp4" not in text


def test_the_summary_adds_up() -> None:
    failure = events.ClipFailed(CLIP, OUTPUT, ClipError("x"))
    report = Report(total=3, done=[OUTPUT], skipped=[OUTPUT], failed=[failure])
    report.sound_seconds, report.wall_seconds = 20.0, 5.0
    assert summary(report) == ["1 done, 1 skipped, 1 failed; 20.0 s of sound in 5.0 s (4.0x real time)"]
    report.total, report.elsewhere, report.timeline = 5, 7, Path("cut.otio")
    text, stopped, timeline = summary(report)
    assert text.endswith("; 5 of 12 clips were this run's")
    assert (stopped, timeline) == ("stopped after 1 failed; 2 not tried", "timeline: cut.otio")
    report.timeline = None
    report.interrupted, report.non_commercial = True, "CC-BY-NC-4.0"
    lines = summary(report)
    assert lines[0].startswith("interrupted: ")
    assert "non-commercial" in lines[1]


def test_the_summary_tells_of_stretches_without_their_sound() -> None:
    report = Report(total=2)
    fire = Lasting(1.0, 2.0, "fire")
    for found in (Obedience(3, (0.5,), lasting=2), None, Obedience(1, lasting=1, silent=(fire,))):
        report.hear(done(takes=(Take(1, UNMEASURED, 0.0, 0.0, (), (), None, obedience=found),)))
        told = summary(report)[0]
    assert told.endswith("; 3 of 4 cues kept; 2 of 3 stretches have their sound")
    report.stretches_heard = 3
    assert summary(report)[0].endswith("; 3 of 4 cues kept")


def test_warnings_of_the_package_and_of_clips_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with open_console(Settings()) as console:
        logging.getLogger("foleygen.features.cache").warning("a damaged entry\x1b[0m")
        console.listen(done(warnings=("two frames could not be decoded",)))
    with open_console(Settings(quiet=True)):
        logging.getLogger("foleygen.features.cache").warning("unheard")
    out, err = capsys.readouterr()
    assert "warning: a damaged entry\\x1b[0m\n" in err
    assert "warning: shots/a.mp4: two frames could not be decoded\n" in err
    assert "unheard" not in err
    assert out == f"{OUTPUT}\n"


class FakeStream(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("term", "interactive"), [("xterm", True), ("dumb", False), ("unknown", False), ("", False)])
def test_a_dumb_terminal_gets_no_bars(monkeypatch: pytest.MonkeyPatch, term: str, interactive: bool) -> None:
    monkeypatch.setenv("TERM", term)
    assert is_interactive(FakeStream()) == interactive
    assert not is_interactive(io.StringIO())


def on_terminal(arguments: list[str], folder: Path, code: int = 0, **environment: str) -> tuple[str, bytes]:
    """Run foleygen with its stderr on a pseudo-terminal; what the terminal got, and stdout."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "foleygen", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "COLUMNS": "100", **environment},
    )
    os.close(follower)
    seen = b"".join(_read(leader, process))
    os.close(leader)
    assert process.stdout is not None
    with process.stdout as out:
        result = out.read()
    assert process.wait() == code
    return seen.decode(), result


def _read(leader: int, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    while True:
        ready, _, _ = select.select([leader], [], [], 0.2)
        try:
            chunk = os.read(leader, 65536) if ready else b""
        except OSError:  # Linux: the last writer has closed the terminal
            return
        if not chunk and not ready and process.poll() is not None:
            return
        yield chunk


def test_a_real_terminal_gets_bars_and_stdout_stays_clean(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "a.mp4")
    arguments = ["add-sound", "a.mp4", "--model", str(random_bundle)]
    seen, out = on_terminal(arguments, tmp_path, TERM="xterm-256color")
    assert out == b"a.foley.mp4\n"
    assert "\x1b[" in seen
    assert "clips" in seen
    assert "1 done" in seen


def test_colour_and_motion_can_be_refused(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text("text")
    arguments = ["add-sound", "a.mp4", "b.mp4", "--dry-run", "--model", str(random_bundle)]
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    seen, _ = on_terminal(arguments, tmp_path, code=3, TERM="xterm-256color")
    assert colour.search(seen)
    seen, _ = on_terminal(arguments, tmp_path, code=3, TERM="xterm-256color", NO_COLOR="1")
    assert not colour.search(seen)
    assert "\x1b[" in seen
    seen, _ = on_terminal(arguments, tmp_path, code=3, TERM="dumb")
    assert "\x1b" not in seen
    assert "would do: a.foley.mp4" in seen


# Words and drawings


@given(st.text())
def test_readable_text_cannot_steer_a_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (99.94, "99.9 s"), (99.96, "1 min 40 s"), (3599.6, "1 h 00 min"), (7260, "2 h 01 min")],
)
def test_times(seconds: float, text: str) -> None:
    assert reading.clock_time(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e12, "2.5 TB")])
def test_sizes(count: float, text: str) -> None:
    assert reading.byte_size(count) == text


FLOATS = st.floats(0, 1, width=32)


@given(arrays.arrays(np.float32, st.integers(1, 200), elements=FLOATS), st.integers(1, 120))
def test_pooling_keeps_the_peak_and_invents_nothing(values: Any, width: int) -> None:
    found = plots.pooled(values, width)
    assert found.shape == (width,)
    assert found.max() == values.max()
    assert set(found) <= set(values)


@given(
    arrays.arrays(np.float32, st.integers(1, 60), elements=FLOATS),
    arrays.arrays(np.float32, st.integers(1, 500), elements=st.floats(-1, 1, width=32)),
    arrays.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 30)), elements=FLOATS),
    st.floats(0, 1000),
    st.floats(0.1, 20),
    st.integers(20, 160),
)
def test_a_drawing_never_leaves_its_width(
    motion: Any, samples: Any, mel: Any, start: float, seconds: float, width: int
) -> None:
    rows = plots.preview_rows(motion, samples, mel, start, seconds, width)
    assert len(rows) == 3 + 6 + 8 + 1
    assert max(len(row) for row in rows) <= width


def test_motion_waveform_and_mel_stand_over_each_other() -> None:
    width, inner = 109, 100
    motion, samples, mel = np.zeros(50, np.float32), np.zeros(8000, np.float32), np.zeros((16, 40), np.float32)
    motion[30], samples[4800:4960], mel[:, 24] = 1, 1, 1
    rows = plots.preview_rows(motion, samples, mel, 0.0, 5.0, width)
    places = []
    for row in (rows[0], rows[3], rows[9]):
        filled = [column for column, char in enumerate(row[9:]) if char not in " ░"]
        places.append(sum(filled) / len(filled))
    assert places == pytest.approx([0.61 * inner] * 3, abs=1.5)
    assert rows[-1][9:].startswith("╵0s")
    assert rows[-1][9 + 60 :].startswith("╵3s")


def test_bars_fill_in_eighths_from_below() -> None:
    values = np.array([0.0, 0.5, 0.75, 1.0], np.float32)
    assert plots.bar_rows(values, 2) == ["  ▄█", " ███"]
