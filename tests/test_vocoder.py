"""Vocoders give exactly their frames' length, the golden wave's spectrum, and the same sound in any batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mel import AUDIOLDM, golden_wave

from foleygen.audio.griffin_lim import GriffinLim, reconstruct
from foleygen.audio.hifigan import HiFiGAN, HiFiGANConfig
from foleygen.audio.mel import MelConfig, MelSpectrogram, denormalise, mel_basis
from foleygen.audio.vocos import VocosVocoder
from foleygen.errors import SetupError

FOLDER = Path(__file__).parent / "golden"
MEL = torch.from_numpy(np.load(FOLDER / "mel_golden.npz")["mel_131071"])[None]
CONFIG = MelConfig()


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def golden_magnitude():
    """Magnitude spectrum of the wave that tests/test_mel.py describes, (513, 512)."""
    return magnitude_of(golden_wave()[0, :131072])


def magnitude_of(samples):
    window = torch.hann_window(1024)
    stft = torch.stft(samples[:-1], 1024, 256, window=window, pad_mode="constant", return_complex=True)
    return stft[:, :512].abs()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_golden_wave_comes_back(seed):
    samples = GriffinLim(CONFIG)(MEL, generators(seed))
    assert samples.shape == (1, 131072)
    assert (MelSpectrogram(CONFIG)(samples) - MEL).abs().mean() <= 0.0085
    original = golden_magnitude()
    assert (magnitude_of(samples[0]) - original).norm() / original.norm() <= 0.20


def test_a_mel_on_audioldms_scale_is_inverted_on_it():
    wave = golden_wave()[:, :65280]
    samples = GriffinLim(AUDIOLDM)(MelSpectrogram(AUDIOLDM)(wave), generators(0))
    assert samples.shape == wave.shape
    listen = MelSpectrogram(AUDIOLDM.in_decibels)
    assert (listen(samples) - listen(wave)).abs().mean() <= 0.015


def test_pitches_come_back_where_they_were():
    samples = GriffinLim(CONFIG)(MEL, generators(0))[0]
    spectrum = torch.fft.rfft(samples[:131072]).abs()
    hz = torch.fft.rfftfreq(131072, 1 / 16000)
    for pitch in (220, 440, 1000, 2500, 5000, 7000):
        near = (hz > 0.9 * pitch) & (hz < 1.1 * pitch)
        assert abs(float(hz[near][spectrum[near].argmax()]) / pitch - 1) < 0.02


def test_the_published_demos_rate_puts_every_pitch_lower():
    samples = GriffinLim(CONFIG, basis_rate=22050)(MEL, generators(0))[0]
    spectrum = torch.fft.rfft(samples[:131072]).abs()
    hz = torch.fft.rfftfreq(131072, 1 / 16000)
    for pitch in (440, 1000, 2500):
        lower = pitch * 16000 / 22050
        near = (hz > 0.9 * lower) & (hz < 1.1 * lower)
        assert abs(float(hz[near][spectrum[near].argmax()]) / lower - 1) < 0.02
        at_pitch = (hz > 0.97 * pitch) & (hz < 1.03 * pitch)
        assert float(spectrum[at_pitch].max()) < 0.3 * float(spectrum[near].max())


@pytest.mark.parametrize("iterations", [1, 4])
def test_iterations_from_zero_phase_agree_with_librosa(iterations):
    """The goldens start from the clamped minimum-norm inverse, as librosa 0.11 does."""
    basis = torch.from_numpy(mel_basis(CONFIG))
    magnitude = (torch.linalg.pinv(basis) @ denormalise(MEL[0])).clamp(min=0)
    phase = torch.ones_like(magnitude, dtype=torch.complex64)
    samples = reconstruct(magnitude, phase, torch.hann_window(1024), 256, iterations, 0.99)
    golden = np.load(FOLDER / "griffinlim_golden.npz")[f"iter{iterations}"]
    np.testing.assert_allclose(samples[: golden.size], golden, atol=1e-3)


@given(st.integers(1, 40), st.sampled_from([256, 160, 512, 200]))
@settings(max_examples=20, deadline=None)
def test_the_length_is_exactly_its_frames(frames, hop_length):
    vocoder = GriffinLim(MelConfig(hop_length=hop_length), iterations=2)
    samples = vocoder(torch.rand(2, 128, frames), generators(0, 1))
    assert samples.shape == (2, frames * hop_length)
    assert samples.abs().max() < 20 * samples.square().mean().sqrt()


def test_a_row_sounds_the_same_in_any_batch():
    vocoder = GriffinLim(CONFIG, iterations=8)
    mels = torch.cat([MEL[..., :60], MEL[..., 100:160], MEL[..., 200:260]])
    together = vocoder(mels, generators(5, 6, 7))
    for index, seed in enumerate((5, 6, 7)):
        assert torch.equal(together[index], vocoder(mels[index : index + 1], generators(seed))[0])
    assert not torch.equal(together[0], vocoder(mels[:1], generators(8))[0])


def test_nothing_in_nothing_out():
    assert GriffinLim(CONFIG)(torch.zeros(2, 128, 0), generators(0, 1)).shape == (2, 0)
    assert GriffinLim(CONFIG)(torch.zeros(0, 128, 9), []).shape == (0, 2304)


def test_a_black_mel_is_inaudible():
    samples = GriffinLim(CONFIG)(torch.zeros(1, 128, 64), generators(0))
    assert samples.square().mean() < 10 ** (-75 / 10)


def test_attacks_stay_attacks():
    """Mean power in the 20 ms before a burst out of near silence, and in the 20 ms before those, against after."""
    generator = np.random.default_rng(0)
    wave = 1e-4 * generator.standard_normal(65536)
    age = np.arange(32768) / 16000
    wave[32768:] += 0.4 * generator.standard_normal(32768) * np.exp(-age / 0.05)
    mel = MelSpectrogram(CONFIG)(torch.from_numpy(wave.astype(np.float32))[None])
    samples = GriffinLim(CONFIG)(mel, generators(0))[0].double()
    earlier, before, after = (samples[32768 + shift :][:320].square().mean() for shift in (-640, -320, 0))
    assert before / after < 10 ** (-9 / 10)
    assert earlier / after < 10 ** (-30 / 10)


def test_a_generator_per_row_is_required():
    with pytest.raises(ValueError, match="2 mels came with 1 generators"):
        GriffinLim(CONFIG)(MEL.expand(2, -1, -1), generators(0))


def test_who_can_go_on_from_samples_says_so():
    begun = torch.randn(4096, generator=torch.Generator().manual_seed(1)) * 0.1
    searched, neural = GriffinLim(CONFIG, iterations=4), VocosVocoder(CONFIG, hidden_size=16, depth=1).eval()
    for vocoder in (searched, neural):
        free, bound = vocoder(MEL, generators(0)), vocoder(MEL, generators(0), begun)
        assert vocoder.goes_on == (not torch.equal(free, bound)) == (vocoder is searched)


def test_hifigan_trims_its_surplus():
    pytest.importorskip("transformers")
    vocoder = HiFiGAN(HiFiGANConfig(upsample_initial_channel=32)).eval()
    mel = torch.randn(2, 64, 24, generator=torch.Generator().manual_seed(0))
    samples = vocoder(mel)
    assert not vocoder.goes_on
    assert torch.equal(samples, vocoder(mel, begun=samples[0]))
    untrimmed = vocoder.generator(mel.transpose(1, 2))
    assert samples.shape == (2, 24 * 160)
    assert untrimmed.shape == (2, 24 * 160 + 32)
    torch.testing.assert_close(samples, untrimmed[:, 16:-16])
    assert torch.equal(samples[1:], vocoder(mel[1:]))
    assert vocoder(mel[..., :0]).shape == (2, 0)


def test_hifigan_has_the_published_architecture():
    pytest.importorskip("transformers")
    with torch.device("meta"):
        vocoder = HiFiGAN()
    shapes = {name: tuple(tensor.shape) for name, tensor in vocoder.generator.state_dict().items()}
    assert (vocoder.sample_rate, vocoder.hop_length) == (16000, 160)
    assert shapes["conv_pre.weight"] == (1024, 64, 7)
    assert shapes["upsampler.0.weight"] == (1024, 512, 16)
    assert shapes["upsampler.4.weight"] == (64, 32, 4)
    assert shapes["conv_post.weight"] == (1, 32, 7)


def test_without_transformers_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(SetupError, match=r"pip install 'foleygen\[base\]'"):
        HiFiGAN()
