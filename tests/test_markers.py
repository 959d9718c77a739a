"""Markers beside a finished clip: what a spreadsheet, a script or an editing program reads back."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from finished import Made, finish

from foleygen.cues import files
from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import sheet
from foleygen.cues.marker import resolved
from foleygen.facts import Cue
from foleygen.media.probe import probe
from foleygen.record import markers, sidecar
from foleygen.record.schema import Sidecar
from foleygen.settings import MARKERS, ClipSettings

TOLD = sheet([Cue(0.11, 0.5, None, "door", "left"), Cue(1.1), Cue(1.5, sound="glass")])


@pytest.fixture
def made(tmp_path: Path, random_bundle: Path) -> Made:
    return finish(tmp_path, random_bundle, takes=1)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("ascii"), newline="")))


def told(made: Made) -> Sidecar:
    """Its record, as if it had been made from cues, one of which it does not keep."""
    found = sidecar.load(made.output)
    take = replace(found.takes[0], missed_s=(1.5,))
    return replace(found, own=ClipSettings(TOLD, "rain"), takes=(take,))


def read(path: Path, made: Made) -> list[Cue]:
    return list(resolved(files.read(path, made.source.name), ClipClock.of(probe(made.source))).cues)


def test_the_forms_are_those_that_cues_are_read_from() -> None:
    assert set(MARKERS) == set(files.WRITTEN)


def test_the_columns(made: Made) -> None:
    written = markers.of_record(made.output, sidecar.load(made.output))
    assert written.name == "shot.foley.markers.csv"
    assert rows(written) == [
        {"index": "1", "seconds": "0.100000", "timecode": "01:00:00:02", "samples": "4800"},
        {"index": "2", "seconds": "1.100000", "timecode": "01:00:01:02", "samples": "52800"},
    ]
    assert written.read_bytes().count(b"\r\n") == written.read_bytes().count(b"\n") == 3
    assert b',"01:00:00:02",' in written.read_bytes()
    assert not list(made.output.parent.glob(".part-*"))


def test_no_onset_is_a_table_without_rows(made: Made) -> None:
    found = sidecar.load(made.output)
    silent = replace(found, takes=(replace(found.takes[0], onsets_s=()),))
    assert markers.of_record(made.output, silent).read_bytes() == b"index,seconds,timecode,samples\r\n"


@pytest.mark.parametrize("form", MARKERS)
def test_every_form_is_read_back(made: Made, form: str) -> None:
    written = markers.of_record(made.output, sidecar.load(made.output), form)
    assert [cue.seconds for cue in read(written, made)] == pytest.approx([0.1, 1.1], abs=0.04)
    assert markers.path_for(made.output, form) == written


@pytest.mark.parametrize("form", sorted({*MARKERS} - {"csv"}))
def test_words_strengths_and_what_is_missing_go_with_the_markers(made: Made, form: str) -> None:
    first, second, missed = read(markers.of_record(made.output, told(made), form), made)
    assert (first.sound, first.strength, first.name) == ("door", 0.5, "left")
    assert (second.sound, second.strength) == ("rain", None)
    assert (missed.sound, missed.name) == (None, "missed: glass")
    assert missed.seconds == pytest.approx(1.5, abs=0.04)


def test_names_are_a_forms_own() -> None:
    assert len({files.FORMATS[form].suffix for form in MARKERS}) == len(MARKERS)


def test_they_follow_the_take_that_is_heard(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, takes=2)
    record = sidecar.load(made.output)
    markers.refresh(made.output, record, record)
    assert not any(markers.path_for(made.output, form).exists() for form in MARKERS), "only those that are there"
    for form in ("csv", "audacity"):
        markers.of_record(made.output, record, form)
    markers.refresh(made.output, record, replace(record, picked=2))
    for form in ("csv", "audacity"):
        path = markers.path_for(made.output, form)
        assert [cue.seconds for cue in read(path, made)] == pytest.approx([0.2, 1.2])
    assert not markers.path_for(made.output, "midi").exists()


def test_the_sidecar_may_be_another_containers(made: Made) -> None:
    sidecar.path_for(made.output).write_text(json.dumps({"output": "shot.foley.mkv"}))
    assert markers.path_for(made.output).name == "shot.foley.mov.markers.csv"
