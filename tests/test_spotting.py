"""What is said of each clip: cues by name, by folder, in one file of a reel; words for all, or by clip."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pytest
from finished import finish
from wavinfo import WavInfoReader

from foleygen.batch.discover import Clip, discover
from foleygen.batch.plan import plan
from foleygen.batch.run import choose
from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import sheet
from foleygen.cues.spotting import NOTHING, Spotter, Spotting
from foleygen.errors import ClipError, ExitCode, SetupError, UsageError
from foleygen.facts import UNMEASURED, Cue, Take, take_file
from foleygen.media import bwf
from foleygen.media.probe import probe
from foleygen.pipeline import Job, stems
from foleygen.settings import ClipSettings, Settings
from foleygen.weights import bundle

CLOCK = ClipClock("a.mov", Fraction(25), Fraction(10))
ROWS = "seconds,timecode,strength,confidence,sound\n1.0,,,,door\n2.0,,,,\n"


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """a.mov and b.mov, the first with cues beside it."""
    paths = [tmp_path / "a.mov", tmp_path / "b.mov"]
    for path in paths:
        path.touch()
    (tmp_path / "a.cues.csv").write_text(ROWS)
    return paths


def all_of(spotter: Spotter, clips: list[Path]) -> list[Spotting]:
    return [spotter.of(clip, others=len(clips) > 1) for clip in clips]


def times(found: Spotting) -> list[float] | None:
    own, _ = found.settled(CLOCK)
    return None if own.cues is None else [cue.seconds for cue in own.cues.cues]


def test_auto_takes_the_cues_beside_a_clip_and_says_so(clips: list[Path]) -> None:
    spotter = Spotter()
    first, second = all_of(spotter, clips)
    assert times(first) == [1.0, 2.0]
    assert second == Spotting(spotted=True)
    assert second.settled(CLOCK) == (ClipSettings(spotted=True), ())
    assert spotter.remarks() == ["cues from a.cues.csv"]


def test_none_leaves_them(clips: list[Path]) -> None:
    spotter = Spotter(cues=None)
    assert all_of(spotter, clips) == [NOTHING, NOTHING]
    assert spotter.remarks() == []


def test_a_folder_mirrored_or_flat(clips: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "cues"
    (folder / "day1").mkdir(parents=True)
    (folder / "a.cues.csv").write_text("seconds\n3\n")
    (folder / "day1" / "b.cues.txt").write_text("4.0\t4.0\t\n")
    spotter = Spotter(cues=str(folder))
    assert times(spotter.of(clips[0])) == [3.0]
    assert times(spotter.of(clips[1], Path("day1"))) == [4.0]
    assert spotter.of(tmp_path / "c.mov") == NOTHING
    assert spotter.remarks() == ["cues from a.cues.csv, b.cues.txt", "no cues for c.mov: there the picture decides"]


def test_one_file_is_for_one_clip(clips: list[Path], tmp_path: Path) -> None:
    path = str(tmp_path / "a.cues.csv")
    assert times(Spotter(cues=path).of(clips[1])) == [1.0, 2.0]
    with pytest.raises(UsageError, match=r"has the cues of one clip, and there are more; name the clip, or give a fol"):
        all_of(Spotter(cues=path), clips)
    with pytest.raises(UsageError, match="does not exist; check the path"):
        Spotter(cues=str(tmp_path / "lost.csv")).of(clips[0])
    with pytest.raises(UsageError, match="does not exist; check the path"):
        all_of(Spotter(cues=str(tmp_path / "lost.csv")), clips)


def test_one_file_is_for_one_clip_also_where_each_shard_has_one(clips: list[Path], tmp_path: Path) -> None:
    batch = [Clip(clip, Path()) for clip in clips]
    for shard in ("1/2", "2/2"):
        with pytest.raises(UsageError, match="has the cues of one clip, and there are more"):
            choose(batch, Settings(cues=str(tmp_path / "a.cues.csv"), shard=shard))


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (Path.mkdir, "is a folder"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "does not exist"),
    ],
)
def test_what_is_no_file_in_place_of_cues_is_not_passed_over(
    tmp_path: Path, make: Callable[[Path], None], fact: str
) -> None:
    make(tmp_path / "a.cues.csv")
    with pytest.raises(ClipError, match=fact):
        Spotter().of(tmp_path / "a.mov").settled(CLOCK)


def test_two_files_with_cues_beside_a_clip_are_its_own_problem(clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.cues.txt").write_text("3.0\t3.0\t\n")
    first, second = all_of(Spotter(), clips)
    with pytest.raises(ClipError, match=r"a.mov: has two files with cues \(a.cues.csv and a.cues.txt\); keep one"):
        first.settled(CLOCK)
    assert second == Spotting(spotted=True)


def test_options_that_speak_of_cues_are_told_where_there_are_none(clips: list[Path], tmp_path: Path) -> None:
    notes = tmp_path / "notes.yaml"
    notes.write_text("36: footsteps\n")
    spotter = Spotter(fill=True, start="01:00:00:00", notes=notes)
    assert spotter.of(clips[1]) == Spotting(spotted=True), "what says something of no cues leaves the clip as it was"
    told = "warning: no cues are given for these clips, so that --fill, --cues-start, --midi-map changes nothing"
    assert spotter.remarks() == [told]
    spotter.of(clips[0])
    assert spotter.remarks() == ["cues from a.cues.csv"]
    (tmp_path / "b.cues.csv").mkdir()
    spotter = Spotter(fill=True)
    spotter.of(clips[1])
    assert spotter.remarks() == []


def test_notes_that_cannot_be_read_are_told_without_midi_too(clips: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lost.yaml: does not exist"):
        Spotter(notes=tmp_path / "lost.yaml").of(clips[1])


def test_a_timeline_is_for_all_its_clips(clips: list[Path], tmp_path: Path) -> None:
    time = otio.opentime.RationalTime
    clip = otio.schema.Clip(
        "a", otio.schema.ExternalReference("/x/a.mov", otio.opentime.TimeRange(time(0, 25), time(250, 25)))
    )
    clip.markers.append(otio.schema.Marker("door", otio.opentime.TimeRange(time(50, 25), time(1, 25))))
    reel = otio.schema.Timeline("reel")
    reel.tracks.append(otio.schema.Track("v", [clip]))
    path = tmp_path / "reel.otio"
    path.write_text(reel.to_json_string())
    spotter = Spotter(cues=str(path))
    first, second = all_of(spotter, clips)
    assert times(first) == [2.0]
    assert second == NOTHING
    assert spotter.remarks() == ["cues from reel.otio", "no cues for b.mov: there the picture decides"]
    with pytest.raises(UsageError, match=r"has no markers on b.mov, only on a.mov"):
        Spotter(cues=str(path)).of(clips[1])


def test_words_for_all_and_by_clip(clips: list[Path], tmp_path: Path) -> None:
    assert [one.sound for one in all_of(Spotter(sound="glass bottle"), clips)] == ["glass bottle"] * 2
    listed = tmp_path / "sounds.yaml"
    listed.write_text("a.mov: footsteps\nb: rain\nlost.mov: door\n")
    spotter = Spotter(sound=str(listed))
    assert [one.sound for one in all_of(spotter, clips)] == ["footsteps", "rain"]
    assert spotter.remarks()[-1] == f"{listed}: names lost.mov, which is none of these clips"
    assert spotter.of(tmp_path / "c.mov").sound is None
    assert spotter.of(clips[0], sound="door").sound == "door", "a clip's own words come before those for all"


def test_words_of_a_list_go_with_their_clip(clips: list[Path]) -> None:
    batch = discover([], lists=[b"%s\t2.0\tsound: walk\n%s\n" % tuple(map(os.fsencode, clips))])
    found = choose(batch, Settings(sound="door"))
    assert [item.spotting.sound for item in found.planned] == ["walk", "door"]
    assert [item.spotting.settled(CLOCK)[0].sound for item in found.planned] == ["walk", "door"]
    (first, _) = plan(batch, Settings(name="{catid}_{stem}", container="mov", cues=None))
    assert first.output.name == "FOLYFeet_a.mov"


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("a.mov: hamer\n", "a.mov: the sound 'hamer': the word 'hamer' is not known; did you mean 'hammer'"),
        ("a.mov: 3\n", "a.mov is not followed by words for a sound"),
        ("- a\n", "is not a mapping"),
        (None, "does not exist"),
    ],
)
def test_a_list_of_words_at_fault(clips: list[Path], tmp_path: Path, content: str | None, fact: str) -> None:
    listed = tmp_path / "sounds.yml"
    if content is not None:
        listed.write_text(content)
    with pytest.raises(UsageError, match=fact):
        Spotter(sound=str(listed)).of(clips[0])


def test_words_that_nobody_knows_are_a_usage_error(clips: list[Path]) -> None:
    with pytest.raises(UsageError, match="--sound: the sound 'hamer'") as caught:
        Spotter(sound="hamer").of(clips[0])
    assert caught.value.exit_code == ExitCode.USAGE


def test_fill_picture_start_and_doubles(clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.cues.csv").write_text("timecode\n01:00:01:00\n01:00:01:00\n")
    own, notes = Spotter(fill=True, sound="door", picture=False, start="01:00:00:00").of(clips[0]).settled(CLOCK)
    assert own.cues is not None
    assert ([cue.seconds for cue in own.cues.cues], own.cues.known) == ([1.0], ())
    assert (own.sound, own.picture) == ("door", False)
    assert notes == ("a.cues.csv: 1 of its 2 cues fall within 10 ms of another one of the same sound and count as it",)


def test_a_stretch_that_is_longer_than_the_clip_is_told(clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.cues.csv").write_text("seconds,sound\n1.0..30.5,rain\n")
    own, notes = Spotter().of(clips[0]).settled(CLOCK)
    assert own.cues is not None
    assert own.cues.lasting[0].end_s == float(CLOCK.duration_s)
    (note,) = notes
    assert note.startswith("a.cues.csv: the stretch of line 2 ends 20.500 s after a.mov, and is cut to the clip; check")


def test_nothing_at_all_is_an_error_of_the_clip() -> None:
    with pytest.raises(
        ClipError, match=r"a.mov: has neither cues nor words, and its picture is not to be used; give it"
    ):
        Spotting(picture=False).settled(CLOCK)
    assert Spotting(picture=False, sound="rain").settled(CLOCK)[0] == ClipSettings(None, "rain", False)


def test_it_can_be_handed_to_another_process(clips: list[Path]) -> None:
    found = Spotter().of(clips[0])
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_library_that_is_missing_is_named(clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mido", None)
    (tmp_path / "b.cues.mid").write_bytes(b"MThd")
    with pytest.raises(SetupError, match=r"b.cues.mid: needs mido; install it with: pip install 'foleygen\[midi\]'"):
        Spotter().of(clips[1])


# What words are called in file names


@pytest.mark.parametrize(
    ("sound", "rows", "catid"),
    [
        (None, None, "FOLYMisc"),
        ("walking on gravel", None, "FOLYFeet"),
        (None, "seconds,sound\n1,knock\n2,clap\n3,\n", "FOLYHand"),
        (None, "seconds,sound\n1,knock\n2,door\n", "FOLYMisc"),
        ("knock", "seconds,sound\n1,footsteps\n", "FOLYMisc"),
    ],
)
def test_categories_in_names(tmp_path: Path, sound: str | None, rows: str | None, catid: str) -> None:
    clip = Clip(tmp_path / "a-1.mov")
    if rows is not None:
        (tmp_path / "a-1.cues.csv").write_text(rows)
    (planned,) = plan([clip], Settings(name="{catid}_{stem}", container="mov", sound=sound))
    assert planned.output.name == f"{catid}_a 1.mov"


def test_wavs_say_the_category_and_the_words(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    job = Job(probe(made.source), made.output, ClipSettings(sheet([Cue(0.5, 0.25, None, "footsteps")])))
    take = Take(1, UNMEASURED, 0.0, 0.0, (0.51, 1.0), (), take_file(made.output, 1))
    filed, _ = bwf.filed([np.zeros(96000, np.float32)], 48000, 96000, "pcm24")
    sounds = [stems.TakeSound(take, filed, bwf.Part(filed, 0, filed.samples))]
    ((path, _),) = stems.written(job, sounds, None, bundle.load(random_bundle), Settings().render_settings(1))
    found = WavInfoReader(str(path))
    assert [label.text for label in found.cues.labels] == ["footsteps; strength 0.250", "sound 2"]
    assert b"<catId>FOLYFeet</catId>" in path.read_bytes()
