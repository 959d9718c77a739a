"""SIGINT and SIGTERM in the middle of a batch: the right code, and nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from foleygen.cli.app import run
from foleygen.errors import ExitCode

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent


def start(folder: Path, bundle: Path, *prefix: str) -> subprocess.Popen[str]:
    arguments = ["-m", "foleygen", "add-sound", "clips", "--json", "--no-cache", "--model", str(bundle)]
    # a job in the background is born with SIGINT ignored, and would hand that down
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [*prefix, sys.executable, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def stop_at(
    process: subprocess.Popen[str], event: str, stage: str | None, signum: int, group: bool = False
) -> tuple[int, list[str], str]:
    """Send ``signum`` at the first such event; the exit code, the names of all events, and stderr.

    ``group``: to every process of the batch, as a terminal and some farms do, not just to the first.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    names, sent = [], []
    with process:
        try:
            for line in process.stdout:
                said = json.loads(line)
                names.append(said["event"])
                if said["event"] == event and stage in (None, said.get("stage")) and signum not in sent:
                    (os.killpg if group else os.kill)(process.pid, signum)
                    sent.append(signum)
            errors = process.stderr.read()
            process.wait()
        finally:
            process.kill()
    return process.returncode, names, errors


@pytest.mark.parametrize(
    ("signum", "code", "stage", "group"),
    [
        (signal.SIGTERM, ExitCode.TERMINATED, "muxing", False),
        (signal.SIGTERM, ExitCode.TERMINATED, "features", True),
        (signal.SIGINT, ExitCode.INTERRUPTED, "sampling", True),
    ],
)
def test_a_stopped_batch_leaves_only_whole_files(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, signum: int, code: ExitCode, stage: str, group: bool
) -> None:
    clips = [make_clip(tmp_path / "clips" / f"{number}.mp4", seconds=2, shade=number) for number in range(4)]
    before = [clip.read_bytes() for clip in clips]
    ended, names, errors = stop_at(start(tmp_path, random_bundle), "progress", stage, signum, group)
    assert ended == code
    assert names[-1] == "summary"
    assert names.count("clip_done") < len(clips)
    assert errors.splitlines()[-1].startswith(f"error: stopped by {signal.Signals(signum).name};")
    assert "Traceback" not in errors
    assert [clip.read_bytes() for clip in clips] == before
    left = {path.name for path in (tmp_path / "clips").iterdir()} - {clip.name for clip in clips}
    done = {path.removesuffix(".foley.json") for path in left if path.endswith(".foley.json")}
    whole = {f"{name}.foley.{suffix}" for name in done for suffix in ("mp4", "json")}
    assert left <= whole | {f"{number}.foley.mp4" for number in range(4)}
    from foleygen.media.probe import probe

    assert all(probe(tmp_path / "clips" / name).audio_streams == 1 for name in left if name.endswith(".mp4"))


def test_a_background_job_ignores_the_keyboard(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    process = start(tmp_path, random_bundle, *ignoring)
    ended, names, _ = stop_at(process, "start", None, signal.SIGINT)
    assert (ended, names[-1]) == (0, "summary")
    assert (tmp_path / "clips" / "a.foley.mp4").is_file()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_handled_as_before_once_a_command_has_ended(
    signum: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signum)
    try:
        signal.signal(signum, signal.default_int_handler)
        assert run(["--version"]) == ExitCode.OK
        assert signal.getsignal(signum) is signal.default_int_handler
    finally:
        signal.signal(signum, before)


FORKED = """
import os, signal, sys, time
from foleygen.cli.app import _stopped_by_signals
with _stopped_by_signals():
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        while True:
            try:
                os.write(told, b"x")
                time.sleep(600)
            except BaseException:  # as destructors do, whose exceptions are printed and gone
                pass
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_ends_by_the_signal_and_not_by_an_exception() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(-signal.SIGTERM), "")


LOST = """
import os, signal, sys
from foleygen.cli import app

class Lost:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

class Told:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGTERM)

def in_a_destructor(*arguments, **named):
    Lost()
    return 0

def in_the_body_of_a_class(*arguments, **named):
    class Body:
        told = Told()

sys.unraisablehook = lambda lost: None
app.cli.main = globals()[sys.argv[1]]
sys.exit(app.run([]))
"""


@pytest.mark.parametrize("place", ["in_a_destructor", "in_the_body_of_a_class"])
def test_a_signal_is_obeyed_where_its_exception_is_lost(place: str) -> None:
    command = [sys.executable, "-c", LOST, place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = "error: stopped by SIGTERM; nothing is half-written, the same command goes on\n"
    assert (done.returncode, done.stderr) == (ExitCode.TERMINATED, said)


EARLY = """
import os, signal, sys
from foleygen.batch import isolate
from foleygen.cli import app

class Lost:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

def before_the_first_clip(desk, begin=isolate._Desk.begin):
    begin(desk)
    Lost()

def with_the_worker(child, begin=isolate._Child._begin):
    begin(child)
    os.kill(os.getpid(), signal.SIGTERM)

sys.unraisablehook = lambda lost: None
if __name__ == "__main__":
    if sys.argv.pop(1) == "lost":
        isolate._Desk.begin = before_the_first_clip
    else:
        isolate._Child._begin = with_the_worker
    sys.exit(app.run(sys.argv[1:]))
"""


@pytest.mark.parametrize("when", ["lost", "raised"])
def test_a_signal_is_obeyed_while_the_worker_begins(
    when: str, tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    (tmp_path / "early.py").write_text(EARLY)
    arguments = [sys.executable, "early.py", when, "add-sound", "clips", "--no-cache", "--model", str(random_bundle)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == ExitCode.TERMINATED, done.stderr
    assert "stopped by SIGTERM" in done.stderr
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["a.mp4"]
