"""The band above a cut-off: below it the output is the input, above it there is something; at any length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ambience_bundles import MEL, load_composer, write_ambience
from scipy.signal import firwin, oaconvolve

from foleygen.ambience.bandwidth import OVERLAP, _Bands, _Feed, _settled, _silenced, widened
from foleygen.ambience.inpaint import Ask
from foleygen.engines.composer import Composer

RATE = MEL.sample_rate
CUTOFF = 7600.0


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    folder = tmp_path_factory.mktemp("bundles") / "noises"
    write_ambience(folder)
    return load_composer(folder)


def dull(total: int, seed: int = 0) -> np.ndarray:
    """Noise that ends at 7 kHz."""
    noise = 0.1 * np.random.default_rng(seed).standard_normal(total)
    return oaconvolve(noise, firwin(801, 7000, fs=RATE), mode="same").astype(np.float32)


def wide(composer: Composer, samples: np.ndarray, pieces: int = 1, seed: int = 0) -> np.ndarray:
    ask = Ask((seed,), None, composer.defaults, 1)
    return np.concatenate(list(widened(composer, np.array_split(samples, pieces), len(samples), CUTOFF, ask)))


def powers(samples: np.ndarray) -> tuple[float, float]:
    """Below the cut-off, and above its crossover."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(spectrum[hertz < CUTOFF].sum()), float(spectrum[hertz > CUTOFF + 200].sum())


@pytest.mark.parametrize("seconds", [2.0, 21.3])
def test_below_the_cutoff_the_output_is_the_input(composer: Composer, seconds: float) -> None:
    samples = dull(round(seconds * RATE))
    made = wide(composer, samples, pieces=7)
    assert made.shape == samples.shape
    below, above = powers(made - samples)
    own, none = powers(samples)
    assert 10 * np.log10(below / own) < -60
    assert above > 1000 * none


def test_chunks_and_repetition_do_not_matter(composer: Composer) -> None:
    samples = dull(12 * RATE)
    once = wide(composer, samples)
    assert np.array_equal(once, wide(composer, samples, pieces=13))
    assert not np.array_equal(once, wide(composer, samples, seed=1))


def test_silence_stays_silence(composer: Composer) -> None:
    samples = np.zeros(11 * RATE, np.float32)
    assert not wide(composer, samples).any()


@pytest.mark.parametrize("total", [1, 511, MEL.hop_length * 16, 434176, 434177, 434176 + OVERLAP * 8192 + 1])
def test_every_length_comes_out_as_it_went_in(composer: Composer, total: int) -> None:
    made = wide(composer, dull(max(total, 900))[:total])
    assert made.shape == (total,)
    assert np.isfinite(made).all()


def test_a_sound_without_a_cutoff_is_left_alone(composer: Composer) -> None:
    samples = dull(RATE)
    ask = Ask((0,), None, composer.defaults, 1)
    made = np.concatenate(list(widened(composer, [samples], RATE, RATE / 2, ask)))
    assert np.array_equal(made, samples)


@pytest.mark.parametrize(("cutoff", "row"), [(8000.0, 6), (7600.0, 6), (4000.0, 4), (22050.0, 8)])
def test_rows_above_the_cutoff_are_composed(cutoff: float, row: int) -> None:
    bands = _Bands(MEL, cutoff)
    assert bands.first_row == row
    assert bands.known <= bands.composed == 16 * row


def test_a_feed_forgets_and_pads() -> None:
    feed = _Feed(iter(np.array_split(np.arange(1, 101, dtype=np.float32), 9)))
    assert np.array_equal(feed.take(-2, 3), [0, 0, 1, 2, 3])
    feed.forget(10)
    assert np.array_equal(feed.take(10, 14), [11, 12, 13, 14])
    assert np.array_equal(feed.take(98, 103), [99, 100, 0, 0, 0])


def test_one_draw_is_heard_as_loud_as_the_median() -> None:
    rng = np.random.default_rng(0)
    noises = 0.05 * rng.standard_normal((4, 8, 400)) + np.array([0.5, 0.2, 0.3, 0.9])[:, None, None]
    made = torch.from_numpy(noises)
    settled = _settled(made)
    assert settled.shape == (1, 8, 400)
    assert float(settled.mean()) == pytest.approx(0.3, abs=0.02)
    assert float(settled.std()) == pytest.approx(0.05, rel=0.15)
    assert torch.equal(_settled(made[:1]), made[:1])


def test_what_the_mel_has_nothing_of_is_silenced() -> None:
    hiss = 0.01 * np.random.default_rng(0).standard_normal(4 * 8192).astype(np.float32)
    mel = torch.full((128, 64), 0.5)
    assert np.allclose(_silenced(hiss, mel, MEL), hiss, atol=1e-5)
    mel[100:] = 0
    quiet = _silenced(hiss, mel, MEL)
    spectrum, own = (np.abs(np.fft.rfft(each)) ** 2 for each in (quiet, hiss))
    hertz = np.fft.rfftfreq(len(hiss), 1 / RATE)
    assert spectrum[hertz > 12000].sum() < 1e-4 * own[hertz > 12000].sum()
    assert spectrum[hertz < 6000].sum() == pytest.approx(own[hertz < 6000].sum(), rel=0.01)
