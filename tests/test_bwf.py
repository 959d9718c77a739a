"""media.bwf: broadcast wav files that other readers understand, the same bytes for the same sound."""

from __future__ import annotations

import os
import struct
from datetime import datetime
from pathlib import Path
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
from foleygen.media import bwf

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
    bwf.write(path, [noise(48001)], 48000, 48001, **FACTS)
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
    bwf.write(tmp_path / "a.wav", np.array_split(sound, 3), 48000, samples, **FACTS)
    found, rate = soundfile.read(tmp_path / "a.wav", dtype="float64")
    assert rate == 48000
    assert len(found) == samples
    assert np.abs(found - sound).max() <= 2**-24
    assert struct.unpack("<I", (tmp_path / "a.wav").read_bytes()[4:8])[0] + 8 == os.path.getsize(tmp_path / "a.wav")


def test_what_was_read_is_written_again_to_the_bit(tmp_path: Path) -> None:
    bwf.write(tmp_path / "a.wav", [noise(5000)], 48000, 5000, **FACTS)
    found, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    bwf.write(tmp_path / "b.wav", [found], 48000, 5000, **FACTS)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_too_loud_samples_are_clipped_not_wrapped(tmp_path: Path) -> None:
    bwf.write(tmp_path / "a.wav", [np.array([2, 1, -1, -3], np.float32)], 48000, 4, **FACTS)
    found, _ = soundfile.read(tmp_path / "a.wav", dtype="float64")
    np.testing.assert_allclose(found, [1, 1, -1, -1], atol=2**-23)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize(("given_samples", "written"), [(1.0, 48000), (0.5, 48000), (1.0, 12345)])
def test_any_rate_becomes_the_asked_for_samples_at_48_khz(
    tmp_path: Path, rate: int, given_samples: float, written: int
) -> None:
    clicks = impulses(round(rate * given_samples), rate // 8)
    bwf.write(tmp_path / "a.wav", clicks, rate, written, **FACTS)
    found, hertz = soundfile.read(tmp_path / "a.wav")
    assert (len(found), hertz) == (written, 48000)
    assert int(np.abs(found).argmax()) == pytest.approx(6000, abs=2)


def test_the_same_sound_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        bwf.write(tmp_path / name, [noise(48000)], 48000, 48000, **FACTS)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert b"Lavf" not in (tmp_path / "a.wav").read_bytes()[:1000]


def test_a_date_is_written_where_it_is_given(tmp_path: Path) -> None:
    bwf.write(tmp_path / "a.wav", [noise(10)], 48000, 10, **FACTS, date=datetime(2026, 3, 4, 5, 6, 7))
    read = wavinfo.WavInfoReader(str(tmp_path / "a.wav")).bext
    assert (read.originator_date, read.originator_time) == ("2026-03-04", "05:06:07")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=400), reference=st.integers(0, 2**63 - 1))
def test_any_text_fits_its_field(tmp_path: Path, text: str, reference: int) -> None:
    path = tmp_path / "a.wav"
    facts = {"originator": text, "description": text, "time_reference": reference}
    bwf.write(path, [np.zeros(4, np.float32)], 48000, 4, **facts, coding_history=bwf.history(text, "seed 1"))
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
    bwf.write(tmp_path / "a.wav", [noise(10)], 48000, 10, **facts)
    assert wavinfo.WavInfoReader(str(tmp_path / "a.wav")).bext.description == "Cafe Zurich ?? "


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_older_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a.wav").write_bytes(b"older")

    def failing():  # type: ignore[no-untyped-def]
        yield noise(48000)
        raise error

    with pytest.raises(error):
        bwf.write(tmp_path / "a.wav", failing(), 48000, 96000, **FACTS)
    assert os.listdir(tmp_path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == b"older"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClipError, match="cannot be written"):
        bwf.write(tmp_path / "file" / "a.wav", [noise(10)], 48000, 10, **FACTS)
