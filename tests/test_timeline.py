"""Timelines, read back as an editing program would: clips in order, takes to choose from, markers, clocks."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import opentimelineio as otio
import pytest
import soundfile
from finished import Made, finish
from hypothesis import given
from hypothesis import strategies as st

from foleygen.errors import ClipError, ExitCode, SetupError, UsageError
from foleygen.facts import take_file
from foleygen.record import sidecar
from foleygen.record.timeline import fcpxml, timeline
from foleygen.settings import Settings

NTSC = Fraction(30000, 1001)
STRANGE = "c \U0001f941" + os.fsdecode(b"\xff") + ".mkv"


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory, random_bundle: Path) -> list[Made]:
    """At 25 with three takes; at 29.97 with dropped labels and its loudness set; at 24 without clock, take or name."""
    folder = tmp_path_factory.mktemp("batch")
    ebu = Settings(takes=2, loudness="-30")
    return [
        finish(folder, random_bundle, name="a.mov"),
        finish(folder, random_bundle, name="b.mov", takes=2, rate=NTSC, start="00:59:58;10", settings=ebu),
        finish(folder, random_bundle, name=STRANGE, takes=1, rate=24, start=None),
    ]


@pytest.fixture(scope="module")
def read(batch: list[Made], tmp_path_factory: pytest.TempPathFactory) -> otio.schema.Timeline:
    path = tmp_path_factory.mktemp("timeline") / "reel 1.otio"
    timeline.write(path, [made.output for made in batch])
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    return otio.adapters.read_from_file(str(path))


@pytest.fixture(scope="module")
def tree(batch: list[Made], tmp_path_factory: pytest.TempPathFactory) -> ET.Element:
    path = tmp_path_factory.mktemp("timeline") / "reel 1.fcpxml"
    timeline.write(path, [made.output for made in batch])
    return ET.parse(path).getroot()


# OpenTimelineIO


def test_pictures_are_in_order_on_a_track_of_their_own(read: otio.schema.Timeline, batch: list[Made]) -> None:
    picture, foley = read.tracks
    assert (picture.kind, foley.kind) == ("Video", "Audio")
    assert read.name == "reel 1"
    assert [clip.media_reference.target_url for clip in picture][:2] == [str(made.output) for made in batch[:2]]
    assert [clip.name for clip in picture] == ["a.foley.mov", "b.foley.mov", "c \U0001f941\\udcff.foley.mkv"]
    assert [len(track) for track in read.tracks] == [3, 3]
    for clip, sound in zip(picture, foley, strict=True):
        assert clip.duration() == sound.duration()
    assert [clip.duration().value for clip in picture] == [50, 41, 52], "whole pictures at 25 of what each has"
    assert {clip.duration().rate for clip in picture} == {25}


def test_the_clips_keep_their_clocks(read: otio.schema.Timeline) -> None:
    assert read.global_start_time.to_timecode() == "01:00:00:00"
    starts = [clip.source_range.start_time for clip in read.tracks[0]]
    assert starts[0] == otio.opentime.RationalTime(3600 * 25, 25)
    assert starts[1].to_timecode(float(NTSC), True) == "00:59:58;10"
    assert starts[2].value == 0
    assert [start.rate for start in starts] == pytest.approx([25, float(NTSC), 24])


def test_a_name_that_is_no_text_is_a_url(read: otio.schema.Timeline, batch: list[Made]) -> None:
    url = urlsplit(read.tracks[0][2].media_reference.target_url)
    assert url.scheme == "file"
    assert unquote_to_bytes(url.path) == os.fsencode(batch[2].output)


def test_takes_are_alternatives_of_one_clip(read: otio.schema.Timeline, batch: list[Made]) -> None:
    first, second, third = read.tracks[1]
    assert list(first.media_references()) == ["take 1", "take 2", "take 3"]
    assert [one.target_url for one in first.media_references().values()] == [
        str(take_file(batch[0].output, number)) for number in (1, 2, 3)
    ]
    assert [clip.active_media_reference_key for clip in (first, second, third)] == ["take 1"] * 3
    assert third.media_reference.target_url == read.tracks[0][2].media_reference.target_url, "no wav: the clip's own"
    gain = second.media_reference.metadata["foleygen"]["gain_db"]
    assert gain == pytest.approx(sidecar.load(batch[1].output).takes[0].gain_db) != 0
    assert first.media_reference.metadata["foleygen"]["gain_db"] == 0


def test_sounds_have_markers_on_the_picture_where_they_begin(read: otio.schema.Timeline) -> None:
    for clip, rate in zip(read.tracks[1], (Fraction(25), NTSC, Fraction(24)), strict=True):
        start = clip.source_range.start_time.value
        assert [marker.marked_range.start_time.value - start for marker in clip.markers] == [
            int(rate * Fraction(1, 10)),
            int(rate * Fraction(11, 10)),
        ]
        assert [marker.metadata["foleygen"]["seconds"] for marker in clip.markers] == [0.1, 1.1]
    assert [marker.name for marker in read.tracks[1][0].markers] == ["sound 1", "sound 2"]


def test_the_wavs_say_the_same_time_of_day(read: otio.schema.Timeline) -> None:
    for clip in list(read.tracks[1])[:2]:
        path = Path(clip.media_reference.target_url)
        raw = path.read_bytes()
        body = raw.index(b"bext") + 8
        reference = int.from_bytes(raw[body + 338 : body + 346], "little")
        assert reference / 48000 == pytest.approx(clip.source_range.start_time.to_seconds(), abs=1 / 48000)
        assert soundfile.info(path).frames / 48000 == pytest.approx(clip.duration().to_seconds(), abs=0.04)


# Final Cut Pro's XML


def time(text: str | None) -> Fraction:
    assert text is not None
    assert text.endswith("s")
    return Fraction(text[:-1])


def test_every_reference_is_resolved(tree: ET.Element) -> None:
    names = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(names) == len(set(names))
    wanted = {element.get(key) for element in tree.iter() for key in ("ref", "format") if element.get(key)}
    assert wanted <= set(names)
    for media in tree.iter("media-rep"):
        path = unquote_to_bytes(urlsplit(str(media.get("src"))).path)
        assert Path(os.fsdecode(path)).is_file()


def test_the_storyline_lies_on_pictures(tree: ET.Element) -> None:
    (sequence,) = tree.iter("sequence")
    (spine,) = tree.iter("spine")
    start = time(sequence.get("tcStart"))
    assert start == 3600
    place = start
    for clip in spine:
        assert time(clip.get("offset")) == place
        assert (time(clip.get("duration")) * 25).denominator == 1
        place += time(clip.get("duration"))
    assert time(sequence.get("duration")) == place - start
    assert [time(clip.get("start")) for clip in spine] == [3600, 107842 / NTSC, 0]
    assert [clip.get("tcFormat") for clip in spine] == ["NDF", "DF", "NDF"]
    assert [clip.get("srcEnable") for clip in spine] == ["video"] * 3
    assert [rate.get("srcFrameRate") for rate in spine.iter("conform-rate")] == ["29.97", "24"]


def test_the_takes_hang_below_their_picture(tree: ET.Element, batch: list[Made]) -> None:
    (spine,) = tree.iter("spine")
    for clip, made in zip(spine, batch, strict=True):
        auditions = clip.findall("audition")
        assert [audition.get("lane") for audition in auditions] == (["-1"] if len(made.sounds) > 1 else [])
        takes = (auditions or [clip])[0].findall("asset-clip")
        assert [str(take.get("name")).split(":")[0] for take in takes] == [
            f"take {k}" for k in range(1, len(made.sounds) + 1)
        ]
        assert {take.get("audioRole") for take in takes} == {"effects.foley"}
        assert {time(take.get("offset")) for take in takes} == {time(clip.get("start"))}
        assets = {asset.get("id"): asset for asset in tree.iter("asset")}
        for take in takes:
            asset = assets[take.get("ref")]
            assert time(asset.get("start")) == time(take.get("start"))
            assert time(take.get("duration")) <= time(asset.get("duration"))
    gains = [volume.get("amount") for volume in spine.iter("adjust-volume")]
    assert gains == [f"{take.gain_db:.3f}dB" for take in sidecar.load(batch[1].output).takes]


def test_markers_are_on_the_take_that_is_heard(tree: ET.Element) -> None:
    for clip in tree.iter("asset-clip"):
        markers = clip.findall("marker")
        assert len(markers) == (2 if str(clip.get("name")).startswith("take 1:") else 0)
        assert [marker.get("note") for marker in markers] == ["0.100 s", "1.100 s"][: len(markers)]
        for marker, seconds in zip(markers, (0.1, 1.1), strict=False):
            late = time(marker.get("start")) - time(clip.get("start"))
            assert seconds - time(marker.get("duration")) < late <= seconds


ORDER = ("conform-rate", "adjust-volume", "audition", "asset-clip", "marker")


def test_children_come_in_the_order_of_the_format(tree: ET.Element) -> None:
    for clip in tree.iter("asset-clip"):
        places = [ORDER.index(child.tag) for child in clip]
        assert places == sorted(places)


@given(st.fractions(min_value=0, max_value=10**6, max_denominator=96000))
def test_times_are_exact(value: Fraction) -> None:
    assert time(fcpxml.seconds(value)) == value


# What is refused, and when


@pytest.mark.parametrize("name", ["reel.ale", "reel", "reel.otioz"])
def test_an_unknown_kind_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ends in \.otio, \.fcpxml, \.xml, \.edl or \.aaf"):
        timeline.check(tmp_path / name)


def test_a_stranger_stays(tmp_path: Path, batch: list[Made]) -> None:
    path = tmp_path / "reel.fcpxml"
    path.write_text("<fcpxml version='1.10'/>")
    for act in (lambda: timeline.check(path), lambda: timeline.write(path, [batch[0].output])):
        with pytest.raises(UsageError, match="was not made by foleygen"):
            act()
    assert path.read_text() == "<fcpxml version='1.10'/>"


@pytest.mark.parametrize("suffix", [".otio", ".fcpxml", ".xml", ".edl", ".aaf"])
def test_a_timeline_is_written_again(tmp_path: Path, batch: list[Made], suffix: str) -> None:
    path = tmp_path / f"reel{suffix}"
    timeline.write(path, [])
    empty = path.read_bytes()
    timeline.write(path, [batch[0].output])
    whole = path.read_bytes()
    timeline.write(path, [batch[0].output])
    assert path.read_bytes() == whole != empty


def test_a_missing_library_is_told_with_the_way_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(SetupError, match=r"pip install 'foleygen\[timeline\]'") as refused:
        timeline.check(tmp_path / "reel.otio")
    assert refused.value.exit_code == ExitCode.ENVIRONMENT
    timeline.check(tmp_path / "reel.fcpxml")


def test_a_clip_without_a_sidecar_is_told(tmp_path: Path) -> None:
    output = tmp_path / "a.foley.mov"
    output.write_bytes(b"x")
    with pytest.raises(ClipError, match="has no sidecar"):
        timeline.write(tmp_path / "reel.otio", [output])
    assert not (tmp_path / "reel.otio").exists()
