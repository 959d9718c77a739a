"""Cues on the clock of a clip: what a sheet holds, and what markers from a file become."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import filled, moved, sheet
from foleygen.cues.marker import EMPTY, Marker, Markers, placed, resolved, turned
from foleygen.errors import ClipError
from foleygen.facts import Cue, Stretch

NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)
SOUNDS = st.sampled_from([None, "door", "glass"])
CUES = st.builds(
    Cue, st.floats(0, 20, allow_nan=False), st.none() | st.floats(0, 1), st.none() | st.floats(0, 1), SOUNDS
)


def clock(
    rate: Fraction = Fraction(25), duration: float = 10.0, start: str | None = None, name: str = "a.mov"
) -> ClipClock:
    return ClipClock(name, rate, Fraction(duration), start)


def markers(*times: Fraction | str | float) -> Markers:
    found = [Marker(f"line {n}", t if isinstance(t, str) else Fraction(t)) for n, t in enumerate(times, start=1)]
    return Markers(Path("a.cues.csv"), tuple(found))


def test_the_wing_needs_neither_torch_nor_pyav_nor_a_terminal() -> None:
    heavy = "{'torch', 'av', 'scipy', 'click', 'rich', 'opentimelineio', 'mido'}"
    code = f"import sys; import foleygen.cues.files, foleygen.cues.words; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The sheet


def test_cues_are_in_order_and_doubles_are_one() -> None:
    made = sheet([Cue(2.0, name="b"), Cue(1.0, 0.4), Cue(1.004, 0.9, sound="door"), Cue(1.004, sound="glass")])
    assert made.cues == (Cue(1.0, 0.9, sound="door"), Cue(1.004, sound="glass"), Cue(2.0, name="b"))


def test_two_sounds_at_one_time_keep_their_words() -> None:
    assert len(sheet([Cue(1.0, sound="door"), Cue(1.0, sound="glass"), Cue(1.0, sound="door")]).cues) == 2


@given(st.lists(CUES, max_size=30))
def test_a_sheet_of_a_sheet_is_the_same(cues: list[Cue]) -> None:
    made = sheet(cues)
    assert sheet(made.cues).cues == made.cues
    assert list(made.cues) == sorted(made.cues, key=lambda cue: cue.seconds)
    for before, after in zip(made.cues, made.cues[1:], strict=False):
        assert before.sound != after.sound or after.seconds - before.seconds > 0.0099


@given(st.lists(CUES, max_size=20), st.randoms(use_true_random=False))
def test_order_and_people_do_not_change_the_digest(cues: list[Cue], random: object) -> None:
    apart = [Cue(index + cue.seconds / 40, cue.strength, cue.confidence, cue.sound) for index, cue in enumerate(cues)]
    shuffled = list(apart)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    renamed = [Cue(cue.seconds, cue.strength, None, cue.sound, "renamed") for cue in shuffled]
    assert sheet(apart, source="a").digest == sheet(renamed, source="b").digest


def test_whatever_decides_the_sound_changes_the_digest() -> None:
    made = [
        sheet([]),
        sheet([Cue(1.0)]),
        sheet([Cue(1.04)]),
        sheet([Cue(1.0, 0.5)]),
        sheet([Cue(1.0, sound="door")]),
        sheet([Cue(1.0)], [Stretch(0, 2)]),
        filled(sheet([Cue(1.0)])),
    ]
    assert len({one.digest for one in made}) == len(made)


def test_known_is_everywhere_or_in_stretches() -> None:
    assert sheet([]).is_known(3.0)
    made = sheet([], [Stretch(4.0, 5.0), Stretch(1.0, 2.0), Stretch(1.5, 3.0)])
    assert made.known == (Stretch(1.0, 3.0), Stretch(4.0, 5.0))
    assert [made.is_known(time) for time in (0.9, 1.0, 2.9, 3.0, 4.5)] == [False, True, True, False, True]
    assert not filled(sheet([Cue(1.0)])).is_known(1.0)


def test_a_window_and_a_delay() -> None:
    made = sheet([Cue(0.0), Cue(1.0), Cue(2.0)], [Stretch(0.0, 2.5)])
    assert [cue.seconds for cue in made.between(1.0, 2.0)] == [1.0]
    later = moved(made, -0.5)
    assert [cue.seconds for cue in later.cues] == [-0.5, 0.5, 1.5]
    assert later.known == (Stretch(-0.5, 2.0),)
    assert moved(sheet([Cue(1.0)]), 1.0).known is None


# The clock


@pytest.mark.parametrize(
    ("rate", "start", "label", "seconds"),
    [
        (Fraction(25), "01:00:00:00", "01:00:02:12", Fraction(62, 25)),
        (Fraction(25), None, "00:00:02:12", Fraction(62, 25)),
        (FILM, "01:00:00:00", "01:00:01:00", Fraction(1001, 1000)),
        (NTSC, "00:59:58;00", "01:00:00;00", Fraction(1001, 500)),
        (NTSC, "00:00:58:00", "00:00:59:15", Fraction(1001, 1000) * Fraction(3, 2)),
        # Within the first minute no label is dropped, so either way of counting means one picture.
        (NTSC, "00:00:00;00", "00:00:02:00", Fraction(1001, 500)),
        (NTSC, None, "00:01:00;02", 1800 / NTSC),
    ],
)
def test_labels_are_places_in_the_clip(rate: Fraction, start: str | None, label: str, seconds: Fraction) -> None:
    assert clock(rate, 200.0, start).seconds_of(label, "line 1") == seconds


@pytest.mark.parametrize(
    ("rate", "start", "label", "words"),
    [
        (Fraction(24), None, "00:00:01:29", "does not exist at 24 pictures per second"),
        (Fraction(25), None, "00:00:01;10", "does not exist at 25 pictures per second"),
        (NTSC, None, "00:01:00;01", "does not exist at 29.97 pictures per second"),
        (NTSC, "01:00:00;00", "01:00:01:00", "is non-drop-frame, that of a.mov is drop-frame"),
        (NTSC, "01:00:00:00", "01:00:01;00", "is drop-frame, that of a.mov is non-drop-frame"),
    ],
)
def test_labels_of_another_count_are_refused(rate: Fraction, start: str | None, label: str, words: str) -> None:
    with pytest.raises(ClipError, match=words) as caught:
        clock(rate, start=start).seconds_of(label, "a.edl: line 7")
    assert str(caught.value).startswith("a.edl: line 7: the timecode ")


@given(
    rate=st.sampled_from([FILM, Fraction(24), Fraction(25), NTSC, Fraction(50), Fraction(60000, 1001)]),
    picture=st.integers(0, 100_000),
    start=st.sampled_from([None, "00:00:00:00", "09:59:58:10"]),
)
def test_a_picture_keeps_its_label_through_seconds_to_the_microsecond(
    rate: Fraction, picture: int, start: str | None
) -> None:
    own = clock(rate, 9000.0, start)
    written = round(float(picture / rate), 6)
    assert own.picture_at(written) == picture
    assert own.seconds_of(own.label(written), "") == picture / rate


# Markers to cues


def test_unsorted_and_at_one_time() -> None:
    made = resolved(markers(2, "00:00:01:00", 1), clock())
    assert [cue.seconds for cue in made.cues] == [1.0, 2.0]
    assert made.known is None
    assert made.source == "a.cues.csv"


def test_no_marker_is_none_here() -> None:
    made = resolved(markers(), clock())
    assert (made.cues, made.known) == ((), None)
    assert made.is_known(0.0)


@pytest.mark.parametrize(
    ("times", "start", "words"),
    [
        (
            ["01:00:01:00", "01:00:02:00"],
            None,
            "its times are one hour after those of a.mov; .* --cues-start 01:00:00:00",
        ),
        (["00:00:01:00"], "01:00:00:00", "its times are one hour before those of a.mov; .* --cues-start 00:00:00:00"),
        (["03:00:01:00"], "01:00:00:00", "its times are 2 hours after those of a.mov; .* --cues-start 03:00:00:00"),
        ([3601.5], None, "its times are one hour after"),
        ([1, 10], None, r"1 of its 2 times lies outside of a.mov \(10.000 s\), line 2 at its end;"),
        ([1, 10, 11], None, r"2 of its 3 times lie outside of a.mov \(10.000 s\), line 2 at its end;"),
        ([1, 10.0006], None, "line 2 0.001 s after its end"),
        ([12.5], None, "its time lies outside of a.mov .* 2.500 s after its end"),
        (["00:59:59:00", "01:00:00:00"], "01:00:00:00", "line 1 1.000 s before its beginning"),
        (["00:00:01:27"], None, "line 1: the timecode 00:00:01:27 does not exist"),
    ],
)
def test_times_that_are_not_the_clips(times: list[str | float], start: str | None, words: str) -> None:
    with pytest.raises(ClipError, match=words) as caught:
        resolved(markers(*times), clock(start=start))
    assert "a.cues.csv" in str(caught.value)


def test_the_hour_is_told_at_the_rate_of_the_clip() -> None:
    with pytest.raises(ClipError, match="--cues-start 01:00:00;00"):
        resolved(markers("01:00:01;00"), clock(NTSC, start="00:00:00;00"))
    with pytest.raises(ClipError, match="--cues-start 01:00:00:00"):
        resolved(markers("01:00:01:00"), clock(FILM, start=None))


@pytest.mark.parametrize("start", [None, "10:00:00:00"])
def test_what_their_clock_reads_can_be_said(start: str | None) -> None:
    assert [cue.seconds for cue in resolved(markers("01:00:01:00", 3602), clock(start=start), "01:00:00:00").cues] == [
        1.0,
        2.0,
    ]
    with pytest.raises(ClipError, match="the start of its cues: the timecode 01:00:00:99 does not exist"):
        resolved(markers(1), clock(start=start), "01:00:00:99")


def test_seconds_and_timecode_must_agree() -> None:
    def both(seconds: float, label: str) -> Markers:
        return Markers(Path("a.cues.csv"), (Marker("line 2", Fraction(seconds), also=label),))

    assert resolved(both(1.25, "00:00:01:07"), clock()).cues[0].seconds == 1.25
    with pytest.raises(ClipError, match="line 2: its seconds mean 00:00:01:06, its timecode says 00:00:02:06"):
        resolved(both(1.25, "00:00:02:06"), clock())


def test_stretches() -> None:
    cue, whole = Marker("line 3", Fraction(3)), Marker("line 2", Fraction(2), Fraction(100))
    made = resolved(Markers(Path("a.csv"), (whole, cue)), clock())
    assert made.known == (Stretch(2.0, 10.0),), "cut to the clip"
    assert resolved(Markers(Path("a.csv"), (Marker("x", "00:00:01:00", length=25),)), clock()).known == (
        Stretch(1.0, 2.0),
    )
    assert list(placed(Markers(Path("a.csv"), (whole, whole, whole)), clock()).remarks()) == [
        "a.csv: the stretch of line 2 ends 90.000 s after a.mov (and so do 2 more), and is cut to the clip; check that "
        "these are its cues"
    ]
    for end, count in ((10, 0), (Fraction("10.5"), 0), (Fraction("10.501"), 1), (10**12, 1)):
        one = Marker("line 2", Fraction(2), Fraction(end), sound="rain")
        assert len(list(placed(Markers(Path("a.csv"), (one,)), clock()).remarks())) == count
    lengths = Markers(Path("a.csv"), (Marker("x", "00:00:09:00", length=25), Marker("y", "00:00:09:00", length=50)))
    (said,) = placed(lengths, clock()).remarks()
    assert said.startswith("a.csv: the stretch of y ends 1.000 s after a.mov, and is cut")
    with pytest.raises(ClipError, match="the cue at 3 s lies outside of the stretches"):
        resolved(Markers(Path("a.csv"), (Marker("line 2", Fraction(0), Fraction(2)), cue)), clock())
    with pytest.raises(ClipError, match="line 2: the stretch ends before it begins; give its beginning first"):
        resolved(Markers(Path("a.csv"), (Marker("line 2", Fraction(2), Fraction(1)),)), clock())
    for empty in (Marker("line 2", Fraction(2), Fraction(2)), Marker("line 2", "00:00:02:00", "00:00:02:00")):
        assert turned(empty) == EMPTY
        with pytest.raises(ClipError, match="line 2: the stretch ends where it begins; give it a later end, or its"):
            resolved(Markers(Path("a.csv"), (empty,)), clock())


def test_a_digest_is_the_same_in_every_process() -> None:
    code = (
        "from foleygen.cues.cue import sheet; from foleygen.facts import Cue, Stretch;"
        "print(sheet([Cue(1.5, 0.25, sound='door')], [Stretch(1, 2)]).digest)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == sheet([Cue(1.5, 0.25, sound="door")], [Stretch(1, 2)]).digest
