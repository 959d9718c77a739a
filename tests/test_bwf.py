"""media.bwf: broadcast wav files that other readers understand, the same bytes for the same sound."""

from __future__ import annotations

import os
import struct
import wave
import xml.etree.ElementTree as ET
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import soundfile
import wavinfo
from clips import impulses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foleygen.errors import ClipError
from foleygen.facts import Loudness
from foleygen.media import bwf, ixml, wav, wav_chunks
from foleygen.media.ixml import Slate
from foleygen.media.loudness import measure
from foleygen.media.wav_chunks import Mark

FACTS: dict[str, Any] = {
    "time_reference": 10 * 3600 * 48000,
    "originator": "foleygen 0.1",
    "description": "door.mov, take 1",
    "coding_history": bwf.history("foleygen 0.1", "model tiny", "seed 7"),
}


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)


def test_other_readers_find_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    bwf.write(path, bwf.Filed([noise(48001)], 48000, 48001), **FACTS)
    read = wavinfo.WavInfoReader(str(path))
    assert (read.fmt.sample_rate, read.fmt.bits_per_sample, read.fmt.channel_count) == (48000, 24, 1)
    assert read.data.frame_count == 48001
    assert read.bext.time_reference == 10 * 3600 * 48000
    assert read.bext.originator == "foleygen 0.1"
    assert read.bext.description == "door.mov, take 1"
    assert read.bext.coding_history == "A=PCM,F=48000,W=24,M=mono,T=foleygen 0.1; model tiny; seed 7\r\n"
    assert (read.bext.originator_date, read.bext.originator_time) == ("", "")
    assert soundfile.info(path).subtype == "PCM_24"


@pytest.mark.parametrize("samples", [1, 2, 48000, 100_001])
def test_samples_come_back_within_half_a_step(tmp_path: Path, samples: int) -> None:
    sound = noise(samples)
    bwf.write(tmp_path / "a.wav", bwf.Filed(np.array_split(sound, 3), 48000, samples), **FACTS)
    found, rate = soundfile.read(tmp_path / "a.wav", dtype="float64")
    assert rate == 48000
    assert len(found) == samples
    assert np.abs(found - sound).max() <= 2**-24
    assert struct.unpack("<I", (tmp_path / "a.wav").read_bytes()[4:8])[0] + 8 == os.path.getsize(tmp_path / "a.wav")


def test_what_was_read_is_written_again_to_the_bit(tmp_path: Path) -> None:
    bwf.write(tmp_path / "a.wav", bwf.Filed([noise(5000)], 48000, 5000), **FACTS)
    found, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    bwf.write(tmp_path / "b.wav", bwf.Filed([found], 48000, 5000), **FACTS)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize("peak", [0.5, 0.89, 1.0, 2.0, 30.0])
def test_what_would_be_too_loud_is_lowered_as_a_whole_by_a_gain_that_is_told(tmp_path: Path, peak: float) -> None:
    sound = noise(48000) * peak
    made, loudness = bwf.filed([sound], 48000, 48000)
    bwf.write(tmp_path / "a.wav", made, **FACTS | {"coding_history": bwf.history(*bwf.told(made, loudness))})
    found, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_allclose(found, sound * 10 ** (made.gain_db / 20), atol=2**-23)
    assert (made.gain_db == 0) == (peak == 0.5)
    assert measure([found], 48000) == loudness
    assert loudness.true_peak_dbtp <= -1
    history = wavinfo.WavInfoReader(str(tmp_path / "a.wav")).bext.coding_history
    assert f"{loudness.true_peak_dbtp:.2f} dBTP" in history
    assert (f"lowered by {-made.gain_db:.3f} dB" in history) == (made.gain_db != 0)


def test_what_is_above_full_scale_is_refused_not_cut(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        bwf.write(tmp_path / "a.wav", bwf.Filed([np.array([0, 1.5], np.float32)], 48000, 2), **FACTS)
    assert os.listdir(tmp_path) == []


def test_floats_keep_what_is_above_full_scale(tmp_path: Path) -> None:
    sound = noise(48001) * 20
    made, loudness = bwf.filed([sound], 48000, 48001, "float32")
    history = bwf.history("foleygen", form="float32")
    bwf.write(tmp_path / "a.wav", made, **FACTS | {"coding_history": history, "loudness": loudness})
    found, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert np.array_equal(found, sound)
    assert soundfile.info(tmp_path / "a.wav").subtype == "FLOAT"
    assert loudness.true_peak_dbtp == pytest.approx(20 * np.log10(20), abs=6)
    assert ",W=32," in wavinfo.WavInfoReader(str(tmp_path / "a.wav")).bext.coding_history


@given(st.lists(st.integers(0, 70_000), max_size=6), st.sampled_from(["pcm24", "float32"]))
@settings(max_examples=25, deadline=None)
def test_reading_gives_what_was_filed_chunk_by_chunk(sizes: list[int], form: Any) -> None:
    """A level that is measured from the file is to the bit the one measured before it was written."""
    chunks = [noise(size, index) for index, size in enumerate(sizes)]
    filed = bwf.Filed(chunks, 48000, sum(sizes), form)
    with TemporaryDirectory() as folder:
        bwf.write(Path(folder) / "a.wav", filed, **FACTS)
        for one, other in zip(filed, wav.recording(Path(folder) / "a.wav"), strict=True):
            assert np.array_equal(one, other)


def test_the_oldest_readers_understand_it(tmp_path: Path) -> None:
    """The standard library reads tag 1 alone."""
    bwf.write(tmp_path / "a.wav", bwf.Filed([noise(101)], 48000, 101), **FACTS)
    with wave.open(str(tmp_path / "a.wav")) as read:
        assert (read.getnchannels(), read.getsampwidth(), read.getframerate(), read.getnframes()) == (1, 3, 48000, 101)
    raw = (tmp_path / "a.wav").read_bytes()
    assert raw[12:20] == b"fmt " + struct.pack("<I", 16)
    assert struct.unpack("<H", raw[20:22]) == (1,)
    assert int.from_bytes(raw[4:8], "little") + 8 == len(raw)


def test_bext_is_version_2_with_its_levels(tmp_path: Path) -> None:
    loudness = Loudness(-23.456, None, -1.0)
    bwf.write(tmp_path / "a.wav", bwf.Filed([noise(10)], 48000, 10), **FACTS, loudness=loudness)
    raw = (tmp_path / "a.wav").read_bytes()
    body = raw[raw.index(b"bext") + 8 :]
    assert struct.unpack("<H", body[346:348]) == (2,)
    assert struct.unpack("<5h", body[412:422]) == (-2346, 0x7FFF, -100, 0x7FFF, 0x7FFF)
    read = wavinfo.WavInfoReader(str(tmp_path / "a.wav")).bext
    assert (read.loudness_value, read.max_true_peak) == (pytest.approx(-23.46), pytest.approx(-1.0))


SLATE = Slate(
    scene="door & Söhne",
    take=2,
    circled=False,
    track="Foley",
    note='a note with <, " and a\nbreak',
    uid="0123",
    frame_rate=Fraction(30000, 1001),
    drop_frame=True,
    cat_id="FOLYFeet",
    creator="ME",
    source="REEL 1",
)
MARKS = (Mark(4800, "sound 1"), Mark(2**33 + 5, "Tür"))


def ixml_of(path: Path) -> ET.Element:
    place = wav_chunks.places(path)[b"iXML"]
    return ET.fromstring(path.read_bytes()[place.offset : place.offset + place.size])


def test_ixml_says_what_a_recorder_says(tmp_path: Path) -> None:
    path, loudness = tmp_path / "a.wav", Loudness(-23.4, None, -1.0)
    facts = FACTS | {"time_reference": 2**32 + 7, "loudness": loudness}
    bwf.write(path, bwf.Filed([noise(48000)], 48000, 48000), **facts, slate=SLATE, marks=MARKS[:1])
    found = ixml_of(path)
    assert found.tag == "BWFXML"
    said = {name: found.findtext(name) for name in ("PROJECT", "SCENE", "TAKE", "CIRCLED", "FILE_UID")}
    assert said == {"PROJECT": "REEL 1", "SCENE": SLATE.scene, "TAKE": "2", "CIRCLED": "FALSE", "FILE_UID": "0123"}
    speed = {child.tag: child.text for child in found.find("SPEED") or ()}
    assert (speed["TIMECODE_RATE"], speed["TIMECODE_FLAG"]) == ("30000/1001", "DF")
    assert (speed["FILE_SAMPLE_RATE"], speed["AUDIO_BIT_DEPTH"]) == ("48000", "24")
    assert (speed["TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI"], speed["TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO"]) == ("1", "7")
    assert found.findtext("LOUDNESS/LOUDNESS_VALUE") == "-23.40"
    assert found.find("LOUDNESS/LOUDNESS_RANGE") is None
    assert found.findtext("SYNC_POINT_LIST/SYNC_POINT_COUNT") == "1"
    assert found.findtext("SYNC_POINT_LIST/SYNC_POINT/SYNC_POINT_LOW") == "4800"
    assert found.findtext("TRACK_LIST/TRACK/NAME") == "Foley"
    assert found.findtext("ASWG/isGenerated") == "true"
    assert found.findtext("ASWG/catId") == "FOLYFeet"
    assert found.findtext("ASWG/subCategory") == "FEET"
    assert wavinfo.WavInfoReader(str(path)).ixml.take == "2"


def test_a_take_is_circled_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    bwf.write(path, bwf.Filed([noise(100)], 48000, 100), **FACTS, slate=SLATE)
    before = path.read_bytes()
    ixml.circle(path, True)
    assert ixml_of(path).findtext("CIRCLED") == "TRUE"
    ixml.circle(path, False)
    assert path.read_bytes() == before
    stranger = tmp_path / "b.wav"
    soundfile.write(stranger, noise(10), 48000)
    kept = stranger.read_bytes()
    ixml.circle(stranger, True)
    assert stranger.read_bytes() == kept


def test_hits_are_cues_with_names(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    marks = (Mark(4800, "sound 1"), Mark(9600, "Tür"))
    bwf.write(path, bwf.Filed([noise(48000)], 48000, 48000), **FACTS, marks=marks)
    cues = wavinfo.WavInfoReader(str(path)).cues
    assert [cue.position for cue in cues.cues] == [4800, 9600]
    assert [label.text for label in cues.labels] == ["sound 1", "Tur"]


def test_more_than_4_gb_is_rf64() -> None:
    form = bwf.FORMS["pcm24"]
    small, large = (wav_chunks.head(form, samples, []) for samples in (1000, 2**31))
    assert (small[:4], large[:4]) == (b"RIFF", b"RF64")
    whole, data, samples = struct.unpack("<QQQ", large[20:44])
    assert (data, samples) == (3 * 2**31, 2**31)
    assert whole + 8 == len(large) + data


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize(("given_samples", "written"), [(1.0, 48000), (0.5, 48000), (1.0, 12345)])
def test_any_rate_becomes_the_asked_for_samples_at_48_khz(
    tmp_path: Path, rate: int, given_samples: float, written: int
) -> None:
    clicks = impulses(round(rate * given_samples), rate // 8)
    bwf.write(tmp_path / "a.wav", bwf.Filed(clicks, rate, written), **FACTS)
    found, hertz = soundfile.read(tmp_path / "a.wav")
    assert (len(found), hertz) == (written, 48000)
    assert int(np.abs(found).argmax()) == pytest.approx(6000, abs=2)


def test_the_same_sound_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        bwf.write(tmp_path / name, bwf.Filed([noise(48000)], 48000, 48000), **FACTS)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert b"Lavf" not in (tmp_path / "a.wav").read_bytes()[:1000]


def test_a_date_is_written_where_it_is_given(tmp_path: Path) -> None:
    bwf.write(tmp_path / "a.wav", bwf.Filed([noise(10)], 48000, 10), **FACTS, date=datetime(2026, 3, 4, 5, 6, 7))
    read = wavinfo.WavInfoReader(str(tmp_path / "a.wav")).bext
    assert (read.originator_date, read.originator_time) == ("2026-03-04", "05:06:07")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=400), reference=st.integers(0, 2**63 - 1))
def test_any_text_fits_its_field(tmp_path: Path, text: str, reference: int) -> None:
    path = tmp_path / "a.wav"
    facts = {"originator": text, "description": text, "time_reference": reference}
    bwf.write(path, bwf.Filed([np.zeros(4, np.float32)], 48000, 4), **facts, coding_history=bwf.history(text, "seed 1"))
    head = path.read_bytes()
    place = head.index(b"bext") + 8
    field = head[place : place + 256 + 32].rstrip(b"\0")
    assert all(32 <= byte < 127 or byte == 0 for byte in field)
    read = wavinfo.WavInfoReader(str(path))
    assert read.data.frame_count == 4
    assert read.bext.time_reference == reference
    assert len(read.bext.description) <= 256
    assert read.bext.coding_history.count("\r\n") == 1
    assert read.bext.coding_history.endswith("; seed 1\r\n")
    assert read.bext.coding_history.count(",") == 4


def test_accents_become_letters(tmp_path: Path) -> None:
    facts = FACTS | {"description": "Café Zürich\n東京\udce9"}
    bwf.write(tmp_path / "a.wav", bwf.Filed([noise(10)], 48000, 10), **facts)
    assert wavinfo.WavInfoReader(str(tmp_path / "a.wav")).bext.description == "Cafe Zurich ?? "


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_older_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a.wav").write_bytes(b"older")

    def failing():  # type: ignore[no-untyped-def]
        yield noise(48000)
        raise error

    with pytest.raises(error):
        bwf.write(tmp_path / "a.wav", bwf.Filed(failing(), 48000, 96000), **FACTS)
    assert os.listdir(tmp_path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == b"older"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClipError, match="cannot be written"):
        bwf.write(tmp_path / "file" / "a.wav", bwf.Filed([noise(10)], 48000, 10), **FACTS)
