"""media.mixdown through media.mux: the Foley at its level, alone or under the clip's own sound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from clips import packets_of, write_clip
from numpy.typing import NDArray

from foleygen.audio.level import LoudnessTarget, gain_db
from foleygen.errors import ClipError
from foleygen.media import own_sound
from foleygen.media.loudness import measure
from foleygen.media.mixdown import Level
from foleygen.media.mux import mux
from foleygen.media.probe import ClipInfo, probe

RATE = 48000
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
EBU = Level(partial(gain_db, target=LoudnessTarget(-23, -1)), -1)


def noise(channels: int, seconds: float, rms: float, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, rms, (channels, round(seconds * RATE))).astype(np.float32)


def voiced(
    path: Path,
    *tracks: NDArray[np.float32],
    rate: int = RATE,
    start: Fraction | int = 0,
    picture_start: Fraction | int = 0,
    frames: int = 15,
    codec: str = "pcm_s16le",
) -> ClipInfo:
    """A clip of 5 pictures a second with sound tracks (channels, n) that begin ``start`` s into the file."""
    picture = write_clip(path.with_name(f"picture{path.suffix}"), frames, 5, shift=picture_start)
    with av.open(str(picture)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        streams = [target.add_stream(codec, rate=rate, layout=LAYOUTS[len(sound)]) for sound in tracks]
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                target.mux(packet)
        for stream, sound in zip(streams, tracks, strict=True):
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", LAYOUTS[len(sound)])
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(start * rate)
            target.mux([*stream.encode(frame), *stream.encode(None)])
    return probe(path)


def heard(path: Path) -> NDArray[np.float32]:
    """The first sound track of a file, (channels, n), as a player gives it."""
    with av.open(str(path)) as container:
        blocks = []
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()
            if samples.dtype != np.float32:
                full = np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
                samples = samples.reshape(-1, frame.layout.nb_channels).T / full
            blocks.append(samples)
    return np.concatenate(blocks, axis=1)


def clicks(seconds: float, *places: float, height: float = 0.5) -> NDArray[np.float32]:
    sound = np.zeros(round(seconds * RATE), np.float32)
    for place in places:
        sound[round(place * RATE)] = height
    return sound


def times_of(sound: NDArray[np.float32], floor: float = 0.25) -> list[float]:
    """Seconds at which the magnitude is a local maximum above ``floor``."""
    size = np.abs(sound)
    at = np.flatnonzero((size > floor) & (size >= np.roll(size, 1)) & (size > np.roll(size, -1)))
    return [float(place) / RATE for place in at]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("duck", [0.0, 12.0])
def test_the_foley_lies_under_the_own_sound(tmp_path: Path, channels: int, duck: float) -> None:
    own, foley = noise(channels, 3, 0.05), noise(1, 3, 0.1, seed=1)[0]
    clip = voiced(tmp_path / "a.mov", own)
    report = mux(clip, [foley], RATE, tmp_path / "out.mov", audio="mix", duck_db=duck)
    result = probe(tmp_path / "out.mov")
    assert result.audio_streams == 1
    assert report.samples_48k == round(clip.duration * RATE)
    found = heard(result.path)
    assert found.shape == (channels, report.samples_48k)
    added = found - own_sound_of(clip, channels)
    np.testing.assert_allclose(added, np.broadcast_to(foley * 10 ** (report.gain_db / 20), added.shape), atol=1e-4)
    distance = measure([own], RATE, channels).integrated_lufs - measure([added], RATE, channels).integrated_lufs
    assert distance == pytest.approx(duck, abs=0.1)
    assert report.loudness.integrated_lufs is not None
    assert report.loudness.integrated_lufs == pytest.approx(measure([found], RATE, channels).integrated_lufs, abs=0.02)
    assert report.warnings == ()
    with av.open(str(result.path)) as container:
        assert container.streams.audio[0].metadata["handler_name"] == "Mix"


def own_sound_of(clip: ClipInfo, channels: int) -> NDArray[np.float32]:
    return np.concatenate(list(own_sound.blocks(clip, RATE, channels)), axis=1)


def test_more_channels_become_stereo(tmp_path: Path) -> None:
    own = np.zeros((6, 3 * RATE), np.float32)
    own[0], own[1] = noise(1, 3, 0.1)[0], noise(1, 3, 0.02, seed=5)[0]
    clip = voiced(tmp_path / "a.mov", own)
    report = mux(clip, [np.zeros(RATE, np.float32)], RATE, tmp_path / "out.mov", audio="mix")
    assert any("6 channels" in warning for warning in report.warnings)
    found = heard(tmp_path / "out.mov")
    for side in (0, 1):
        assert np.corrcoef(found[side], own[side])[0, 1] > 0.99


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
@pytest.mark.parametrize(
    ("start", "picture_start", "expected"),
    [
        (Fraction(0), Fraction(0), [0.5, 1.5]),
        (Fraction(3, 4), Fraction(0), [1.25, 2.25]),
        (Fraction(0), Fraction(3, 4), [0.75]),
        (Fraction(1), Fraction(3, 4), [0.75, 1.75]),
    ],
)
def test_own_sound_stays_where_the_picture_has_it(
    tmp_path: Path, suffix: str, start: Fraction, picture_start: Fraction, expected: list[float]
) -> None:
    own = clicks(2, 0.5, 1.5)[np.newaxis]
    clip = voiced(tmp_path / f"a{suffix}", own, start=start, picture_start=picture_start, frames=14)
    foley = clicks(2.8, 0.25)
    report = mux(clip, [foley], RATE, tmp_path / "out.mov", audio="mix", duck_db=0)
    assert report.samples_48k == round(clip.duration * RATE)
    found = heard(tmp_path / "out.mov")[0]
    assert len(found) == report.samples_48k
    slack = 0.0011 if suffix == ".mkv" else 1.5 / RATE
    assert times_of(found, 0.1) == pytest.approx([0.25, *expected], abs=slack)


@pytest.mark.parametrize(("suffix", "codec", "rate"), [(".mov", "pcm_s16le", 44100), (".mp4", "aac", 44100)])
def test_own_sound_of_another_rate(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    own = np.zeros((1, 3 * rate), np.float32)
    own[0, rate // 2 : rate // 2 + 20] = 0.5
    clip = voiced(tmp_path / f"a{suffix}", own, rate=rate, codec=codec)
    mux(probe(clip.path), [np.zeros(RATE, np.float32)], RATE, tmp_path / "out.mov", audio="mix")
    found = heard(tmp_path / "out.mov")[0]
    assert len(found) == round(clip.duration * RATE)
    assert np.abs(found).argmax() / RATE == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("own", [(), (np.zeros((2, RATE), np.float32),)])
def test_without_own_sound_the_mix_is_the_foley(tmp_path: Path, own: tuple[NDArray[np.float32], ...]) -> None:
    clip = voiced(tmp_path / "a.mov", *own)
    foley = noise(1, 3, 0.1)[0]
    mixed = mux(clip, [foley], RATE, tmp_path / "mix.mov", audio="mix")
    mux(clip, [foley], RATE, tmp_path / "replace.mov", audio="replace")
    assert mixed.gain_db == 0
    assert mixed.warnings == ()
    assert (tmp_path / "mix.mov").read_bytes() == (tmp_path / "replace.mov").read_bytes()


def test_a_loud_mix_is_lowered_not_clipped(tmp_path: Path) -> None:
    times = np.arange(3 * RATE) / RATE
    own = np.stack([0.95 * np.sin(2 * np.pi * 220 * times)] * 2).astype(np.float32)
    foley = noise(1, 3, 0.1)[0]
    clip = voiced(tmp_path / "a.mov", own)
    report = mux(clip, [foley], RATE, tmp_path / "out.mov", audio="mix", duck_db=6)
    assert any("the mix was lowered by" in warning for warning in report.warnings)
    found = heard(tmp_path / "out.mov")
    peak = measure([found], RATE, 2).true_peak_dbtp
    assert peak == pytest.approx(-1.03, abs=0.01)
    # What is left without the own sound under one gain is the Foley under one gain: nothing was bent.
    factors, *_ = np.linalg.lstsq(np.stack([own[0], foley], 1), found[0], rcond=None)
    np.testing.assert_allclose(factors[0] * own[0] + factors[1] * foley, found[0], atol=1e-4)


def test_a_quiet_foley_is_raised_only_so_far(tmp_path: Path) -> None:
    clip = voiced(tmp_path / "a.mov", noise(1, 3, 0.2))
    report = mux(clip, [noise(1, 3, 0.001, seed=1)[0]], RATE, tmp_path / "out.mov", audio="mix", duck_db=10)
    assert report.gain_db == pytest.approx(12, abs=1.0)
    assert any("so quiet that it lies" in warning for warning in report.warnings)


@pytest.mark.parametrize("audio", ["keep", "mix"])
def test_the_finished_track_is_at_the_asked_level(tmp_path: Path, audio: str) -> None:
    clip = voiced(tmp_path / "a.mov", noise(2, 3, 0.02))
    report = mux(clip, [noise(1, 3, 0.03, seed=1)[0]], RATE, tmp_path / "out.mov", audio=audio, level=EBU)
    found = measure([heard(tmp_path / "out.mov")], RATE, 2 if audio == "mix" else 1)
    assert found.integrated_lufs == pytest.approx(-23, abs=0.05)
    assert report.loudness.integrated_lufs is not None
    assert report.loudness.integrated_lufs == pytest.approx(-23, abs=0.01)
    assert report.loudness.true_peak_dbtp == pytest.approx(found.true_peak_dbtp, abs=0.05)
    assert report.warnings == ()


def test_a_known_level_needs_one_look_at_the_sound(tmp_path: Path) -> None:
    clip = voiced(tmp_path / "a.mov")
    foley = noise(1, 3, 0.03)[0]

    def once() -> Iterator[NDArray[np.float32]]:
        yield from np.split(foley, 5)

    known = measure([foley], RATE)
    report = mux(clip, once(), RATE, tmp_path / "out.mov", loudness=known, level=EBU)
    assert report.loudness == known.after(report.gain_db)
    assert report.gain_db == pytest.approx(-23 - known.integrated_lufs)
    np.testing.assert_allclose(heard(tmp_path / "out.mov")[0], foley * 10 ** (report.gain_db / 20), atol=1e-6)


def test_what_could_not_be_reached_is_a_warning(tmp_path: Path) -> None:
    clip = voiced(tmp_path / "a.mov")
    report = mux(clip, [clicks(3, 1, 2)], RATE, tmp_path / "out.mov", level=EBU)
    (warning,) = report.warnings
    assert "instead of -23" in warning
    assert measure([heard(tmp_path / "out.mov")], RATE).true_peak_dbtp == pytest.approx(-1, abs=0.05)


def test_the_other_tracks_follow_the_mix(tmp_path: Path) -> None:
    clip = voiced(tmp_path / "a.mov", noise(1, 3, 0.1), noise(1, 3, 0.05, seed=9))
    report = mux(clip, [noise(1, 3, 0.1)[0]], RATE, tmp_path / "out.mov", audio="mix")
    assert any("2 sound tracks" in warning for warning in report.warnings)
    with av.open(str(clip.path)) as before, av.open(str(tmp_path / "out.mov")) as after:
        second = before.streams.audio[1].index
        kept = after.streams.audio[1].index
        assert len(after.streams.audio) == 2
    assert [p[0] for p in packets_of(clip.path, second)] == [p[0] for p in packets_of(tmp_path / "out.mov", kept)]


def test_damaged_own_sound_loses_only_what_is_damaged(tmp_path: Path) -> None:
    times = np.arange(3 * RATE) / RATE
    own = (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[np.newaxis]
    clip = voiced(tmp_path / "a.mp4", own, codec="aac")
    with av.open(str(clip.path)) as container:
        places = [(p.pos, p.size) for p in container.demux(audio=0) if p.size]
    content = bytearray(clip.path.read_bytes())
    for position, size in places[40:50]:
        content[position : position + size] = b"\xff" * size
    clip.path.write_bytes(content)
    found = own_sound.read(clip, 16000)
    assert np.abs(found[40000:]).max() == pytest.approx(0.2, abs=0.05)
    mux(probe(clip.path), [np.zeros(RATE, np.float32)], RATE, tmp_path / "out.mov", audio="mix")
    assert heard(tmp_path / "out.mov").shape == (1, round(clip.duration * RATE))


def test_own_sound_that_cannot_be_decoded_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    clip = voiced(tmp_path / "a.mp4", noise(1, 3, 0.1), codec="aac")
    with av.open(str(clip.path)) as container:
        places = [(p.pos, p.size) for p in container.demux(audio=0) if p.size]
    content = bytearray(clip.path.read_bytes())
    for position, size in places:
        content[position : position + size] = b"\xff" * size
    clip.path.write_bytes(content)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ClipError, match="its sound cannot be decoded"):
        mux(clip, [np.zeros(RATE, np.float32)], RATE, tmp_path / "out.mp4", audio="mix")
    assert sorted(os.listdir(tmp_path)) == before


def test_lossy_containers_get_the_mix_too(tmp_path: Path) -> None:
    clip = voiced(tmp_path / "a.mp4", noise(2, 3, 0.05), codec="aac")
    report = mux(clip, [noise(1, 3, 0.1)[0]], RATE, tmp_path / "out.mp4", audio="mix")
    found = heard(tmp_path / "out.mp4")
    assert found.shape[0] == 2
    assert 0 <= found.shape[1] - report.samples_48k < 1024


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".webm", ".ts", ".mkv"])
@pytest.mark.parametrize("audio", ["replace", "mix"])
def test_no_delivered_track_is_above_the_ceiling_as_it_is_decoded(tmp_path: Path, suffix: str, audio: str) -> None:
    """Sharp noise that the models' loudest windows are like; lossy encoders lift its peaks."""
    clip = voiced(tmp_path / "a.mov", noise(1, 3, 0.4))
    if suffix == ".webm":
        clip = probe(write_clip(tmp_path / "a.webm", 45, 15, codec="libvpx"))
    foley = 6 * clicks(3, 0.2, 1, 2) + noise(1, 3, 0.3, seed=3)[0]
    report = mux(clip, [foley], RATE, tmp_path / f"out{suffix}", audio=audio)
    found = measure([heard(tmp_path / f"out{suffix}")[:1]], RATE)
    assert found.true_peak_dbtp <= -1 + 0.001
    assert found.true_peak_dbtp > -4, "by little more than it takes"
    assert report.loudness.true_peak_dbtp == pytest.approx(found.true_peak_dbtp, abs=0.02)
    assert report.loudness.integrated_lufs == pytest.approx(found.integrated_lufs, abs=0.05)
    assert any("was lowered by" in warning for warning in report.warnings)
