"""Clips that kill the process they are decoded in: the batch survives, and says which ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import start

from foleygen.batch import isolate
from foleygen.batch.discover import Clip
from foleygen.batch.events import ENDS, ClipFailed, ClipSkipped, Event, Loading
from foleygen.batch.plan import Planned
from foleygen.errors import ExitCode, SetupError
from foleygen.record import failures

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent

DEADLY = '''
"""Imported by Python before anything else: decoding a clip named die-SIGNAL kills the process."""
import importlib.abc, importlib.machinery, os, resource, signal, sys

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Loader(importlib.abc.Loader):
    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        read = module.read

        def deadly(info, *args, **kwargs):
            stem = info.path.stem
            if stem.startswith("die-"):
                os.kill(os.getpid(), getattr(signal, stem.split("-")[1]))
            return read(info, *args, **kwargs)

        module.read = deadly


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "foleygen.media.frames":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = Loader(spec.loader)
        return spec


sys.meta_path.insert(0, Finder())
'''


@pytest.fixture
def deadly(tmp_path: Path) -> dict[str, str]:
    """An environment in which clips named die-SIGNAL kill whoever decodes them."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(DEADLY)
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def finish(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]], str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err


def of(events: list[dict[str, Any]], name: str) -> list[str]:
    return [Path(event["clip"]).name for event in events if event["event"] == name]


class DeathError(Exception):
    """The simulated child died."""


def live(desk: isolate._Desk, killers: set[int], ahead: int) -> None:
    """A child that holds up to ``ahead`` clips, and dies of the first killer that it works on."""
    while True:
        held: list[Planned] = []
        following: Any = None
        while True:
            while len(held) < ahead and isinstance(following := desk.order(), Planned):
                held.append(following)
            if not held:
                break
            item = held.pop(0)
            if int(item.clip.path.stem) in killers:
                raise DeathError
            desk.hear(ClipSkipped(item.clip.path, item.output, "done"))
        if following is None:
            return


@given(st.integers(0, 12), st.sets(st.integers(0, 11)), st.integers(1, 5))
def test_every_clip_ends_once_and_only_killers_fail(count: int, killers: set[int], ahead: int) -> None:
    heard: list[Event] = []
    clips = [Planned(Clip(Path(f"{number}.mp4")), Path(f"{number}.foley.mp4")) for number in range(count)]
    desk = isolate._Desk(iter(clips), heard.append)
    for _ in range(3 * count + 1):
        desk.begin()
        try:
            live(desk, killers, ahead)
        except DeathError:
            desk.bury(-signal.SIGSEGV)
        if desk.is_done:
            break
    assert desk.is_done
    ended = [event for event in heard if isinstance(event, ENDS)]
    assert sorted(event.output for event in ended) == sorted(item.output for item in clips)
    failed = {int(event.clip.stem) for event in ended if isinstance(event, ClipFailed)}
    assert failed == killers & set(range(count))


def test_a_death_while_the_model_is_loaded_is_no_clips_fault() -> None:
    desk = isolate._Desk(iter([Planned(Clip(Path("a.mp4")), Path("a.foley.mp4"))]), lambda event: None)
    desk.begin()
    first = desk.order()
    assert isinstance(first, Planned)
    assert not first.alone
    desk.hear(Loading(done=False))
    desk.bury(-signal.SIGKILL)  # a clip that was decoded meanwhile may have done it
    desk.begin()
    again = desk.order()
    assert isinstance(again, Planned)
    assert again.alone
    desk.hear(Loading(done=False))
    with pytest.raises(SetupError, match="was killed by SIGKILL while it loaded the model; if memory ran out"):
        desk.bury(-signal.SIGKILL)


def test_a_clip_that_kills_while_the_model_is_loaded_is_at_fault_once_it_is_alone() -> None:
    heard: list[Event] = []
    desk = isolate._Desk(iter([Planned(Clip(Path("a.mp4")), Path("a.foley.mp4"))]), heard.append)
    desk.begin()
    desk.order()
    desk.hear(Loading(done=False))
    desk.bury(-signal.SIGSEGV)
    desk.begin()
    desk.order()
    desk.hear(Loading(done=False))
    desk.hear(Loading(done=True))
    desk.bury(-signal.SIGSEGV)
    (failed,) = [event for event in heard if isinstance(event, ClipFailed)]
    assert "was killed by SIGSEGV on it" in str(failed.error)
    assert desk.order() is None
    assert desk.is_done


@pytest.mark.slow
def test_a_clip_that_kills_its_process_is_reported_and_the_rest_is_done(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, deadly: dict[str, str]
) -> None:
    names = ["a.mp4", "die-SIGSEGV.mp4", "m.mp4", "z.mp4"]
    for number, name in enumerate(names):
        make_clip(tmp_path / "clips" / name, shade=number)
    code, events, errors = finish(start(tmp_path, random_bundle, deadly))
    assert code == ExitCode.SOME_FAILED
    assert sorted(of(events, "clip_done")) == ["a.mp4", "m.mp4", "z.mp4"]
    assert of(events, "clip_error") == ["die-SIGSEGV.mp4"]
    (error,) = (event for event in events if event["event"] == "clip_error")
    assert error["type"] == "ClipError"
    assert "SIGSEGV" in error["message"]
    assert [event["event"] for event in events].count("start") == 1
    assert (events[-1]["event"], events[-1]["done"], events[-1]["failed"]) == ("summary", 3, 1)
    assert "Traceback" not in errors
    record = failures.read(tmp_path / "clips" / "die-SIGSEGV.foley.mp4")
    assert record is not None
    assert "SIGSEGV" in record["message"]
    assert not list((tmp_path / "clips").glob(".part-*"))


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def first_progress(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if json.loads(line)["event"] == "progress":
            return


def test_a_killed_parent_takes_its_worker_along(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, deadly: dict[str, str]
) -> None:
    for number in range(6):
        make_clip(tmp_path / "clips" / f"{number}.mp4", seconds=2, shade=number)
    process = start(tmp_path, random_bundle, deadly)
    assert list(first_progress(process))
    children = descendants(process)
    assert children
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert not list((tmp_path / "clips").glob(".part-*"))


def test_a_worker_that_is_stopped_stops_the_batch(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, deadly: dict[str, str]
) -> None:
    for number in range(3):
        make_clip(tmp_path / "clips" / f"{number}.mp4", seconds=2, shade=number)
    process = start(tmp_path, random_bundle, deadly)
    assert list(first_progress(process))
    workers = [child for child in descendants(process) if "spawn_main" in " ".join(child.cmdline())]
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    code, events, errors = finish(process)
    assert len(workers) == 1
    assert (code, events[-1]["interrupted"]) == (ExitCode.TERMINATED, True)
    assert "Traceback" not in errors


def test_a_worker_that_cannot_start_is_no_clips_fault(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, deadly: dict[str, str]
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    site = tmp_path / "site" / "sitecustomize.py"
    site.write_text("import os, sys\nif 'spawn_main' in str(sys.orig_argv): os._exit(9)\n")
    code, events, errors = finish(start(tmp_path, random_bundle, deadly))
    assert code == ExitCode.ENVIRONMENT
    assert events == []
    assert errors.startswith("error: the worker process ended with code 9 before it had a clip; ")


def test_the_parent_does_not_import_the_models(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, deadly: dict[str, str]
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    told = tmp_path / "modules.txt"
    site = tmp_path / "site" / "sitecustomize.py"
    site.write_text(
        "import atexit, pathlib, sys\n"
        "if 'spawn_main' not in str(sys.orig_argv) and 'resource_tracker' not in str(sys.orig_argv):\n"
        f"    atexit.register(lambda: pathlib.Path({str(told)!r}).write_text(' '.join(sys.modules)))\n"
    )
    code, events, _ = finish(start(tmp_path, random_bundle, deadly))
    assert (code, events[-1]["done"]) == (0, 1)
    modules = told.read_text().split()
    assert "foleygen.batch.isolate" in modules
    assert not {"torch", "diffusers", "scipy"} & set(modules)
