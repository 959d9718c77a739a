"""Shot changes are found at the picture that begins the new shot, on the pictures that the windows get."""

from __future__ import annotations

import colorsys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from foleygen.errors import ClipError
from foleygen.media import movie
from foleygen.media.cuts import CONTENT_THRESHOLD, ContentDetector, Reel, SceneDetectDetector, hue_saturation_value
from foleygen.media.frames import FrameRequest, FrameRule, read
from foleygen.media.probe import probe

COLOURS = ((200, 30, 30), (20, 60, 210), (240, 230, 40), (10, 120, 60))
RATE = Fraction(125, 4)


def shots_clip(path: Path, lengths: list[int], rate: int = 25) -> Path:
    """Shots of so many pictures, each of another colour, with something that moves."""

    def pictures():
        for shot, length in enumerate(lengths):
            for number in range(length):
                picture = np.full((48, 64, 3), COLOURS[shot % len(COLOURS)], np.uint8)
                left = (number * 2 + shot * 11) % 56
                picture[20:28, left : left + 8] = 255
                yield picture

    movie.write(path, pictures(), rate, (64, 48))
    return path


def reel_to_the_end(path: Path) -> Reel:
    reel = Reel(probe(path), 64)
    reel.advance(Fraction(10**6))
    return reel


@pytest.mark.parametrize("rate", [12, 25, 60])
def test_cuts_are_where_the_new_shots_begin(tmp_path, rate):
    reel = reel_to_the_end(shots_clip(tmp_path / "a.mp4", [rate, 2 * rate, rate], rate))
    assert reel.cuts == [1, 3]


def test_a_single_shot_has_none(tmp_path):
    assert reel_to_the_end(shots_clip(tmp_path / "a.mp4", [60])).cuts == []


def test_flicker_is_at_most_one_cut(tmp_path):
    assert len(reel_to_the_end(shots_clip(tmp_path / "a.mp4", [25, *[1] * 40])).cuts) == 1


def test_only_what_has_been_looked_at_is_known_and_kept(tmp_path):
    reel = Reel(probe(shots_clip(tmp_path / "a.mp4", [50, 50, 50])), 64)
    reel.advance(Fraction(3))
    assert reel.cuts == [2]
    reel.forget(Fraction(5, 2))
    assert [shot.time for shot in reel._kept] == [Fraction(k, 25) for k in range(62, 76)]


@pytest.mark.parametrize("rule", FrameRule)
@pytest.mark.parametrize("rate", [RATE, Fraction(4)])
def test_its_frames_are_those_of_read(tmp_path, rule, rate):
    info = probe(shots_clip(tmp_path / "a.mp4", [30, 40, 20], 24))
    count = int(rate)
    starts = [Fraction(0), Fraction(1, 3), Fraction(2), Fraction(13, 4)]
    requests = [FrameRequest(index, start, count) for index, start in enumerate(starts)]
    expected = dict(read(info, requests, rate, 64, rule))
    reel = Reel(info, 64)
    for request in requests:
        reel.advance(request.start_s + 1)
        reel.forget(request.start_s)
        np.testing.assert_array_equal(reel.frames(request, rate, rule), expected[request.index])


def test_nothing_to_decode_is_an_error(tmp_path):
    path = shots_clip(tmp_path / "a.mp4", [20])
    info = probe(path)
    data = path.read_bytes()
    begin = data.index(b"mdat") + 4
    end = data.find(b"moov", begin) - 4 if b"moov" in data[begin:] else len(data)
    path.write_bytes(data[:begin] + bytes(end - begin) + data[end:])
    with pytest.raises(ClipError, match="none of its pictures"):
        Reel(info, 64).advance(Fraction(1))


@given(arrays.arrays(np.uint8, (3, 4, 3)))
@settings(deadline=None)
def test_hue_saturation_and_value_are_those_of_the_standard_library(picture):
    found = hue_saturation_value(picture)
    for row, column in np.ndindex(3, 4):
        hue, saturation, value = colorsys.rgb_to_hsv(*(picture[row, column] / 255))
        expected = np.array([180 * hue, 255 * saturation, 255 * value])
        difference = np.abs(found[:, row, column] - expected)
        difference[0] = min(difference[0], 180 - difference[0])
        assert difference.max() <= 0.51


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_scenedetect_finds_the_same(seed):
    pytest.importorskip("scenedetect")
    rng = np.random.default_rng(seed)
    ours, theirs = ContentDetector(), SceneDetectDetector()
    before = None
    for _ in range(6):
        base, spread = rng.integers(0, 200, 3), int(rng.integers(1, 56))
        for _ in range(2):
            picture = (base + rng.integers(0, spread, (16, 16, 3))).astype(np.uint8)
            found, expected = ours.is_cut(picture), theirs.is_cut(picture)
            score = CONTENT_THRESHOLD if before is None else content_score(before, picture)
            assert found == expected or abs(score - CONTENT_THRESHOLD) < 0.5  # OpenCV rounds each pixel
            before = picture


def content_score(before, picture):
    return np.abs(hue_saturation_value(before) - hue_saturation_value(picture)).mean()
