"""media.timecode: labels of pictures, at every usual rate, as places in the day."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from clips import write_clip
from hypothesis import given
from hypothesis import strategies as st

from foleygen.media.probe import probe
from foleygen.media.timecode import frame_number, is_drop_frame, label, samples_since_midnight, time_reference

NTSC = [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)]
RATES = [*NTSC, Fraction(24), Fraction(25), Fraction(30), Fraction(50), Fraction(60)]
DROPPING = NTSC[1:]
HOUR = 3600 * 48000


@pytest.mark.parametrize(
    ("timecode", "rate", "samples"),
    [
        ("00:00:00:00", Fraction(25), 0),
        ("01:00:00:00", Fraction(25), HOUR),
        ("10:00:00:00", Fraction(24), 10 * HOUR),
        ("00:00:00:01", Fraction(25), 1920),
        ("00:00:00:49", Fraction(50), 47040),
        # 108000 pictures of 1001/30000 s: a labelled hour is 3.6 s longer than a real one.
        ("01:00:00:00", NTSC[1], round(Fraction(36036, 10) * 48000)),
        ("01:00:00:00", NTSC[0], round(Fraction(36036, 10) * 48000)),
        # 107892 pictures: dropped labels bring it within 3.6 ms of the real hour.
        ("01:00:00;00", NTSC[1], round(107892 * Fraction(1001, 30000) * 48000)),
        ("01:00:00;00", NTSC[2], round(215784 * Fraction(1001, 60000) * 48000)),
        ("01:00:00;00", Fraction(30), round(107892 * Fraction(1, 30) * 48000)),
        ("01:00:00.00", NTSC[1], round(107892 * Fraction(1001, 30000) * 48000)),
        ("00:01:00;02", NTSC[1], round(1800 * Fraction(1001, 30000) * 48000)),
        ("00:10:00;00", NTSC[1], round(17982 * Fraction(1001, 30000) * 48000)),
    ],
)
def test_known_places(timecode: str, rate: Fraction, samples: int) -> None:
    assert samples_since_midnight(timecode, rate) == samples


@pytest.mark.parametrize("rate", RATES)
def test_the_day_is_as_long_as_its_pictures(rate: Fraction) -> None:
    last = label(24 * 3600 * round(rate) - 1, rate)
    assert last == f"23:59:59:{round(rate) - 1:02}"
    found = samples_since_midnight(last, rate)
    assert found is not None
    slow = Fraction(1001, 1000) if rate in NTSC else 1
    assert found == round((86400 - 1 / Fraction(round(rate))) * slow * 48000)


@given(rate=st.sampled_from(RATES), number=st.integers(0, 24 * 3600 * 23))
def test_every_picture_has_its_own_label(rate: Fraction, number: int) -> None:
    assert frame_number(label(number, rate), rate) == number


@given(rate=st.sampled_from(DROPPING), number=st.integers(0, 2589407))
def test_dropped_labels_are_never_used(rate: Fraction, number: int) -> None:
    text = label(number, rate, drop_frame=True)
    assert is_drop_frame(text)
    assert frame_number(text, rate) == number
    # The clock on the label stays with the real one.
    hours, minutes, seconds, frames = (int(part) for part in text.replace(";", ":").split(":"))
    shown = (hours * 60 + minutes) * 60 + seconds + Fraction(frames, round(rate))
    assert abs(shown - number / rate) < Fraction(2, 10)


@given(rate=st.sampled_from(RATES), number=st.integers(0, 10**6))
def test_one_picture_later_is_one_picture_later(rate: Fraction, number: int) -> None:
    first, second = (samples_since_midnight(label(number + k, rate), rate) for k in (0, 1))
    assert first is not None
    assert second is not None
    assert abs(second - first - 48000 / rate) <= 1


@pytest.mark.parametrize(
    ("timecode", "rate"),
    [
        ("", 25),
        ("hello", 25),
        ("01:00:00", 25),
        ("24:00:00:00", 25),
        ("00:60:00:00", 25),
        ("00:00:60:00", 25),
        ("00:00:00:25", 25),
        ("00:00:00:24", 24),
        ("-1:00:00:00", 25),
        ("١٢:00:00:00", 25),
        ("01:00:00;00", 25),
        ("00:01:00;00", 30),
        ("01:00:00;00", NTSC[0]),
        ("00:01:00;00", NTSC[1]),
        ("00:01:00;01", NTSC[1]),
        ("00:01:00;03", NTSC[2]),
    ],
)
def test_what_is_no_label_is_none(timecode: str, rate: Fraction | int) -> None:
    assert frame_number(timecode, Fraction(rate)) is None
    assert samples_since_midnight(timecode, Fraction(rate)) is None


@given(text=st.text(max_size=14), rate=st.fractions(Fraction(1, 100), 1000))
def test_nothing_crashes(text: str, rate: Fraction) -> None:
    assert samples_since_midnight(text, rate) is None or len(text.strip()) >= 11


@given(rate=st.sampled_from(RATES), count=st.integers(50, 10**5), slip_ms=st.floats(-1, 1))
def test_a_measured_rate_is_the_standard_one_that_is_meant(rate: Fraction, count: int, slip_ms: float) -> None:
    """Matroska rounds times to milliseconds; the rate is off by a part of 2000 at worst in these clips."""
    duration = count / rate
    slip = Fraction(slip_ms / 1000) * min(1, duration / 5)
    assert samples_since_midnight("01:00:00:00", count / (duration + slip)) == samples_since_midnight(
        "01:00:00:00", rate
    )


def test_rates_that_no_standard_knows_are_taken_as_they_are() -> None:
    assert samples_since_midnight("00:00:01:00", Fraction(25, 2)) == round(13 * Fraction(2, 25) * 48000)
    assert samples_since_midnight("00:00:01:00", Fraction(1, 3)) == 3 * 48000


@pytest.mark.parametrize("rate", [Fraction(25), NTSC[1]])
def test_a_clip_says_where_its_stems_begin(tmp_path: Path, rate: Fraction) -> None:
    info = probe(write_clip(tmp_path / "a.mov", 10, rate, metadata={"timecode": "10:00:00:00"}))
    expected = samples_since_midnight("10:00:00:00", rate)
    assert time_reference(info) == (expected, ())
    assert time_reference(replace(info, timecode=None)) == (0, ())
    samples, (warning,) = time_reference(replace(info, timecode="99:00:00:00"))
    assert samples == 0
    assert warning.startswith("its timecode 99:00:00:00 does not exist at")
