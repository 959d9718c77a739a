"""The neural vocoder: exact lengths, rows on their own, a mel nearer with every correction, bundles that hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from standins import fill_module
from test_mel import golden_wave

from foleygen.audio.mel import MelConfig, MelSpectrogram, mel_basis, normalise
from foleygen.audio.vocos import VocosVocoder, guess_of
from foleygen.engines.building import vocoder_of
from foleygen.engines.foley import Engine
from foleygen.errors import BundleError
from foleygen.models.vocos import Vocos, VocosConfig
from foleygen.sampling.noise import WindowKey
from foleygen.training.export import export_vocoder
from foleygen.training.recipe import VocoderRecipe, load
from foleygen.training.vocoder import vocoder_model
from foleygen.weights import bundle as bundles

MEL = MelConfig()
WIDE = MelConfig(44100, 2048, 512, 128, 0.0, 22050.0)


def small(mel: MelConfig = MEL, corrections: int = 2) -> VocosVocoder:
    torch.manual_seed(0)
    return VocosVocoder(mel, hidden_size=16, depth=1, corrections=corrections).eval()


def mel_of_golden() -> torch.Tensor:
    return MelSpectrogram(MEL)(golden_wave()[:, :65536])


@given(st.integers(1, 30), st.sampled_from([(1024, 256), (512, 256), (1024, 128), (2048, 512)]))
@settings(max_examples=15, deadline=None)
def test_the_length_is_exactly_its_frames(frames: int, sizes: tuple[int, int]) -> None:
    mel = MelConfig(n_fft=sizes[0], hop_length=sizes[1])
    samples = small(mel)(torch.rand(2, 128, frames))
    assert samples.shape == (2, frames * sizes[1])
    assert torch.isfinite(samples).all()


def test_a_row_sounds_the_same_in_any_batch_and_at_any_time() -> None:
    vocoder = small()
    mels = torch.rand(3, 128, 24, generator=torch.Generator().manual_seed(1))
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    before = [generator.get_state() for generator in generators]
    together = vocoder(mels, generators)
    assert all(torch.equal(old, new.get_state()) for old, new in zip(before, generators, strict=True))
    for row in range(3):
        assert torch.equal(together[row], vocoder(mels[row : row + 1])[0])


def test_nothing_in_nothing_out() -> None:
    assert small()(torch.zeros(2, 128, 0)).shape == (2, 0)
    assert small()(torch.zeros(0, 128, 9)).shape == (0, 9 * 256)


def test_a_black_mel_is_inaudible() -> None:
    assert float(small()(torch.zeros(1, 128, 64)).square().mean()) < 10 ** (-75 / 10)


def test_each_correction_brings_the_mel_nearer() -> None:
    mel = mel_of_golden()
    hear = MelSpectrogram(MEL)
    distances = [float((hear(small(corrections=count)(mel)) - mel).abs().mean()) for count in (0, 1, 2, 4)]
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < 0.75 * distances[0]


@pytest.mark.parametrize("mel", [MEL, WIDE])
def test_the_guess_of_a_flat_spectrum_is_flat(mel: MelConfig) -> None:
    spread, level = guess_of(mel)
    assert torch.allclose(spread.sum(dim=1), torch.ones(mel.num_bins))
    assert float(spread.min()) >= 0
    heard = torch.from_numpy(mel_basis(mel)).sum(dim=1)
    flat = torch.where(heard > 0, heard, torch.ones_like(heard)).log()[:, None]
    guess = spread @ (flat - level)
    assert float(guess.abs().max()) < 1e-4


def test_the_untrained_magnitude_is_the_guess() -> None:
    """White noise: the guess is off by what a smooth spectrum cannot say, not by a level."""
    noise = 0.1 * torch.randn(1, 65536, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        log_found, phase = small().spectrum(MelSpectrogram(MEL)(noise))
    window = torch.hann_window(1024)
    true = torch.stft(noise[:, :-1], 1024, 256, window=window, pad_mode="constant", return_complex=True)
    difference = log_found - true[..., : log_found.shape[-1]].abs().clamp(min=1e-5).log()
    assert abs(float(difference[:, 20:480].median())) < 0.2
    torch.testing.assert_close(phase.abs(), torch.ones_like(phase.abs()), atol=0.02, rtol=0)


def test_the_clock_turns_with_its_period() -> None:
    network = fill_module(Vocos(VocosConfig(num_mels=8, num_bins=17, clock=4, hidden_size=8, depth=1)))
    mel, guess = torch.full((1, 8, 24), 0.5), torch.zeros(1, 17, 24)
    with torch.inference_mode():
        _, phase = network(mel, guess)
        _, later = network(mel, guess, 1)
        _, round_again = network(mel, guess, 4)
    torch.testing.assert_close(phase, round_again)
    torch.testing.assert_close(phase[..., 7:17], later[..., 6:16])  # away from the ends
    assert not torch.allclose(phase[..., 7:17], later[..., 7:17])


def test_a_mel_that_is_not_in_decibels_is_refused() -> None:
    with pytest.raises(ValueError, match="'log'"):
        VocosVocoder(MelConfig(scaling="log"))


def test_a_hop_that_does_not_divide_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        VocosVocoder(MelConfig(hop_length=160))


def test_the_packaged_recipes_are_as_small_as_they_must_be() -> None:
    for name, most in (("vocoder-16k", 340_000), ("vocoder-44k", 1_200_000)):
        model = vocoder_model(load(name, VocoderRecipe))
        assert sum(value.numel() for value in model.parameters()) <= most


def test_a_bundle_holds_it(random_bundle: Path, tmp_path: Path) -> None:
    vocoder = small()
    made = export_vocoder(tmp_path / "neural", bundles.load(random_bundle), vocoder, name="neural", model_card="Noise.")
    assert (made.vocoder.kind, made.commercial) == ("vocos", True)
    assert made.hash != bundles.load(random_bundle).hash
    engine = Engine.load(made, "cpu", "fp32")
    mels = torch.rand(2, 128, 64, generator=torch.Generator().manual_seed(2))
    keys = [WindowKey(0, "clip", start, 1) for start in (0, 1)]
    sounds = engine.sounds(mels, keys)
    assert sounds.shape == (2, made.window_samples)
    half = vocoder_of(made)
    np.testing.assert_array_equal(sounds[0], half(mels[:1], [])[0, : made.window_samples])


def test_a_vocoder_for_another_mel_does_not_get_into_a_bundle(random_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="its mel is not the vocoder's"):
        export_vocoder(tmp_path / "wide", bundles.load(random_bundle), small(WIDE), name="wide", model_card="Noise.")


def test_a_bundle_with_other_settings_than_weights_is_one_sentence(random_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "neural"
    export_vocoder(folder, bundles.load(random_bundle), small(), name="neural", model_card="Noise.")
    manifest = folder / "bundle.yaml"
    text = manifest.read_text(encoding="utf-8")
    for wrong, message in (("hidden_size: 24", "do not fit its settings"), ("width: 16", "do not fit VocosVocoder")):
        manifest.write_text(text.replace("hidden_size: 16", wrong), encoding="utf-8")
        with pytest.raises(BundleError, match=message) as caught:
            vocoder_of(bundles.load(folder))
        assert "\n" not in str(caught.value)


def test_corrections_leave_a_sound_that_fits_alone() -> None:
    """The correction of a sound whose mel is the wanted one is a gain of one."""
    vocoder = small(corrections=1)
    wave = golden_wave()[:, :65536]
    spectrum = torch.stft(wave[:, :-1], 1024, 256, window=vocoder.window, pad_mode="constant", return_complex=True)
    spectrum = spectrum[..., :256]
    mel = normalise(vocoder.basis @ spectrum.abs())
    level = spectrum.abs().clamp(min=1e-9)
    again = vocoder.synthesise(level.log(), spectrum / level, mel)
    assert float((again - wave)[:, 2048:-2048].abs().max()) < 1e-3
