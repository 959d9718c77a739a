"""What goes wrong on real machines, done for real: kills, full and read-only disks, odd names, two at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foleygen import atomic
from foleygen.errors import ClipError, ExitCode

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent
CLIPS = 12
KILLS = 20


def command(bundle: Path, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "foleygen", "add-sound", *map(str, arguments), "--json", "--model", str(bundle)]


def environment(scratch: Path) -> dict[str, str]:
    """Variables for a run whose cache and temporary files are below ``scratch``, where they can be looked for."""
    (scratch / "tmp").mkdir(parents=True, exist_ok=True)
    places = {"FOLEYGEN_CACHE_DIR": str(scratch / "cache"), "TMPDIR": str(scratch / "tmp")}
    return {**os.environ, **places, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(scratch: Path, bundle: Path, *arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, events and stderr of a whole run."""
    ended = subprocess.run(
        command(bundle, *arguments), env=environment(scratch), capture_output=True, text=True, timeout=1200, check=False
    )
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def named(events: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def movies(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in files(folder).items() if name.endswith(".foley.mp4")}


def strays(scratch: Path) -> list[Path]:
    temporary = scratch / "tmp"
    return [
        path for path in scratch.rglob("*") if path.is_file() and (atomic.is_part(path) or temporary in path.parents)
    ]


@dataclass(frozen=True)
class Undisturbed:
    """Finished clips by name, and how many events told of them."""

    movies: dict[str, bytes]
    events: int


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """Twelve clips of one to three windows."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(CLIPS):
        make_clip(folder / f"{number:02}.mp4", seconds=0.2 + number % 4 * 0.6, shade=number * 9)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, clips: Path, random_bundle: Path) -> Undisturbed:
    """A run that nothing disturbs."""
    scratch = tmp_path_factory.mktemp("undisturbed")
    code, events, errors = run(scratch, random_bundle, clips, "-o", scratch / "out")
    assert code == ExitCode.OK, errors
    made = movies(scratch / "out")
    assert len(made) == CLIPS
    return Undisturbed(made, len(events))


@pytest.fixture
def finished(undisturbed: Undisturbed) -> dict[str, bytes]:
    """The finished clips of a run that nothing disturbs."""
    return undisturbed.movies


def kill_after(events: int, delay_s: float, whole_group: bool, arguments: list[str], scratch: Path) -> None:
    """Start a run and kill -9 it ``delay_s`` after its n-th event: all its processes, or the first alone.

    Waits until the last process has ended.
    """
    process = subprocess.Popen(
        arguments, env=environment(scratch), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    for _ in range(events):
        process.stdout.readline()
    time.sleep(delay_s)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate(timeout=200)  # stderr ends with the last process that holds it


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_killed_batches_are_whole_after_a_rerun(
    tmp_path: Path, clips: Path, random_bundle: Path, undisturbed: Undisturbed
) -> None:
    finished = undisturbed.movies
    rng = random.Random(4)
    folders = []
    for kill in range(KILLS):
        folder = tmp_path / f"batch{kill:02}"
        shutil.copytree(clips, folder)
        arguments = command(random_bundle, folder, "--no-cache" if kill % 4 == 0 else "--cache")
        kill_after(rng.randrange(1, undisturbed.events), rng.random() * 0.05, kill % 2 == 0, arguments, tmp_path)
        folders.append(folder)
    before = {folder: movies(folder) for folder in folders}
    for folder, made in before.items():
        assert made.items() <= finished.items(), f"{folder.name}: something half-made is there"
        for sidecar in folder.glob("*.json"):
            json.loads(sidecar.read_bytes())
    assert len({len(made) for made in before.values()}) > 4, "the kills came at too much the same moment"
    code, events, errors = run(tmp_path, random_bundle, *folders)
    assert code == ExitCode.OK, errors
    assert len(named(events, "clip_done")) + len(named(events, "clip_skip")) == KILLS * CLIPS
    expected = {path.name for path in clips.iterdir()} | set(finished)
    expected |= {name.replace(".mp4", ".json") for name in finished}
    for folder in folders:
        assert movies(folder) == finished, folder.name
        assert {path.name for path in folder.iterdir()} == expected
    assert strays(tmp_path) == []


@pytest.mark.slow
def test_two_processes_on_one_folder(
    tmp_path: Path, clips: Path, random_bundle: Path, finished: dict[str, bytes]
) -> None:
    folder = shutil.copytree(clips, tmp_path / "shared")
    both = [
        subprocess.Popen(
            command(random_bundle, folder), env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in both:
        _, errors = process.communicate(timeout=280)
        assert process.returncode == ExitCode.OK, errors
    assert movies(folder) == finished
    for name in finished:
        assert json.loads((folder / name.replace(".mp4", ".json")).read_bytes())["output"] == name
    assert strays(tmp_path) == []
    assert len(list(folder.iterdir())) == 3 * CLIPS


def mounting(script: str, scratch: Path, *arguments: str | Path) -> str:
    """stdout of a shell script in a mount namespace of its own, where "$@" are the arguments; skips without root."""
    shell = shutil.which("unshare")
    if shell is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting needs root and unshare")
    probe = subprocess.run(
        [shell, "--mount", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, check=False, timeout=60
    )
    if probe.returncode:
        pytest.skip("mounting is not allowed here")
    ended = subprocess.run(
        [shell, "--mount", "sh", "-c", f"set -e\n{script}", "sh", *map(str, arguments)],
        env=environment(scratch),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_full_disk_at_the_mux(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    for number in range(3):
        make_clip(tmp_path / "clips" / f"{number}.mp4", seconds=1, shade=number)
    (tmp_path / "out").mkdir()
    script = """
    mount -t tmpfs -o size=96k tmpfs out
    head -c 60000 /dev/zero > out/filler
    "$@" && code=0 || code=$?
    echo "code $code"; ls -A out
    rm -f out/filler; mount -o remount,size=1m out
    "$@" && code=0 || code=$?
    echo "code $code"; ls -A out
    """
    arguments = command(random_bundle, "clips", "-o", "out", "--no-cache")
    said = mounting(f"cd {tmp_path}\n{script}", tmp_path, *arguments).splitlines()
    ends = [place for place, line in enumerate(said) if line.startswith("code ")]
    assert said[ends[0]] == f"code {int(ExitCode.TRY_AGAIN)}" or "clip_done" in "".join(said[: ends[0]])
    events = [json.loads(line) for line in said[: ends[0]]]
    errors = named(events, "clip_error")
    assert errors
    assert all("no space left" in json.dumps(event) for event in errors)
    left = [name for name in said[ends[0] + 1 : ends[1]] if not name.startswith("{")]
    done = {Path(event["output"]).stem for event in named(events, "clip_done")}
    assert not [name for name in left if atomic.is_part(Path(name))]
    assert {Path(name).stem for name in left if name.endswith(".mp4")} == done
    assert said[ends[1]] == "code 0"
    assert {name for name in said[ends[1] + 1 :] if name.endswith(".mp4")} == {f"{n}.foley.mp4" for n in range(3)}


def test_a_clip_whose_sidecar_finds_no_room_is_withdrawn(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "clips" / "a.mp4", seconds=1)
    (tmp_path / "out").mkdir()
    script = """
    "$@" > /dev/null
    bytes=$(stat -c %s out/a.foley.mp4)
    wavs=$(cat out/*.wav | wc -c)
    rm out/*
    mount -t tmpfs -o size=$(( (bytes + 4095) / 4096 * 4 + (wavs + 4095) / 4096 * 4 ))k tmpfs out
    "$@" && code=0 || code=$?
    echo "code $code"; ls -A out
    mount -o remount,size=4m out
    "$@" > /dev/null
    echo "then"; ls -A out
    """
    said = mounting(
        f"cd {tmp_path}\n{script}", tmp_path, *command(random_bundle, "clips", "-o", "out", "--no-cache", "--stems")
    ).splitlines()
    at = said.index(f"code {int(ExitCode.TRY_AGAIN)}")
    assert "no space left" in json.dumps(named([json.loads(line) for line in said[:at]], "clip_error"))
    then = said.index("then")
    assert said[at + 1 : then] == ["a.foley.error.json"]
    assert sorted(said[then + 1 :]) == ["a.foley.json", "a.foley.mp4", "a.foley.t01.wav"]


def test_a_full_disk_at_the_cache(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    for number in range(3):
        make_clip(tmp_path / "clips" / f"{number}.mp4", shade=number)
    (tmp_path / "cache").mkdir()
    script = """
    mount -t tmpfs -o size=16k tmpfs cache
    head -c 16384 /dev/zero > cache/filler
    "$@" 2> stderr
    find cache -type f
    """
    said = mounting(f"cd {tmp_path}\n{script}", tmp_path, *command(random_bundle, "clips")).splitlines()
    events = [json.loads(line) for line in said if line.startswith("{")]
    assert len(named(events, "clip_done")) == 3
    assert [line for line in said if not line.startswith("{")] == ["cache/filler"]
    assert (tmp_path / "stderr").read_text().count("no space left") == 1


def test_files_may_not_outgrow_a_limit(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    resource = pytest.importorskip("resource")
    make_clip(tmp_path / "clips" / "a.mp4", seconds=1)
    ended = subprocess.run(
        command(random_bundle, tmp_path / "clips", "--no-cache"),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert ended.returncode == ExitCode.TRY_AGAIN, ended.stderr
    assert "no space left" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "clips").glob("*.foley.mp4"))
    assert strays(tmp_path) == []


def test_a_read_only_source_folder(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    script = """
    mount --bind clips clips
    mount -o remount,bind,ro clips
    "$@" && exit 1 || true
    "$@" -o out
    """
    said = mounting(f"cd {tmp_path}\n{script}", tmp_path, *command(random_bundle, "clips")).splitlines()
    events = [json.loads(line) for line in said]
    (refused,) = named(events, "clip_error")
    assert "-o/--output" in json.dumps(refused)
    (done,) = named(events, "clip_done")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.foley.json", "a.foley.mp4"]
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["a.mp4"]
    assert Path(done["output"]) == Path("out/a.foley.mp4")


def test_a_source_that_is_replaced_is_redone(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    folder = tmp_path / "clips"
    for number in range(2):
        make_clip(folder / f"{number}.mp4", shade=number)
    assert run(tmp_path, random_bundle, folder)[0] == ExitCode.OK
    before = movies(folder)
    make_clip(folder / "0.mp4", shade=100, seconds=0.8)
    code, events, _ = run(tmp_path, random_bundle, folder, "-v")
    assert code == ExitCode.OK
    (started,), (skipped,) = named(events, "clip_start"), named(events, "clip_skip")
    assert Path(started["clip"]).name == "0.mp4"
    assert "the picture is another one" in started["reason"]
    assert Path(skipped["clip"]).name == "1.mp4"
    after = movies(folder)
    assert after["1.foley.mp4"] == before["1.foley.mp4"]
    assert after["0.foley.mp4"] != before["0.foley.mp4"]
    (folder / "0.foley.mp4").unlink()
    assert run(tmp_path, random_bundle, folder)[0] == ExitCode.OK
    assert movies(folder) == after


ODD_NAMES = (
    b"two  spaces.mp4",
    b" edge .mp4",
    b"'single' \"double\".mp4",
    b"$(touch hacked) `touch hacked` ; & | *.mp4",
    b"line\nbreak\tand\rreturn.mp4",
    b"not utf-8 \xff\xfe.mp4",
    "emoji \U0001f463 \U0001f469\u200d\U0001f3a4.mp4".encode(),
    b"--output.mp4",
    b"%s {stem} {0}.mp4",
    b"http:clip.mp4",
    b"\x1b[31mred.mp4",
)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the file system refuses these names")
def test_odd_names(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    folder = tmp_path / "clips"
    source = make_clip(tmp_path / "source" / "a.mp4")
    folder.mkdir()
    for name in ODD_NAMES:
        shutil.copy(source, os.fsencode(folder) + b"/" + name)
    code, events, errors = run(tmp_path, random_bundle, folder)
    assert code == ExitCode.OK, errors
    assert len(named(events, "clip_done")) == len(ODD_NAMES)
    found = set(os.listdir(os.fsencode(folder)))
    expected = {name.replace(b".mp4", b".foley" + suffix) for name in ODD_NAMES for suffix in (b".mp4", b".json")}
    assert found == expected | set(ODD_NAMES)
    assert len(set(movies(folder).values())) == 1, "the name is heard"
    assert "\x1b" not in errors
    code, events, _ = run(tmp_path, random_bundle, folder)
    assert (code, len(named(events, "clip_skip"))) == (ExitCode.OK, len(ODD_NAMES))


def test_a_name_as_long_as_can_be(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    folder = tmp_path / "clips"
    make_clip(folder / f"{'n' * 246}.mp4")
    code, events, _ = run(tmp_path, random_bundle, folder)
    assert code == ExitCode.ALL_FAILED
    assert "--name" in json.dumps(named(events, "clip_error"))
    code, events, errors = run(tmp_path, random_bundle, folder, "--name", "{stem:.200}.foley")
    assert code == ExitCode.OK, errors
    assert (folder / f"{'n' * 200}.foley.mp4").is_file()


def test_links_in_circles(tmp_path: Path) -> None:
    from foleygen.batch.discover import discover

    folder = tmp_path / "clips"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "a.mp4").write_bytes(b"x")
    (folder / "self").symlink_to(folder)
    (folder / "deep" / "up").symlink_to("..")
    (folder / "left").symlink_to(folder / "right")
    (folder / "right").symlink_to(folder / "left")
    (folder / "gone.mp4").symlink_to(folder / "nowhere.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "linked.mp4").symlink_to(folder / "deep" / "er" / "a.mp4")
    found = [str(clip.path.relative_to(folder)) for clip in discover([folder])]
    assert found == ["deep/er/a.mp4", "linked.mp4"]


@pytest.mark.parametrize("output", [False, True])
def test_planning_is_a_fixed_amount_of_work_per_clip(tmp_path: Path, output: bool) -> None:
    """Counted in looks at the disk, because time depends on the machine."""
    from foleygen.batch.discover import discover
    from foleygen.batch.plan import plan
    from foleygen.settings import Settings

    looks = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal looks
        looks += event in ("open", "os.scandir", "os.listdir")

    sys.addaudithook(count)
    spent = []
    for clips in (1000, 2000):
        folder = tmp_path / str(clips)
        folder.mkdir()
        for number in range(clips):
            (folder / f"{number}.mp4").touch()
        looks = 0
        settings = Settings(output=tmp_path / "out" if output else None)
        assert len(plan(discover([folder], output=settings.output), settings)) == clips
        spent.append(looks)
    assert spent[1] - spent[0] <= 1000, "more than one file is opened for a clip"


def ended_pid() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_folder_that_cannot_be_written_is_named_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    destination = tmp_path / "file" / "two\nlines\x1b[2J\udcff.mp4"
    with pytest.raises(ClipError, match="the folder cannot be written") as caught, atomic.publish(destination):
        pass
    assert str(caught.value).isprintable()
    assert r"two\nlines\x1b[2J\udcff.mp4" in caught.value.message


@pytest.mark.skipif(os.name != "posix", reason="only POSIX says whether a process runs")
def test_parts_of_dead_processes_are_swept(tmp_path: Path) -> None:
    with atomic.publish(tmp_path / "mine.mp4") as part:
        part.write_bytes(b"x")
        prefix = part.name.removesuffix(part.suffix).rpartition("-")[0].rpartition("-")[0]
    names = {
        "dead": f"{prefix}-{ended_pid()}-0123abcd.mp4",
        "alive": f"{prefix}-{os.getppid()}-0123abcd.mp4",
        "far": ".part-another-machine-1-0123abcd.json",
        "old": ".part-another-machine-2-0123abcd.json",
        "strange": ".part-of-something.mp4",
        "named": f"part{prefix}-1-0123abcd.mp4",
    }
    for name in names.values():
        (tmp_path / name).write_bytes(b"x")
    yesterday = time.time() - atomic.ABANDONED_S - 60
    for name in ("old", "strange", "named"):
        os.utime(tmp_path / names[name], (yesterday, yesterday))
    (tmp_path / f"{prefix}-{ended_pid()}-0123abce.mp4").mkdir()
    atomic.sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {"mine.mp4", *(names[name] for name in ("alive", "far", "strange", "named"))}


def test_the_first_file_in_a_folder_sweeps_it(tmp_path: Path) -> None:
    """In another process, because this one may have swept the folder before."""
    code = "import os, sys; from foleygen import atomic; from pathlib import Path; place = Path(sys.argv[1])\n"
    killed = "with atomic.publish(place / 'a.mp4') as part: part.write_bytes(b'x'); os.kill(os.getpid(), 9)"
    whole = "with atomic.publish(place / 'b.mp4') as part: part.write_bytes(b'x')"
    for script, left in ((killed, 1), (killed, 1), (whole, 0)):
        subprocess.run([sys.executable, "-c", code + script, str(tmp_path)], cwd=ROOT, check=False, timeout=100)
        assert len([path for path in tmp_path.iterdir() if atomic.is_part(path)]) == left
    assert [path.name for path in tmp_path.iterdir()] == ["b.mp4"]
