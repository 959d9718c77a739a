"""The published models, from the files as they are published to a finished clip; weights are stand-ins."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
import yaml
from clips import decoded_sound, packets_of, write_clip
from safetensors.torch import save_file
from standins import fill, fill_module
from test_convert import audioldm_standin, cavp_standin, mdsgen_standin

from foleygen.cli.app import run
from foleygen.engines.building import autoencoder_of, vocoder_of
from foleygen.errors import ExitCode
from foleygen.evaluation.speed import SpeedConfig, measure
from foleygen.media.probe import probe
from foleygen.models.autoencoder import KLAutoencoder, load_kl
from foleygen.strict import plain
from foleygen.training.data.prepare import Shards
from foleygen.training.recipe import MdsgenRecipe, load
from foleygen.weights import bundle as bundles
from foleygen.weights.published.kl import STABLE_DIFFUSION

Finish = Callable[..., dict[str, object]]


@pytest.fixture(scope="module")
def cavp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cavp") / "cavp_epoch66.ckpt"
    cavp_standin(path)
    return path


@pytest.fixture
def finish(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Finish:
    """``finish(clip, model)``: ``add-sound`` in two steps; the sidecar, and what stderr said as "said"."""

    def call(clip: Path, model: Path) -> dict[str, object]:
        capfd.readouterr()
        code = run(["add-sound", str(clip), "--model", str(model), "--steps", "2", "--device", "cpu"])
        out, err = capfd.readouterr()
        assert code == ExitCode.OK, err
        finished = clip.with_name(f"{clip.stem}.foley.mov")
        assert out.splitlines() == [str(finished)]
        sidecar: dict[str, object] = json.loads(clip.with_name(f"{clip.stem}.foley.json").read_text())
        return {**sidecar, "said": err}

    return call


def make_audible(vocoder: Path) -> None:
    """A vocoder at its own initialisation is silent."""
    state = torch.load(vocoder, weights_only=True)
    torch.save(fill({name: tuple(value.shape) for name, value in state.items()}), vocoder)


def assert_finished(clip: Path) -> None:
    info, finished = probe(clip), probe(clip.with_name(f"{clip.stem}.foley.mov"))
    sound, start = decoded_sound(finished.path)
    assert len(sound) == round(info.duration * 48000)
    assert start == 0
    assert np.isfinite(sound).all()
    assert sound.std() > 1e-4
    assert packets_of(finished.path, finished.video_index) == packets_of(clip, 0)


@pytest.mark.slow
def test_base_from_its_published_files_to_a_finished_clip(
    tmp_path: Path, cavp: Path, finish: Finish, capfd: pytest.CaptureFixture[str]
) -> None:
    mdsgen_standin(tmp_path / "mdsgen_audioldm.pt", "release_T", (102, 8))
    audioldm_standin(tmp_path / "audioldm")
    make_audible(tmp_path / "audioldm" / "vocoder" / "pytorch_model.bin")
    model = tmp_path / "my base"
    files = ["--cavp", cavp, "--mdsgen", tmp_path / "mdsgen_audioldm.pt", "--audioldm", tmp_path / "audioldm"]
    assert run(["models", "import", "base", *map(str, files), "-o", str(model)]) == ExitCode.OK
    out, err = capfd.readouterr()
    assert out.splitlines() == [str(model)]
    assert "NON-COMMERCIAL" in err

    bundle = bundles.load(model)
    assert (bundle.window_samples, bundle.autoencoder.latent_scale) == (130560, 4.0)
    assert_divided_by(bundle, 4.0, (1, 8, 204, 16), (1, 64, 816))
    assert vocoder_of(bundle)(torch.zeros(1, 64, 816), []).shape == (1, 130560)

    # 8.18 s: one window more than 131072 samples would need.
    clip = write_clip(tmp_path / "clip.mov", count=32, rate=Fraction(1600, 409))
    assert 130560 < probe(clip).duration * 16000 < 131072
    made = finish(clip, model)
    assert_finished(clip)
    assert (len(made["windows"]), made["cached_windows"]) == (2, 0)
    assert (made["licence"], made["commercial"]) == (bundle.licence, False)
    assert bundle.licence in str(made["said"])
    assert "non-commercial" in str(made["said"]).lower()


@pytest.mark.slow
def test_base_learns_from_own_clips(
    tmp_path: Path, cavp: Path, finish: Finish, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pictures at 4 per second and 224 pixels, 64 mels of 816 frames, latents 8x204x16, and the paper's two terms."""
    mdsgen_standin(tmp_path / "mdsgen_audioldm.pt", "release_T", (102, 8))
    audioldm_standin(tmp_path / "audioldm")
    make_audible(tmp_path / "audioldm" / "vocoder" / "pytorch_model.bin")
    clip = write_clip(tmp_path / "clip.mov", count=30, rate=10, sound=(48000,))
    recipe = plain(load("release-B", MdsgenRecipe))
    recipe["loop"] |= {"steps": 2, "batch_size": 2, "log_every": 1}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(recipe))
    base, shards, run_folder, mine = (str(tmp_path / name) for name in ("base", "shards", "run", "mine"))
    files = ["--cavp", cavp, "--mdsgen", tmp_path / "mdsgen_audioldm.pt", "--audioldm", tmp_path / "audioldm"]
    own = ["--recipe", str(tmp_path / "small.yaml"), "--init", base, "--device", "cpu"]
    for command in (
        ["models", "import", "base", *map(str, files), "-o", base],
        ["train", "prepare", str(clip), "-o", shards, "--model", base, "--device", "cpu"],
        ["train", "mdsgen", "--data", shards, *own, "-o", run_folder],
        ["train", "bundle", "--mdsgen", run_folder, "--base", base, "--name", "mine", "-o", mine],
    ):
        assert run(command) == ExitCode.OK, capfd.readouterr().err
    latents, features = Shards(Path(shards)).window(0)
    assert (latents.shape, features.shape) == ((8, 204, 16), (32, 512))
    np.testing.assert_allclose(np.linalg.norm(features.astype(np.float32), axis=1), 1, atol=2e-3)
    finish(clip, Path(mine))
    assert_finished(clip)


@pytest.mark.slow
def test_the_papers_geometry_to_a_finished_clip(tmp_path: Path, cavp: Path, finish: Finish) -> None:
    mdsgen_standin(tmp_path / "mine.pt", "paper_T", (8, 32))
    geometry = {**STABLE_DIFFUSION, "block_out_channels": [32, 32, 32, 32]}
    vae = tmp_path / "vae"
    vae.mkdir()
    (vae / "config.json").write_text(json.dumps(geometry))
    kl = fill_module(load_kl({**geometry, "time_first": False}).kl)
    save_file(kl.state_dict(), vae / "diffusion_pytorch_model.safetensors")
    model = tmp_path / "paper"
    files = ["--cavp", cavp, "--mdsgen", tmp_path / "mine.pt", "--vae", vae]
    assert run(["models", "import", "paper", *map(str, files), "-o", str(model)]) == ExitCode.OK

    bundle = bundles.load(model)
    assert bundle.window_samples == 131072
    assert_divided_by(bundle, 0.18215, (1, 4, 16, 64), (1, 128, 512))
    clip = write_clip(tmp_path / "clip.mov", count=10, rate=30)
    made = finish(clip, model)
    assert_finished(clip)
    assert len(made["windows"]) == 1
    assert made["commercial"] is False


def assert_divided_by(bundle: bundles.Bundle, scale: float, latents: tuple[int, ...], mels: tuple[int, ...]) -> None:
    """Latents are divided by the bundle's scale before they are decoded."""
    autoencoder = autoencoder_of(bundle)
    assert isinstance(autoencoder, KLAutoencoder)
    noise = torch.randn(latents, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        decoded = autoencoder.decode(noise)
        picture = autoencoder.kl.decode(noise / scale).sample
    time_first = bundle.autoencoder.config["time_first"]
    assert decoded.shape == mels
    assert torch.equal(decoded, picture[:, 0].transpose(1, 2) if time_first else picture[:, 1])


@pytest.mark.parametrize("grid", ["paper", "release"])
def test_the_speed_is_measured_against_the_same_latents(grid: Literal["paper", "release"]) -> None:
    report = measure(SpeedConfig(size="T", grid=grid, steps=2, repeats=1))
    assert report.released_difference < 1e-3
    assert 0 < report.bf16_evaluation_error < 0.03
    assert report.fp32_ratio == pytest.approx(report.released_s / report.fp32_s)
    assert report.bf16_ratio == pytest.approx(report.released_s / report.bf16_s)
