"""The loudness of mels, the head of levels, contrast, and what finishing does to windows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from foleygen.audio.contrast import contrasted
from foleygen.audio.mel import MelConfig, MelSpectrogram
from foleygen.audio.mel_loudness import MelLoudness
from foleygen.engines.cues import grid_of, words_of
from foleygen.engines.finishing import QUIET, Finish
from foleygen.errors import BundleError, UsageError
from foleygen.features.cues import ToldCue, pack, track_of
from foleygen.media.loudness import measure
from foleygen.models.cue_layout import CueLayout
from foleygen.models.diffusion import Condition
from foleygen.models.level import SUMS, LevelHead, cue_sums
from foleygen.training import export, level, packing
from foleygen.training.cues.examples import FAMILIES, MATERIALS, MOST_EVENTS, Examples
from foleygen.weights import bundle as bundles
from foleygen.weights import store
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import tensors

RATE = MelConfig().sample_rate


@cache
def tiny() -> Bundle:
    return store.load("tiny", Bundle)


def mel_of(samples: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        mel: torch.Tensor = MelSpectrogram(MelConfig())(torch.from_numpy(samples.astype(np.float32))[None])
    return mel


def noise(seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 0.05


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_noise_is_as_loud_in_its_mel_as_a_meter_hears_it(gain: float) -> None:
    samples = noise() * gain
    heard = measure([samples.astype(np.float32)], RATE).integrated_lufs
    assert heard is not None
    assert MelLoudness(MelConfig()).integrated(mel_of(samples)).item() == pytest.approx(heard, abs=1.0)


def test_loudness_is_gated_as_the_standard_has_it() -> None:
    half_silent = np.concatenate([noise(4), np.zeros(4 * RATE)])
    loud = MelLoudness(MelConfig()).integrated(mel_of(noise(4))).item()
    assert MelLoudness(MelConfig()).integrated(mel_of(half_silent)).item() == pytest.approx(loud, abs=0.5)
    assert MelLoudness(MelConfig()).integrated(torch.zeros(1, 128, 100)).item() == -np.inf


def test_contrast_enlarges_narrow_detail_and_keeps_what_is_broad() -> None:
    place = torch.arange(128) / 128
    broad = 0.5 + 0.1 * torch.cos(torch.pi * 2 * (place + 1 / 256))
    narrow = 0.05 * torch.cos(torch.pi * 32 * (place + 1 / 256))
    mels = (broad + narrow)[None, :, None].expand(2, 128, 7)
    made = contrasted(mels, 1.5)
    assert torch.allclose(made, (broad + 1.5 * narrow)[None, :, None].expand(2, 128, 7), atol=1e-5)
    assert contrasted(mels, 1.0) is mels


def test_the_sums_of_cues_tell_how_many_are_known_where() -> None:
    grid, words = grid_of(tiny()), words_of(tiny())
    assert words is not None
    layout = CueLayout(grid.sub_steps)

    def sums(*cues: ToldCue, known: bool = True) -> torch.Tensor:
        track = track_of(cues, grid, words, known=None if known else ())
        return cue_sums(torch.from_numpy(pack(track))[None], layout)[0]

    none, one, two = sums(), sums(ToldCue(2.0)), sums(ToldCue(2.0), ToldCue(4.0))
    assert none[0] == 0 < one[0] < two[0]
    assert sums(ToldCue(2.0), known=False)[1] < one[1] == 1
    assert one.shape == (SUMS,)


def head_for(loudness: float) -> LevelHead:
    """One that wants the same of all windows."""
    head = LevelHead(192, CueLayout())
    head.set(torch.zeros(2 * 192 + SUMS), torch.tensor(loudness))
    return head


def with_head(folder: Path, loudness: float, contrast: float = 1.0) -> Bundle:
    spec = tiny()
    assert spec.cues is not None
    base = replace(spec, cues=replace(spec.cues, contrast=contrast))
    fit = level.LevelFit(head_for(loudness), 10, 1, 1.0, 2.0)
    return packing.pack_level(folder, base, fit, "levelled")


def finished(bundle: Bundle, mels: torch.Tensor) -> torch.Tensor:
    heard = torch.zeros(len(mels), 32, 192)
    finish = Finish(bundle, lambda _: heard, "cpu")
    with torch.inference_mode():
        return finish(mels, Condition(torch.zeros(len(mels), 128, 128)))


def test_a_loud_window_is_lowered_to_its_level_and_a_quiet_one_stays(tmp_path: Path) -> None:
    bundle = with_head(tmp_path / "levelled", -30.0)
    mels = torch.cat([mel_of(noise() * 2), mel_of(noise() * 0.01), torch.zeros(1, 128, 250)])
    made = finished(bundle, mels)
    loudness = MelLoudness(MelConfig())
    assert loudness.integrated(made)[0].item() == pytest.approx(-30, abs=0.05)
    assert torch.equal(made[1:], mels[1:])
    moved = made[0][mels[0] > QUIET] - mels[0][mels[0] > QUIET]
    assert moved.max() - moved.min() < 1e-5


def test_a_loud_hit_in_a_quiet_window_does_not_pass_the_loudest_frame(tmp_path: Path) -> None:
    bundle = with_head(tmp_path / "levelled", -10.0)
    assert bundle.level is not None
    mels = mel_of(noise() * 0.02).clone()
    mels[:, :, 100] = 0.95
    made = finished(bundle, mels)
    peak = MelLoudness(MelConfig()).frames(made).max().item()
    assert peak == pytest.approx(bundle.level.loudest_frame, abs=0.05)


def test_a_bundle_keeps_its_head_and_says_what_it_lacks(tmp_path: Path) -> None:
    bundle = with_head(tmp_path / "levelled", -30.0, contrast=1.2)
    assert bundle.cues is not None
    assert bundle.cues.contrast == 1.2
    assert set(tensors(bundle, "level")) == {"linear.weight", "linear.bias"}
    (tmp_path / "levelled" / "level.safetensors").unlink()
    with pytest.raises(BundleError):
        bundles.load(tmp_path / "levelled")


def test_a_contrast_beyond_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cues\.contrast is 9"):
        with_head(tmp_path / "levelled", -30.0, contrast=9.0)


def test_another_adapter_or_transformer_leaves_the_head_out(tmp_path: Path) -> None:
    bundle = with_head(tmp_path / "levelled", -30.0)
    assert bundle.cues is not None
    made = export.export_cues(
        tmp_path / "again", bundle, bundle.cues, tensors(bundle, "cues"), name="again", model_card="x"
    )
    assert made.level is None
    assert "level" not in made.parts


def scenes_of(count: int) -> tuple[Examples, np.ndarray]:
    """Scenes whose family decides how loud they are: 2 LU more with each."""
    rng = np.random.default_rng(0)
    families = rng.integers(1, 5, count).astype(np.int16)
    times = np.full((count, MOST_EVENTS), np.nan, np.float32)
    times[:, 0] = rng.uniform(1, 7, count)
    examples = Examples(
        features=np.zeros((1, count, 128, 128), np.float16),
        latents=np.zeros((count, 1, 1, 64), np.float16),
        families=families,
        materials=np.ones(count, np.int16),
        times=times,
        strengths=np.where(np.isfinite(times), 0.8, np.nan).astype(np.float32),
        silence=np.zeros((1, 1, 64), np.float16),
        source="made here",
    )
    return examples, -40.0 + 5.0 * families


def test_a_head_learns_how_loud_a_word_is() -> None:
    examples, loudness = scenes_of(60)
    fit = level.fitted(tiny(), examples, loudness, seed=0, rows=1500)
    assert fit.error < 0.75 * fit.constant_error
    assert fit.rows > fit.kept_rows > 0


def test_silent_scenes_do_not_count() -> None:
    examples, loudness = scenes_of(40)
    with pytest.raises(UsageError, match="too few"):
        level.fitted(tiny(), examples, np.full_like(loudness, -np.inf), seed=0, rows=50)
    assert len(FAMILIES) > 4
    assert MATERIALS


def test_the_embedded_bundle_lowers_its_windows() -> None:
    from foleygen.engines.foley import Engine
    from foleygen.sampling.noise import WindowKey

    engine = Engine.load(tiny(), "cpu", "fp32")
    features = torch.randn(2, 128, 128, generator=torch.Generator().manual_seed(0))
    keys = [WindowKey(0, f"row {row}", 0, 1) for row in range(2)]
    latents = engine.latents(features, keys)
    loudness = MelLoudness(MelConfig())
    raw, made = engine.decode(latents), engine.mels(latents, features)
    assert (loudness.integrated(made) <= loudness.integrated(raw) + 0.01).all()
    assert loudness.frames(made).max() <= -12.9
    alone = engine.mels(latents[1:], features[1:])
    assert torch.allclose(made[1:], alone, atol=1e-6)
