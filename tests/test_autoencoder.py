"""The published autoencoders against golden arrays, and the way mels go in and out of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from standins import fill

from foleygen.errors import BundleError
from foleygen.models.autoencoder import KL_PRESETS, Channel, KLAutoencoder, KLConfig, load_kl
from foleygen.weights.published.kl import to_diffusers_names

GOLDEN = Path(__file__).parent / "golden"
SMALL = KLConfig(1, 1, 8, (32, 32, 64), time_first=True)
SMALL_RGB = KLConfig(3, 3, 4, (32, 32, 32, 32), time_first=False)


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / "diff_foley_vae_golden.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="module")
def stable_diffusion() -> KLAutoencoder:
    shapes = {entry["key"]: entry["shape"] for entry in json.loads((GOLDEN / "diff_foley_vae_keys.json").read_text())}
    weights = to_diffusers_names(fill(shapes, "cavp"), levels=4)
    return load_kl("stable_diffusion", weights, latent_scale=0.18215, channel="G")


def test_parameters_are_as_many_as_published(stable_diffusion: KLAutoencoder) -> None:
    assert sum(parameter.numel() for parameter in stable_diffusion.parameters()) == 83_653_863


@torch.no_grad()
def test_encodes_as_diff_foley(stable_diffusion: KLAutoencoder, golden: dict[str, torch.Tensor]) -> None:
    mel = golden["enc_in_chan0"]
    mean, log_variance = stable_diffusion.posterior(mel)
    torch.testing.assert_close(mean, golden["enc_mean"], atol=2e-5, rtol=0)
    torch.testing.assert_close(log_variance, golden["enc_logvar"], atol=2e-5, rtol=0)
    torch.testing.assert_close(stable_diffusion.encode(mel), golden["enc_mean"] * 0.18215, atol=2e-5, rtol=0)


@torch.no_grad()
def test_decodes_as_diff_foley(stable_diffusion: KLAutoencoder, golden: dict[str, torch.Tensor]) -> None:
    mel = stable_diffusion.decode(golden["dec_in"] * 0.18215)
    torch.testing.assert_close(mel, golden["dec_out"][:, 1], atol=5e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("channel", "index"), [("R", 0), ("G", 1), ("B", 2), ("mean", None)])
def test_the_mel_is_the_chosen_channel(channel: Channel, index: int | None) -> None:
    torch.manual_seed(0)
    model = load_kl(SMALL_RGB, channel=channel)
    latents = torch.randn(1, 4, 4, 4)
    picture = model.kl.decode(latents).sample
    expected = picture.mean(1) if index is None else picture[:, index]
    torch.testing.assert_close(model.decode(latents), expected)


def test_green_is_the_default_channel() -> None:
    assert load_kl(SMALL_RGB).channel == "G"


@torch.no_grad()
def test_time_first_models_see_the_mel_transposed() -> None:
    torch.manual_seed(0)
    model = load_kl(SMALL, latent_scale=4.0)
    mel = torch.randn(2, 16, 48)
    latents = model.encode(mel)
    assert latents.shape == (2, 8, 12, 4)
    direct = model.kl.encode(mel.transpose(1, 2)[:, None]).latent_dist.mean
    torch.testing.assert_close(latents, direct * 4)
    decoded = model.decode(latents)
    assert decoded.shape == mel.shape
    torch.testing.assert_close(decoded, model.kl.decode(direct).sample[:, 0].transpose(1, 2))


@pytest.mark.parametrize(
    ("preset", "mel", "latents"),
    [("stable_diffusion", (128, 512), (4, 16, 64)), ("audioldm", (64, 816), (8, 204, 16))],
)
def test_published_geometries(preset: str, mel: tuple[int, int], latents: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        model = KLAutoencoder(KL_PRESETS[preset], 1.0, "G")
        assert model.encode(torch.empty(1, *mel)).shape == (1, *latents)
        assert model.decode(torch.empty(1, *latents)).shape == (1, *mel)
    bands, frames = mel
    assert sorted(latents[1:]) == sorted((bands // model.config.downsampling, frames // model.config.downsampling))


@torch.no_grad()
def test_a_mapping_as_in_a_bundle_and_half_precision_weights() -> None:
    torch.manual_seed(0)
    original = load_kl(SMALL)
    halves = {key: value.half() for key, value in original.kl.state_dict().items()}
    mapping = {"in_channels": 1, "out_channels": 1, "latent_channels": 8, "block_out_channels": [32, 32, 64]}
    loaded = load_kl({**mapping, "time_first": True}, halves)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    latents = torch.randn(1, 8, 4, 2)
    torch.testing.assert_close(loaded.decode(latents), original.decode(latents), atol=0.02, rtol=0.02)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_what_does_not_fit_is_explained() -> None:
    with pytest.raises(BundleError, match="unknown autoencoder 'sd'"):
        load_kl("sd")
    with pytest.raises(BundleError, match="unknown key 'latent'"):
        load_kl({"latent": 4})
    with pytest.raises(BundleError, match="autoencoder configuration"):
        load_kl({"in_channels": 1})
    with pytest.raises(BundleError, match="do not fit"):
        load_kl(SMALL, {"encoder.conv_in.weight": torch.zeros(1)})
