"""A list stays bytes until its shard is dealt, and every shard is what it would be if each line were an object."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from foleygen.batch import collisions, frozen, run
from foleygen.batch.discover import Clip, discover
from foleygen.batch.frozen import Frozen, freeze
from foleygen.batch.plan import plan
from foleygen.batch.shard import fingerprint, folder_of, in_order, lengths_of
from foleygen.cli import app
from foleygen.errors import UsageError
from foleygen.media import suffix as suffixes
from foleygen.settings import Settings

PARTS = st.sampled_from([b"a", b"b", b"a.foley", b".h", b"x y", b"\xff", b"tab\there", b"#", b".", b"..", b"", b"%s"])
ENDS = st.sampled_from([b"", b".mp4", b".MOV", b".mkv", b"."])
TOLD = st.sampled_from(
    [b"", b"\t", b"\t2.5", b"\tx", b"\tinf", b"\t-1", b"\tsound: rain", b"\t2\tsound:glass bottle", b"\t\tsound: rain"]
)
LINES = st.builds(
    lambda root, parts, end, told: root + b"/".join(parts) + end + told,
    st.sampled_from([b"", b"", b"", b"/none/"]),
    st.lists(PARTS, min_size=1, max_size=3),
    ENDS,
    TOLD,
)
LISTS = st.tuples(st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n", b"\0"])).map(
    lambda each: b"".join(line + each[1] for line in each[0])
)
TEMPLATES = st.sampled_from(
    ["{stem}.foley", "{stem}", "{stem}.{ext}", "{stem}{ext}", "100%_{stem}_{seed:03}", "{stem:.1}", "{catid}_{stem}"]
)
QUICK = rules(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
OUTPUTS = st.sampled_from([None, Path("out"), Path("a"), Path("."), Path("/none")])


@pytest.fixture
def no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is a folder, so that none is walked."""
    monkeypatch.setattr(os.path, "isdir", lambda path: False)


def as_objects(content: bytes) -> list[Clip]:
    return sorted(discover([], lists=[content]), key=lambda clip: os.fsencode(clip.path))


def told(clips: Sequence[Clip], settings: Settings, part: range | None = None) -> list[Path] | str:
    """The outputs that are planned, or what is wrong."""
    try:
        return [item.output for item in plan(clips, settings, part)]
    except UsageError as error:
        return str(error)


@pytest.mark.usefixtures("no_folders")
@QUICK
@given(LISTS)
@example(b"a.mp4\t3\n./a.mp4\nb//c.mp4\nb/./c.mp4\t4\n")
@example(b"/none/b.mp4\0/none/a\nb.mp4\0/none/b.mp4\t1\0")
@example(b"\t5\n")
@example(b"\tsound: rain\n")
@example(b"b.mp4\nb.mp4\tsound: rain\na.mp4\t1\tsound: rain\n")
def test_a_frozen_list_has_the_clips_of_the_list(content: bytes) -> None:
    clips, found = as_objects(content), freeze([content], trusts_names=True)
    if found is not None:
        assert list(found) == clips
        assert fingerprint(found) == fingerprint(clips)
        assert list(lengths_of(found)) == [clip.seconds or 0.0 for clip in clips]
        if clips:
            assert folder_of(found) == folder_of(clips)


@pytest.mark.usefixtures("no_folders")
@QUICK
@given(LISTS, TEMPLATES, OUTPUTS, st.sampled_from(["auto", "mkv"]))
@example(b"a.mp4\na.foley.mp4\n", "{stem}.foley", None, "auto")
@example(b"b/x.mp4\nx.mp4\n", "{stem}", Path("b"), "auto")
@example(b"/none/a/x.mp4\n/none/b/x.mp4\n", "{stem}", Path("out"), "auto")
@example(b"ab.c\na.bc\n", "{stem}{ext}", Path("out"), "auto")
@example(b"x.mp4\nx.mkv\n", "{stem}", Path("out"), "mkv")
@example(b"x.mp4\nx.mkv\n", "{stem}", Path("out"), "auto")
def test_shards_are_those_of_a_list_of_objects(
    content: bytes, template: str, output: Path | None, container: str
) -> None:
    found = freeze([content], trusts_names=True)
    settings = Settings(name=template, output=output, container=container)
    clips = as_objects(content)
    whole = told(clips, settings)
    for given_clips in [clips] if found is None else [clips, found]:
        for index in (1, 2, 3):
            part = range(index - 1, len(clips), 3)
            found_part = told(given_clips, settings, part)
            if isinstance(found_part, str):
                assert isinstance(whole, str)
                assert found_part == whole or "--name: " in found_part + whole, "the first template error may differ"
                continue
            assert found_part == [output for number in part for output in told([clips[number]], settings)]
            if isinstance(whole, str):
                assert not any(says in whole for says in ("both would", "overwrite an input"))


def test_nothing_is_made_or_looked_at_for_other_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"".join(b"/none/reel/shot_%05d.mp4\t2.000\n" % number for number in range(5000))
    made: list[Path] = []
    asked: list[Path] = []

    def clip(path: Path, *rest: object) -> Clip:
        made.append(path)
        return Clip(path, *rest)  # type: ignore[arg-type]

    def suffix(path: Path, max_pixels: int) -> str:
        asked.append(path)
        return path.suffix

    monkeypatch.setattr(frozen, "Clip", clip)
    monkeypatch.setattr(suffixes, "suffix_for", suffix)
    monkeypatch.setattr(os.path, "isdir", lambda path: pytest.fail(f"{path!r} is looked at"))
    found = freeze([content], trusts_names=True)
    assert found is not None
    for balance in ("count", "duration"):
        made.clear()
        asked.clear()
        choice = run.choose(found, Settings(shard="3/1000", balance=balance, output=Path("out")))
        assert (len(choice.planned), choice.found) == (5, 5000)
        assert set(asked) == {item.clip.path for item in choice.planned}
        assert len(made) <= 6, "those of the shard, and the first for the template"
    names = [b"/none/reel/shot_%05d.mp4\0" % number for number in range(5000)]
    assert choice.list_hash == hashlib.sha256(b"".join(names)).hexdigest()


def test_only_clips_of_one_name_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def suffix(path: Path, max_pixels: int) -> str:
        asked.append(path.name)
        return path.suffix

    monkeypatch.setattr(suffixes, "suffix_for", suffix)
    found = freeze([b"/none/a.mov\n/none/a.mp4\n/none/b.mp4\n/none/c.mp4\n/none/d.mp4\n"], trusts_names=True)
    assert found is not None
    run.choose(found, Settings(shard="5/5"))
    assert set(asked) == {"a.mov", "a.mp4", "d.mp4"}
    with pytest.raises(UsageError, match="both would become"):
        run.choose(found, replace(Settings(shard="5/5"), container="mkv"))


@pytest.mark.parametrize("content", [b"../a.mp4\n", b"a.mp4\n/none/a.mp4\n", b"sub\n", b"//none/a.mp4\n", b".\n"])
def test_what_takes_more_than_bytes_is_not_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    assert freeze([content], trusts_names=True) is None


def test_a_folder_that_is_called_like_a_video_is_walked_by_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reel.mov").mkdir()
    (tmp_path / "reel.mov" / "a.mp4").touch()
    (tmp_path / "list.txt").write_text("reel.mov\n")
    assert app.run(["plan", "--from-file", "list.txt", "--no-seconds"]) == 0
    assert capfd.readouterr().out == "reel.mov/a.mp4\n"


def test_plan_keeps_the_seconds_of_a_list(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.txt").write_bytes(b"/none/b.mp4\t2.5\n/none/a.mp4\t1\n/none/b.mp4\t7\n")
    assert app.run(["plan", "--from-file", str(tmp_path / "list.txt")]) == 0
    assert capfd.readouterr() == ("/none/a.mp4\t1.000\n/none/b.mp4\t2.500\n", "")


@pytest.mark.parametrize("more", [b"", b"a.mp4/../c.mp4\n"], ids=["frozen", "objects"])
def test_plan_keeps_the_words_of_a_list(tmp_path: Path, capfd: pytest.CaptureFixture[str], more: bytes) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"/none/b\t.mp4\t2.5\tsound:  glass bottle \n/none/a.mp4\tsound: rain\n" + more)
    assert app.run(["plan", "--from-file", str(path), "--no-seconds"]) == 0
    planned = capfd.readouterr().out
    assert "/none/a.mp4\t\tsound: rain\n/none/b\t.mp4\t\tsound: glass bottle\n" in planned
    path.write_text(planned)
    assert app.run(["plan", "--from-file", str(path), "--no-seconds"]) == 0
    assert capfd.readouterr().out == planned
    path.write_bytes(b"/none/a.mp4\t1\tsound: hamer\n" + more)
    assert app.run(["plan", "--from-file", str(path)]) == 2
    fact = "/none/a.mp4: in the list, the sound 'hamer': the word 'hamer' is not known; did you mean 'hammer'?"
    assert capfd.readouterr().err == f"error: {fact}\n"


@given(st.lists(st.binary(max_size=2), max_size=8), st.lists(st.binary(max_size=2), max_size=8))
def test_no_collision_is_missed(outputs: list[bytes], inputs: list[bytes]) -> None:
    count = min(len(outputs), len(inputs))
    made, taken = outputs[:count], inputs[:count]
    found = collisions.shared(made, taken)
    assert found == [
        number
        for number in range(count)
        if made.count(made[number]) > 1 or made[number] in taken or taken[number] in made
    ]


def test_clips_in_order_stay_frozen() -> None:
    found = freeze([b"b.mp4\na.mp4\n"], trusts_names=True)
    assert isinstance(found, Frozen)
    assert in_order(found) is found
    assert found[:1] == [found[0]] == [Clip(Path("a.mp4"), Path())]
