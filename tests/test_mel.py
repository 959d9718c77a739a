"""The mel agrees with Diff-Foley's to 1e-5, and its inverse is a true non-negative least squares."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from foleygen.audio.mel import (
    FLOOR,
    MelConfig,
    MelSpectrogram,
    NonNegativeInverse,
    Scaling,
    denormalise,
    mel_basis,
    normalise,
    to_decibels,
)

GOLDEN = np.load(Path(__file__).parent / "golden" / "mel_golden.npz")
CONFIG = MelConfig()
AUDIOLDM = MelConfig(16000, 1024, 160, 64, 0.0, 8000.0, "log")


def golden_wave():
    """Six partials under a 2 Hz swell, noise, and half a second of digital silence; 8.2 s at 16 kHz."""
    generator = np.random.Generator(np.random.PCG64(11))
    time = np.arange(131200) / 16000
    partials = ((220, 0.20), (440, 0.15), (1000, 0.10), (2500, 0.08), (5000, 0.05), (7000, 0.03))
    wave = sum(gain * np.sin(2 * np.pi * hz * time) for hz, gain in partials)
    wave = wave * (0.5 + 0.5 * np.sin(2 * np.pi * 2 * time)) + 0.01 * generator.standard_normal(time.size)
    wave[96000:104000] = 0.0
    return torch.from_numpy(wave.astype(np.float32))[None]


def test_the_basis_is_the_published_one():
    np.testing.assert_allclose(mel_basis(CONFIG), GOLDEN["mel_basis_16k"], atol=1e-8)


def test_a_window_agrees_with_the_golden_mel():
    mel = MelSpectrogram(CONFIG)(golden_wave()[:, :131072])
    assert mel.shape == (1, 128, 512)
    np.testing.assert_allclose(mel[0], GOLDEN["mel_131071"], atol=1e-5)


def test_ten_padded_seconds_agree_with_the_golden_mel():
    wave = torch.nn.functional.pad(golden_wave(), (0, 160000 - 131200))
    mel = MelSpectrogram(CONFIG)(wave)
    assert mel.shape == (1, 128, 625)
    np.testing.assert_allclose(mel[0, :, 500:560], GOLDEN["mel_10s_last_cols"], atol=1e-5)


configs = st.builds(
    MelConfig,
    sample_rate=st.sampled_from([8000, 16000, 22050, 44100, 48000]),
    n_fft=st.sampled_from([512, 1024, 2048]),
    hop_length=st.sampled_from([100, 160, 256]),
    num_mels=st.integers(1, 160),
    f_min=st.floats(0, 500),
    f_max=st.floats(1000, 4000),
)


@given(configs)
@settings(max_examples=30, deadline=None)
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_the_basis_agrees_with_librosa(config):
    filters = pytest.importorskip("librosa.filters")
    theirs = filters.mel(
        sr=config.sample_rate, n_fft=config.n_fft, n_mels=config.num_mels, fmin=config.f_min, fmax=config.f_max
    )
    np.testing.assert_allclose(mel_basis(config), theirs, atol=1e-6)


@given(st.integers(0, 5000), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_frames_are_whole_hops_and_values_lie_in_0_to_1(length, batch, seed):
    samples = torch.randn(batch, length, generator=torch.Generator().manual_seed(seed))
    mel = MelSpectrogram(CONFIG)(samples)
    assert mel.shape == (batch, 128, length // 256)
    assert ((mel >= 0) & (mel <= 1)).all()


def test_six_decibels_are_a_difference_of_0_06():
    wave = golden_wave()[:, :65536]
    spectrogram = MelSpectrogram(CONFIG)
    loud, quiet = spectrogram(wave), spectrogram(wave * 10 ** (-6 / 20))
    inside = (loud < 1) & (quiet > 0)
    assert inside.float().mean() > 0.9
    torch.testing.assert_close(loud[inside] - quiet[inside], torch.full((int(inside.sum()),), 0.06), atol=1e-4, rtol=0)


@given(st.floats(0, 1))
@settings(deadline=None)
def test_denormalise_undoes_normalise(value):
    mel = torch.tensor([value], dtype=torch.float64)
    torch.testing.assert_close(normalise(denormalise(mel)), mel, atol=1e-9, rtol=0)
    nepers = np.log(FLOOR) + 14 * mel
    torch.testing.assert_close(normalise(denormalise(nepers, "log"), "log"), nepers, atol=1e-9, rtol=0)


def test_a_window_of_the_released_model_is_librosas_natural_logarithm():
    features = pytest.importorskip("librosa.feature")
    wave = golden_wave()[:, :130560]
    mel = MelSpectrogram(AUDIOLDM)(wave)
    assert mel.shape == (1, 64, 816)
    theirs = features.melspectrogram(
        y=wave[0, :-1].numpy(), sr=16000, n_fft=1024, hop_length=160, n_mels=64, fmin=0, fmax=8000, power=1,
        pad_mode="constant",
    )  # fmt: skip
    np.testing.assert_allclose(mel[0].exp(), np.maximum(theirs, FLOOR), rtol=1e-3, atol=1e-6)
    assert mel.min() == pytest.approx(np.log(FLOOR), abs=1e-5)  # the hole of silence


@pytest.mark.parametrize("scaling", ["decibel", "log"])
def test_every_scale_is_heard_in_decibels(scaling: Scaling):
    wave = golden_wave()[:, :32000]
    config = MelConfig(scaling=scaling)
    assert config.in_decibels == CONFIG
    torch.testing.assert_close(
        to_decibels(MelSpectrogram(config)(wave), scaling), MelSpectrogram(CONFIG)(wave), atol=1e-5, rtol=0
    )


def test_magnitudes_at_and_below_the_floor_are_black():
    assert normalise(torch.tensor([0.0, FLOOR, 1e-4])).tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert normalise(torch.tensor([10.0, 1e3])).tolist() == pytest.approx([1.0, 1.0])


def test_the_inverse_reproduces_the_mel():
    mel = torch.from_numpy(GOLDEN["mel_131071"])[None]
    magnitude = NonNegativeInverse(CONFIG)(denormalise(mel))
    assert magnitude.shape == (1, 513, 512)
    assert (magnitude >= 0).all()
    again = normalise(torch.from_numpy(mel_basis(CONFIG)) @ magnitude)
    assert (again - mel).abs().max() < 1e-3
    assert (again - mel).abs().mean() < 1e-5


@pytest.mark.parametrize("decibels", [1, 3, 10])
def test_the_inverse_is_as_good_as_an_exact_solver_where_no_solution_is_exact(decibels):
    """Noise on the mel makes it one that no sound has; the reference is Lawson and Hanson's active set."""
    generator = np.random.default_rng(decibels)
    mel = GOLDEN["mel_131071"][:, ::16] + 0.01 * decibels * generator.standard_normal((128, 32))
    target = denormalise(torch.from_numpy(mel).float())
    magnitude = NonNegativeInverse(CONFIG, tolerance=1e-6, max_iterations=2000)(target[None])[0]
    basis = mel_basis(CONFIG).astype(np.float64)
    scale = 1 / np.linalg.norm(basis, axis=1, keepdims=True)
    best = np.array([nnls(basis * scale, column)[1] for column in (target.double().numpy() * scale).T])
    ours = np.linalg.norm((basis @ magnitude.double().numpy() - target.double().numpy()) * scale, axis=0)
    size = np.linalg.norm(target.double().numpy() * scale, axis=0)
    assert ((ours - best) / size).max() < 1e-3


def test_rows_are_inverted_independently():
    mels = torch.rand(3, 128, 20, generator=torch.Generator().manual_seed(0))
    inverse = NonNegativeInverse(CONFIG)
    together = inverse(denormalise(mels))
    alone = torch.cat([inverse(denormalise(mel[None])) for mel in mels])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("change", [{"f_max": 9000.0}, {"f_min": 7600.0}, {"hop_length": 0}, {"hop_length": 600}])
def test_impossible_configurations_are_refused(change):
    with pytest.raises(ValueError):
        MelConfig(**change)
