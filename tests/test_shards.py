"""Lists, shards and their summaries: every clip is dealt once, whoever deals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from foleygen.batch import run, summary
from foleygen.batch.discover import Clip, discover, listed
from foleygen.batch.events import ClipFailed, Event, Report
from foleygen.batch.shard import Shard, deal, in_order, parse, seconds_of
from foleygen.batch.summary import Merged, Summary
from foleygen.cli import app
from foleygen.cli.plan import _entry
from foleygen.errors import ClipError, ExitCode, FoleygenError, RetryableError, SetupError, UsageError
from foleygen.record import sidecar
from foleygen.settings import ClipSettings, Settings

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent

NAMES = st.binary(min_size=1, max_size=12).map(lambda raw: raw.replace(b"\0", b"0").replace(b"/", b"1"))
LENGTHS = st.lists(st.floats(0, 1000), max_size=40)


# Lists


@given(
    st.lists(NAMES, max_size=8),
    st.booleans(),
    st.one_of(st.none(), st.floats(0, 1e6)),
    st.sampled_from([None, "rain", "glass bottle"]),
)
@example([b"a\t5.000"], False, None, None)
@example([b"#a", b" ", b"\xff\xfe", b"a\t"], False, 2.0, "rain")
@example([b"two\nlines", b"#a"], True, None, None)
@example([b"\x1c", "\u2003".encode()], False, None, None)
@example([b"a\tsound: rain", b"a\tsound: rain\t3"], False, None, None)
@example([b"a\tsound: rain", b"a\tsound: rain\t3"], False, 2.0, "rain")
def test_a_list_gives_the_paths_that_went_in(
    names: list[bytes], null: bool, seconds: float | None, sound: str | None
) -> None:
    clips = [Clip(Path(os.fsdecode(name))) for name in names]
    try:
        content = b"".join(_entry(os.fsencode(clip.path), null, seconds, sound) for clip in clips)
    except UsageError:
        assert not null
        assert any(mark in name for name in names for mark in (b"\n", b"\r"))
        return
    found = list(listed(content))
    assert [clip.path for clip in found] == [clip.path for clip in clips]
    assert [clip.seconds for clip in found] == pytest.approx([seconds] * len(clips), abs=0.001)
    assert [clip.own.sound for clip in found] == [sound] * len(clips)


def test_words_of_a_folder_are_those_of_its_clips(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.mp4").touch()
    line = os.fsencode(tmp_path / "sub")
    (found,) = discover([], lists=[line + b"\tsound: rain\n"])
    assert (found.path.name, found.own) == ("b.mp4", ClipSettings(sound="rain"))


def test_comments_blank_lines_and_folders_in_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.mp4").touch()
    found = discover([], lists=[b"# clips\r\n\r\nshots/a.mp4\t12.5\r\nsub\n../up.mp4\n"])
    assert [(str(clip.path), str(clip.mirror), clip.seconds) for clip in found] == [
        ("shots/a.mp4", "shots", 12.5),
        ("sub/b.mp4", "sub", None),
        ("../up.mp4", ".", None),
    ]


def test_a_clip_of_two_lists_is_one_clip() -> None:
    assert len(discover(["a.mp4"], lists=[b"a.mp4\t3\n", b"./a.mp4\n"])) == 1


# Dealing


@given(LENGTHS, st.integers(1, 9), st.booleans())
def test_every_clip_is_dealt_once(lengths: list[float], count: int, by_seconds: bool) -> None:
    told = lengths if by_seconds else None
    parts = [deal(len(lengths), Shard(index, count), told) for index in range(1, count + 1)]
    assert sorted(number for part in parts for number in part) == list(range(len(lengths)))
    assert all(list(part) == sorted(part) for part in parts)
    if by_seconds:
        loads = [sum(lengths[number] for number in part) for part in parts]
        assert max(loads) - min(loads) <= max(lengths, default=0) + 1e-6
    else:
        sizes = [len(part) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@given(st.lists(NAMES, unique=True, max_size=10), st.randoms())
def test_the_order_of_the_inputs_does_not_matter(names: list[bytes], random: Any) -> None:
    clips = [Clip(Path(os.fsdecode(name))) for name in names]
    shuffled = clips.copy()
    random.shuffle(shuffled)
    assert in_order(shuffled) == in_order(clips)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1/ 2", "²/3", "1/" + "9" * 20])
def test_a_wrong_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        parse(text)
    with pytest.raises(UsageError, match="--shard"):
        run.run([Clip(Path("a.mp4"))], Settings(shard=text), lambda event: None)


# Summaries


def ended(index: int, count: int, **changes: Any) -> Summary:
    report = Report(total=2, elsewhere=4)
    report.done = [Path("a"), Path("b")]
    return replace(summary.of_report(report, Shard(index, count), "hash"), **changes)


def failed(report: Report, *errors: Exception) -> Summary:
    report.failed = [ClipFailed(Path("a"), Path("b"), error) for error in errors]  # type: ignore[arg-type]
    return summary.of_report(report, Shard(2, 2), "hash")


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (ended(2, 2), ExitCode.OK),
        (failed(Report(total=2), ClipError("x")), ExitCode.SOME_FAILED),
        (failed(Report(total=2), ClipError("x"), ClipError("y")), ExitCode.SOME_FAILED),
        (failed(Report(total=2), RetryableError("x")), ExitCode.TRY_AGAIN),
        (failed(Report(total=2, fatal=SetupError("x"))), ExitCode.ENVIRONMENT),
        (failed(Report(total=2, interrupted=True)), ExitCode.TRY_AGAIN),
    ],
)
def test_one_exit_code_for_all_shards(tmp_path: Path, second: Summary, code: ExitCode) -> None:
    summary.write(tmp_path, ended(1, 2))
    merged = Merged(summary.read(tmp_path))
    assert (merged.missing, merged.exit_code) == ([2], ExitCode.TRY_AGAIN)
    summary.write(tmp_path, second)
    assert summary.read(tmp_path) == [ended(1, 2), second]
    assert Merged(summary.read(tmp_path)).exit_code == code


def test_all_failed_only_if_every_shard_says_so() -> None:
    assert Merged([failed(Report(total=1), ClipError("x"))]).missing == [1]
    alone = replace(failed(Report(total=1), ClipError("x")), shard=1, shards=1)
    assert Merged([alone]).exit_code == ExitCode.ALL_FAILED


@pytest.mark.parametrize("other", [ended(2, 3), ended(2, 2, list_hash="another")])
def test_summaries_of_two_batches_are_not_mixed(tmp_path: Path, other: Summary) -> None:
    summary.write(tmp_path, ended(1, 2))
    summary.write(tmp_path, other)
    with pytest.raises(UsageError, match="different lists or numbers of shards"):
        summary.read(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', '{"schema": 2}', "[" * 100_000])
def test_a_damaged_summary_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run-1-of-2.json").write_text(content)
    with pytest.raises(UsageError, match=r"run-1-of-2\.json"):
        summary.read(tmp_path)


# Runs


def shards_of(folder: Path, bundle: Path, index: int, **changes: Any) -> tuple[Report, list[Event]]:
    heard: list[Event] = []
    settings = Settings(model=str(bundle), device="cpu", output=folder / "out", shard=f"{index}/3", **changes)
    return run.run(discover([folder / "in"]), settings, heard.append), heard


def test_shards_share_a_batch_and_report_merges_them(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        make_clip(tmp_path / "in" / f"{number}.mp4", shade=number * 20)
    (tmp_path / "in" / "4.mp4").write_bytes(b"text")
    first, _ = shards_of(tmp_path, random_bundle, 1)
    assert [path.name for path in first.done] == ["0.foley.mp4", "3.foley.mp4"]
    again, _ = shards_of(tmp_path, random_bundle, 1)
    assert (again.done, [path.name for path in again.skipped]) == ([], ["0.foley.mp4", "3.foley.mp4"])
    second, _ = shards_of(tmp_path, random_bundle, 2)
    assert ([path.name for path in second.done], len(second.failed)) == (["1.foley.mp4"], 1)
    assert app.run(["report", str(tmp_path / "out")]) == ExitCode.TRY_AGAIN
    out, err = capfd.readouterr()
    assert out.splitlines()[3].split() == ["3", "-", "-", "-", "-", "-", "-", "missing"]
    assert "missing: shard 3/3" in err
    shards_of(tmp_path, random_bundle, 3)
    assert app.run(["report", str(tmp_path / "out"), "--json"]) == ExitCode.SOME_FAILED
    document = json.loads(capfd.readouterr().out)
    assert (document["total"], document["done"], document["skipped"], document["failed"]) == (5, 2, 2, 1)
    assert (document["exit_code"], document["missing"], document["found"]) == (3, [], 5)
    assert "4.mp4" in document["failures"][0]["message"]


def test_a_shard_without_clips_is_done(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "in" / "0.mp4")
    found, _ = shards_of(tmp_path, random_bundle, 3)
    assert (found.exit_code, found.total, found.elsewhere) == (ExitCode.OK, 0, 1)
    assert summary.read(tmp_path / "out")[0].shard == 3


def test_a_dry_run_leaves_no_summary(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "in" / "0.mp4")
    shards_of(tmp_path, random_bundle, 1, dry_run=True)
    assert not (tmp_path / "out").exists()


def test_missing_seconds_are_measured(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    for number, seconds in enumerate((0.2, 0.2, 0.2, 2.0)):
        make_clip(tmp_path / "in" / f"{number}.mp4", seconds)
    (tmp_path / "in" / "4.mp4").write_bytes(b"text")
    settings = Settings(balance="duration", output=tmp_path / "out")
    clips = discover([tmp_path / "in"])
    chosen = [run.choose(clips, replace(settings, shard=f"{index}/2")).planned for index in (1, 2)]
    assert [[item.clip.path.name for item in part] for part in chosen] == [
        ["3.mp4"],
        ["0.mp4", "1.mp4", "2.mp4", "4.mp4"],
    ]


def test_two_workers_on_one_clip_leave_a_whole_output(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    code = (
        "import sys; from pathlib import Path; from foleygen.batch import run;"
        "from foleygen.batch.discover import Clip;"
        "from foleygen.cli.config import Settings; import torch, foleygen.engines.foley;"
        "print('ready', flush=True); sys.stdin.readline();"
        f"settings = Settings(model={str(random_bundle)!r}, device='cpu', cache=False);"
        f"print(run.run([Clip(Path({str(clip)!r}))], settings, lambda event: None).exit_code)"
    )
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(2)
    ]
    for process in pair:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = [process.communicate("go\n", timeout=200)[0] for process in pair]
    assert said == ["0\n", "0\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.foley.json", "a.foley.mp4", "a.mp4"]
    settings = Settings(model=str(random_bundle), device="cpu")
    again = run.run([Clip(clip)], settings, lambda event: None)
    assert (again.done, len(again.skipped)) == ([], 1)
    assert sidecar.read(tmp_path / "a.foley.mp4") is not None


def test_the_length_of_a_clip_is_the_lists_or_the_headers(tmp_path: Path, make_clip: MakeClip) -> None:
    good, bad = Clip(make_clip(tmp_path / "a.mp4", 2.0)), Clip(tmp_path / "none.mp4")
    said: list[FoleygenError] = []
    assert seconds_of(good, on_error=said.append) == 2.0
    assert seconds_of(replace(bad, seconds=7.5), on_error=said.append) == 7.5
    assert not said
    assert seconds_of(bad, on_error=said.append) is None
    assert "no such file" in str(said[0])


# foleygen plan


def test_plan_lists_what_add_sound_takes(
    tmp_path: Path, make_clip: MakeClip, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clips" / "b.mp4", seconds=2)
    make_clip(tmp_path / "clips" / "a" / "c.mp4")
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"text")
    (tmp_path / "clips" / "b.foley.mp4").touch()
    assert app.run(["plan", "clips"]) == 0
    out, err = capfd.readouterr()
    assert out == "clips/a/c.mp4\t0.480\nclips/b.mp4\t2.000\nclips/broken.mp4\n"
    assert err.startswith("warning: clips/broken.mp4: ")
    assert app.run(["plan", "clips", "--no-seconds", "-0"]) == 0
    content = capfd.readouterr().out
    assert content == "clips/a/c.mp4\0clips/b.mp4\0clips/broken.mp4\0"
    (tmp_path / "clips.txt").write_text(content)
    assert app.run(["plan", "--from-file", "clips.txt", "--no-seconds"]) == 0
    assert capfd.readouterr().out == "clips/a/c.mp4\nclips/b.mp4\nclips/broken.mp4\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["plan"], 2, "no input given"),
        (["plan", "--from-file", "none.txt"], 2, "none.txt: the list cannot be read"),
        (["plan", "-", "--from-file", "-"], 2, "stdin is named more than once"),
        (["plan", "."], 5, "no clip found"),
        (["plan", "two\nlines.mp4", "--no-seconds"], 2, "--null"),
        (["report", "."], 2, "holds no run-I-of-N.json"),
        (["report", "none"], 2, "cannot be read"),
    ],
)
def test_wrong_lists_are_explained(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert app.run(arguments) == code
    assert says in capfd.readouterr().err
