"""CAVP against the numbers of the published network with stand-in weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from standins import fill_module

from foleygen.models.cavp import CAVP, ConvUnit

GOLDEN = Path(__file__).parent / "golden"


def noise(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).random(shape, dtype=np.float32))


def moving_pattern(frames: int) -> torch.Tensor:
    """(1, T, 3, 224, 224) in [0, 1]."""
    t, channel, row, column = np.ogrid[:frames, :3, :224, :224]
    y, x = row / 224, column / 224
    wave = np.sin(2 * np.pi * (3 * x + 2 * y + 0.11 * t + channel / 3))
    envelope = np.cos(2 * np.pi * (0.07 * t * x + 0.5 * y))
    return torch.from_numpy((0.5 + 0.5 * wave * envelope).astype(np.float32))[None]


@pytest.fixture(scope="module")
def cavp() -> CAVP:
    model = CAVP(audio=True)
    fill_module(model, "cavp")
    return model


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "cavp_golden.npz") as arrays:
        return dict(arrays)


def test_names_and_shapes_are_those_of_the_published_checkpoint(cavp: CAVP) -> None:
    published = json.loads((GOLDEN / "cavp_keys.json").read_text())
    state = {name: [list(value.shape), str(value.dtype)] for name, value in cavp.state_dict().items()}
    assert state == {entry["key"]: [entry["shape"], f"torch.{entry['dtype']}"] for entry in published}
    with torch.device("meta"):
        video_only = CAVP().state_dict()
    assert set(video_only) == {name for name in state if name.startswith(("video_encoder.", "video_project_head."))}


@pytest.mark.parametrize(
    ("name", "frames"), [("noise16", noise(7, (1, 16, 3, 112, 112))), ("struct5", moving_pattern(5))]
)
def test_video_embeddings_equal_the_published_ones(
    cavp: CAVP, golden: dict[str, np.ndarray], name: str, frames: torch.Tensor
) -> None:
    assert np.array_equal(frames.flatten()[:16], golden[f"{name}_input_first16"])
    features = cavp.encode_video(frames)
    plain = cavp.encode_video(frames, normalise=False)
    np.testing.assert_allclose(features, golden[f"{name}_feat"], rtol=0, atol=2e-6)
    np.testing.assert_allclose(plain, golden[f"{name}_proj_unnormalised"], rtol=0, atol=2e-5)


def test_audio_embeddings_equal_the_published_ones(cavp: CAVP, golden: dict[str, np.ndarray]) -> None:
    features = cavp.encode_audio(noise(13, (1, 128, 256)))
    np.testing.assert_allclose(features, golden["spec256_feat"], rtol=0, atol=2e-6)
    assert cavp.encode_audio(noise(13, (1, 128, 256)), normalise=False).norm(dim=-1).std() > 0.01


def test_a_window_is_encoded_alike_alone_and_in_a_batch(cavp: CAVP) -> None:
    frames = noise(1, (3, 4, 3, 64, 96))
    together = cavp.encode_video(frames)
    assert together.shape == (3, 4, 512)
    for row, window in enumerate(frames):
        torch.testing.assert_close(together[row], cavp.encode_video(window[None])[0], rtol=0, atol=2e-6)


def test_a_frame_is_seen_nine_frames_away_and_no_further(cavp: CAVP) -> None:
    frames = noise(2, (1, 14, 3, 32, 32))
    changed = frames.clone()
    changed[:, 0] = 1 - changed[:, 0]
    moved = (cavp.encode_video(frames) - cavp.encode_video(changed)).abs().amax(dim=(0, 2))
    assert (moved[:10] > 0).all()
    assert (moved[10:] == 0).all()


def test_training_normalises_by_the_batch_as_3d_convolutions_would() -> None:
    unit = ConvUnit(6, 8, (3, 1, 1)).train()
    fill_module(unit, "cavp").train()
    plain = torch.nn.Sequential(
        torch.nn.Conv3d(6, 8, (3, 1, 1), padding=(1, 0, 0), bias=False), torch.nn.BatchNorm3d(8)
    )
    plain.load_state_dict(
        {name.replace("conv.", "0.").replace("bn.", "1."): value for name, value in unit.state_dict().items()}
    )
    volume = torch.randn(2, 5, 6, 4, 3)  # N T C H W
    output = unit(volume.flatten(0, 1).contiguous(memory_format=torch.channels_last), 5)
    expected = plain(volume.transpose(1, 2)).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(unit.bn.running_var, plain[1].running_var)
    torch.testing.assert_close(unit.bn.running_mean, plain[1].running_mean)
    assert unit.bn.num_batches_tracked == 1


def test_both_towers_learn() -> None:
    model = CAVP(audio=True).train()
    seen = model.video_project_head(model.video_encoder(noise(4, (2, 2, 3, 32, 32))))
    heard = model.spec_encoder(noise(5, (2, 128, 32)))
    (seen.square().mean() + heard.square().mean() + model.logit_scale).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_bfloat16_gives_float32_unit_vectors_close_to_the_exact_ones() -> None:
    model = CAVP()
    fill_module(model, "cavp")
    frames = noise(3, (1, 4, 3, 64, 64))
    exact = model.encode_video(frames)
    rough = model.to(torch.bfloat16).encode_video(frames)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough.norm(dim=-1), torch.ones(1, 4))
    assert ((rough * exact).sum(dim=-1) > 0.99).all()
