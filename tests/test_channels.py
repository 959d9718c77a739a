"""Sounds of two channels on their way: what happens to one happens to both, and files say that there are two."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from wavinfo import WavInfoReader

from foleygen.audio.delay import delayed
from foleygen.facts import SAMPLE_RATE, is_own_wav
from foleygen.media import bwf, wav
from foleygen.media.channels import Centred, centred, in_stereo
from foleygen.media.loudness import measure
from foleygen.media.resample import resampled
from foleygen.media.spool import Spool
from foleygen.media.waveform import peaks

Samples = NDArray[np.float32]
NOISE = (np.random.default_rng(0).standard_normal(30001) * 0.1).astype(np.float32)
PAIR = np.stack([NOISE, NOISE[::-1] * np.float32(0.5)])


def parts(samples: Samples, size: int = 7000) -> list[Samples]:
    return [samples[..., first : first + size] for first in range(0, samples.shape[-1], size)]


def whole(chunks: object) -> Samples:
    return np.concatenate(list(chunks), axis=-1)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("rate", [48000, 44100, 16000])
@pytest.mark.parametrize("total", [20000, 120000])
def test_each_side_is_resampled_as_it_would_be_alone(rate: int, total: int) -> None:
    both = whole(resampled(parts(PAIR), rate, SAMPLE_RATE, total))
    assert both.shape == (2, total)
    for side, alone in zip(both, PAIR, strict=True):
        np.testing.assert_array_equal(side, whole(resampled(parts(alone), rate, SAMPLE_RATE, total)))


@pytest.mark.parametrize("late", [-4000, 0, 3, 9000, 50000])
def test_both_sides_are_as_late(late: int) -> None:
    both = whole(delayed(parts(PAIR), late, PAIR.shape[1], 2))
    for side, alone in zip(both, PAIR, strict=True):
        np.testing.assert_array_equal(side, whole(delayed(parts(alone), late, len(alone))))


def test_a_spool_gives_back_both_sides() -> None:
    with Spool(parts(PAIR, 100)) as spool:
        for _ in range(2):
            np.testing.assert_array_equal(whole(spool), PAIR)
        assert spool.samples == PAIR.shape[1]


def test_one_channel_is_in_the_middle_of_two() -> None:
    np.testing.assert_array_equal(whole(Centred(parts(NOISE), 2)), np.stack([NOISE, NOISE]))
    assert centred(PAIR, 2) is PAIR
    assert centred(NOISE, 1) is NOISE


def test_more_channels_than_two_are_mixed_down() -> None:
    six = np.eye(6, dtype=np.float32)
    left, right = in_stereo(six)
    np.testing.assert_allclose(left, [1, 0, 0.7071, 0, 0.7071, 0])
    np.testing.assert_allclose(right, [0, 1, 0.7071, 0, 0, 0.7071])
    np.testing.assert_allclose(in_stereo(np.ones((8, 3), np.float32)), np.ones((2, 3)))


def test_peaks_are_those_of_the_louder_side() -> None:
    found = peaks(parts(PAIR), PAIR.shape[1])
    alone = [peaks(parts(side), PAIR.shape[1]) for side in PAIR]
    assert found == tuple(map(max, zip(*alone, strict=True)))


def test_in_both_channels_a_sound_is_3_lu_louder_than_in_one() -> None:
    """BS.1770 sums the powers of the channels, and the peak is one channel's."""
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = (0.1 * np.sin(2 * np.pi * 997 * time)).astype(np.float32)
    one, two = measure([tone], SAMPLE_RATE), measure([np.stack([tone, tone])], SAMPLE_RATE, 2)
    assert one.integrated_lufs == pytest.approx(-23.0, abs=0.05)
    assert two.integrated_lufs == pytest.approx(-20.0, abs=0.05)
    assert two.true_peak_dbtp == one.true_peak_dbtp
    left = measure([np.stack([tone, np.zeros_like(tone)])], SAMPLE_RATE, 2)
    assert left.integrated_lufs == pytest.approx(-23.0, abs=0.05)


@pytest.mark.parametrize("form", ["pcm24", "float32"])
@pytest.mark.parametrize("length", [1, 1001, bwf.BLOCK + 1])
def test_a_broadcast_wav_in_stereo_is_read_back(tmp_path: Path, form: str, length: int) -> None:
    samples = (np.random.default_rng(1).standard_normal((2, length)) * 0.1).astype(np.float32)
    sound, loudness = bwf.filed(parts(samples), SAMPLE_RATE, length, form, 2)  # type: ignore[arg-type]
    path = tmp_path / "a.wav"
    history = bwf.history("x", form=sound.form, channels=2)
    arguments = {"time_reference": 7, "originator": "foleygen", "description": "d", "coding_history": history}
    bwf.write(path, sound, loudness=loudness, **arguments)  # type: ignore[arg-type]
    found, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(found.T, samples if form == "float32" else bwf.quantised(samples))
    np.testing.assert_array_equal(whole(sound), found.T)
    np.testing.assert_array_equal(whole(bwf.Part(sound, 0, length)), found.T)
    content = path.read_bytes()
    assert struct.unpack("<I", content[4:8])[0] == len(content) - 8
    assert len(content) % 2 == 0
    read = WavInfoReader(str(path))
    assert (read.fmt.channel_count, read.fmt.block_align) == (2, 2 * sound_bytes(form))
    assert "M=stereo" in read.bext.coding_history


def sound_bytes(form: str) -> int:
    return bwf.FORMS[form].bits // 8


def test_what_is_too_loud_on_one_side_is_lowered_on_both() -> None:
    loud = np.stack([NOISE * 20, NOISE * 0.1]).astype(np.float32)
    sound, loudness = bwf.filed([loud], SAMPLE_RATE, loud.shape[1], channels=2)
    assert loudness.true_peak_dbtp is not None
    assert loudness.true_peak_dbtp == pytest.approx(-1, abs=0.05)
    np.testing.assert_allclose(whole(sound), loud * 10 ** (sound.gain_db / 20), atol=2**-23)


def test_a_recording_is_read_in_one_channel_or_two(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, PAIR.T, SAMPLE_RATE, "FLOAT")
    assert wav.channels(path) == 2
    np.testing.assert_array_equal(whole(wav.recording(path, 2)), PAIR)
    np.testing.assert_allclose(whole(wav.recording(path)), PAIR.mean(axis=0), atol=1e-7)
    soundfile.write(path, NOISE, SAMPLE_RATE, "FLOAT")
    np.testing.assert_array_equal(whole(wav.recording(path, 2)), np.stack([NOISE, NOISE]))


def test_a_wav_in_stereo_is_written(tmp_path: Path) -> None:
    assert wav.write(tmp_path / "a.wav", parts(PAIR), SAMPLE_RATE, "FLOAT", channels=2) == PAIR.shape[1]
    found, _ = soundfile.read(io.BytesIO((tmp_path / "a.wav").read_bytes()), dtype="float32")
    np.testing.assert_array_equal(found.T, PAIR)


def test_the_sides_of_a_wav_of_ours_are_known_by_their_names() -> None:
    assert all(map(is_own_wav, ("a.foley.t01.wav", "a.foley.t01.L.wav", "a.foley.bed.R.wav", "a.foley.own2.wav")))
    assert not any(map(is_own_wav, ("a.L.wav", "a.foley.t01.C.wav", "a.foley.L.wav")))
