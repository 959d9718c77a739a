"""media.frames: which pictures, how they look, and that overlapping windows agree."""

from __future__ import annotations

import math
import shutil
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from clips import HEIGHT, WIDTH, pictures, turn, write_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foleygen.errors import ClipError
from foleygen.media.frames import SEEK_BEYOND, FrameRequest, FrameRule, read
from foleygen.media.probe import ClipInfo, probe

SIZE = 8
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def flat(levels: list[int]) -> list[NDArray[np.uint8]]:
    return [np.full((16, 16, 3), (level, 255 - level, 7 * level % 256), np.uint8) for level in levels]


def lossless(path: Path, times: list[Fraction]) -> ClipInfo:
    """A clip whose k-th picture is all red level k; Matroska keeps times in whole milliseconds."""
    levels = [k * 3 % 256 for k in range(len(times))]
    return probe(write_clip(path, frames=flat(levels), times=times, codec="ffv1", pixel_format="bgr0", size=(16, 16)))


def levels_of(info: ClipInfo, request: FrameRequest, rate: Fraction, rule: FrameRule) -> NDArray[np.int_]:
    ((index, frames),) = read(info, [request], rate, SIZE, rule)
    assert index == request.index
    assert frames.shape == (request.count, SIZE, SIZE, 3)
    assert frames.dtype == np.uint8
    assert (frames == frames[:, :1, :1]).all(), "a flat picture stays flat"
    return frames[:, 0, 0, 0].astype(int)


milliseconds = st.lists(st.integers(1, 400), min_size=0, max_size=25).map(
    lambda gaps: [Fraction(sum(gaps[:k]), 1000) for k in range(len(gaps) + 1)]
)
rates = st.sampled_from([Fraction(4), Fraction(125, 8), Fraction(43, 2), Fraction(1), Fraction(30000, 1001)])
starts = st.integers(0, 4000).map(lambda ms: Fraction(ms, 1000))


@QUICK
@given(times=milliseconds, rate=rates, start=starts, offset=st.integers(0, 900))
def test_fps_rule_takes_the_last_picture_that_rounds_to_the_slot(
    tmp_path: Path, times: list[Fraction], rate: Fraction, start: Fraction, offset: int
) -> None:
    info = lossless(tmp_path / "a.mkv", [time + Fraction(offset, 1000) for time in times])
    slots = [math.floor((time - start) * rate + Fraction(1, 2)) for time in times]
    expected = [max([k for k, slot in enumerate(slots) if slot <= n], default=0) * 3 % 256 for n in range(12)]
    assert levels_of(info, FrameRequest(7, start, 12), rate, FrameRule.FPS_FILTER).tolist() == expected


@QUICK
@given(times=milliseconds, rate=rates, start=starts)
def test_linear_rule_blends_the_neighbours(
    tmp_path: Path, times: list[Fraction], rate: Fraction, start: Fraction
) -> None:
    info = lossless(tmp_path / "a.mkv", times)
    wanted = [float(start + n / rate) for n in range(12)]
    expected = np.interp(wanted, [float(time) for time in times], [k * 3 for k in range(len(times))])
    found = levels_of(info, FrameRequest(0, start, 12), rate, FrameRule.LINEAR)
    assert np.abs(found - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("rate", ["4", "21.5", "16", "7", "60"])
@pytest.mark.parametrize(
    "times",
    [
        [Fraction(k, 25) for k in range(40)],
        [Fraction(k, 8) for k in range(12)],
        [Fraction(k * 125, 1000) for k in (0, 1, 2, 5, 6, 9, 10, 11)],
        [Fraction(round(k * 1000 / 29.97), 1000) for k in range(45)],
    ],
)
def test_fps_rule_is_ffmpegs(tmp_path: Path, times: list[Fraction], rate: str) -> None:
    info = lossless(tmp_path / "a.mkv", times)
    judged = _through_ffmpegs_filter(info.path, rate)
    found = levels_of(info, FrameRequest(0, Fraction(0), len(judged)), Fraction(rate), FrameRule.FPS_FILTER)
    assert found.tolist() == judged


def _through_ffmpegs_filter(path: Path, rate: str) -> list[int]:
    levels = []
    with av.open(str(path)) as container:
        graph = Graph()
        source = graph.add_buffer(template=container.streams.video[0])
        fps, sink = graph.add("fps", f"fps={rate}"), graph.add("buffersink")
        source.link_to(fps)
        fps.link_to(sink)
        graph.configure()
        for frame in [*container.decode(video=0), None]:
            source.push(frame)
            while True:
                try:
                    levels.append(int(sink.pull().to_ndarray(format="rgb24")[0, 0, 0]))
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
    return levels


@pytest.mark.parametrize("rule", list(FrameRule))
def test_overlapping_windows_see_what_each_would_see_alone(tmp_path: Path, rule: FrameRule) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", 75, 25, shift=Fraction(1, 4)))
    requests = [FrameRequest(10 - k, k * Fraction(7, 10), 20) for k in range(5)]
    together = list(read(info, requests, Fraction(125, 8), 16, rule))
    assert [index for index, _ in together] == [request.index for request in requests]
    for request, (_, frames) in zip(requests, together, strict=True):
        ((_, alone),) = read(info, [request], Fraction(125, 8), 16, rule)
        np.testing.assert_array_equal(frames, alone)


def test_windows_come_as_soon_as_they_are_full(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", 400, 25)
    info = probe(clip)
    windows = read(info, [FrameRequest(k, Fraction(k), 4) for k in range(16)], Fraction(4), 8, FrameRule.FPS_FILTER)
    first = next(windows)
    assert first[0] == 0
    # The rest of the file is not needed for the first window: it may even be gone.
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    rest = list(windows)
    assert [index for index, _ in rest] == list(range(1, 16))


def test_a_late_window_is_the_same_after_a_seek(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", 500, 25))
    late = FrameRequest(1, SEEK_BEYOND + 5, 16)
    ((_, sought),) = read(info, [late], Fraction(8), 16, FrameRule.LINEAR)
    _, (_, streamed) = read(info, [FrameRequest(0, Fraction(0), 1), late], Fraction(8), 16, FrameRule.LINEAR)
    np.testing.assert_array_equal(sought, streamed)
    assert any((a != b).any() for a, b in pairwise(sought)), "the picture moves"


def test_past_its_end_a_clip_holds_its_last_picture(tmp_path: Path) -> None:
    info = lossless(tmp_path / "a.mkv", [Fraction(0)])
    assert levels_of(info, FrameRequest(0, Fraction(50), 5), Fraction(4), FrameRule.LINEAR).tolist() == [0] * 5


def test_no_request_no_frames_and_order_is_required(tmp_path: Path) -> None:
    info = lossless(tmp_path / "a.mkv", [Fraction(0)])
    assert list(read(info, [], Fraction(4), 8, FrameRule.LINEAR)) == []
    unsorted = [FrameRequest(0, Fraction(1), 1), FrameRequest(1, Fraction(0), 1)]
    with pytest.raises(ValueError, match="sorted"):
        list(read(info, unsorted, Fraction(4), 8, FrameRule.LINEAR))


def one_picture(info: ClipInfo, size: int) -> NDArray[np.int_]:
    ((_, frames),) = read(info, [FrameRequest(0, Fraction(0), 1)], Fraction(4), size, FrameRule.FPS_FILTER)
    return frames[0].astype(int)


def test_scaling_is_near_pil(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (18, 32, 3), dtype=np.uint8)
    picture = np.asarray(image.fromarray(coarse).resize((640, 360), image.BICUBIC))
    clip = write_clip(tmp_path / "a.mkv", frames=[picture], codec="ffv1", pixel_format="bgr0", size=(640, 360))
    for size in (64, 224):
        reference = np.asarray(image.fromarray(picture).resize((size, size), image.BILINEAR)).astype(int)
        difference = np.abs(one_picture(probe(clip), size) - reference)
        assert difference.mean() < 0.7
        assert difference.max() <= 6


@pytest.mark.parametrize(
    ("matrix", "quarter_turns_clockwise"), [((0, 1, -1, 0), 1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 3)]
)
def test_the_picture_is_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], quarter_turns_clockwise: int
) -> None:
    plain = probe(write_clip(tmp_path / "a.mp4", 3))
    turned = probe(turn(Path(shutil.copy(plain.path, tmp_path / "b.mp4")), *matrix))
    with av.open(str(turned.path)) as container:
        assert -next(container.decode(video=0)).rotation % 360 == turned.rotation == 90 * quarter_turns_clockwise
    expected = np.rot90(one_picture(plain, 32), -quarter_turns_clockwise)
    np.testing.assert_array_equal(one_picture(turned, 32), expected)


def test_a_mirrored_picture_is_mirrored(tmp_path: Path) -> None:
    plain = probe(write_clip(tmp_path / "a.mp4", 3))
    mirrored = probe(turn(Path(shutil.copy(plain.path, tmp_path / "b.mp4")), -1, 0, 0, 1))
    np.testing.assert_array_equal(one_picture(mirrored, 32), one_picture(plain, 32)[:, ::-1])


@pytest.mark.parametrize(("alpha", "expected"), [(255, (200, 100, 50)), (0, (0, 0, 0)), (128, (100, 50, 25))])
def test_alpha_is_over_black(tmp_path: Path, alpha: int, expected: tuple[int, int, int]) -> None:
    picture = np.full((16, 16, 4), (200, 100, 50, alpha), np.uint8)
    clip = write_clip(tmp_path / "a.mov", frames=[picture], codec="qtrle", pixel_format="argb", size=(16, 16))
    assert np.abs(one_picture(probe(clip), 8) - expected).max() <= 1


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le"])
def test_black_is_black_and_white_is_white(tmp_path: Path, pixel_format: str) -> None:
    half = np.zeros((32, 32, 3), np.uint8)
    half[:, 16:] = 255
    clip = write_clip(tmp_path / "a.mkv", frames=[half] * 3, pixel_format=pixel_format, size=(32, 32))
    found = one_picture(probe(clip), 16)
    assert found[:, :6].max() <= 4
    assert found[:, 10:].min() >= 251


def test_ten_bits_look_like_eight(tmp_path: Path) -> None:
    eight = probe(write_clip(tmp_path / "a.mkv", 2, codec="ffv1", pixel_format="yuv444p"))
    ten = probe(write_clip(tmp_path / "b.mkv", 2, codec="ffv1", pixel_format="yuv444p10le"))
    assert np.abs(one_picture(eight, 32) - one_picture(ten, 32)).max() <= 2


def _damaged(path: Path, first: float, last: float) -> Path:
    data = bytearray(write_clip(path, 50).read_bytes())
    box = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    first_byte, last_byte = (box + round(part * (end - box)) for part in (first, last))
    data[first_byte:last_byte] = b"\xff" * (last_byte - first_byte)
    path.write_bytes(data)
    return path


def test_damage_inside_is_passed_over_and_told_once(tmp_path: Path) -> None:
    info = probe(_damaged(tmp_path / "a.mp4", 0.6, 0.9))
    told: list[str] = []
    request = FrameRequest(0, Fraction(0), 8)
    ((_, frames),) = read(info, [request], Fraction(4), 16, FrameRule.FPS_FILTER, told.append)
    assert frames.shape == (8, 16, 16, 3)
    assert len(told) == 1
    assert "damaged" in told[0]


def test_nothing_left_to_decode_is_an_error(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", 50))
    _damaged(tmp_path / "a.mp4", 0, 1)
    with pytest.raises(ClipError, match="decoded"):
        list(read(info, [FrameRequest(0, Fraction(0), 8)], Fraction(4), 16, FrameRule.FPS_FILTER))


def test_the_moving_bar_is_where_it_was_put(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mkv", 8, codec="ffv1", pixel_format="bgr0"))
    ((_, frames),) = read(info, [FrameRequest(0, Fraction(0), 8)], Fraction(25), WIDTH, FrameRule.LINEAR)
    for frame, picture in zip(frames, pictures(8), strict=True):
        assert HEIGHT < WIDTH
        np.testing.assert_array_equal(frame[WIDTH // 2, :, 1] > 115, picture[0, :, 1] > 115)
