"""Files with cues as editing programs write them, both ways, and what is said of the ones at fault."""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import mido
import opentimelineio as otio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen.cues import files, text, words
from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import filled, sheet
from foleygen.cues.formats import midi, table
from foleygen.cues.marker import resolved
from foleygen.errors import ClipError, ExitCode, FoleygenError, UsageError
from foleygen.facts import Cue, CueSheet, Stretch
from foleygen.media import wav_chunks
from foleygen.media.wav_chunks import Mark

FILM = Fraction(24000, 1001)
NTSC = Fraction(30000, 1001)
HOUR = "01:00:00:00"


def clock(rate: Fraction | int = 25, start: str | None = HOUR, duration: float = 100.0) -> ClipClock:
    return ClipClock("a.mov", Fraction(rate), Fraction(duration), start)


def cues_of(folder: Path, name: str, content: str | bytes, own: ClipClock | None = None, **wanted: object) -> CueSheet:
    """What ``content`` says of a.mov, as a file of that ``name``."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return resolved(files.read(path, "a.mov", **wanted), own or clock())  # type: ignore[arg-type]


def times(found: CueSheet) -> list[float]:
    return [cue.seconds for cue in found.cues]


# As the programs write them

RESOLVE = """TITLE: Timeline 1
FCM: NON-DROP FRAME

001  001      V     C        01:00:01:00 01:00:01:01 01:00:01:00 01:00:01:01
a note |C:ResolveColorBlue |M:Marker 1 |D:1

002  001      V     C        01:00:02:12 01:00:02:13 01:00:02:12 01:00:02:13
 |C:ResolveColorGreen |M:glass bottle |D:1

"""


def test_resolve(tmp_path: Path) -> None:
    found = cues_of(tmp_path, "a.edl", RESOLVE)
    assert found.cues == (Cue(1.0, name="Marker 1; a note"), Cue(2.48, sound="glass bottle"))


def test_resolve_counts_as_its_header_says(tmp_path: Path) -> None:
    edl = RESOLVE.replace("NON-DROP", "DROP").replace("01:00:02:12", "01:00:02:02")
    found = cues_of(tmp_path, "a.edl", edl, clock(NTSC, "01:00:00;00"))
    assert times(found) == pytest.approx([1.001, 2.002 + 2 * 0.0333667], abs=1e-5)
    with pytest.raises(FoleygenError, match="line 4: the timecode 01:00:01:00 is non-drop-frame"):
        cues_of(tmp_path, "a.edl", RESOLVE, clock(NTSC, "01:00:00;00"))


def test_a_cut_list_is_no_list_of_markers(tmp_path: Path) -> None:
    cut = "TITLE: x\nFCM: NON-DROP FRAME\n\n"
    cut += "001  AX       V     C        00:00:00:00 00:00:04:00 01:00:00:00 01:00:04:00\n"
    with pytest.raises(UsageError, match="line 4: has an event that is no marker; export 'Timeline Markers to EDL'"):
        cues_of(tmp_path, "a.edl", cut + "* FROM CLIP NAME: b.mov\n")
    assert cues_of(tmp_path, "a.edl", "TITLE: x\nFCM: NON-DROP FRAME\n").cues == ()


def test_avid(tmp_path: Path) -> None:
    lines = (
        "Anna\t01:00:01:00\tV1\tred\tdoor; strength 0,5\t1\r\nAnna\t01:00:02:00\tA2\tgreen\tcheck this\t1\t\tRed\r\n"
    )
    assert cues_of(tmp_path, "a.txt", lines).cues == (Cue(1.0, 0.5, sound="door"), Cue(2.0, name="check this"))
    utf16 = "Zoë\t01:00:01:00\tV1\tred\tZoë's\t1\n".encode("utf-16")
    assert cues_of(tmp_path, "a.txt", utf16).cues == (Cue(1.0, name="Zoë's"),)


def test_reaper(tmp_path: Path) -> None:
    rows = '#,Name,Start,End,Length,Color\nM1,,0:01.500,,,\nM2,"footsteps, left",1:02.250000,,,FF0000\n'
    rows += "R1,door,3.500,4.500,1.000,\n"
    found = cues_of(tmp_path, "a.csv", rows)
    assert found.cues == (Cue(1.5), Cue(3.5, sound="door"), Cue(62.25, name="footsteps, left"))
    assert times(cues_of(tmp_path, "a.csv", "#,Name,Start,End,Length\nM1,,0:00:02.000,,\nM2,,01:00:04:00,,\n")) == [
        2,
        4,
    ]
    for ruler in ("3.1.00", "72000"):
        with pytest.raises(UsageError, match=f"line 2: its time '{ruler}' is not in seconds .* ruler"):
            cues_of(tmp_path, "a.csv", f"#,Name,Start,End,Length\nM1,,{ruler},,\n")


def test_audacity(tmp_path: Path) -> None:
    labels = "1.000000\t1.000000\tglass\n2.500000\t3.500000\ta breath\n\\\t100.0\t200.0\n4,25\t4,25\n"
    found = cues_of(tmp_path, "a.txt", labels)
    assert found.cues == (Cue(1.0, sound="glass"), Cue(2.5, name="a breath"), Cue(4.25))


def test_our_own(tmp_path: Path) -> None:
    rows = (
        "seconds,timecode,strength,confidence,sound\r\n"
        '1.000000,"01:00:01:00",0.500,0.910,"glass bottle"\r\n'
        '0.480000,"",,,\r\n'
        ',"01:00:03:05",1,,footsteps\r\n'
    )
    assert cues_of(tmp_path, "a.cues.csv", rows).cues == (
        Cue(0.48),
        Cue(1.0, 0.5, 0.91, "glass bottle"),
        Cue(3.2, 1.0, sound="footsteps"),
    )


def test_a_spreadsheet_may_save_ours_again(tmp_path: Path) -> None:
    german = '\ufeff"seconds";"timecode";"strength";"confidence";"sound"\r\n1,25;01:00:01:06;0,5;;Tür\r\n;;;;\r\n'
    with pytest.raises(UsageError, match="line 2: the sound 'Tür': the word 'tür' is not known"):
        cues_of(tmp_path, "a.csv", german)
    assert cues_of(tmp_path, "a.csv", german.replace("Tür", "door")).cues == (Cue(1.25, 0.5, sound="door"),)
    assert times(cues_of(tmp_path, "a.csv", "Seconds\tsound\n2.5\t\n")) == [2.5]


def test_the_markers_of_a_finished_clip_are_cues(tmp_path: Path) -> None:
    rows = "index,seconds,timecode,samples\r\n1,0.500000,01:00:00:12,24000\r\n2,1.040000,01:00:01:01,49920\r\n"
    assert times(cues_of(tmp_path, "a.foley.markers.csv", rows)) == [0.5, 1.04]


@pytest.mark.parametrize(
    ("time", "told"),
    [("1e9", "999999900.000"), ("1e60", "1e\\+60"), ("9" * 30, "1e\\+30")],
)
def test_a_time_that_is_far_off_is_a_number_outside_the_clip(time: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=rf"its time lies outside of a.mov \(.*, line 2 ({told}) s after its end"):
        cues_of(tmp_path, "a.csv", f"seconds\n{time}\n")
    assert times(cues_of(tmp_path, "a.csv", "seconds\n1.5e0\n25E-1\n")) == [1.5, 2.5]


def test_stretches_in_a_table(tmp_path: Path) -> None:
    rows = "seconds,timecode,strength,confidence,sound\n2.0..5.5,,,,\n,01:00:07:00..01:00:08:00,,,\n2.5,,,,\n"
    found = cues_of(tmp_path, "a.csv", rows)
    assert found.known == (Stretch(2.0, 5.5), Stretch(7.0, 8.0))
    assert times(found) == [2.5]


def test_nothing_and_nothing_but_a_header_are_none_here(tmp_path: Path) -> None:
    for name, content in (
        ("a.csv", ""),
        ("a.csv", "seconds,timecode,strength,confidence,sound\r\n"),
        ("a.csv", "#,Name,Start,End,Length\n"),
        ("a.txt", ""),
        ("a.edl", ""),
    ):
        found = cues_of(tmp_path, name, content)
        assert (found.cues, found.known) == ((), None), name


FCPXML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE fcpxml>
<fcpxml version="1.10"><resources>
  <format id="r1" frameDuration="100/2500s" width="1920" height="1080"/>
  <asset id="r2" name="a" start="3600s" duration="10s" hasVideo="1" format="r1">
    <media-rep kind="original-media" src="file:///Volumes/X/a.mov"/></asset>
  <asset id="r3" name="b" start="0s" duration="10s" hasVideo="1" format="r1">
    <media-rep kind="original-media" src="file:///Volumes/X/b%20c.mov"/></asset>
</resources><library><event name="e"><project name="p"><sequence format="r1" tcStart="7200s"><spine>
  <asset-clip ref="r3" name="b" offset="7200s" duration="4s">
    <marker start="1s" duration="100/2500s" value="Marker 9"/></asset-clip>
  <asset-clip ref="r2" name="a" offset="7204s" start="3601s" duration="4s">
    <marker start="3602s" duration="100/2500s" value="glass" note="strength 0.25"/>
    <chapter-marker start="90112/25s" duration="1s" value="known"/>
    MORE</asset-clip>
</spine></sequence></project></event></library></fcpxml>
"""


def test_final_cut(tmp_path: Path) -> None:
    content = FCPXML.replace("MORE", "")
    found = cues_of(tmp_path, "a.fcpxml", content.replace('"1s" value="known"', '"1s" value="x"'))
    assert found.cues == (Cue(2.0, 0.25, sound="glass"), Cue(4.48, name="x"))
    path = tmp_path / "a.fcpxml"
    assert times(resolved(files.read(path, "b c.mp4"), clock())) == [1.0]
    with pytest.raises(
        UsageError, match=r"has no markers on d.mov, only on b c.mov, a.mov; put the markers on the clip"
    ):
        files.read(path, "d.mov")
    with pytest.raises(FoleygenError, match="the cue at 2 s lies outside of the stretches"):
        cues_of(tmp_path, "a.fcpxml", content)


def test_a_final_cut_clip_with_a_time_of_its_own(tmp_path: Path) -> None:
    clip = '<clip name="a" offset="0s" start="50s" duration="4s">'
    clip += '<video ref="r2" offset="50s" start="3602s" duration="4s"/>'
    clip += '<marker start="51s" duration="100/2500s" value="m"/></clip>'
    content = FCPXML.replace("MORE", f"</asset-clip>{clip}<asset-clip ref='r3'>")
    assert 3.0 in times(cues_of(tmp_path, "a.fcpxml", content.replace('value="known"', 'value="x"')))


def test_a_final_cut_timeline_without_clip_markers(tmp_path: Path) -> None:
    gap = '<gap offset="7201s" start="3600s" duration="9s"><marker start="3600.5s" value="m"/></gap>'
    spine = f'<sequence tcStart="7200s"><spine>{gap.replace("3600.5s", "7201/2s")}</spine></sequence>'
    project = f'<fcpxml version="1.10"><project name="p">{spine}</project></fcpxml>'
    assert times(cues_of(tmp_path, "a.fcpxml", project)) == [1.5]
    with pytest.raises(UsageError, match=r"'3600.5s' is no time"):
        cues_of(tmp_path, "a.fcpxml", project.replace("7201/2s", "3600.5s"))


def test_a_changed_speed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="marker 2: is on a clip whose speed is changed"):
        cues_of(tmp_path, "a.fcpxml", FCPXML.replace("MORE", "<timeMap/>"))


XMEML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE xmeml>
<xmeml version="4"><sequence id="s"><name>reel</name><rate><timebase>24</timebase><ntsc>TRUE</ntsc></rate>
<media><video><track>
<clipitem id="c1"><name>a.mov</name><rate><timebase>24</timebase><ntsc>TRUE</ntsc></rate>
 <file id="f1"><name>a.mov</name><pathurl>file://localhost/C%3a/shots/a.mov</pathurl></file>
 <marker><name>door</name><comment>strength 0.75; hinge</comment><in>24</in><out>-1</out></marker></clipitem>
<clipitem id="c2"><name>again</name><file id="f1"/>
 <marker><comment/><name>Marker 2</name><in>48</in><out>50</out></marker></clipitem>
</track></video></media><marker><name>sequence marker</name><in>5</in><out>-1</out></marker></sequence></xmeml>
"""


def test_premiere(tmp_path: Path) -> None:
    found = cues_of(tmp_path, "a.xml", XMEML, clock(FILM))
    assert found.cues == (Cue(1.001, 0.75, sound="door", name="hinge"), Cue(2.002, name="Marker 2"))
    only = XMEML[: XMEML.index("<media>")] + XMEML[XMEML.index("</media>") + 8 :]
    assert times(cues_of(tmp_path, "a.xml", only, clock(FILM))) == pytest.approx([5 / float(FILM)], abs=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        ("<timebase>24", "<timebase>0", "marker 1: has no rate"),
        ("<in>24", "<in>-1", "marker 1: has no time"),
        ("<in>24", f"<in>{'9' * 5000}", "is '9+', not a number of pictures"),
    ],
)
def test_premiere_at_fault(tmp_path: Path, old: str, new: str, fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        cues_of(tmp_path, "a.xml", XMEML.replace(old, new))


def timeline(
    name: str = "a.mov", start: float = 86400.0, marked: float = 86424.0, rate: float = 24.0
) -> otio.schema.Timeline:
    time = otio.opentime.RationalTime
    reference = otio.schema.ExternalReference(
        f"/shots/{name}", otio.opentime.TimeRange(time(start, rate), time(240, rate))
    )
    clip = otio.schema.Clip(name, reference, otio.opentime.TimeRange(time(start + 12, rate), time(48, rate)))
    clip.markers.append(otio.schema.Marker("glass", otio.opentime.TimeRange(time(marked, rate), time(1, rate))))
    made = otio.schema.Timeline("reel")
    made.tracks.append(otio.schema.Track("v", [clip]))
    return made


def test_otio(tmp_path: Path) -> None:
    made = timeline()
    assert cues_of(tmp_path, "a.otio", made.to_json_string()).cues == (Cue(1.0, sound="glass"),)
    with pytest.raises(UsageError, match=r"has no markers on a.mov, only on b.mov"):
        cues_of(tmp_path, "a.otio", timeline("b.mov").to_json_string())
    bare = otio.schema.Timeline("reel")
    span = otio.opentime.TimeRange(otio.opentime.RationalTime(50, 25), otio.opentime.RationalTime(25, 25))
    bare.tracks.markers.append(otio.schema.Marker("known", span))
    assert cues_of(tmp_path, "a.otio", bare.to_json_string()).known == (Stretch(2.0, 3.0),)
    with pytest.raises(UsageError, match="has no markers; put markers on the clip"):
        cues_of(tmp_path, "a.otio", otio.schema.Timeline("reel").to_json_string())


def test_otio_keeps_the_exact_time_of_our_own_until_a_marker_is_moved(tmp_path: Path) -> None:
    made = timeline()
    made.tracks[0][0].markers[0].metadata["foleygen"] = {"seconds": 1.0125}
    assert times(cues_of(tmp_path, "a.otio", made.to_json_string())) == [1.0125]
    moved = timeline(marked=86436.0)
    moved.tracks[0][0].markers[0].metadata["foleygen"] = {"seconds": 1.0125}
    assert times(cues_of(tmp_path, "a.otio", moved.to_json_string())) == [1.5]


@pytest.mark.parametrize(
    "content", ["[" * 300_000, "{}", "[]", "1", '{"OTIO_SCHEMA": "Clip.99"}', '{"OTIO_SCHEMA": "Foo.1"}', '{"a"']
)
def test_otio_at_fault(tmp_path: Path, content: str) -> None:
    """The library itself ends the process at the first of them."""
    with pytest.raises(UsageError, match=r"a.otio: (is no OpenTimelineIO|holds no timeline|has no markers)"):
        cues_of(tmp_path, "a.otio", content)


def test_otio_without_a_rate(tmp_path: Path) -> None:
    document = json.loads(timeline().to_json_string())
    document["tracks"]["children"][0]["children"][0]["markers"][0]["marked_range"]["start_time"]["rate"] = 0.0
    with pytest.raises(UsageError, match="marker 1: has no rate"):
        cues_of(tmp_path, "a.otio", json.dumps(document))


# MIDI


def midi_bytes(*messages: object, division: int = 480, kind: int = 0) -> bytes:
    made = mido.MidiFile(type=kind, ticks_per_beat=division)
    made.tracks.append(mido.MidiTrack(messages))
    stream = io.BytesIO()
    made.save(file=stream)
    return stream.getvalue()


def hit(note: int, velocity: int, time: int) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=velocity, time=time)


def test_midi_hits_and_a_changing_tempo(tmp_path: Path) -> None:
    content = midi_bytes(
        hit(36, 127, 480),  # 0.5 s at 120
        hit(36, 0, 60),
        mido.MetaMessage("set_tempo", tempo=1_000_000, time=420),  # 1.0 s
        hit(38, 64, 480),  # 2.0 s at 60
        mido.MetaMessage("set_tempo", tempo=250_000, time=0),
        hit(38, 1, 480),  # 2.25 s at 240
    )
    assert cues_of(tmp_path, "a.mid", content).cues == (Cue(0.5, 1.0), Cue(2.0, 64 / 127), Cue(2.25, 1 / 127))


def test_midi_tempos_of_another_track_count_too(tmp_path: Path) -> None:
    made = mido.MidiFile(type=1, ticks_per_beat=480)
    made.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000, time=0)]))
    made.tracks.append(mido.MidiTrack([hit(36, 127, 480)]))
    made.tracks.append(mido.MidiTrack([mido.MetaMessage("marker", text="door", time=480)]))
    stream = io.BytesIO()
    made.save(file=stream)
    assert cues_of(tmp_path, "a.midi", stream.getvalue()).cues == (Cue(1.0, 1.0, sound="door"),)


@pytest.mark.parametrize(("rate", "per_second"), [(25, 25), (24, 24), (29, NTSC), (30, 30)])
def test_midi_that_divides_seconds(tmp_path: Path, rate: int, per_second: Fraction | int) -> None:
    content = bytearray(midi_bytes(hit(36, 127, 400)))
    content[12:14] = bytes([256 - rate, 40])
    assert times(cues_of(tmp_path, "a.mid", bytes(content))) == pytest.approx([10 / float(per_second)], abs=1e-6)


def test_midi_map(tmp_path: Path) -> None:
    notes = tmp_path / "notes.yaml"
    notes.write_text("36: footsteps on wood\nD1: glass bottle\n")
    known = midi.note_map(notes)
    assert known == {36: "footsteps on wood", 38: "glass bottle"}
    content = midi_bytes(hit(36, 127, 0), hit(38, 127, 0), hit(36, 0, 480))
    found = cues_of(tmp_path, "a.mid", content, sounds=known)
    assert [cue.sound for cue in found.cues] == ["footsteps on wood", "glass bottle"]
    with pytest.raises(
        UsageError, match=r"at 0.500 s: the note 40 stands for no sound in --midi-map; add a line '40: S"
    ):
        cues_of(tmp_path, "a.mid", midi_bytes(hit(40, 9, 480)), sounds=known)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("128: door", "'128' is no note"),
        ("H2: door", "'H2' is no note"),
        ("36: 5", "36 is not followed by words"),
        ("36: hamer", "36: the sound 'hamer': the word 'hamer' is not known; did you mean 'hammer'"),
        ("36: door\nC1: rain", "has the note 36 twice"),
        ("- 36", "is not a mapping"),
    ],
)
def test_midi_map_at_fault(tmp_path: Path, content: str, fact: str) -> None:
    path = tmp_path / "notes.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=fact):
        midi.note_map(path)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (midi_bytes(), "has neither notes nor markers"),
        (midi_bytes(hit(1, 1, 1), kind=2), "type 2"),
        (b"MThd", "is no MIDI file that can be read"),
        (midi_bytes(hit(1, 1, 1))[:-7], "is no MIDI file that can be read"),
        (b"MThd" + bytes([0x80]) * 100_000, "is no MIDI file"),
        (midi_bytes(hit(1, 1, 1)).replace(b"\x01\x90", b"\xff" * 40 + b"\x01\x90"), "is no MIDI|beyond any clip"),
    ],
)
def test_midi_at_fault(tmp_path: Path, content: bytes, fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        cues_of(tmp_path, "a.mid", content)


def test_midi_markers_are_at_one_tempo_and_have_their_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(files.written("midi", sheet([Cue(0.5), Cue(1.0, 0.5, sound="door")]), clock()))
    (track,) = mido.MidiFile(path, charset="utf-8").tracks
    assert [message.type for message in track] == ["set_tempo", "marker", "marker", "end_of_track"]
    assert [message.text for message in track if message.type == "marker"] == ["sound 1", "door; strength 0.500"]
    assert mido.MidiFile(path).length == pytest.approx(1.0)


# The cue points of a wav


def wav_bytes(extra: bytes = b"", form: bytes = b"RIFF", rate: int = 48000, data: bytes | None = None) -> bytes:
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVE" + fmt + (b"data" + struct.pack("<I", 480) + bytes(480) if data is None else data) + extra
    return form + struct.pack("<I", len(body)) + body


def test_cue_points_of_reaper(tmp_path: Path) -> None:
    points = struct.pack("<I", 2) + b"".join(
        struct.pack("<II4sIII", number, at, b"data", 0, 0, at) for number, at in ((7, 96000), (3, 48000))
    )
    labels = b"adtl" + b"labl" + struct.pack("<II", 9, 7) + b"door\0" + b"\0"
    labels += b"note" + struct.pack("<II", 17, 7) + b"strength 0.5\0" + b"\0"
    labels += (
        b"labl"
        + struct.pack("<II", 8, 3)
        + b"caf\xe9"
        + b"ltxt"
        + struct.pack("<III4sHHHH", 20, 3, 480, b"rgn ", 0, 0, 0, 0)
    )
    chunks = b"cue " + struct.pack("<I", len(points)) + points + b"LIST" + struct.pack("<I", len(labels)) + labels
    found = cues_of(tmp_path, "a.wav", wav_bytes(chunks))
    assert found.cues == (Cue(1.0, name="café"), Cue(2.0, 0.5, sound="door"))
    long = b"ds64" + struct.pack("<IQQQI", 28, 0, 480, 240, 0) + b"data" + b"\xff" * 4 + bytes(480)
    assert times(cues_of(tmp_path, "a.wav", wav_bytes(chunks, b"RF64", data=long))) == [1.0, 2.0]


def stem_bytes(made: CueSheet) -> bytes:
    """A wav with the cue points that stems have."""
    marks = [Mark(round(cue.seconds * 48000), text.line(cue, index)) for index, cue in enumerate(made.cues, start=1)]
    return wav_bytes(b"".join(wav_chunks.cues(marks)))


def test_a_stretch_in_a_wav(tmp_path: Path) -> None:
    points = struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 48000, b"data", 0, 0, 48000)
    labels = b"adtl" + b"labl" + struct.pack("<II", 10, 1) + b"Known\0"
    labels += b"ltxt" + struct.pack("<III4sHHHH", 20, 1, 24000, b"rgn ", 0, 0, 0, 0)
    chunks = b"cue " + struct.pack("<I", len(points)) + points + b"LIST" + struct.pack("<I", len(labels)) + labels
    assert cues_of(tmp_path, "a.wav", wav_bytes(chunks)).known == (Stretch(1.0, 1.5),)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"RIFF", "is no wav file"),
        (wav_bytes(), "has no cue points"),
        (wav_bytes(b"cue " + struct.pack("<II", 4, 9)), "announces more cue points than it has"),
        (wav_bytes(b"cue " + struct.pack("<II", 4, 2**31)), "more than 100,000 cues"),
        (wav_bytes(b"cue " + struct.pack("<I", 400)), "ends within its chunk 'cue'"),
        (wav_bytes(b"cue " + struct.pack("<I", 2**31)), "has a chunk 'cue' that is too large"),
        (wav_bytes(b"cue " + struct.pack("<II", 4, 0), rate=0), "says no sample rate"),
    ],
)
def test_cue_points_at_fault(tmp_path: Path, content: bytes, fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        cues_of(tmp_path, "a.wav", content)


# There and back

NAMES = (
    st.text(max_size=12)
    .map(text.tidy)
    .filter(
        lambda name: (
            not words.is_known(name) and not any(c in name for c in ";|") and not name.startswith(("sound", "known"))
        )
    )
)
CUES = st.builds(
    Cue,
    st.integers(0, 50_000_000).map(lambda micro: micro / 10**6),
    st.none() | st.integers(0, 1000).map(lambda share: share / 1000),
    st.none() | st.integers(0, 1000).map(lambda share: share / 1000),
    st.sampled_from([None, "door", "glass bottle", "walking on gravel"]),
    NAMES,
)
STRETCHES = st.none() | st.lists(
    st.tuples(st.integers(0, 49), st.integers(1, 9)).map(lambda pair: Stretch(pair[0], pair[0] + pair[1] / 10)),
    min_size=1,
    max_size=3,
)
CLOCKS = st.sampled_from(
    [clock(), clock(FILM, None), clock(NTSC, "00:58:30;10"), clock(NTSC, "10:00:00:00"), clock(50), clock(60, None)]
)
KINDS: dict[str, tuple[str, Callable[[CueSheet, ClipClock], bytes]]] = {
    "ours": ("a.cues.csv", table.write),
    "csv": ("a.csv", table.write_markers),
    **{
        name: (f"a{files.FORMATS[name].suffixes[0]}", files.FORMATS[name].write)
        for name in files.WRITTEN
        if name != "csv"
    },  # type: ignore[dict-item]
    "wav": ("a.wav", lambda made, own: stem_bytes(made)),
}
WHOLE = {"ours", "reaper", "audacity"}
"""Those that keep stretches and microseconds."""
BY_PICTURE = {"resolve", "avid"}


def spaced(cues: list[Cue], own: ClipClock) -> list[Cue]:
    """No two on one picture, which some programs cannot hold, nor within 10 ms."""
    kept: list[Cue] = []
    for cue in sorted(cues, key=lambda one: one.seconds):
        if not kept or cue.seconds - kept[-1].seconds > max(0.02, 2 / float(own.rate)):
            kept.append(cue)
    return kept


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(cues=st.lists(CUES, max_size=12), known=STRETCHES, own=CLOCKS)
def test_there_and_back(
    kind: str, tmp_path_factory: pytest.TempPathFactory, cues: list[Cue], known: list[Stretch] | None, own: ClipClock
) -> None:
    name, write = KINDS[kind]
    known = known if kind in WHOLE else None
    kept = [cue for cue in spaced(cues, own) if known is None or sheet([], known).is_known(cue.seconds)]
    if not kept and kind in ("midi", "wav"):
        return
    made = sheet(kept, known)
    path = tmp_path_factory.mktemp("cues") / name
    path.write_bytes(write(made, own))
    found = resolved(files.read(path, "a.mov"), own)
    assert found.known == made.known
    assert len(found.cues) == len(made.cues)
    within = (
        1 / float(own.rate) if kind in BY_PICTURE else 1e-6 if kind in ("ours", "csv", "reaper", "audacity") else 1.1e-5
    )
    for got, cue in zip(found.cues, made.cues, strict=True):
        assert -1e-6 <= cue.seconds - got.seconds <= within or abs(cue.seconds - got.seconds) <= min(within, 1.1e-5)
        if kind != "csv":
            assert (got.strength, got.confidence, got.sound) == (cue.strength, cue.confidence, cue.sound)
            assert got.name == cue.name
    path.write_bytes(write(found, own))
    assert resolved(files.read(path, "a.mov"), own).cues == found.cues


@pytest.mark.parametrize("kind", ["avid", "midi"])
def test_what_has_no_length_holds_no_stretch(kind: str) -> None:
    with pytest.raises(UsageError, match="markers have no length that could hold a stretch; write csv instead"):
        files.written(kind, sheet([], [Stretch(0, 1)]), clock())


def test_resolve_holds_a_stretch_and_one_marker_a_picture(tmp_path: Path) -> None:
    made = sheet([Cue(1.0, sound="door"), Cue(1.02, sound="glass"), Cue(2.0)], [Stretch(0.48, 4.0)])
    content = files.written("resolve", made, clock())
    found = cues_of(tmp_path, "a.edl", content)
    assert found.cues == (Cue(1.0, sound="door"), Cue(2.0))
    assert found.known == (Stretch(0.48, 4.0),)
    with pytest.raises(UsageError, match=r"no room for 119.88 pictures per second; write csv instead"):
        files.written("resolve", made, clock(Fraction(120000, 1001), None))


def test_resolve_is_written_as_it_writes(tmp_path: Path) -> None:
    content = files.written("resolve", sheet([Cue(1.0, 0.5, sound="door")]), clock(NTSC, "01:00:00;00")).decode()
    assert content == (
        "TITLE: foleygen\nFCM: DROP FRAME\n\n"
        "001  001      V     C        01:00:00;29 01:00:01;00 01:00:00;29 01:00:01;00  \n"
        "strength 0.500 |C:ResolveColorGreen |M:door |D:1\n\n"
    )


def test_timecode_is_quoted() -> None:
    made = sheet([Cue(1.0, sound="door")])
    assert table.write(made, clock(NTSC, "01:00:00;00")) == (
        b'seconds,timecode,strength,confidence,sound\r\n1.000000,"01:00:00;29",,,"door"\r\n'
    )
    assert table.write_markers(made, clock()) == b'index,seconds,timecode,samples\r\n1,1.000000,"01:00:01:00",48000\r\n'


def test_what_the_picture_may_add_to_is_no_file() -> None:
    with pytest.raises(UsageError, match="use --fill"):
        table.write(filled(sheet([Cue(1.0)])), clock())


# At fault

EVERY = sorted({f"a{suffix}" for suffix in files.SUFFIXES})


@pytest.mark.parametrize("name", EVERY)
def test_a_lost_path_and_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: does not exist; check the path") as caught:
        files.read(tmp_path / name)
    assert caught.value.exit_code == ExitCode.USAGE
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=f"{name}: is a folder; name a file in it"):
        files.read(tmp_path / name)


@pytest.mark.parametrize("name", EVERY)
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match=rf"{name}: cannot be read \(not a regular file\)"):
        files.read(tmp_path / name)


@pytest.mark.parametrize("name", sorted({*EVERY} - {"a.csv", "a.txt", "a.edl"}))
def test_an_empty_file_of_a_kind_that_cannot_be_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=rf"{name}: is (no|not) "):
        files.read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("a.csv", "sound\ndoor\n", "has no column 'seconds' and no column 'timecode'; begin with seconds,timecode,"),
        ("a.csv", "seconds,volume\n1,2\n", "has an unknown column 'volume'"),
        ("a.csv", "seconds,strengh\n1,2\n", "has an unknown column 'strengh'; did you mean 'strength'"),
        ("a.csv", "seconds,seconds\n1,2\n", "has the column 'seconds' twice"),
        ("a.csv", "seconds\nnan\n", "line 2: its seconds are 'nan', not a number, 0 or more"),
        ("a.csv", "seconds\ninf\n", "line 2: its seconds are 'inf', not a number"),
        ("a.csv", "seconds\n1e999999999\n", "line 2: its seconds are '1e999999999', not a number"),
        ("a.csv", "seconds\n1\n-0.5\n", "line 3: its seconds are '-0.5', not a number, 0 or more"),
        ("a.csv", "seconds\n1..2..3\n", "line 2: its seconds are '1..2..3'"),
        ("a.csv", "timecode\n1:00\n", "line 2: its timecode are '1:00', not a timecode"),
        ("a.csv", "seconds,timecode\n1,later\n", "line 2: 'later' is no timecode"),
        ("a.csv", "seconds,strength\n1,1.5\n", "line 2: its strength is '1.5', not a number from 0 to 1"),
        ("a.csv", "seconds,strength\n,1\n", "line 2: has no time; fill in its seconds or its timecode"),
        ("a.csv", "seconds\n1,2\n", "line 2: has more columns than the header"),
        ("a.csv", 'seconds\n"1\n', "line 2: is no CSV"),
        ("a.csv", b"seconds\n\xff\n", "is not text in UTF-8; save it again as UTF-8"),
        ("a.csv", "seconds\n\0\n", "is not text"),
        ("a.csv", "#,Name,Start\n", ""),
        ("a.csv", "#,Name,Startled\n", "has no column 'Start'; export the markers from Reaper again"),
        ("a.txt", "hello\n", "is not what Avid or Audacity writes"),
        ("a.txt", "1.0\t1.0\tx\n1.0\n", "line 2: does not begin with two times"),
        ("a.txt", "u\t01:00:00:00\tV1\tred\tx\t1\nu\tlater\tV1\tred\tx\t1\n", "line 2: has no timecode in its second"),
        ("a.txt", "u\t01:00:00:00\tV1\tred\tx\t1\nu\tV1\n", "line 2: has 2 of the 5 columns"),
        ("a.txt", "1.0\t1.0\tsound: zzz\n", "line 1: the sound 'zzz': the word 'zzz' is not known"),
        ("a.txt", "1.0\t1.0\tstrength 7\n", "line 1: its strength is 7, not from 0 to 1"),
        ("a.edl", "hello\n", "has no markers; export 'Timeline Markers to EDL'"),
        ("a.fcpxml", "<xmeml/>", "is no fcpxml but xmeml"),
        ("a.xml", "<html/>", "is not what Final Cut Pro or Final Cut Pro 7, Premiere writes"),
        ("a.srt", "1\n", "is no kind of file that cues are read from; give one that ends in .csv, .edl"),
    ],
)
def test_files_at_fault(tmp_path: Path, name: str, content: str | bytes, fact: str) -> None:
    if not fact:
        assert cues_of(tmp_path, name, content).cues == ()
        return
    with pytest.raises(UsageError, match=fact) as caught:
        cues_of(tmp_path, name, content)
    assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("inside", "fact"),
    [
        ('<!ENTITY a "b">', "declares the entity 'a', and is not read"),
        ('<!ENTITY a SYSTEM "other.txt">', "declares the entity 'a', and is not read"),
        ('<!ENTITY % a SYSTEM "other.dtd"> %a;', "declares the entity 'a', and is not read"),
    ],
)
@pytest.mark.parametrize("root", ["fcpxml", "xmeml"])
def test_xml_from_strangers(tmp_path: Path, inside: str, fact: str, root: str) -> None:
    name = "a.fcpxml" if root == "fcpxml" else "a.xml"
    with pytest.raises(UsageError, match=fact):
        cues_of(tmp_path, name, f"<!DOCTYPE {root} [{inside}]><{root}/>")
    with pytest.raises(UsageError, match="nested more than 200 elements deep"):
        cues_of(tmp_path, name, f"<{root}>" + "<a>" * 5000)
    with pytest.raises(UsageError, match="has no markers"):
        cues_of(tmp_path, name, f'<!DOCTYPE {root} SYSTEM "does-not-exist.dtd"><{root}/>')


def test_too_large_and_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("seconds\n")
    with open(path, "r+b") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(UsageError, match=r"a.csv: is larger than 64 MB"):
        files.read(path)
    monkeypatch.setattr("foleygen.cues.reading.MAX_CUES", 3)
    for name, line in (("a.csv", "1"), ("b.txt", "1.0\t1.0\tx"), ("c.txt", "u\t01:00:00:00\tV1\tred\tx\t1")):
        (tmp_path / name).write_text(("seconds\n" if name == "a.csv" else "") + f"{line}\n" * 4)
        with pytest.raises(UsageError, match=f"{name}: has more than 3 cues"):
            files.read(tmp_path / name)


def test_a_thousand_a_minute_are_a_thousand(tmp_path: Path) -> None:
    rows = "seconds\n" + "".join(f"{index * 0.06:.3f}\n" for index in range(1000))
    assert len(cues_of(tmp_path, "a.csv", rows).cues) == 1000


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=200),
    name=st.sampled_from(EVERY),
    start=st.sampled_from(["", "seconds\n", "#,Name,Start\n", "MThd", "<fcpxml>", "1\t1\t"]),
)
def test_nothing_but_a_sentence_comes_of_noise(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str, start: str
) -> None:
    path = tmp_path_factory.mktemp("noise") / name
    path.write_bytes(start.encode() + data)
    found = made_of(path)
    if isinstance(found, FoleygenError):
        assert name in found.message, "it names the file"
        assert found.remedy
        assert f"{found.message}{found.remedy}".isprintable()
        assert found.exit_code in (ExitCode.USAGE, ExitCode.ALL_FAILED)
        return
    times = [cue.seconds for cue in found.cues]
    assert times == sorted(times)
    assert all(0 <= time < clock().duration_s for time in times)
    assert all(cue.strength is None or 0 <= cue.strength <= 1 for cue in found.cues)


def made_of(path: Path) -> CueSheet | FoleygenError:
    """Its cues, or what is wrong with it."""
    try:
        return resolved(files.read(path, "a.mov"), clock())
    except FoleygenError as error:
        return error


# Beside a clip


def test_cues_beside_a_clip(tmp_path: Path) -> None:
    clip = tmp_path / "a.b.mov"
    assert files.path_for(clip) == tmp_path / "a.b.cues.csv"
    assert files.path_for(clip, tmp_path / "x") == tmp_path / "x" / "a.b.cues.csv"
    assert files.beside(clip) is None
    (tmp_path / "a.b.cues.mid").touch()
    assert files.beside(clip) == tmp_path / "a.b.cues.mid"
    (tmp_path / "a.b.cues.csv").touch()
    with pytest.raises(UsageError, match=r"has two files with cues \(a.b.cues.csv and a.b.cues.mid\); keep one"):
        files.beside(clip)


def test_a_kind_that_is_not_written() -> None:
    with pytest.raises(UsageError, match="markers cannot be written as 'resolv'; did you mean 'resolve'"):
        files.written("resolv", sheet([]), clock())
