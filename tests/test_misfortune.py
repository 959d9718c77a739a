"""What a machine and other programs do to a batch: streams, pipes, folders and files that go, limits, odd names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foleygen import atomic
from foleygen.batch import isolate, run
from foleygen.batch.discover import Clip
from foleygen.batch.events import ClipDone, Event, Report
from foleygen.batch.plan import plan
from foleygen.errors import ClipError, ExitCode, RetryableError, SetupError, UsageError, shortage
from foleygen.features.cache import FeatureCache
from foleygen.media import mux as muxing
from foleygen.record import failures, sidecar
from foleygen.settings import Settings

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent


def shell(line: str, folder: Path, bundle: Path | str = "") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``line``, in which ``foleygen`` is the program and ``$BUNDLE`` a model."""
    script = f'foleygen() {{ "{sys.executable}" -m foleygen "$@"; }}; {line}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "BUNDLE": str(bundle)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr


def do(clips: list[Clip], bundle: Path, hear: Callable[[Event], None] = lambda event: None, **changes: Any) -> Report:
    return run.run(clips, Settings(model=str(bundle), cache=False, **changes), hear)


# Standard streams


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">/dev/full", "2>/dev/full", ">&- 2>&- <&-"])
def test_the_work_goes_on_without_streams(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, streams: str
) -> None:
    make_clip(tmp_path / "a.mp4")
    code, out, err = shell(f"foleygen add-sound a.mp4 --model $BUNDLE --no-cache {streams}", tmp_path, random_bundle)
    assert code == ExitCode.OK
    assert sidecar.load(tmp_path / "a.foley.mp4").source == "a.mp4"
    assert "Traceback" not in out + err
    assert not (tmp_path / "a.foley.error.json").exists()


def test_a_result_that_cannot_be_printed_is_no_success(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    code, _, err = shell("foleygen plan . > /dev/full", tmp_path)
    assert code == ExitCode.TRY_AGAIN
    assert err == "error: stdout: cannot be written (No space left on device); what was to be printed there is lost\n"


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code, _, err = shell("cd gone && rmdir ../gone && foleygen add-sound x.mp4", tmp_path)
    assert (code, err) == (2, "error: the current folder is not there any more; go to another one\n")


# What is no regular file


@pytest.mark.parametrize("name", ["a.foley.json", "a.foley.error.json", "a.foley.mp4.json"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_is_no_record(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, name: str, make: Callable[[Path], None]
) -> None:
    clips = [Clip(make_clip(tmp_path / f"{stem}.mp4")) for stem in "ab"]
    make(tmp_path / name)
    report = do(clips, random_bundle)
    assert (tmp_path / "b.foley.mp4") in report.done
    if name == "a.foley.mp4.json":
        assert "was not made by foleygen" in report.failed[0].error.message
    else:
        assert report.exit_code == ExitCode.OK
    assert not (tmp_path / name).is_file()


def test_a_pipe_in_the_cache_is_not_waited_for(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    (tmp_path / "ab").mkdir()
    os.mkfifo(tmp_path / "ab" / "abc.npy")
    assert cache.get("abc") is None


def test_a_pipe_in_the_place_of_a_wav_or_a_timeline_is_not_waited_for(tmp_path: Path, random_bundle: Path) -> None:
    from finished import finish

    from foleygen.facts import take_file
    from foleygen.record import claims
    from foleygen.record.timeline import timeline

    made = finish(tmp_path, random_bundle, takes=2)
    take_file(made.output, 1).unlink()
    os.mkfifo(take_file(made.output, 1))
    assert claims.held(made.output, sidecar.read(made.output)) is None
    os.mkfifo(tmp_path / "reel.otio")
    with pytest.raises(UsageError, match="was not made by foleygen"):
        timeline.check(tmp_path / "reel.otio")


def test_takes_do_not_wait_for_a_pipe(tmp_path: Path, make_clip: MakeClip) -> None:
    from foleygen.record import finding

    os.mkfifo(tmp_path / "z.json")
    with pytest.raises(ClipError, match="no finished clip"):
        finding.find(make_clip(tmp_path / "a.mp4"))


# What goes while it is at work


def test_a_finished_clip_that_is_moved_away_is_done(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [Clip(make_clip(tmp_path / f"{stem}.mp4", shade=ord(stem))) for stem in "abc"]
    mux = muxing.mux

    def and_gone(*arguments: Any, **named: Any) -> Any:
        made = mux(*arguments, **named)
        arguments[3].unlink()
        return made

    monkeypatch.setattr("foleygen.pipeline.deliver.mux", and_gone)
    heard: list[Event] = []
    report = do(clips, random_bundle, heard.append)
    assert report.exit_code == ExitCode.OK
    assert len([event for event in heard if isinstance(event, ClipDone)]) == 3


def test_an_output_folder_that_is_removed_costs_its_clip_alone(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [Clip(make_clip(tmp_path / f"{stem}.mp4", shade=ord(stem))) for stem in "ab"]
    write, calls = sidecar.write, []

    def removed(output: Path, *rest: Any) -> Path:
        calls.append(output)
        if len(calls) == 1:
            raise FileNotFoundError(2, "No such file or directory", str(output))
        return write(output, *rest)

    monkeypatch.setattr(sidecar, "write", removed)
    report = do(clips, random_bundle, output=tmp_path / "out")
    assert report.exit_code == ExitCode.SOME_FAILED
    assert len(report.done) == 1


def test_what_is_removed_while_it_is_written_is_told(tmp_path: Path) -> None:
    def publish(path: Path, and_then: Callable[[Path], None]) -> None:
        with atomic.publish(path) as part:
            part.write_text("x")
            and_then(part)

    with pytest.raises(ClipError, match="removed while it was written"):
        publish(tmp_path / "x" / "a", lambda part: shutil.rmtree(part.parent))
    (tmp_path / "folder").mkdir()
    with pytest.raises(ClipError, match="a folder is in its place"):
        publish(tmp_path / "folder", lambda part: None)


def test_a_source_that_is_swapped_while_it_is_read_fails(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, other = make_clip(tmp_path / "a.mp4"), make_clip(tmp_path / "b.mp4", shade=99)
    from foleygen.pipeline import pictures

    read = pictures.read

    def swapped(*arguments: Any) -> Any:
        os.replace(other, clip)
        return read(*arguments)

    monkeypatch.setattr(pictures, "read", swapped)
    cache = tmp_path / "cache"
    monkeypatch.setenv("FOLEYGEN_CACHE_DIR", str(cache))
    report = run.run([Clip(clip)], Settings(model=str(random_bundle)), lambda event: None)
    assert "was replaced" in report.failed[0].error.message
    assert report.exit_code == ExitCode.ALL_FAILED
    assert not (tmp_path / "a.foley.mp4").exists()
    assert not list(cache.rglob("*.npy"))


def test_failures_are_found_where_the_output_folder_is_new(tmp_path: Path, random_bundle: Path) -> None:
    (tmp_path / "a.mp4").write_text("no clip")
    clip = Clip(tmp_path / "a.mp4")
    assert do([clip], random_bundle, output=tmp_path / "out").exit_code == ExitCode.ALL_FAILED
    assert failures.read(tmp_path / "out" / "a.foley.mp4") is not None
    assert do([clip], random_bundle, output=tmp_path / "out", retry_failed=True).total == 1
    do([Clip(tmp_path / "misspelt" / "a.mp4")], random_bundle)
    assert not (tmp_path / "misspelt").exists()


# What runs out


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(24, "Too many open files"), SetupError),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), SetupError),
        (ImportError("libtorch.so: failed to map segment from shared object"), RetryableError),
        (MemoryError(), RetryableError),
        (OSError(12, "Cannot allocate memory"), RetryableError),
        (RuntimeError("can't start new thread"), RetryableError),
        (OSError(28, "No space left on device"), RetryableError),
    ],
)
def test_what_the_machine_lacks_is_no_bug(error: Exception, kind: type[Exception]) -> None:
    assert isinstance(shortage(error, "x"), kind)
    wrapped = ValueError("x")
    wrapped.__cause__ = error
    assert isinstance(shortage(wrapped, "x"), kind)
    assert shortage(ValueError("x"), "x") is None


@pytest.mark.parametrize(
    ("limit", "codes"),
    [("ulimit -n 12", {ExitCode.ENVIRONMENT}), ("ulimit -v 700000", {ExitCode.TRY_AGAIN})],
)
def test_limits_are_one_sentence(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, limit: str, codes: set[int]
) -> None:
    make_clip(tmp_path / "a.mp4")
    code, _, err = shell(f"{limit}; foleygen add-sound a.mp4 --model $BUNDLE --no-cache", tmp_path, random_bundle)
    assert code in codes, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("error: ")


# Stopping


def test_a_worker_that_stands_still_ends_on_the_first_signal(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    from processes import start

    (tmp_path / "clips").mkdir()
    for number in range(4):
        make_clip(tmp_path / "clips" / f"{number}.mp4", seconds=2.0, shade=number * 20)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with start(tmp_path, random_bundle, environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "clip_start":
                break
        import psutil

        workers = [each for each in psutil.Process(process.pid).children() if "spawn_main" in " ".join(each.cmdline())]
        workers[0].send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == ExitCode.TERMINATED


def test_little_memory_is_told_from_a_bad_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (2**30, 2**30))
    assert isolate._fault(-signal.SIGABRT) is RetryableError
    assert isolate._fault(-signal.SIGKILL) is SetupError
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    assert isolate._fault(-signal.SIGABRT) is SetupError


# Names


@pytest.mark.parametrize(
    ("template", "seed"),
    [
        ("{stem}{seed:c}..{seed:c}outside", 47),
        ("{seed:c}", 47),
        ("a{seed:c}", 0),
        ("a{seed:c}", 10),
        ("a{seed:c}", 27),
        ("a{seed:c}", 0xD800),
        ("{stem}{seed:c}", 99999999999),
        ("{stem:{stem.nosuch}}", 0),
        ("{stem:{seed}}", 3),
        ("{seed:999999999}", 3),
        ("{stem!r:{ext}}", 3),
    ],
)
def test_a_name_leads_nowhere_else(tmp_path: Path, template: str, seed: int) -> None:
    with pytest.raises(UsageError, match="--name"):
        plan([Clip(tmp_path / "a.mp4")], Settings(name=template, seed=seed))


def test_a_line_break_of_the_clips_own_name_stays(tmp_path: Path) -> None:
    (planned,) = plan([Clip(tmp_path / "a\nb.mp4")], Settings(name="{stem}_{seed:05}"))
    assert planned.output.name == "a\nb_00000.mp4"
