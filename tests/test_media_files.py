"""media on files as they come: sound files, movies, and a sweep over a folder of collected clips."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import decoded_sound, impulses, packets_of, pictures, write_clip

from foleygen.errors import ClipError
from foleygen.media import movie, wav
from foleygen.media.frames import FrameRequest, FrameRule, read
from foleygen.media.mux import mux
from foleygen.media.probe import probe


@pytest.mark.parametrize(("subtype", "step"), [("PCM_24", 2**-23), ("PCM_16", 2**-15), ("FLOAT", 0)])
def test_wav_round_trip(tmp_path: Path, subtype: str, step: float) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, 10001).astype(np.float32)
    written = wav.write(tmp_path / "a.wav", np.array_split(sound, 7), 16000, subtype)
    found, sample_rate = wav.read(tmp_path / "a.wav")
    assert (written, sample_rate, found.shape, found.dtype) == (10001, 16000, (10001,), np.float32)
    assert np.abs(found - sound).max() <= step
    assert os.listdir(tmp_path) == ["a.wav"]


def test_wav_is_24_bit_by_default_and_refuses_what_would_be_cut(tmp_path: Path) -> None:
    wav.write(tmp_path / "a.wav", [np.array([1.0, -1.0, 0.0], np.float32)], 48000)
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_24"
    found, _ = wav.read(tmp_path / "a.wav")
    assert found == pytest.approx([1, -1, 0], abs=1e-6)
    loud = [np.array([2.0, -2.0, 0.0], np.float32)]
    with pytest.raises(AssertionError):
        wav.write(tmp_path / "b.wav", loud, 48000)
    wav.write(tmp_path / "b.wav", loud, 48000, "FLOAT")
    assert wav.read(tmp_path / "b.wav")[0] == pytest.approx([2, -2, 0])


def test_no_sound_is_an_empty_file(tmp_path: Path) -> None:
    assert wav.write(tmp_path / "a.wav", [], 48000) == 0
    found, sample_rate = wav.read(tmp_path / "a.wav")
    assert (len(found), sample_rate) == (0, 48000)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_reading_mixes_any_format_to_mono(tmp_path: Path, subtype: str, channels: int) -> None:
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, (500, channels))
    soundfile.write(tmp_path / "a.wav", sound, 22050, subtype)
    found, sample_rate = wav.read(tmp_path / "a.wav")
    assert sample_rate == 22050
    assert np.abs(found - sound.mean(axis=1)).max() < 0.01


@pytest.mark.parametrize("content", [None, b"", b"RIFF and no more"])
def test_what_is_no_sound_file_is_said_in_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a\n.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClipError) as caught:
        wav.read(path)
    assert str(caught.value).isprintable()


def test_an_interrupted_wav_leaves_the_older_one(tmp_path: Path) -> None:
    wav.write(tmp_path / "a.wav", [np.ones(5, np.float32)], 48000)

    def failing():  # type: ignore[no-untyped-def]
        yield np.zeros(100, np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wav.write(tmp_path / "a.wav", failing(), 48000)
    assert len(wav.read(tmp_path / "a.wav")[0]) == 5
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_movie_with_sound(tmp_path: Path, suffix: str) -> None:
    sound = np.concatenate(list(impulses(16000, 4000, 12000)))
    movie.write(tmp_path / f"m{suffix}", pictures(25), 25, (64, 48), sound, 16000)
    info = probe(tmp_path / f"m{suffix}")
    assert (info.frame_count, info.audio_streams, info.start) == (25, 1, pytest.approx(0, abs=0.08))
    samples, start = decoded_sound(info.path)
    offset = float(info.start - start) * 16000
    for place in (4000, 12000):
        around = round(place + offset)
        assert int(np.abs(samples[around - 300 : around + 300]).argmax()) - 300 == pytest.approx(0, abs=8)


def test_movie_refuses_rates_that_aac_has_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sample_rate"):
        movie.write(tmp_path / "m.mp4", pictures(2), 25, (64, 48), np.zeros(10, np.float32), 12345)
    assert os.listdir(tmp_path) == []


def test_a_movie_that_is_encoded_beside_other_work_is_the_same_file(tmp_path: Path) -> None:
    sound = np.linspace(-0.5, 0.5, 16000, dtype=np.float32)
    movie.write(tmp_path / "m.mp4", pictures(25), 25, (64, 48), sound, 16000)
    with movie.Filming(pictures(25), 25, (64, 48), 16000) as filming:
        filming.finish(tmp_path / "beside.mp4", sound)
    assert (tmp_path / "beside.mp4").read_bytes() == (tmp_path / "m.mp4").read_bytes()


def test_filming_ends_with_what_it_is_for(tmp_path: Path) -> None:
    asked = threading.Event()

    def endless() -> Iterator[np.ndarray]:
        while True:
            yield from pictures(1)
            asked.set()

    def fail() -> None:
        with movie.Filming(endless(), 25, (64, 48), 16000):
            asked.wait()
            raise ValueError("the sound")

    with pytest.raises(ValueError, match="the sound"):
        fail()
    assert [thread.name for thread in threading.enumerate() if thread.name == "foleygen filming"] == []


def test_pictures_that_fail_are_told_when_the_sound_is_there(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield from pictures(1)
        raise ClipError("a.mp4: damaged", "export it again")

    with movie.Filming(broken(), 25, (64, 48), 16000) as filming, pytest.raises(ClipError, match="damaged"):
        filming.finish(tmp_path / "m.mp4", np.zeros(16000, np.float32))
    assert not (tmp_path / "m.mp4").exists()


def test_movie_pictures_come_back(tmp_path: Path) -> None:
    movie.write(tmp_path / "m.mp4", pictures(10), 10, (64, 48))
    ((_, frames),) = read(
        probe(tmp_path / "m.mp4"), [FrameRequest(0, Fraction(0), 10)], Fraction(10), 48, FrameRule.LINEAR
    )
    for frame, picture in zip(frames, pictures(10), strict=True):
        assert np.abs(frame[40, :, 0].astype(int) - int(picture[-1, 40, 0])).mean() < 40
        assert frame[5, :, 2].mean() > 120 > frame[-5, :, 2].mean()


def _collected() -> list[Path]:
    shared = os.environ.get("FOLEYGEN_SHARED")
    return sorted(Path(shared, "media").glob("*/*")) if shared else []


NO_CLIPS = {
    "audio_only.wav": "only sound",
    "empty.mp4": "empty",
    "text.mp4": "not a video file",
    "truncated.mp4": "index",
    "broken_chunk.mp4": "index",
    "no_mdat_596s.mp4": "no picture data",
}
DAMAGED = {"corrupted.mp4"}


@pytest.mark.parametrize("path", _collected(), ids=lambda path: path.name)
def test_collected_clips(tmp_path: Path, path: Path) -> None:
    if path.name in NO_CLIPS:
        with pytest.raises(ClipError, match=NO_CLIPS[path.name]):
            probe(path)
        return
    info = probe(path)
    told: list[str] = []
    ((_, frames),) = read(info, [FrameRequest(0, Fraction(0), 16)], Fraction(4), 32, FrameRule.FPS_FILTER, told.append)
    assert frames.shape == (16, 32, 32, 3)
    assert bool(told) == (path.name in DAMAGED)
    output = tmp_path / f"out{path.suffix}"
    total = round(info.duration * 16000)
    report = mux(info, impulses(total, 0), 16000, output)
    result = probe(output)
    assert report.samples_48k == round(info.duration * 48000)
    assert [p[0] for p in packets_of(path, info.video_index)] == [p[0] for p in packets_of(output, result.video_index)]
    assert (result.content_id, result.duration, result.start) == (info.content_id, info.duration, info.start)
    assert (result.rotation, result.audio_streams) == (info.rotation, info.audio_streams + 1)
    assert (result.width, result.height, result.pixel_format) == (info.width, info.height, info.pixel_format)
    samples, start = decoded_sound(output)
    clicked = float(start) + int(np.abs(samples[:4000]).argmax()) / 48000
    assert clicked == pytest.approx(float(info.start), abs=0.0003)


def test_long_clips_are_probed_from_their_packets(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mkv", 1200, 4, size=(16, 16)))
    assert (info.duration, info.frame_count) == (300, 1200)


def test_the_same_pictures_become_the_same_movie(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.arange(480), np.arange(272))
    ground = np.stack([across * 255 // 480, down * 255 // 272, np.full_like(across, 90)], axis=-1).astype(np.uint8)
    pictures = []
    for number in range(60):
        picture = ground.copy()
        picture[(across - 40 - 3 * number) ** 2 + (down - 136 - 60 * np.sin(number / 6)) ** 2 < 900] = (230, 200, 40)
        pictures.append(picture)
    movies = set()
    for number in range(12):
        path = tmp_path / f"{number}.mp4"
        movie.write(path, pictures, 25, (480, 272))
        movies.add(path.read_bytes())
    assert len(movies) == 1
