"""Batches on a Ray cluster: how clips are dealt and tried again, and real runs on a cluster that is started here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import start

from foleygen import __version__
from foleygen.batch import run
from foleygen.batch.discover import Clip, discover
from foleygen.batch.events import ENDS, ClipFailed, ClipSkipped, Event, Loading, Opened
from foleygen.batch.plan import Planned
from foleygen.cli import app
from foleygen.errors import Interrupted, SetupError
from foleygen.farm import cluster as cluster_module
from foleygen.farm import ray_pool
from foleygen.farm.actor import ClipActor
from foleygen.farm.ray_pool import TRIES, Desk, Share, share_of
from foleygen.settings import Settings

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent
ACTOR = "ray::ClipActor"
STEPS = 40
"""Denoising steps that keep an actor busy for a moment."""


# Dealing


def clips(count: int) -> list[Planned]:
    return [Planned(Clip(Path(f"{number}.mp4")), Path(f"{number}.foley.mp4")) for number in range(count)]


@given(st.integers(0, 12), st.integers(1, 5), st.dictionaries(st.integers(0, 11), st.integers(1, 5)), st.data())
def test_every_clip_ends_once_whoever_dies(count: int, seats: int, deaths: dict[int, int], data: st.DataObject) -> None:
    """``deaths``: how often the actor of a clip dies before the clip is done."""
    heard: list[Event] = []
    desk = Desk(clips(count), heard.append)
    left = dict(deaths)
    opened = desk.read_ahead(seats)
    free, busy = list(range(opened)), {}
    while not desk.is_done:
        while free and (item := desk.order(free[0])) is not None:
            busy[free.pop(0)] = item
        if not busy:
            break
        seat = data.draw(st.sampled_from(sorted(busy)))
        item = busy.pop(seat)
        number = int(item.clip.path.stem)
        if left.get(number, 0):
            left[number] -= 1
            desk.bury(seat, "killed")
            free.append(opened)
            opened += 1
        else:
            desk.hear(seat, ClipSkipped(item.clip.path, item.output, "done"))
            free.append(seat)
    assert desk.is_done
    ended = [event for event in heard if isinstance(event, ENDS)]
    assert sorted(event.output for event in ended) == sorted(item.output for item in clips(count))
    failed = {int(event.clip.stem) for event in ended if isinstance(event, ClipFailed)}
    assert failed == {number for number, times in deaths.items() if number < count and times >= TRIES}


def test_a_death_while_the_model_is_loaded_is_no_clips_fault() -> None:
    heard: list[Event] = []
    desk = Desk(clips(2), heard.append)
    desk.read_ahead(2)
    for seat in range(TRIES):
        assert desk.order(seat) is not None
        desk.hear(seat, Loading(done=False))
        if seat + 1 < TRIES:
            desk.bury(seat, "killed")
    with pytest.raises(SetupError, match=f"{TRIES} actors in a row ended before they could work"):
        desk.bury(TRIES - 1, "killed")
    assert heard == [Loading(done=False)]


def test_what_each_actor_says_of_its_model_is_told_once() -> None:
    heard: list[Event] = []
    desk = Desk(clips(2), heard.append)
    for seat in range(desk.read_ahead(4)):
        desk.order(seat)
        desk.hear(seat, Opened("tiny", None))
    assert heard == [Opened("tiny", None)]


@pytest.mark.parametrize(
    ("resources", "device", "share"),
    [
        ({"CPU": 64.0, "GPU": 4.0}, "auto", Share(4, 1, 1)),
        ({"CPU": 64.0, "GPU": 4.0}, "cpu", Share(32, 2, 0)),
        ({"CPU": 5.0}, "auto", Share(2, 2, 0)),
        ({"CPU": 1.0}, "auto", Share(1, 1, 0)),
        ({}, "auto", Share(1, 1, 0)),
    ],
)
def test_a_gpu_or_two_cores_per_actor(resources: dict[str, float], device: str, share: Share) -> None:
    assert share_of(resources, device) == share


def test_a_cluster_without_the_gpu_that_was_asked_for() -> None:
    with pytest.raises(SetupError, match="has no GPU"):
        share_of({"CPU": 8.0}, "cuda")


# What cannot be used


def test_without_ray_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SetupError, match=r"pip install 'foleygen\[ray\]'"):
        ray_pool.work(Settings(ray="auto"), clips(1), lambda event: None)


def test_an_address_where_no_cluster_answers(
    tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    make_clip(tmp_path / "a.mp4")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert app.run(["add-sound", str(tmp_path), "--ray", address]) == 6
    assert f"--ray {address}: no cluster answers there" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:x", ":6379"])
def test_an_address_that_is_none(
    address: str, tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    make_clip(tmp_path / "a.mp4")
    assert app.run(["add-sound", str(tmp_path), "--ray", address]) == 2
    assert "is neither auto nor HOST:PORT" in capsys.readouterr().err


def test_a_head_that_was_stopped_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ray keeps the address of a head that a signal has ended."""
    with socket.socket() as closed, socket.socket() as alive:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        alive.bind(("127.0.0.1", 0))
        alive.listen()
        dead, living = (f"127.0.0.1:{one.getsockname()[1]}" for one in (closed, alive))
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"{dead}\n")
        monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
        services = SimpleNamespace(find_gcs_addresses=lambda: {living, dead})
        ray = SimpleNamespace(_private=SimpleNamespace(services=services))
        assert cluster_module._known(ray)[0] == dead
        assert set(cluster_module._known(ray)) == {dead, living}
        assert cluster_module._answering([dead, living]) == living
        assert cluster_module._answering([dead, "nonsense", "host:99999999"]) is None
    assert f"no cluster answers at {dead} any more" in caplog.text


@pytest.mark.parametrize("found", [Interrupted(signal.SIGINT), SetupError("no cluster", "start one")])
def test_waiting_for_a_cluster_ends_at_once(found: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes connections need not be a cluster; Ray itself would go on asking, and hear no signal."""
    asked = threading.Event()
    done = threading.Event()

    def init(**options: object) -> None:
        asked.set()
        done.wait(60)

    if isinstance(found, Interrupted):

        def interrupting(thread: threading.Thread, timeout: float | None = None) -> None:
            assert asked.wait(10)
            raise found

        monkeypatch.setattr(threading.Thread, "join", interrupting)
    else:
        monkeypatch.setattr(cluster_module, "JOIN_S", 0.0)
    errors = (Interrupted, cluster_module._UnansweredError)
    with pytest.raises(errors):
        cluster_module._join(SimpleNamespace(init=init, exceptions=SimpleNamespace(RayError=OSError)), "host:1")
    done.set()


def test_an_actor_refuses_a_machine_that_does_not_fit(tmp_path: Path) -> None:
    actor = ClipActor(Settings(), 0)
    with pytest.raises(SetupError, match="install the same everywhere"):
        actor.ready(str(tmp_path), "0.0.0")
    with pytest.raises(SetupError, match=r"not on .* start from a folder that all machines of the cluster share"):
        actor.ready(str(tmp_path / "missing"), __version__)


# A real cluster


@dataclass(frozen=True)
class Cluster:
    address: str
    environment: dict[str, str]
    head: psutil.Process

    def actors(self) -> list[psutil.Process]:
        """The processes of the actors, wherever they are in their work."""
        found = []
        for process in self.head.children(recursive=True):
            with suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith(ACTOR):
                    found.append(process)
        return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with four cores, a home of its own and a token in it; nothing of it is left afterwards."""
    pytest.importorskip("ray")
    home = Path(tempfile.mkdtemp(prefix="ray"))  # the paths of its sockets must be short
    environment = ray_environment(home)
    token = [sys.executable, "-m", "ray.scripts.scripts", "get-auth-token", "--generate"]
    head = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0", "--num-cpus=4"]
    head += ["--include-dashboard=false", "--object-store-memory=100000000", f"--temp-dir={home / 't'}"]
    subprocess.run(token, env=environment, check=True, capture_output=True, timeout=120)
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(head, env=environment, stdout=log, stderr=log, start_new_session=True)
    found = psutil.Process(process.pid)
    try:
        known = home / "t" / "ray_current_cluster"
        wait_for(lambda: "Ray runtime started" in (home / "log").read_text() and known.exists())
        yield Cluster(known.read_text().strip(), environment, found)
    finally:
        family = [found, *found.children(recursive=True)]
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        for member in family:
            with suppress(psutil.Error):
                member.kill()
        process.wait(10)
        _, alive = psutil.wait_procs(family, timeout=10)
        shutil.rmtree(home, ignore_errors=True)
    assert not alive


def ray_environment(home: Path) -> dict[str, str]:
    own = {"HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "FOLEYGEN_"))}
    return {**inherited, "PYTHONPATH": str(ROOT), **own}


def wait_for(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def read_until(process: subprocess.Popen[str], name: str, count: int) -> list[dict[str, Any]]:
    """The events up to the ``count``-th one with this name."""
    assert process.stdout is not None
    found: list[dict[str, Any]] = []
    while [event["event"] for event in found].count(name) < count:
        line = process.stdout.readline()
        assert line, process.communicate()
        found.append(json.loads(line))
    return found


def finish(process: subprocess.Popen[str], events: list[dict[str, Any]]) -> tuple[int, list[dict[str, Any]], str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, events + [json.loads(line) for line in out.splitlines()], err


def lasting(sidecar: Path) -> dict[str, Any]:
    """What a sidecar says, apart from when and in how long it was made."""
    document: dict[str, Any] = json.loads(sidecar.read_text())
    return {key: value for key, value in document.items() if key not in ("seconds", "stages_s", "output_stamp")}


@pytest.mark.slow
def test_a_killed_actor_loses_and_doubles_nothing(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.mp4" for number in range(8)]
    for number, name in enumerate(names):
        make_clip(tmp_path / "clips" / name, seconds=0.5 + 0.25 * (number % 3), shade=20 * number)
    options = ["--steps", str(STEPS), "--ray", cluster.address]
    process = start(tmp_path, random_bundle, cluster.environment, "-o", "out", *options)
    try:
        events = read_until(process, "clip_start", 4)
        assert len(cluster.actors()) == 2
        maps = psutil.Process(process.pid).memory_maps()
        assert not [each.path for each in maps if "torch" in each.path], "the driver needs no model"
        victim = cluster.actors()[0]
        victim.send_signal(signal.SIGKILL)
        code, events, err = finish(process, events)
    finally:
        process.kill()
        process.wait()
    assert code == 0, err
    ends = [event for event in events if event["event"] in ("clip_done", "clip_skip", "clip_error")]
    assert sorted(Path(event["clip"]).name for event in ends) == names
    assert {event["event"] for event in ends} <= {"clip_done", "clip_skip"}
    assert "its Ray actor died" in err
    assert events[-1]["event"] == "summary"
    assert victim not in cluster.actors()

    monkeypatch.chdir(tmp_path)
    alone = Settings(output=Path("alone"), model=str(random_bundle), steps=STEPS, cache=False)
    assert run.run(discover([Path("clips")]), alone, lambda event: None).exit_code == 0
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == sorted(path.name for path in (tmp_path / "alone").iterdir())
    for name in made:
        ours, theirs = tmp_path / "out" / name, tmp_path / "alone" / name
        if name.endswith(".json"):
            assert lasting(ours) == lasting(theirs)
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name


@pytest.mark.slow
def test_a_signal_stops_the_actors_cleanly(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, cluster: Cluster
) -> None:
    for number in range(3):
        make_clip(tmp_path / "clips" / f"{number}.mp4", seconds=2.0, shade=20 * number)
    options = ["-o", "out", "--steps", "1000", "--ray", cluster.address]
    process = start(tmp_path, random_bundle, cluster.environment, *options)
    try:
        events = read_until(process, "progress", 3)
        process.terminate()
        code, events, err = finish(process, events)
    finally:
        process.kill()
        process.wait()
    assert code == 143, err
    assert "stopped by SIGTERM; nothing is half-written" in err
    done = [Path(event["output"]) for event in events if event["event"] == "clip_done"]
    left = sorted((tmp_path / "out").rglob("*")) if (tmp_path / "out").exists() else []
    assert len(left) == 2 * len(done), left
    assert events[-1]["event"] == "summary"
    wait_for(lambda: not cluster.actors())


@pytest.mark.slow
def test_a_cluster_that_is_started_for_the_batch_goes_with_it(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, cluster: Cluster
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    (tmp_path / "clips" / "b.mp4").write_bytes(b"no video")
    environment = {**cluster.environment, "RAY_ADDRESS": "local"}  # else auto finds the one of the other tests
    process = start(tmp_path, random_bundle, environment, "-o", "out", "--ray", "auto")
    try:
        events = read_until(process, "clip_done", 1)
        family = psutil.Process(process.pid).children(recursive=True)
        assert "raylet" in [member.name() for member in family]
        code, events, err = finish(process, events)
    finally:
        process.kill()
        process.wait()
    assert code == 3, err
    assert [event["event"] for event in events if event["event"] == "clip_error"] == ["clip_error"]
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
