"""Discovery, names, the rule of skipping, and runs of real clips through a bundle of random weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import save_random_bundle
from hypothesis import example, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from foleygen import __version__
from foleygen.batch import events, run
from foleygen.batch.discover import Clip, discover
from foleygen.batch.events import Event, Report
from foleygen.batch.plan import check_template, output_name, plan
from foleygen.cli.bench import batch as bench_batch
from foleygen.errors import BundleError, ClipError, ExitCode, RetryableError, UsageError
from foleygen.record import failures, sidecar
from foleygen.settings import Settings

MakeClip = Callable[..., Path]


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def paths(clips: list[Clip]) -> list[str]:
    return [str(clip.path) for clip in clips]


# Discovery


def test_folders_are_walked_in_order_and_only_video_counts(tmp_path: Path) -> None:
    wanted = [touch(tmp_path / name) for name in ("a.MOV", "b/c.mp4", "b/d/e.mkv", "z.webm")]
    for name in ("notes.txt", ".hidden.mp4", ".git/x.mp4", ".part-host-1-ff.mp4", "a.foley.mov", "cover.jpg"):
        touch(tmp_path / name)
    found = discover([tmp_path])
    assert paths(found) == [str(path) for path in wanted]
    assert [clip.mirror for clip in found] == [Path(), Path("b"), Path("b/d"), Path()]


def test_what_a_walk_leaves_out_is_told(tmp_path: Path) -> None:
    touch(tmp_path / "a.foley.mp4")
    told: dict[str, str] = {}
    assert discover([tmp_path], note=lambda path, reason: told.update({path.name: reason})) == []
    assert told == {"a.foley.mp4": "is a finished clip"}
    touch(tmp_path / "notes.txt")
    touch(tmp_path / "sound.WAV")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert discover([tmp_path], note=lambda path, reason: told.update({path.name: reason})) == []
    assert told == {
        "a.foley.mp4": "is a finished clip",
        "notes.txt": "is no video, by its name",
        "sound.WAV": "is no video, by its name",
        "dangling.mp4": "leads to no file",
    }


@pytest.mark.parametrize(
    "suffix", ["m2t", "dv", "mod", "tod", "3g2", "qt", "f4v", "m2v", "insv", "lrv", "MTS", "m2ts", "Mov"]
)
def test_what_cameras_and_phones_write_is_found(tmp_path: Path, suffix: str) -> None:
    clip = touch(tmp_path / f"a.{suffix}")
    assert paths(discover([tmp_path])) == [str(clip)]


def test_a_named_file_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    named = [touch(tmp_path / "take one"), touch(tmp_path / ".hidden.mp4"), tmp_path / "missing.mp4"]
    assert paths(discover(named)) == [str(path) for path in named]


def test_symlink_loops_end_and_no_folder_is_walked_twice(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "clip.mp4")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert paths(discover([tmp_path])) == [str(tmp_path / "a" / "clip.mp4")]


def test_a_clip_given_twice_is_one_clip(tmp_path: Path) -> None:
    clip = touch(tmp_path / "clip.mp4")
    assert len(discover([tmp_path, clip, tmp_path / "." / "clip.mp4"])) == 1


def test_a_list_on_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "sub" / "b.mp4")
    raw = os.fsdecode(b"bad\xff.mp4")
    listing = [b"# a comment\n", b"\n", b"shots/a.mp4\r\n", b"sub\n", os.fsencode(raw) + b"\n", b"../up.mp4\n"]
    found = discover(["-"], listing)
    assert paths(found) == ["shots/a.mp4", "sub/b.mp4", raw, "../up.mp4"]
    assert [str(clip.mirror) for clip in found] == ["shots", "sub", ".", "."]


def test_the_output_folder_is_not_an_input(tmp_path: Path) -> None:
    clip = touch(tmp_path / "clip.mp4")
    touch(tmp_path / "out" / "clip_s0.mp4")
    assert paths(discover([tmp_path], output=tmp_path / "out")) == [str(clip)]
    assert len(discover([tmp_path / "out"], output=tmp_path / "out")) == 1


def test_a_finished_clip_under_another_name_is_known_by_its_sidecar(tmp_path: Path) -> None:
    clip = touch(tmp_path / "clip.mp4")
    sidecar.write(touch(tmp_path / "clip_s0.mp4"), {})
    assert paths(discover([tmp_path])) == [str(clip)]


# Names

STEMS = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=30).filter(
    lambda stem: stem.strip(". ") and not stem.startswith(".")
)
SUFFIXES = st.sampled_from([".mp4", ".mov", ".mkv", ".webm"])


@rules(deadline=None)  # the first example imports the containers
@given(STEMS, SUFFIXES)
@example("a{seed}b", ".mp4")
@example("%s {0.__class__}", ".mov")
@example("a.foley", ".mp4")
def test_the_default_name_keeps_stem_and_suffix(stem: str, suffix: str) -> None:
    clip = Path("/clips") / f"{stem}{suffix}"
    assert output_name("{stem}.foley", clip, Settings()) == f"{stem}.foley{suffix}"


def test_names_of_the_universal_category_system_have_four_parts() -> None:
    template = "{catid}_{stem}-{take}_{creator}_{source}"
    settings = Settings(creator="A-B_C", source="REEL_1")
    name = output_name(template, Path("shot_010-b__x.mov"), settings)
    assert name == "FOLYMisc_shot 010 b x-1_A B C_REEL 1.mov"
    assert len(name.split("_")) == 4
    assert output_name("{stem}", Path("shot_010-b.mov"), settings) == "shot_010-b.mov", "as it is without a category"
    with pytest.raises(UsageError, match="holds a path"):
        output_name(template, Path("shot.mov"), Settings(creator="../me"))
    (named,) = plan([Clip(Path("/clips/a.mov"))], Settings(name=template, sound="footsteps on wood"))
    assert named.output.name == "FOLYFeet_a-1_FOLEYGEN_NONE.mov"


@rules(deadline=None)  # the first example imports the containers
@given(st.sets(st.tuples(STEMS, SUFFIXES), min_size=1, max_size=8))
def test_clips_of_one_folder_never_collide_by_default(names: set[tuple[str, str]]) -> None:
    clips = [Clip(Path("/clips") / f"{stem}{suffix}") for stem, suffix in names]
    by_case = {str(clip.path) for clip in clips}
    outputs = {item.output for item in plan(clips, Settings(output=Path("/out")))}
    assert len(outputs) == len(by_case)


@rules(deadline=None)  # the first example imports the containers
@given(st.text(max_size=40))
def test_any_template_gives_a_plain_name_or_a_usage_error(template: str) -> None:
    clip = Path("/clips/shot.mp4")
    try:
        check_template(template)
        name = output_name(template, clip, Settings())
    except UsageError:
        return
    assert Path(name).name == name
    assert name.endswith(".mp4")
    assert not name.startswith(".")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{stme}", "did you mean 'stem'?"),
        ("{stem.__class__}", "unknown field"),
        ("{0}", "unknown field"),
        ("{}", "unknown field"),
        ("{stem", "not a template"),
        ("../{stem}", "-o/--output"),
        ("{seed:s}", "does not fit"),
        ("", "no visible name"),
        (".{stem}", "no visible name"),
    ],
)
def test_a_wrong_template_is_explained(template: str, says: str) -> None:
    with pytest.raises(UsageError, match="--name") as caught:
        plan([Clip(Path("/clips/shot.mp4"))], Settings(name=template))
    assert says in str(caught.value)


def test_every_field_of_the_template() -> None:
    settings = Settings(name="{stem}_{ext}_{model}_s{seed:03d}_t{take}", seed=7, model="/bundles/mine")
    (item,) = plan([Clip(Path("a/shot.MOV"), Path("a"))], settings)
    assert item.output == Path("a/shot_MOV_mine_s007_t1.mov")


@pytest.mark.parametrize(
    ("name", "container", "suffix"),
    [("a.m4v", "auto", ".m4v"), ("a.flv", "auto", ".mkv"), ("a", "auto", ".mkv"), ("a.mp4", "mov", ".mov")],
)
def test_the_suffix_is_one_that_can_be_written(name: str, container: str, suffix: str) -> None:
    assert output_name("{stem}", Path(name), Settings(container=container)).endswith(suffix)


def test_outputs_mirror_the_tree(tmp_path: Path) -> None:
    for name in ("a/x.mp4", "b/x.mp4"):
        touch(tmp_path / "in" / name)
    outputs = [item.output for item in plan(discover([tmp_path / "in"]), Settings(output=tmp_path / "out"))]
    assert outputs == [tmp_path / "out" / name for name in ("a/x.foley.mp4", "b/x.foley.mp4")]


def test_two_clips_on_one_output_are_refused_before_any_work() -> None:
    clips = [Clip(Path("a/x.mp4")), Clip(Path("b/x.mp4"))]
    with pytest.raises(UsageError, match=r"a/x\.mp4 and b/x\.mp4: both would become out/x\.foley\.mp4"):
        plan(clips, Settings(output=Path("out")))


def test_an_input_is_never_an_output() -> None:
    with pytest.raises(UsageError, match="would overwrite an input"):
        plan([Clip(Path("a/x.mp4"))], Settings(name="{stem}"))
    with pytest.raises(UsageError, match="would overwrite an input"):
        plan([Clip(Path("a/x.mp4")), Clip(Path("a/x.foley.mp4"))], Settings())


def test_a_name_that_no_file_system_holds_is_the_clips_own_problem() -> None:
    long, short = plan([Clip(Path("é" * 125 + ".mp4")), Clip(Path("a" * 240 + ".mp4"))], Settings())
    assert isinstance(long.problem, ClipError)
    assert short.problem is None


# Sidecars


def test_two_containers_of_one_name_have_a_sidecar_each(tmp_path: Path) -> None:
    first, second = touch(tmp_path / "x.foley.mp4"), touch(tmp_path / "x.foley.webm")
    assert sidecar.write(first, {"model": "one"}).name == "x.foley.json"
    assert sidecar.write(second, {"model": "two"}).name == "x.foley.webm.json"
    for output, model in ((first, "one"), (second, "two")):
        found = sidecar.read(output)
        assert found is not None
        assert found["model"] == model


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b'{"output": "y.mp4"}', b"[" * 100_000])
def test_a_strange_file_is_no_sidecar_and_stays(tmp_path: Path, content: bytes) -> None:
    output = touch(tmp_path / "x.foley.mp4")
    strange = touch(tmp_path / "x.foley.json", content)
    assert sidecar.read(output) is None
    if content == b'{"output": "y.mp4"}':
        sidecar.write(output, {})
        assert strange.read_bytes() == content


# The report


@pytest.mark.parametrize(
    ("total", "errors", "code"),
    [
        (0, [], ExitCode.NO_CLIPS),
        (2, [], ExitCode.OK),
        (2, [ClipError("a")], ExitCode.SOME_FAILED),
        (2, [ClipError("a"), ClipError("b")], ExitCode.ALL_FAILED),
        (2, [ClipError("a"), RetryableError("b")], ExitCode.TRY_AGAIN),
        (1, [BundleError("a")], ExitCode.ENVIRONMENT),
        (2, [BundleError("a")], ExitCode.SOME_FAILED),
    ],
)
def test_exit_codes(total: int, errors: list[Any], code: ExitCode) -> None:
    failed = [events.ClipFailed(Path("x"), Path("y"), error) for error in errors]
    assert Report(total=total, failed=failed).exit_code == code


# Runs


class Heard(list[Event]):
    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


def go(folder: Path, bundle: Path, **settings: Any) -> tuple[Report, Heard]:
    heard = Heard()
    found = run.run(discover([folder]), Settings(model=str(bundle), device="cpu", **settings), heard.append)
    return found, heard


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.foley.*") if path.suffix != ".json"}


def test_one_bad_clip_never_stops_the_rest(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    touch(tmp_path / "b.mp4", b"this is text")
    make_clip(tmp_path / "c.mov", seconds=1.5)
    found, heard = go(tmp_path, random_bundle)
    assert found.exit_code == ExitCode.SOME_FAILED
    assert [path.name for path in found.done] == ["a.foley.mp4", "c.foley.mov"]
    assert [failure.clip.name for failure in found.failed] == ["b.mp4"]
    assert {type(event) for event in heard[-1:]} == {events.Finished}
    assert len(heard.of(events.ClipStarted)) == 2
    stages = {event.stage for event in heard.of(events.ClipProgress)}
    assert {"features", "sampling", "muxing"} <= stages
    assert not list(tmp_path.glob(".part-*"))


def test_a_failure_leaves_a_record_that_success_removes(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    bad = touch(tmp_path / "b.mp4", b"this is text")
    make_clip(tmp_path / "a.mp4")
    go(tmp_path, random_bundle)
    record = failures.read(tmp_path / "b.foley.mp4")
    assert record is not None
    assert (record["type"], record["output"], record["input"]) == ("ClipError", "b.foley.mp4", "b.mp4")
    assert record["message"] == f"{bad}: not a video file, or a broken one"
    assert (tmp_path / "b.foley.error.json").is_file()
    found, heard = go(tmp_path, random_bundle, retry_failed=True)
    assert (found.total, found.elsewhere, len(found.failed), heard.of(events.ClipSkipped)) == (1, 1, 1, [])
    make_clip(bad)
    found, heard = go(tmp_path, random_bundle, retry_failed=True)
    assert [path.name for path in found.done] == ["b.foley.mp4"]
    assert [event.reason for event in heard.of(events.ClipStarted)] == [f"it failed before ({record['message']})"]
    assert not (tmp_path / "b.foley.error.json").exists()
    found, heard = go(tmp_path, random_bundle, retry_failed=True)
    assert (found.exit_code, found.total, found.elsewhere) == (ExitCode.OK, 0, 2)


def test_two_containers_of_one_name_have_a_record_each(tmp_path: Path) -> None:
    for suffix in (".mp4", ".webm"):
        clip, output = tmp_path / f"x{suffix}", tmp_path / f"x.foley{suffix}"
        failures.write(clip, output, ClipError(f"{suffix} is broken", "export it again"))
    for suffix in (".mp4", ".webm"):
        assert failures.reason(tmp_path / f"x.foley{suffix}") == f"it failed before ({suffix} is broken)"
    failures.clear(tmp_path / "x.foley.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["x.foley.webm.error.json"]


def test_a_name_that_is_too_long_for_a_record_has_none(tmp_path: Path) -> None:
    output = tmp_path / ("x" * 240 + ".foley.mp4")
    failures.write(tmp_path / "x.mp4", output, ClipError("broken"))
    assert failures.read(output) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"output": "y.mp4"}', b"[" * 100_000])
def test_a_strange_file_is_no_record_and_stays(tmp_path: Path, content: bytes) -> None:
    strange = touch(tmp_path / "x.foley.error.json", content)
    assert failures.read(tmp_path / "x.foley.mp4") is None
    failures.clear(tmp_path / "x.foley.mp4")
    assert strange.read_bytes() == content


@pytest.mark.parametrize(
    ("settings", "tried"), [({}, 4), ({"fail_fast": True}, 1), ({"max_failures": 2}, 2), ({"max_failures": 9}, 4)]
)
def test_a_batch_stops_after_so_many_failures(
    tmp_path: Path, random_bundle: Path, settings: dict[str, Any], tried: int
) -> None:
    for number in range(4):
        touch(tmp_path / f"{number}.mp4", b"this is text")
    found, heard = go(tmp_path, random_bundle, **settings)
    assert (len(found.failed), found.untried) == (tried, 4 - tried)
    assert found.exit_code == (ExitCode.ALL_FAILED if tried == 4 else ExitCode.SOME_FAILED)
    assert isinstance(heard[-1], events.Finished)


def test_a_timeline_and_markers_on_request(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    touch(tmp_path / "clips" / "b.mp4", b"this is text")
    make_clip(tmp_path / "clips" / "c.mp4", shade=40)
    timeline = tmp_path / "cut.fcpxml"
    found, _ = go(tmp_path / "clips", random_bundle, timeline=timeline, markers=("csv",))
    assert found.timeline == timeline
    text = timeline.read_text(encoding="utf-8")
    assert text.index("a.foley.mp4") < text.index("c.foley.mp4")
    assert "b.foley" not in text
    assert (tmp_path / "clips" / "a.foley.markers.csv").is_file()
    with pytest.raises(UsageError):
        go(tmp_path / "clips", random_bundle, timeline=tmp_path / "cut.xyz")


def test_a_rerun_skips_what_matches(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    go(tmp_path, random_bundle)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    found, heard = go(tmp_path, random_bundle, steps=2)
    assert (found.exit_code, found.done) == (ExitCode.OK, [])
    assert [event.output.name for event in heard.of(events.ClipSkipped)] == ["a.foley.mp4"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_clip_that_was_not_touched_is_not_read_again(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    go(tmp_path, random_bundle)
    read: list[Path] = []
    from foleygen.media import probe

    def watched(path: Path, *rest: Any) -> Any:
        read.append(path)
        return probing(path, *rest)

    probing = probe.probe
    monkeypatch.setattr(probe, "probe", watched)
    assert [len(go(tmp_path, random_bundle)[0].skipped), read] == [1, []]
    os.utime(clip, (1, 1))
    assert [len(go(tmp_path, random_bundle)[0].skipped), read] == [1, [clip]]
    make_clip(clip, shade=90)
    found, heard = go(tmp_path, random_bundle)
    assert len(found.done) == 1
    assert heard.of(events.ClipStarted)[0].reason == "the picture is another one"


def change_seed(folder: Path, make_clip: MakeClip) -> dict[str, Any]:
    return {"seed": 9}


def change_picture(folder: Path, make_clip: MakeClip) -> dict[str, Any]:
    make_clip(folder / "a.mp4", shade=90)
    return {}


def lose_sidecar(folder: Path, make_clip: MakeClip) -> dict[str, Any]:
    (folder / "a.foley.json").unlink()
    return {}


def truncate_output(folder: Path, make_clip: MakeClip) -> dict[str, Any]:
    os.truncate(folder / "a.foley.mp4", 48)
    return {}


def lose_output(folder: Path, make_clip: MakeClip) -> dict[str, Any]:
    (folder / "a.foley.mp4").unlink()
    return {}


def age_version(folder: Path, make_clip: MakeClip) -> dict[str, Any]:
    path = folder / "a.foley.json"
    path.write_text(path.read_text().replace(f'"version": "{__version__}"', '"version": "0.0.1"'))
    return {}


def insist(folder: Path, make_clip: MakeClip) -> dict[str, Any]:
    return {"overwrite": True}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_seed, "the settings are other ones (seed 0 -> 9)"),
        (change_picture, "the picture is another one"),
        (lose_sidecar, "it has no sidecar, so it was interrupted"),
        (truncate_output, "it changed since it was made"),
        (lose_output, None),
        (age_version, "it was made by another version of foleygen"),
        (insist, "--overwrite was given"),
    ],
)
def test_a_rerun_redoes_what_does_not_match_and_says_why(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip, change: Any, reason: str | None
) -> None:
    make_clip(tmp_path / "a.mp4")
    go(tmp_path, random_bundle)
    found, heard = go(tmp_path, random_bundle, **change(tmp_path, make_clip))
    assert [path.name for path in found.done] == ["a.foley.mp4"]
    assert [event.reason for event in heard.of(events.ClipStarted)] == [reason]
    found, _ = go(tmp_path, random_bundle, **({"seed": 9} if change is change_seed else {}))
    assert found.done == []


def test_another_bundle_is_another_sound(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    save_random_bundle(tmp_path / "bundles" / "other", commercial=False, seed=1)
    make_clip(tmp_path / "clips" / "a.mp4")
    go(tmp_path / "clips", random_bundle)
    found, heard = go(tmp_path / "clips", tmp_path / "bundles" / "other")
    assert [event.reason for event in heard.of(events.ClipStarted)] == ["the model is another one"]
    assert found.non_commercial == "CC-BY-NC-4.0"


def test_a_strangers_file_is_not_overwritten(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "clips" / "a.mp4")
    stranger = touch(tmp_path / "out" / "a.mp4", b"precious")
    settings = {"output": tmp_path / "out", "name": "{stem}"}
    found, _ = go(tmp_path / "clips", random_bundle, **settings)
    assert found.exit_code == ExitCode.ALL_FAILED
    assert "was not made by foleygen" in str(found.failed[0].error)
    assert stranger.read_bytes() == b"precious"
    found, _ = go(tmp_path / "clips", random_bundle, overwrite=True, **settings)
    assert found.exit_code == ExitCode.OK
    found, _ = go(tmp_path / "clips", random_bundle, **settings)
    assert (found.done, len(found.skipped)) == ([], 1)


def test_the_sound_depends_on_the_picture_and_not_on_its_name(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "one" / "a.mp4")
    (tmp_path / "two").mkdir()
    shutil.copy(tmp_path / "one" / "a.mp4", tmp_path / "two" / "b.mp4")
    make_clip(tmp_path / "two" / "other.mp4", shade=40)
    go(tmp_path / "one", random_bundle)
    go(tmp_path / "two", random_bundle)
    alone, beside = outputs(tmp_path / "one"), outputs(tmp_path / "two")
    assert alone["a.foley.mp4"] == beside["b.foley.mp4"]
    assert beside["b.foley.mp4"] != beside["other.foley.mp4"]


def test_a_dry_run_writes_nothing(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    found, heard = go(tmp_path, random_bundle, dry_run=True)
    assert [path.name for path in found.planned] == ["a.foley.mp4"]
    assert len(heard.of(events.ClipPlanned)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert found.exit_code == ExitCode.OK


def test_an_output_that_cannot_be_written_fails_that_clip(
    tmp_path: Path, random_bundle: Path, make_clip: MakeClip
) -> None:
    make_clip(tmp_path / "in" / "a" / "x.mp4")
    make_clip(tmp_path / "in" / "b" / "x.mp4")
    touch(tmp_path / "out" / "a", b"a file where a folder must be")
    found, _ = go(tmp_path / "in", random_bundle, output=tmp_path / "out")
    assert found.exit_code == ExitCode.SOME_FAILED
    assert [failure.clip.parent.name for failure in found.failed] == ["a"]
    assert [path.parent.name for path in found.done] == ["b"]


def test_a_missing_bundle_stops_before_any_work(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip(tmp_path / "a.mp4")
    with pytest.raises(BundleError) as caught:
        go(tmp_path, tmp_path / "nothing")
    assert caught.value.exit_code == ExitCode.ENVIRONMENT


def test_a_batch_is_timed_one_by_one_and_together(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    def draw(folder: Path, *options: str) -> list[Path]:
        assert options == (f"--count={bench_batch.COUNT}",)
        return [make_clip(folder / f"{number}.mp4", shade=number) for number in range(3)]

    settings = Settings(model=str(random_bundle), device="cpu")
    measured = bench_batch.measure(settings, tmp_path / "clips", tmp_path / "scratch", draw)
    assert (measured["clips"], measured["clip_seconds"]) == (3, pytest.approx(3 * 0.48))
    for way in ("one_by_one", "together"):
        row = measured[way]
        assert {"probing", "frames", "features", "sampling", "muxing", "stages", "wall"} <= set(row)
        parts = [seconds for stage, seconds in row.items() if stage not in ("stages", "wall")]
        assert row["stages"] == pytest.approx(sum(parts), abs=0.01)
    assert len(list((tmp_path / "clips").iterdir())) == 3
