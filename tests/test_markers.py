"""Markers as CSV: what a spreadsheet or a script reads back."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from pathlib import Path

import pytest
from finished import finish
from hypothesis import given
from hypothesis import strategies as st

from foleygen.media import timecode
from foleygen.record import markers, sidecar

RATES = [Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 50, Fraction(60000, 1001), 60]


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("ascii"), newline="")))


def test_the_columns(tmp_path: Path) -> None:
    written = markers.write(tmp_path / "a.foley.mov", [0.0, 0.5, 61.04], Fraction(25), "01:00:00:00")
    assert written.name == "a.foley.markers.csv"
    assert rows(written) == [
        {"index": "1", "seconds": "0.000000", "timecode": "01:00:00:00", "samples": "0"},
        {"index": "2", "seconds": "0.500000", "timecode": "01:00:00:12", "samples": "24000"},
        {"index": "3", "seconds": "61.040000", "timecode": "01:01:01:01", "samples": "2929920"},
    ]
    assert written.read_bytes().count(b"\r\n") == written.read_bytes().count(b"\n") == 4
    assert not list(tmp_path.glob(".part-*"))


def test_no_onset_is_a_table_without_rows(tmp_path: Path) -> None:
    assert markers.write(tmp_path / "a.foley.mov", [], Fraction(25), None).read_bytes() == (
        b"index,seconds,timecode,samples\r\n"
    )


@pytest.mark.parametrize("start", [None, "not a timecode", "01:00:00:99"])
def test_a_clip_without_a_clock_counts_from_zero(start: str | None) -> None:
    assert markers.label(1.0, Fraction(25), start) == "00:00:01:00"


def test_dropped_labels_are_written_as_such() -> None:
    rate = Fraction(30000, 1001)
    assert markers.label(60.06, rate, "00:00:00;00") == "00:01:00;02"
    assert markers.label(60.06, rate, "00:00:00:00") == "00:01:00:00"


def test_a_measured_rate_counts_as_the_exact_one() -> None:
    """Over an hour, a rate that is 0.01 % off would be nine pictures away."""
    measured = Fraction(24000, 1001) * Fraction(10001, 10000)
    assert markers.label(3600.0, measured, None) == markers.label(3600.0, Fraction(24000, 1001), None)


@given(
    rate=st.sampled_from(RATES),
    number=st.integers(0, 60 * 60 * 2),
    into=st.floats(0, 0.999),
    start=st.sampled_from(["00:00:00:00", "09:59:59:10", "23:59:58:00"]),
)
def test_the_timecode_is_that_of_the_picture_on_the_screen(
    rate: Fraction, number: int, into: float, start: str
) -> None:
    seconds = float((number + Fraction(into)) / rate)
    first = timecode.frame_number(start, Fraction(rate))
    assert first is not None
    found = timecode.frame_number(markers.label(seconds, Fraction(rate), start), Fraction(rate))
    nominal = round(rate)
    assert found == (first + number) % (nominal * 86400)


def test_it_follows_the_sidecar(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=1)
    record = sidecar.load(made.output)
    markers.refresh(made.output, record)
    assert not markers.path_for(made.output).exists(), "only markers that are there are brought up to date"
    markers.of_record(made.output, record)
    assert [row["timecode"] for row in rows(markers.path_for(made.output))] == ["01:00:00:02", "01:00:01:02"]
