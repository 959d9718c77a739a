"""AAF, EDL and FCP7 XML, read back by other libraries; what all kinds of timelines have in common."""

from __future__ import annotations

import math
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aaf2
import av
import numpy as np
import opentimelineio as otio
import pytest
import soundfile
import wavinfo
from finished import Made, finish

from foleygen.cli import app
from foleygen.errors import ClipError, ExitCode, UsageError
from foleygen.facts import UNMEASURED, Bed, bed_file, own_file, take_file
from foleygen.media import bwf, timecode, wav_chunks
from foleygen.media.probe import probe
from foleygen.pipeline import Job, stems
from foleygen.record import sidecar, takes
from foleygen.record.schema import BedRecord
from foleygen.record.timeline import timeline
from foleygen.record.timeline.timeline import FORMATS, Options
from foleygen.settings import Settings
from foleygen.strict import plain
from foleygen.weights import bundle

NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)
RATE = 48000
SUFFIXES = list(FORMATS)
LOUD = Settings(takes=2, loudness="-30")


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory, random_bundle: Path) -> list[Path]:
    """29.97 with dropped labels, three takes and stereo own sound; 25 with its level set and a bed; 59.94; 23.976."""
    folder = tmp_path_factory.mktemp("reel")
    made = [
        finish(folder, random_bundle, name="a & b.mov", rate=NTSC, start="00:59:58;10", own_sound=(48000,)),
        finish(folder, random_bundle, name="c.mov", takes=2, settings=LOUD, start="10:00:00:00"),
        finish(folder, random_bundle, name="d.mov", takes=2, rate=2 * NTSC, start="02:00:00;00", count=100),
        finish(folder, random_bundle, name="e.mov", takes=2, rate=FILM, start="01:00:00:00"),
    ]
    with_bed(made[1], random_bundle)
    return [one.output for one in made]


def with_bed(made: Made, weights: Path) -> None:
    """Ambience beside a finished clip, 6 dB down in it."""
    found, info = sidecar.load(made.output), probe(made.source)
    noise = np.random.default_rng(0).normal(0, 0.05, RATE * 2).astype(np.float32)
    sound = bwf.Filed([noise], RATE, round(info.duration * RATE))
    bed = Bed("rain", ("rain",), UNMEASURED, 0.0, -6.0, bed_file(made.output))
    one = stems.BedSound(bed, sound, bwf.Part(sound, 0, sound.samples))
    list(stems.written(Job(info, info.path), [], one, bundle.load(weights), LOUD.render_settings(1)))
    record = BedRecord("rain", ("rain",), bed_file(made.output).name, None, None, 0.0, -6.0, "m", "l", True)
    sidecar.write(made.output, plain(replace(found, bed=record)))


# AAF


@pytest.fixture(scope="module")
def aaf(reel: list[Path]) -> Path:
    path = reel[0].parent / "reel 1.aaf"
    timeline.write(path, reel)
    return path


def seconds_of(output: Path) -> Fraction:
    found = sidecar.load(output)
    return Fraction(round(found.duration_s * found.frame_rate)) / timecode.nominal_rate(found.frame_rate)


def places(reel: list[Path], rate: Fraction = NTSC) -> list[int]:
    """The samples at which the clips begin, and the last one ends, on whole pictures of the sequence."""
    frames = [0]
    for output in reel:
        frames.append(frames[-1] + math.floor(seconds_of(output) * rate))
    return [round(place / rate * RATE) for place in frames]


def test_a_composition_has_its_timecode_and_a_track_for_each_kind_of_sound(aaf: Path, reel: list[Path]) -> None:
    with aaf2.open(str(aaf)) as file:
        (composition,) = file.content.toplevel()
        assert (composition.name, composition.usage) == ("reel 1", "Usage_TopLevel")
        clock, *sounds = composition.slots
        assert str(clock.edit_rate) == "30000/1001"
        assert (clock.segment.fps, clock.segment.drop) == (30, True)
        assert clock.segment.start == timecode.frame_number("00:59:58;10", NTSC)
        assert [slot.name for slot in sounds] == ["Foley", "Foley take 2", "Foley take 3", "Ambience", "Production"]
        assert [slot["PhysicalTrackNumber"].value for slot in sounds] == [1, 2, 3, 4, 5]
        assert {str(slot.edit_rate) for slot in sounds} == {"48000"}
        assert {slot.segment.length for slot in sounds} == {places(reel)[-1]}


def clips_of(slot: Any) -> list[tuple[int, Any]]:
    """Every clip of a track with its first sample, and what stands around it taken off."""
    found = []
    for _, position, component in slot.segment.positions():
        if not isinstance(component, aaf2.components.Filler):
            found.append((position, component))
    return found


def test_clips_lie_on_their_sample_and_refer_to_their_wav(aaf: Path, reel: list[Path]) -> None:
    with aaf2.open(str(aaf)) as file:
        (composition,) = file.content.toplevel()
        foley = clips_of(composition.slots[1])
        assert [position for position, _ in foley] == places(reel)[:-1]
        assert [component.length for _, component in foley] == list(np.diff(places(reel)))
        clip = foley[0][1]
        master = clip.mob
        file_mob = master.slots[0].segment.mob
        (locator,) = file_mob.descriptor.locator
        url = urlsplit(locator["URLString"].value)
        wav = take_file(reel[0], 1)
        assert (url.scheme, unquote(url.path)) == ("file", str(wav))
        summary = bytes(file_mob.descriptor["Summary"].value)
        assert summary[:4] + summary[8:16] == b"RIFFWAVEfmt "
        assert summary[-8:-4] == b"data"
        assert file_mob.descriptor["Length"].value == soundfile.info(wav).frames
        tape = file_mob.slots[0].segment.mob
        assert isinstance(tape.descriptor, aaf2.essence.ImportDescriptor)
        clock = tape.slots[1].segment
        assert (clock.fps, clock.drop) == (30, True)
        assert clock.start == timecode.frame_number("00:59:58;10", NTSC)


def test_gains_are_operations_and_other_takes_are_muted(aaf: Path, reel: list[Path]) -> None:
    with aaf2.open(str(aaf)) as file:
        (composition,) = file.content.toplevel()
        foley = [clip for _, clip in clips_of(composition.slots[1])]
        (group,) = [clip for clip in foley if isinstance(clip, aaf2.components.OperationGroup)]
        assert group.operation.name == "Mono Audio Gain"
        (level,) = group.parameters
        wanted = sidecar.load(reel[1]).takes[0].gain_db
        assert 20 * math.log10(float(level.value)) == pytest.approx(wanted, abs=0.001)
        for slot in list(composition.slots)[2:4]:
            for _, clip in clips_of(slot):
                assert isinstance(clip, aaf2.components.Selector)
                assert isinstance(clip["Selected"].value, aaf2.components.Filler)
                assert len(clip["Alternates"]) == 1
        bed = clips_of(composition.slots[4])
        assert [position for position, _ in bed] == places(reel)[1:2]
        (level,) = bed[0][1].parameters
        assert 20 * math.log10(float(level.value)) == pytest.approx(-6, abs=0.001)


def test_the_otio_adapter_reads_it(aaf: Path, reel: list[Path]) -> None:
    read = otio.adapters.read_from_file(str(aaf))
    assert read.global_start_time.value == timecode.frame_number("00:59:58;10", NTSC)
    tracks = {track.name: track for track in read.tracks}
    assert list(tracks) == ["Foley", "Foley take 2", "Foley take 3", "Ambience", "Production"]
    assert [track.kind for track in read.tracks] == ["Audio"] * 5
    foley = tracks["Foley"].find_clips()
    names = [clip.media_reference.target_url.rsplit("/", 1)[1] for clip in foley]
    assert names == [take_file(output, 1).name.replace(" & ", "%20%26%20") for output in reel]
    # The adapter forgets that a clip is muted where that has a gain, as the second one here has.
    for track in read.tracks:
        heard = {item.enabled for item in track if not isinstance(item, otio.schema.Gap) and not item.effects}
        assert heard <= {not track.name.startswith("Foley take")}


def test_own_sound_is_a_wav_beside_the_clip(aaf: Path, reel: list[Path]) -> None:
    path = own_file(reel[0], 1)
    assert path.is_file()
    found, rate = soundfile.read(path)
    assert (len(found), rate) == (round(probe(reel[0]).duration * RATE), RATE)
    assert np.abs(found).max() > 0.1
    assert not own_file(reel[1], 1).exists()


def test_sounds_can_be_in_the_file(tmp_path: Path, reel: list[Path]) -> None:
    timeline.write(tmp_path / "a.aaf", reel[:2], Options(aaf="embed"))
    with aaf2.open(str(tmp_path / "a.aaf")) as file:
        (composition,) = file.content.toplevel()
        (_, clip), *_ = clips_of(composition.slots[1])
        source = clip.mob.slots[0].segment.mob
        assert source.descriptor["QuantizationBits"].value == 24
        words = source.essence.open("r").read()
    place = wav_chunks.places(take_file(reel[0], 1))[b"data"]
    assert bytes(words) == take_file(reel[0], 1).read_bytes()[place.offset : place.offset + place.size]


def test_floats_are_linked_but_not_embedded(tmp_path: Path, random_bundle: Path) -> None:
    settings = Settings(takes=2, stems_format="float32")
    made = finish(tmp_path, random_bundle, takes=2, settings=settings, level=3.0)
    timeline.write(tmp_path / "a.aaf", [made.output])
    before = (tmp_path / "a.aaf").read_bytes()
    with pytest.raises(ClipError, match="cannot be embedded") as refused:
        timeline.write(tmp_path / "a.aaf", [made.output], Options(aaf="embed"))
    assert "--aaf link" in str(refused.value.remedy)
    assert (tmp_path / "a.aaf").read_bytes() == before, "a failed write leaves the old file"


def test_an_aaf_wants_wavs(tmp_path: Path, random_bundle: Path) -> None:
    with pytest.raises(UsageError, match="wavs") as refused:
        timeline.check(tmp_path / "a.aaf", has_wavs=False)
    assert "--stems" in str(refused.value.remedy)
    made = finish(tmp_path, random_bundle, takes=1)
    with pytest.raises(ClipError, match="no wav"):
        timeline.write(tmp_path / "a.aaf", [made.output])
    assert not (tmp_path / "a.aaf").exists()


@pytest.mark.parametrize("content", [b"", b"foleygen", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 5000])
def test_a_strange_aaf_stays(tmp_path: Path, reel: list[Path], content: bytes) -> None:
    path = tmp_path / "a.aaf"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="was not made by foleygen"):
        timeline.write(path, reel)
    assert path.read_bytes() == content


# EDL


def test_an_edl_has_events_for_pictures_and_sounds(tmp_path: Path, reel: list[Path]) -> None:
    path = tmp_path / "reel.edl"
    timeline.write(path, reel)
    text = path.read_bytes().decode("ascii")
    assert "\r\n" in text
    lines = text.splitlines()
    assert lines[:2] == ["TITLE: reel", "FCM: DROP FRAME"]
    events = [line.split() for line in lines if re.match(r"\d{3} ", line)]
    assert [event[2] for event in events] == ["V", "A", "A3", "V", "A", "A2", "V", "A", "V", "A"]
    assert [event[0] for event in events] == [f"{number:03}" for number in range(1, 11)]
    assert len({event[1] for event in events}) == 4
    assert events[0][4] == events[0][6] == "00:59:58;10"
    assert events[3][4] == "10:00:00;00", "its own label, at the sequence's rate"
    for event in events:
        first, last, start, end = (timecode.frame_number(label, NTSC) for label in event[4:])
        assert None not in (first, last, start, end)
        assert last - first == end - start  # type: ignore[operator]
    levels = [line for line in lines if line.startswith("* AUDIO LEVEL")]
    assert [re.findall(r"IS (\S+) DB", level)[0] for level in levels] == [
        f"{sidecar.load(reel[1]).takes[0].gain_db:+.2f}",
        "-6.00",
    ]


def test_the_cmx_adapter_reads_it(tmp_path: Path, reel: list[Path]) -> None:
    path = tmp_path / "reel.edl"
    timeline.write(path, reel)
    read = otio.adapters.read_from_file(str(path), rate=float(NTSC))
    kinds = {track.name: (track.kind, len(track.find_clips())) for track in read.tracks}
    assert kinds["V"] == ("Video", 4)
    assert kinds["A1"] == ("Audio", 4)
    names = [clip.name for clip in read.tracks[0].find_clips()]
    assert names == [output.name for output in reel]


def test_reel_names_are_short_and_none_is_there_twice(tmp_path: Path, reel: list[Path]) -> None:
    path = tmp_path / "reel.edl"
    timeline.write(path, [reel[0]] * 12)
    names = {line.split()[1] for line in path.read_text().splitlines() if re.match(r"\d{3} ", line)}
    assert len(names) == 12
    assert all(re.fullmatch(r"[A-Z0-9_]{1,8}", name) for name in names)


# Final Cut Pro 7's XML


@pytest.fixture(scope="module")
def fcp7(reel: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fcp7") / "reel.xml"
    timeline.write(path, reel)
    return path


def test_fcp7_counts_in_pictures(fcp7: Path, reel: list[Path]) -> None:
    root = ET.parse(fcp7).getroot()
    assert (root.tag, root.get("version")) == ("xmeml", "4")
    (sequence,) = root
    assert sequence.findtext("timecode/string") == "00:59:58;10"
    assert sequence.findtext("timecode/displayformat") == "DF"
    assert (sequence.findtext("rate/timebase"), sequence.findtext("rate/ntsc")) == ("30", "TRUE")
    size = sequence.find("media/video/format/samplecharacteristics")
    assert size is not None
    assert int(str(size.findtext("width"))) == probe(reel[0]).width
    (track,) = sequence.findall("media/video/track")
    place = 0
    for clip in track.findall("clipitem"):
        assert int(str(clip.findtext("start"))) == place
        place = int(str(clip.findtext("end")))
        base = int(str(clip.findtext("rate/timebase")))
        rate = base * 1000 / 1001 if clip.findtext("rate/ntsc") == "TRUE" else base
        first, last, whole = (int(str(clip.findtext(name))) for name in ("in", "out", "duration"))
        assert 0 == first < last <= whole
        lasts = last / rate
        assert lasts == pytest.approx((place - int(str(clip.findtext("start")))) / float(NTSC), abs=1 / rate + 1e-6)
    assert place == int(str(sequence.findtext("duration")))
    named = {file.get("id") for file in root.iter("file") if len(file)}
    assert {file.get("id") for file in root.iter("file")} == named


def test_fcp7_has_takes_gains_and_markers(fcp7: Path, reel: list[Path]) -> None:
    tracks = ET.parse(fcp7).getroot().findall("sequence/media/audio/track")
    assert [track.findtext("enabled") for track in tracks] == ["TRUE", "FALSE", "FALSE", "TRUE", "TRUE"]
    assert [len(track.findall("clipitem")) for track in tracks] == [4, 4, 1, 1, 1]
    first, second = tracks[0].findall("clipitem")[:2]
    assert [marker.findtext("comment") for marker in first.findall("marker")] == ["0.100 s", "1.100 s"]
    assert [int(str(marker.findtext("in"))) for marker in first.findall("marker")] == [2, 32]
    level = float(str(second.findtext("filter/effect/parameter/value")))
    assert 20 * math.log10(level) == pytest.approx(sidecar.load(reel[1]).takes[0].gain_db, abs=0.001)
    assert {clip.findtext("enabled") for clip in tracks[1].findall("clipitem")} == {"FALSE"}


def test_the_fcp_adapter_reads_it(fcp7: Path, reel: list[Path]) -> None:
    read = otio.adapters.read_from_file(str(fcp7), adapter_name="fcp_xml")
    assert [(track.kind, len(track.find_clips())) for track in read.tracks] == [
        ("Video", 4), ("Audio", 4), ("Audio", 4), ("Audio", 1), ("Audio", 1), ("Audio", 1)
    ]  # fmt: skip
    for clip, output in zip(read.tracks[0].find_clips(), reel, strict=True):
        assert unquote(urlsplit(clip.media_reference.target_url).path) == str(output)


# Own sound and ambience in the other kinds


def test_fcpxml_has_them_with_roles(tmp_path: Path, reel: list[Path]) -> None:
    path = tmp_path / "reel.fcpxml"
    timeline.write(path, reel)
    root = ET.parse(path).getroot()
    assert [child.tag for child in root] == ["resources", "library"]
    first, second, *_ = root.findall("library/event/project/sequence/spine/asset-clip")
    assert [(clip.get("lane"), clip.get("audioRole")) for clip in first.findall("asset-clip")] == [("-2", "dialogue")]
    ambience = second.findall("asset-clip")
    assert [(clip.get("lane"), clip.get("audioRole")) for clip in ambience] == [("-2", "effects.ambience")]
    volume = ambience[0].find("adjust-volume")
    assert volume is not None
    assert volume.get("amount") == "-6.000dB"


def test_no_clip_of_fcpxml_reaches_past_its_asset(tmp_path: Path, reel: list[Path]) -> None:
    for order in (reel, reel[1:], reel[2:], reel[3:] + reel[:3]):
        path = tmp_path / "reel.fcpxml"
        timeline.write(path, order)
        root = ET.parse(path).getroot()
        assets = {asset.get("id"): asset for asset in root.iter("asset")}
        (sequence,) = root.iter("sequence")
        rates = {form.get("id"): time_of(form.get("frameDuration")) for form in root.iter("format")}
        picture = rates[sequence.get("format")]
        for clip in root.iter("asset-clip"):
            asset = assets[clip.get("ref")]
            start, duration = time_of(clip.get("start")), time_of(clip.get("duration"))
            assert start >= time_of(asset.get("start"))
            assert start + duration <= time_of(asset.get("start")) + time_of(asset.get("duration"))
            assert (duration / picture).denominator == 1


def time_of(text: str | None) -> Fraction:
    return Fraction(str(text).removesuffix("s"))


def test_otio_has_them_on_tracks_and_all_cuts_lie_on_pictures(tmp_path: Path, reel: list[Path]) -> None:
    path = tmp_path / "reel.otio"
    timeline.write(path, reel)
    read = otio.adapters.read_from_file(str(path))
    assert [track.name for track in read.tracks] == ["Picture", "Foley", "Ambience", "Production"]
    roles = [track.metadata["foleygen"]["role"] for track in read.tracks]
    assert roles == ["video", "effects.foley", "effects.ambience", "dialogue"]
    for track in read.tracks:
        places = [track.range_of_child(item).start_time for item in track]
        assert {place.rate for place in places[1:]} == {float(NTSC)}
        assert all(place.value == round(place.value) for place in places)
        for clip in track.find_clips():
            known = clip.media_reference.available_range
            assert clip.source_range.start_time >= known.start_time
            assert clip.source_range.end_time_exclusive() <= known.end_time_exclusive()
    assert [marker.comment for marker in read.tracks[1][0].markers] == ["sound 1, 0.100 s", "sound 2, 1.100 s"]
    assert read.tracks[3][0].media_reference.target_url == str(reel[0].with_name("a & b.mov"))


def test_a_clip_shorter_than_a_picture_is_left_out(
    tmp_path: Path, random_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = [
        finish(tmp_path, random_bundle, name="a.mov", takes=1, rate=24),
        finish(tmp_path, random_bundle, name="b.mov", takes=1, rate=120, count=1),
    ]
    timeline.write(tmp_path / "reel.otio", [one.output for one in made])
    assert "is shorter than a picture of the timeline" in caplog.text
    assert len(otio.adapters.read_from_file(str(tmp_path / "reel.otio")).tracks[0]) == 1


# Paths


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["absolute", "relative", "url"])
def test_files_are_named_as_asked(tmp_path: Path, reel: list[Path], suffix: str, kind: Any) -> None:
    folder = reel[0].parent / "cut"
    path = folder / f"{kind}{suffix}"
    timeline.write(path, reel[:1], Options(kind))
    for named in names_in(path):
        is_url = named.startswith("file://")
        assert is_url == (kind == "url" or (kind == "absolute" and suffix in (".fcpxml", ".xml", ".aaf")))
        found = unquote(urlsplit(named).path) if is_url else named
        if kind == "relative":
            assert not named.startswith("/")
            found = str(folder / (unquote(named) if suffix in (".fcpxml", ".xml", ".aaf") else named))
        assert Path(found).is_file(), named


def names_in(path: Path) -> list[str]:
    """Every file that a timeline names."""
    if path.suffix == ".otio":
        clips = otio.adapters.read_from_file(str(path)).find_clips()
        return [one.target_url for clip in clips for one in clip.media_references().values()]
    if path.suffix == ".edl":
        return [line.split(": ", 1)[1] for line in path.read_text().splitlines() if line.startswith("* SOURCE FILE")]
    if path.suffix == ".aaf":
        with aaf2.open(str(path)) as file:
            descriptors = [mob.descriptor for mob in file.content.sourcemobs()]
            found = [one.locator for one in descriptors if isinstance(one, aaf2.essence.WAVEDescriptor)]
            return [str(locator["URLString"].value) for locators in found for locator in locators]
    root = ET.parse(path).getroot()
    return [str(one.get("src")) for one in root.iter("media-rep")] + [str(one.text) for one in root.iter("pathurl")]


# Written again


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_picking_brings_a_timeline_up_to_date(tmp_path: Path, reel: list[Path], suffix: str) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(reel[0].parent, folder)
    outputs = [folder / output.name for output in reel]
    path = folder / f"reel--1{suffix}"
    timeline.write(path, outputs, Options("relative"))
    before = path.read_bytes()
    assert app.run(["pick", str(outputs[3]), "2", "--timeline", str(path)]) == ExitCode.OK
    changed = path.read_bytes()
    assert changed != before
    assert sidecar.load(outputs[3]).picked == 2
    assert app.run(["pick", str(outputs[3]), "1", "--timeline", str(path)]) == ExitCode.OK
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_timeline_that_lacks_the_clip_is_refused_before_anything_changes(
    tmp_path: Path, reel: list[Path], suffix: str
) -> None:
    path = tmp_path / f"reel{suffix}"
    timeline.write(path, reel[:1])
    with pytest.raises(UsageError, match="is not in it"):
        timeline.stale(path, reel[1])
    assert app.run(["pick", str(reel[1]), "2", "--timeline", str(path)]) == ExitCode.USAGE
    assert takes.find(reel[1]).sidecar.picked == 1
    with pytest.raises(UsageError, match="no such timeline"):
        timeline.stale(tmp_path / f"none{suffix}", reel[0])


def test_a_timeline_of_an_older_version_says_that_it_lacks_its_clips(tmp_path: Path) -> None:
    (tmp_path / "reel.fcpxml").write_text('<fcpxml><event name="foleygen 0.0"/></fcpxml>')
    timeline.check(tmp_path / "reel.fcpxml")
    with pytest.raises(UsageError, match="does not say which clips"):
        timeline.refresh(tmp_path / "reel.fcpxml")


def test_a_stereo_source_gives_two_wavs(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=1, settings=Settings(stems=True))
    both = np.random.default_rng(0).normal(0, 0.1, (RATE * 2, 2)).astype(np.float32)
    soundfile.write(tmp_path / "both.wav", both, RATE, "FLOAT")
    with_sound(made.source, tmp_path / "both.wav")
    timeline.write(tmp_path / "reel.aaf", [made.output])
    with aaf2.open(str(tmp_path / "reel.aaf")) as file:
        (composition,) = file.content.toplevel()
        names = [slot.name for slot in composition.slots]
    assert names == ["TC1", "Foley", "Production 1", "Production 2"]
    for channel in (1, 2):
        found, _ = soundfile.read(own_file(made.output, channel), dtype="float32")
        np.testing.assert_allclose(found, both[:, channel - 1], atol=2**-15)


def with_sound(clip: Path, wav: Path) -> None:
    """The clip again with another sound, its picture as it is."""
    target = clip.with_name(f"sounding{clip.suffix}")
    with av.open(str(clip)) as pictures, av.open(str(wav)) as sound, av.open(str(target), "w") as out:
        video = out.add_stream_from_template(pictures.streams.video[0])
        audio = out.add_stream("pcm_s24le", rate=RATE, layout="stereo")
        for packet in pictures.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
        for frame in sound.decode(audio=0):
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    target.replace(clip)


# Handles


@pytest.fixture(scope="module")
def handled(tmp_path_factory: pytest.TempPathFactory, random_bundle: Path) -> list[Path]:
    """Clips whose wavs have 13 pictures more on either side; one begins at midnight, one has no timecode."""
    folder = tmp_path_factory.mktemp("handled")
    starts = {"a.mov": "01:00:00:00", "b.mov": "00:00:00:00", "c.mp4": None}
    made = [
        finish(folder, random_bundle, name=name, takes=2, start=start, handle_pictures=13)
        for name, start in starts.items()
    ]
    return [one.output for one in made]


def test_an_aaf_has_sound_before_and_after_each_clip(handled: list[Path]) -> None:
    path = handled[0].parent / "reel.aaf"
    timeline.write(path, handled)
    handle = round(Fraction(13, 25) * RATE)
    with aaf2.open(str(path)) as file:
        (composition,) = file.content.toplevel()
        starts = []
        for (_, clip), output in zip(clips_of(composition.slots[1]), handled, strict=True):
            whole = soundfile.info(take_file(output, 1)).frames
            assert (clip.start, clip.length) == (handle, 2 * RATE)
            assert clip.mob.slots[0].segment.length == whole == 2 * RATE + 2 * handle
            starts.append(clip.mob.slots[0].segment.mob.slots[0].segment.mob.slots[1].segment.start)
    assert starts == [25 * 3600 - 13, 25 * 24 * 3600 - 13, 0]


@pytest.mark.parametrize("suffix", [".fcpxml", ".otio", ".xml"])
def test_timelines_begin_where_the_clip_does(handled: list[Path], suffix: str) -> None:
    path = handled[0].parent / f"reel{suffix}"
    timeline.write(path, handled)
    for output in handled:
        wav = take_file(output, 1)
        reference = wavinfo.WavInfoReader(str(wav)).bext.time_reference
        first, whole, into, lasts = clock_of(path, wav.name)
        assert first == Fraction(reference, RATE)
        assert whole == Fraction(soundfile.info(wav).frames, RATE)
        assert (into, lasts) == (Fraction(13, 25), 2)


def clock_of(path: Path, name: str) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Of the clip with the wav ``name``: the file's start and length, where in it the clip begins, how long it is."""
    if path.suffix == ".otio":
        track = otio.adapters.read_from_file(str(path)).tracks[1]
        (clip,) = [clip for clip in track if clip.name == name]
        known = clip.media_reference.available_range
        first, whole = (Fraction(time.value) / Fraction(time.rate) for time in (known.start_time, known.duration))
        start, lasts = clip.source_range.start_time, clip.source_range.duration
        return first, whole, Fraction(start.value) / Fraction(start.rate) - first, Fraction(lasts.value / lasts.rate)
    root = ET.parse(path).getroot()
    if path.suffix == ".fcpxml":
        (asset,) = [asset for asset in root.iter("asset") if asset.get("name") == name]
        (clip,) = [clip for clip in root.iter("asset-clip") if clip.get("ref") == asset.get("id")]
        first = time_of(asset.get("start"))
        return first, time_of(asset.get("duration")), time_of(clip.get("start")) - first, time_of(clip.get("duration"))
    (item,) = [item for item in root.iter("clipitem") if item.findtext("name") == name]
    numbers = [item.findtext(where) for where in ("file/timecode/frame", "file/duration", "in", "out")]
    first, whole, begin, end = (Fraction(int(str(number)), 25) for number in numbers)
    return first, whole, begin, end - begin
