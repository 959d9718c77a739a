"""media.probe: the facts of a clip, from its packets, and what is said of files that are no clips."""

from __future__ import annotations

import os
import shutil
import struct
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.container import InputContainer
from clips import HEIGHT, TICKS, WIDTH, pictures, remux, tone, turn, write_clip

from foleygen.errors import ClipError, printable
from foleygen.media import length, movie
from foleygen.media.probe import MAX_DURATION, probe


def test_constant_rate_with_b_frames(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", 25, 25, sound=(16000, 48000)))
    assert (info.duration, info.start, info.frame_count, info.average_rate) == (1, 0, 25, 25)
    assert (info.width, info.height, info.rotation, info.codec, info.pixel_format) == (
        WIDTH,
        HEIGHT,
        0,
        "h264",
        "yuv420p",
    )
    assert (info.audio_streams, info.timecode, info.warnings) == (2, None, ())


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize(("count", "rate"), [(1, 25), (3, 1), (40, 120), (30, Fraction(30000, 1001))])
def test_duration_is_the_time_of_all_pictures(tmp_path: Path, suffix: str, count: int, rate: Fraction) -> None:
    info = probe(write_clip(tmp_path / f"a{suffix}", count, rate))
    slack = 0.0011 if suffix == ".mkv" else 0.0001 if suffix == ".ts" else 2 / TICKS
    if count > 1 or suffix != ".ts":
        assert float(info.duration) == pytest.approx(float(count / Fraction(rate)), abs=slack)
    assert info.frame_count == count


def test_single_picture_in_a_stream_without_durations_lasts_a_frame(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.ts", 1, 25))
    assert 0 < info.duration <= Fraction(1, 10)


def test_start_offset_is_not_part_of_the_duration(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", 25, 25, shift=Fraction(1, 2)))
    assert (info.start, info.duration) == (Fraction(1, 2), 1)


def test_variable_rate_counts_presentation_times(tmp_path: Path) -> None:
    times = [Fraction(k, 100) for k in (0, 4, 10, 50, 51, 90, 100)]
    info = probe(write_clip(tmp_path / "a.mkv", times=times, frames=pictures(7), b_frames=0))
    assert info.frame_count == 7
    assert info.duration >= 1
    assert info.average_rate == 7 / info.duration


def test_edit_list_hides_pictures(tmp_path: Path) -> None:
    whole = probe(write_clip(tmp_path / "whole.mp4", 50, 25))
    cut = probe(write_clip(tmp_path / "cut.mp4", 50, 25, shift=-Fraction(18, 25)))
    assert (whole.duration, whole.frame_count) == (2, 50)
    assert (cut.duration, cut.frame_count, cut.start) == (2 - Fraction(18, 25), 32, 0)


@pytest.mark.parametrize(
    ("matrix", "degrees", "size"),
    [
        ((0, 1, -1, 0), 90, (HEIGHT, WIDTH)),
        ((-1, 0, 0, -1), 180, (WIDTH, HEIGHT)),
        ((0, -1, 1, 0), 270, (HEIGHT, WIDTH)),
        ((1, 0, 0, 1), 0, (WIDTH, HEIGHT)),
    ],
)
def test_rotation(tmp_path: Path, matrix: tuple[int, int, int, int], degrees: int, size: tuple[int, int]) -> None:
    info = probe(turn(write_clip(tmp_path / "a.mp4", 5), *matrix))
    assert (info.rotation, (info.width, info.height)) == (degrees, size)


def test_mirroring_is_told(tmp_path: Path) -> None:
    info = probe(turn(write_clip(tmp_path / "a.mp4", 5), -1, 0, 0, 1))
    assert any("mirrored" in warning for warning in info.warnings)


def test_the_default_stream_is_the_picture_not_the_larger_or_the_cover(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mkv", 10, second_size=(128, 96)))
    assert (info.width, info.height, info.codec, info.video_index) == (WIDTH, HEIGHT, "h264", 1)
    covered = probe(write_clip(tmp_path / "b.mp4", 10, sound=(48000,), cover=True))
    assert (covered.width, covered.codec) == (WIDTH, "h264")


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_timecode(tmp_path: Path, suffix: str) -> None:
    info = probe(write_clip(tmp_path / f"a{suffix}", 5, metadata={"timecode": "01:02:03:04"}))
    assert info.timecode == "01:02:03:04"


def test_content_id_is_of_the_picture(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 20, Fraction(30000, 1001), sound=(48000,))
    renamed = tmp_path / "b.mov.mp4"
    shutil.copy(clip, renamed)
    others = [remux(clip, tmp_path / name) for name in ("silent.mp4", "c.mov", "d.mkv")]
    ids = [probe(path).content_id for path in (clip, renamed, *others)]
    assert len(set(ids)) == 1
    assert len(ids[0]) == 64


def test_content_id_tells_apart(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 20, 25)
    variants = [
        clip,
        write_clip(tmp_path / "shorter.mp4", 19, 25),
        write_clip(tmp_path / "slower.mp4", 20, 24),
        turn(Path(shutil.copy(clip, tmp_path / "turned.mp4")), -1, 0, 0, -1),
        turn(Path(shutil.copy(clip, tmp_path / "mirrored.mp4")), -1, 0, 0, 1),
        write_clip(tmp_path / "other.mp4", 20, 25, frames=(255 - picture for picture in pictures(20))),
    ]
    assert len({probe(path).content_id for path in variants}) == len(variants)


def _truncated(path: Path) -> Path:
    clip = write_clip(path, 50)
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    return path


def _without_data(path: Path) -> Path:
    data = write_clip(path, 50, index_first=True).read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    return path


def _playlist(path: Path) -> Path:
    write_clip(path.with_name("other.mp4"), 3)
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    return path


def _undecodable(path: Path) -> Path:
    data = bytearray(write_clip(path, 20).read_bytes())
    box = data.index(b"mdat")
    size = struct.unpack_from(">I", data, box - 4)[0]
    data[box + 4 : box - 4 + size] = bytes(size - 8)
    path.write_bytes(data)
    return path


def _broken_index(path: Path) -> Path:
    data = bytearray(write_clip(path, 20).read_bytes())
    box = data.index(b"moov")
    data[box + 4 :] = b"\xff" * (len(data) - box - 4)
    path.write_bytes(data)
    return path


def _sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        container.mux([*stream.encode(tone(Fraction(1, 2), 48000)), *stream.encode(None)])
    return path


def _huge(path: Path) -> Path:
    data = bytearray(write_clip(path, 2, codec="qtrle", pixel_format="rgb24").read_bytes())
    size = struct.pack(">HH", WIDTH, HEIGHT)
    data[:] = data.replace(size, struct.pack(">HH", 20000, 15000))
    path.write_bytes(data)
    return path


def _endless(path: Path) -> Path:
    return write_clip(path, times=[Fraction(0), MAX_DURATION + 1], frames=pictures(2), b_frames=0)


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (lambda path: path, "missing.mp4", "no such file"),
        (lambda path: path.mkdir() or path, "folder.mp4", "a folder"),
        (lambda path: path.touch() or path, "empty.mp4", "empty"),
        (lambda path: path.write_text("hello there\n") and path, "text.mp4", "not a video file"),
        (lambda path: path.write_text("hello there\n") and path, "text.txt", "not a"),
        (_playlist, "list.mp4", "not a clip"),
        (_truncated, "cut.mp4", "index (moov) is missing"),
        (_broken_index, "index.mp4", "index is broken"),
        (_without_data, "nodata.mp4", "no picture data"),
        (_undecodable, "zeros.mp4", "can be decoded"),
        (_sound_only, "sound.mp4", "only sound"),
        (_huge, "huge.mov", "more pixels than --max-pixels"),
        (_endless, "endless.mkv", "time stamps"),
    ],
)
def test_one_sentence_for_what_is_no_clip(tmp_path: Path, make, name: str, said: str) -> None:  # type: ignore[no-untyped-def]
    path = make(tmp_path / name)
    with pytest.raises(ClipError) as caught:
        probe(path)
    message = str(caught.value)
    assert said in message
    assert message.startswith(str(path))
    assert "\n" not in message
    assert "; " in message, "no next step"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 3)
    path.chmod(0)
    with pytest.raises(ClipError, match="may not be read"):
        probe(path)


def test_pipes_are_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(ClipError, match="not a regular file"):
        probe(tmp_path / "pipe.mp4")


@pytest.mark.parametrize("name", ["new\nline.mp4", "tab\t.mp4", os.fsdecode(b"caf\xe9.mp4"), "http:x.mp4", "%03d.mp4"])
def test_unusual_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(write_clip(tmp_path / "plain.mp4", 3), name)
    assert probe(Path(name)).frame_count == 3
    shutil.copy(tmp_path / "plain.mp4", tmp_path / ("bad" + name))
    with open("bad" + name, "r+b") as file:
        file.truncate(100)
    with pytest.raises(ClipError) as caught:
        probe(Path("bad" + name))
    assert str(caught.value).isprintable()
    str(caught.value).encode()


def test_printable_keeps_what_can_be_shown() -> None:
    assert printable("Übung ångström 音.mp4") == "Übung ångström 音.mp4"
    assert printable("a\nb\x1b[0m") == "a\\nb\\x1b[0m"


def test_movie_writes_what_probe_reads(tmp_path: Path) -> None:
    count = movie.write(tmp_path / "m.mp4", pictures(13, 33, 21), Fraction(25, 2), (33, 21))
    info = probe(tmp_path / "m.mp4")
    assert count == info.frame_count == 13
    assert (info.width, info.height) == (34, 22)
    assert info.duration == Fraction(26, 25)
    assert info.audio_streams == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".h264"])
def test_lengths_are_read_without_a_decoder(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / f"a{suffix}", 25, 25)
    asked: list[bool] = []
    opening = length.opened

    def opened(path: Path, max_pixels: int, decodes: bool = True) -> AbstractContextManager[InputContainer]:
        asked.append(decodes)
        return opening(path, max_pixels, decodes)

    monkeypatch.setattr(length, "opened", opened)
    # Nothing tells how long an elementary stream is.
    assert length.header_seconds(clip) == pytest.approx(0 if suffix == ".h264" else 1, abs=0.05)
    assert asked == ([False, True] if suffix == ".h264" else [False])
