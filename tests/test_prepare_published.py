"""Clips of one's own for the published models: their mel, their latents, and a training that ends in a clip."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from standins import fill_module
from torch.nn import functional

from foleygen.audio.hifigan import HiFiGAN, HiFiGANConfig
from foleygen.audio.mel import MelConfig, MelSpectrogram
from foleygen.cli import app
from foleygen.engines.foley import Engine
from foleygen.errors import BundleError, UsageError
from foleygen.media import movie, own_sound, probe
from foleygen.models.autoencoder import KLAutoencoder, load_kl
from foleygen.models.motion import MotionEncoder, MotionEncoderConfig
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.pipeline import render_window
from foleygen.settings import RenderSettings
from foleygen.strict import plain
from foleygen.training import recipe
from foleygen.training.data import prepare
from foleygen.training.data.prepare import Encoders, Shards
from foleygen.training.mdsgen import mdsgen_loop
from foleygen.training.recipe import MdsgenRecipe
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import tensors
from foleygen.weights.spec import AutoencoderSpec, BundleSpec, EncoderSpec, MelSpec, SamplingSpec, VocoderSpec

RATE = 16000
FRAMES = 128
WINDOW = FRAMES * 160
"""1.28 s: 40 pictures at 31.25 a second, 32 latent columns."""
MEL = MelConfig(RATE, 1024, 160, 64, 0.0, 8000.0, "log")
GEOMETRY = {
    "in_channels": 1,
    "out_channels": 1,
    "latent_channels": 8,
    "block_out_channels": [8, 8, 8],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "time_first": True,
}
EYES = MotionEncoderConfig(num_frames=40, feature_dim=16, pixel_widths=(4, 8, 8), place_width=4, flow_width=4)
EARS = HiFiGANConfig(upsample_initial_channel=32)
TRANSFORMER = TransformerConfig(
    latent_shape=(8, 32, 16),
    time_axis=1,
    hidden_size=32,
    depth=3,
    num_heads=2,
    decode_layers=1,
    frequency_embedding_size=204,
    feature_dim=16,
    num_features=20,
)


def sweep(first_hz: float, last_hz: float) -> NDArray[np.float32]:
    """A tone (WINDOW,) that glides in octaves."""
    octaves = np.linspace(np.log(first_hz), np.log(last_hz), WINDOW)
    sound: NDArray[np.float32] = (0.3 * np.sin(2 * np.pi * np.cumsum(np.exp(octaves)) / RATE)).astype(np.float32)
    return sound


RISING, FALLING = sweep(300, 6000), sweep(6000, 300)


def taught_autoencoder() -> torch.nn.Module:
    """AudioLDM's architecture, small, after a lesson in two pictures (time, mel): a rising tone and a falling one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kl = load_kl(GEOMETRY).kl.train().requires_grad_(True)
    mels = MelSpectrogram(MEL)(torch.from_numpy(np.stack([RISING, FALLING])))
    lesson = mels.transpose(1, 2)[:, None]
    adam = torch.optim.Adam(kl.parameters(), 1e-2)
    for _ in range(120):
        adam.zero_grad()
        latents = kl.encode(lesson).latent_dist.mean
        functional.mse_loss(kl.decode(latents).sample, lesson).backward()
        adam.step()
    module: torch.nn.Module = kl.eval()
    return module


def write_released(folder: Path) -> Bundle:
    """A bundle with the parts of the released MDSGen, small, but for the pictures' encoder, which is tiny's."""
    spec = BundleSpec(
        name=folder.name,
        licence="CC-BY-NC-4.0",
        commercial=False,
        sample_rate=RATE,
        window_samples=WINDOW,
        mel=MelSpec(n_fft=1024, hop_length=160, num_mels=64, f_min=0.0, f_max=8000.0, scaling="log"),
        encoder=EncoderSpec(
            kind="motion",
            frame_rate=Fraction(125, 4),
            frame_size=64,
            frame_rule="linear",
            num_frames=EYES.num_frames,
            num_features=EYES.num_features,
            feature_dim=EYES.feature_dim,
            options=asdict(EYES),
        ),
        transformer=asdict(TRANSFORMER),
        autoencoder=AutoencoderSpec(kind="kl", config=GEOMETRY, latent_scale=4.0),
        vocoder=VocoderSpec(kind="hifigan", options=asdict(EARS)),
        sampling=SamplingSpec(
            prediction_type="epsilon", num_inference_steps=2, guidance_scale=5.0, guidance_power=0.01
        ),
    )
    parts = {
        "encoder": fill_module(MotionEncoder(EYES)).state_dict(),
        "transformer": fill_module(MDSGen(TRANSFORMER)).state_dict(),
        "autoencoder": taught_autoencoder().state_dict(),
        "vocoder": fill_module(HiFiGAN(EARS).generator).state_dict(),
    }
    return bundles.save(folder, spec, parts, licence_text="Test weights.\n", model_card="Small.\n")


def write_clip(path: Path, samples: NDArray[np.float32]) -> Path:
    """A clip as long as its sound; the pictures are noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (round(len(samples) / RATE * 25), 48, 64, 3)).astype(np.uint8)
    movie.write(path, iter(pictures), 25, (64, 48), samples, RATE)
    return path


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.set_num_threads(1)
    return write_released(tmp_path_factory.mktemp("bundle") / "released")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_clip(folder / "falling.mp4", FALLING)
    write_clip(folder / "rising.mp4", RISING)
    return folder


def test_a_rising_tone_comes_back_rising(clips: Path, released: Bundle, tmp_path: Path) -> None:
    """What was prepared, decoded as the engine decodes, is the mel of the clip: neither turned nor transposed."""
    paths = [clips / "falling.mp4", clips / "rising.mp4"]
    assert [done.windows for done in prepare.prepare(paths, tmp_path, Encoders.load(released, "cpu"))] == [1, 1]
    engine = Engine.load(released, "cpu", "fp32")
    for index, path in enumerate(paths):
        latents, features = Shards(tmp_path).window(index)
        assert (latents.shape, features.shape) == ((8, 32, 16), (20, 16))
        found = engine.decode(torch.from_numpy(latents.astype(np.float32))[None])[0].numpy()
        own = own_sound.read(probe.probe(path), RATE)
        true = MelSpectrogram(MEL)(torch.from_numpy(np.pad(own, (0, WINDOW))[:WINDOW])[None])[0].numpy()
        assert found.shape == true.shape == (64, FRAMES)
        assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.9
        loudest = np.corrcoef(np.arange(FRAMES), found.argmax(axis=0))[0, 1]
        assert loudest > 0.9 if path.stem == "rising" else loudest < -0.9


def test_latents_are_the_scaled_mean_of_the_posterior(clips: Path, released: Bundle, tmp_path: Path) -> None:
    encoders = Encoders.load(released, "cpu")
    assert isinstance(encoders.autoencoder, KLAutoencoder)
    list(prepare.prepare([clips / "rising.mp4"], tmp_path, encoders))
    own = own_sound.read(probe.probe(clips / "rising.mp4"), RATE)
    mel = MelSpectrogram(MEL)(torch.from_numpy(np.pad(own, (0, WINDOW))[:WINDOW])[None])
    with torch.inference_mode():
        mean = encoders.autoencoder.kl.encode(mel.transpose(1, 2)[:, None]).latent_dist.mean
    np.testing.assert_allclose(Shards(tmp_path).window(0)[0], 4 * mean[0].numpy(), atol=1e-2, rtol=2e-3)


def test_own_clips_to_a_finished_one_with_the_papers_training(
    clips: Path, released: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paper = plain(recipe.load("paper-T", MdsgenRecipe))
    paper["loop"] |= {"batch_size": 2, "log_every": 1}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(paper))
    shards, run, made = tmp_path / "shards", tmp_path / "run", tmp_path / "made"
    base = str(released.path)
    training = ["--recipe", str(tmp_path / "small.yaml"), "--init", base, "--steps", "2", "--device", "cpu"]
    for command in (
        ["train", "prepare", str(clips), "-o", str(shards), "--model", base, "--device", "cpu"],
        ["train", "mdsgen", "--data", str(shards), *training, "-o", str(run)],
        ["train", "bundle", "--mdsgen", str(run), "--base", base, "--name", "mine", "-o", str(made)],
        ["add-sound", str(clips / "rising.mp4"), "--model", str(made), "--device", "cpu", "-o", str(tmp_path)],
    ):
        assert app.run(command) == 0, capfd.readouterr().err
    bundle = bundles.load(made)
    assert (bundle.mel.scaling, bundle.licence) == ("log", released.licence)
    assert bundle.parts["transformer"].sha256 != released.parts["transformer"].sha256
    sound = own_sound.read(probe.probe(tmp_path / "rising.foley.mp4"), RATE)
    assert np.isfinite(sound).all()
    assert sound.std() > 1e-4


def test_what_the_preview_draws_is_in_decibels(clips: Path, released: Bundle) -> None:
    engine = Engine.load(released, "cpu", "fp32")
    window = render_window(probe.probe(clips / "rising.mp4"), engine, RenderSettings(), 0.0, 1.28)
    assert window.mel.shape == (64, FRAMES)
    assert 0 <= window.mel.min() < window.mel.max() <= 1


def test_its_vocoder_is_compared_with_griffin_lim_on_its_mel(
    released: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["evaluate", "vocoder", "--model", str(released.path), "--count", "1", "--json"]) == 0
    reports = json.loads(capfd.readouterr().out)
    assert list(reports) == ["scenes", "scenes, decoded mels"]
    scores = reports["scenes"]["scores"]
    assert list(scores) == ["Griffin-Lim", "released"]
    assert scores["Griffin-Lim"]["mel_l1"] < 0.02 < scores["released"]["mel_l1"]  # its weights are random numbers


def changed(bundle: Bundle, folder: Path, **changes: object) -> Bundle:
    """The same weights with other settings."""
    spec = BundleSpec(**{item.name: getattr(bundle, item.name) for item in fields(BundleSpec)})
    parts = {part: tensors(bundle, part) for part in bundle.parts}
    made = replace(spec, **changes)  # type: ignore[arg-type]
    return bundles.save(folder, made, parts, licence_text="Test weights.\n", model_card="Small.\n")


def test_latents_of_another_scale_are_not_mixed_or_tuned_on(clips: Path, released: Bundle, tmp_path: Path) -> None:
    """The same weights with another scale are another autoencoder."""
    shards = tmp_path / "shards"
    list(prepare.prepare([clips / "rising.mp4"], shards, Encoders.load(released, "cpu")))
    other = changed(released, tmp_path / "other", autoencoder=replace(released.autoencoder, latent_scale=1.0))
    with pytest.raises(UsageError, match="another bundle"):
        list(prepare.prepare([clips / "rising.mp4"], shards, Encoders.load(other, "cpu")))
    with pytest.raises(UsageError, match="its autoencoder is not the one"):
        mdsgen_loop(recipe.load("paper-T", MdsgenRecipe), shards, other, tmp_path / "run", "cpu")


def test_a_window_that_the_transformer_does_not_fit_is_an_error(clips: Path, released: Bundle, tmp_path: Path) -> None:
    longer = changed(released, tmp_path / "longer", window_samples=WINDOW + 640)
    with pytest.raises(BundleError, match=r"latents are \(8, 33, 16\)"):
        list(prepare.prepare([clips / "rising.mp4"], tmp_path / "shards", Encoders.load(longer, "cpu")))


@pytest.mark.parametrize(("rest", "windows"), [(0.4, 2), (0.6, 3)])
def test_a_long_clip_is_cut_side_by_side_as_it_streams(
    rest: float, windows: int, released: Bundle, tmp_path: Path
) -> None:
    """A rest is kept, padded with silence, from half a window on."""
    sound = np.concatenate([RISING, FALLING, RISING[: round(rest * WINDOW)]])
    clip = write_clip(tmp_path / "long.mp4", sound)
    encoders = Encoders.load(released, "cpu")
    (done,) = prepare.prepare([clip], tmp_path / "shards", encoders)
    assert done.windows == windows
    whole = np.pad(own_sound.read(probe.probe(clip), RATE), (0, WINDOW))[: windows * WINDOW]
    with torch.inference_mode():
        wanted = encoders.autoencoder.encode(encoders.mel(torch.from_numpy(whole.reshape(windows, WINDOW)))).numpy()
    for index in range(windows):
        np.testing.assert_allclose(Shards(tmp_path / "shards").window(index)[0], wanted[index], atol=0.05, rtol=2e-3)
