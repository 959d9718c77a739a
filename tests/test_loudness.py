"""media.loudness: the standards' own test signals, a second meter, and any chunks; media.waveform beside it."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foleygen.facts import Loudness
from foleygen.media.loudness import Meter, measure
from foleygen.media.waveform import peaks

RATES = [16000, 44100, 48000]


def sine(seconds: float, rate: int, hertz: float = 1000.0, dbfs: float = 0.0) -> NDArray[np.float32]:
    times = np.arange(round(seconds * rate)) / rate
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def noise(seconds: float, rate: int, seed: int = 0) -> NDArray[np.float32]:
    """Noise without the highest frequencies, whose level rises and falls every two seconds."""
    count = round(seconds * rate)
    white = np.random.default_rng(seed).normal(0, 0.2, count + 3)
    smooth = np.convolve(white, np.hanning(6)[1:-1] / 2, "valid")
    return (smooth * (0.55 - 0.45 * np.cos(np.pi * np.arange(count) / rate))).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("dbfs", [0.0, -23.0, -50.0])
def test_a_sine_has_the_loudness_that_the_standard_says(rate: int, dbfs: float) -> None:
    """BS.1770: 997 Hz at full scale in one front channel is -3.01 LKFS."""
    found = measure([sine(5, rate, 997, dbfs)], rate)
    assert found.integrated_lufs == pytest.approx(dbfs - 3.01, abs=0.03)
    assert found.true_peak_dbtp == pytest.approx(dbfs, abs=0.05)
    assert found.range_lu == pytest.approx(0, abs=0.1)


def test_both_channels_count() -> None:
    """EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS is -23 LUFS."""
    one = sine(20, 48000, 1000, -23)
    meter = Meter(48000, channels=2)
    meter.push(np.stack([one, one]))
    assert meter.result().integrated_lufs == pytest.approx(-23, abs=0.1)


def test_quiet_stretches_are_gated() -> None:
    """After EBU Tech 3341, case 3: -23 dBFS between two stretches at -36 dBFS in stereo is -23 LUFS."""
    sound = np.concatenate([sine(s, 48000, 1000, level) for s, level in ((5, -36), (30, -23), (5, -36))])
    assert measure([np.stack([sound, sound])], 48000, 2).integrated_lufs == pytest.approx(-23, abs=0.1)


def test_the_range_is_the_distance_of_two_levels() -> None:
    """EBU Tech 3342, case 1: 20 s at -20, 20 s at -30 dBFS has a range of 10 LU."""
    sound = np.concatenate([sine(20, 48000, 1000, -20), sine(20, 48000, 1000, -30)])
    assert measure([np.stack([sound, sound])], 48000, 2).range_lu == pytest.approx(10, abs=1)


def test_peaks_between_samples_are_found() -> None:
    """EBU Tech 3341, case 16: a quarter of the sample rate at 45 degrees, whose samples stay 3 dB under its peaks."""
    phase = np.arange(48000) * np.pi / 2 + np.pi / 4
    sound = (0.5 * np.sin(phase) * np.hanning(48000)).astype(np.float32)
    assert 20 * math.log10(np.abs(sound).max()) == pytest.approx(-9.03, abs=0.05)
    assert measure([sound], 48000).true_peak_dbtp == pytest.approx(-6.02, abs=0.2)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.45, 1.0, 7.3])
def test_another_meter_agrees(rate: int, seconds: float) -> None:
    sound = noise(seconds, rate)
    # Filters that are made for 48 kHz bend near the upper end of a lower rate, so the other meter hears 48 kHz too.
    at_48k = sound if rate == 48000 else _at_48k(sound, rate)
    other = pyloudnorm.Meter(48000).integrated_loudness(at_48k.astype(np.float64))
    assert measure([sound], rate).integrated_lufs == pytest.approx(other, abs=0.1)


def _at_48k(sound: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    from scipy.signal import resample_poly

    common = math.gcd(rate, 48000)
    return np.asarray(resample_poly(sound, 48000 // common, rate // common))


@settings(max_examples=15, deadline=None)
@given(
    rate=st.sampled_from(RATES),
    seconds=st.floats(0.3, 2.5),
    cuts=st.lists(st.integers(0, 100_000), max_size=6),
)
def test_chunks_do_not_matter(rate: int, seconds: float, cuts: list[int]) -> None:
    sound = noise(seconds, rate)
    assert measure(np.split(sound, sorted(cuts)), rate) == measure([sound], rate)


@settings(max_examples=10, deadline=None)
@given(gain_db=st.floats(-40, 10), seconds=st.floats(0.5, 4))
def test_a_gain_is_heard_as_such(gain_db: float, seconds: float) -> None:
    sound = noise(seconds, 16000)
    plain, expected = measure([sound], 16000), measure([sound * np.float32(10 ** (gain_db / 20))], 16000)
    found = plain.after(gain_db)
    assert found.integrated_lufs == pytest.approx(expected.integrated_lufs, abs=0.02)
    assert found.true_peak_dbtp == pytest.approx(expected.true_peak_dbtp, abs=0.01)


@pytest.mark.parametrize("chunks", [[], [np.zeros(0, np.float32)], [np.zeros(60000, np.float32)] * 3])
def test_silence_has_no_level(chunks: list[NDArray[np.float32]]) -> None:
    assert measure(chunks, 16000) == Loudness(None, None, None)


@pytest.mark.parametrize("samples", [1, 100, 15000, 19199])
def test_less_than_a_block_has_a_peak_alone(samples: int) -> None:
    found = measure([np.full(samples, 0.25, np.float32)], 48000)
    assert (found.integrated_lufs, found.range_lu) == (None, None)
    assert found.true_peak_dbtp is not None
    assert -13 < found.true_peak_dbtp < -10


def test_the_peak_of_the_last_samples_counts() -> None:
    sound = np.zeros(48000 * 2 + 1234, np.float32)
    sound[-3] = 0.5
    found = measure([sound], 48000)
    assert found.true_peak_dbtp == pytest.approx(-6.02, abs=0.3)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("dbfs", [-50.0, -20.0])
def test_a_steady_tone_has_no_range_or_none_at_all(rate: int, dbfs: float) -> None:
    """A block of the range is of 3 s, and the first ones give 20 LU for anything."""
    found = {
        seconds: measure([sine(seconds, rate, 1000, dbfs)], rate).range_lu for seconds in (2.9, 3.0, 3.2, 3.4, 4.0)
    }
    assert (found[2.9], found[3.0], found[3.2]) == (None, None, None)
    assert found[3.4] == pytest.approx(0, abs=0.1)
    assert found[4.0] == pytest.approx(0, abs=0.1)


def test_a_level_crosses_processes() -> None:
    found = measure([noise(1, 16000)], 16000)
    assert pickle.loads(pickle.dumps(found)) == found


@settings(max_examples=50, deadline=None)
@given(
    total=st.integers(1, 3000),
    count=st.integers(1, 80),
    cuts=st.lists(st.integers(0, 3000), max_size=8),
    seed=st.integers(0, 99),
)
def test_the_outline_has_the_peak_of_each_part(total: int, count: int, cuts: list[int], seed: int) -> None:
    sound = np.random.default_rng(seed).uniform(-1.2, 1.2, total).astype(np.float32)
    found = peaks(np.split(sound, sorted(cuts)), total, count)
    edges = [part * total // count for part in range(count + 1)]
    expected = [np.abs(sound[a:b]).max(initial=0) for a, b in pairwise(edges)]
    np.testing.assert_allclose(found, np.minimum(expected, 1), rtol=1e-6)


def test_an_outline_of_the_wrong_length_is_cut_or_filled() -> None:
    assert peaks([np.ones(10, np.float32)], 20, 4) == (1, 1, 0, 0)
    assert peaks([np.full(40, 0.5, np.float32)], 20, 4) == (0.5,) * 4
