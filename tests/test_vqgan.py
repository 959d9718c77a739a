"""The tokenizer: geometry, codes that follow their patches, and losses that ask for what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from foleygen.audio.mel import mel_basis
from foleygen.errors import BundleError, UsageError
from foleygen.models.vqgan import PATCH, PRESETS, TRAINING_ONLY, VQGAN, Quantiser, VQGANConfig, load_vqgan
from foleygen.training.ambience import tokenizer as vqgan
from foleygen.training.ambience.recipes import TokenizerObjective, TokenizerWeights
from foleygen.training.ambience.tokenizer import TokenizerTraining
from foleygen.training.ambience.windows import FRAMES, FULL_BAND, PUBLISHED
from foleygen.training.loop import step_generator
from foleygen.weights import parts

SMALL = VQGANConfig(num_mels=32, num_frames=96, codebook_size=12, code_dim=4, widths=(8, 8, 16))


def mels(count: int = 3, frames: int = 96, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 32, frames, generator=torch.Generator().manual_seed(seed))


def test_published_geometry_and_size() -> None:
    with torch.device("meta"):
        model = VQGAN(PRESETS["published"])
        tokens = model.encode(torch.empty(1, PUBLISHED.num_mels, FRAMES))
        assert tokens.shape == (1, 5, 53)
        assert model.decode(tokens).shape == (1, 80, 848)
    assert sum(value.numel() for value in model.parameters()) == pytest.approx(66.9e6, rel=2e-3)
    assert (model.config.codebook_size, model.config.code_dim) == (1024, 256)


def test_embedded_geometry_and_size() -> None:
    model = VQGAN(PRESETS["embedded"])
    assert (model.config.grid, model.config.num_tokens) == ((8, 53), 424)
    assert sum(value.numel() for value in model.parameters()) < 1.2e6
    assert FRAMES * FULL_BAND.hop_length / FULL_BAND.sample_rate == pytest.approx(9.845, abs=1e-3)


def test_eight_kilohertz_is_the_border_of_rows_six_and_seven() -> None:
    centres = mel_basis(FULL_BAND).argmax(1) * FULL_BAND.sample_rate / FULL_BAND.n_fft
    below, above = centres[6 * PATCH - 1], centres[6 * PATCH]
    assert 7500 < below < 8000 <= above + 120
    assert centres[-1] > 20000


@torch.no_grad()
def test_tokens_are_codes_and_any_length_of_columns_goes() -> None:
    torch.manual_seed(0)
    model = load_vqgan(SMALL)
    for frames in (16, 96, 160):
        tokens = model.encode(mels(2, frames))
        assert tokens.shape == (2, 2, frames // 16)
        assert tokens.dtype == torch.int64
        assert 0 <= int(tokens.min()) <= int(tokens.max()) < 12
        assert model.decode(tokens).shape == (2, 32, frames)


@torch.no_grad()
def test_rows_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    model = load_vqgan(SMALL)
    batch = mels()
    assert torch.equal(model.encode(batch)[1:2], model.encode(batch[1:2]))
    tokens = model.encode(batch)
    torch.testing.assert_close(model.decode(tokens)[1:2], model.decode(tokens[1:2]))


@settings(max_examples=25, deadline=None)
@given(normalised=st.booleans(), seed=st.integers(0, 1000))
def test_the_nearest_code_is_chosen(normalised: bool, seed: int) -> None:
    torch.manual_seed(seed)
    quantiser = Quantiser(replace(SMALL, normalised=normalised))
    latents = quantiser.prepared(torch.randn(2, 4, 3, 5))
    codes = quantiser.lookup(quantiser.tokens(latents))
    distances = (latents.movedim(1, -1)[..., None, :] - quantiser.book()).square().sum(-1)
    torch.testing.assert_close((latents - codes).square().sum(1), distances.amin(-1), atol=1e-5, rtol=1e-4)


def test_gradients_pass_the_choice() -> None:
    torch.manual_seed(0)
    model = VQGAN(SMALL)
    model(mels()).mel.square().mean().backward()
    first = next(value for value in model.encoder.parameters() if value.ndim == 4)
    assert first.grad is not None
    assert bool(first.grad.any())


@pytest.mark.parametrize("normalised", [True, False])
def test_unused_codes_are_put_where_something_is(normalised: bool) -> None:
    torch.manual_seed(1)
    quantiser = Quantiser(replace(SMALL, normalised=normalised))
    latents = quantiser.prepared(torch.randn(1, 4, 6, 6) + 3)
    chosen = quantiser.tokens(latents)
    quantiser.follow(latents, chosen, torch.Generator().manual_seed(0), 0.9, 0.5)
    unused = sorted(set(range(12)) - set(chosen.unique().tolist()))
    near = (quantiser.book()[unused, None] - latents.movedim(1, -1).flatten(0, 2)).norm(dim=-1).amin(1)
    assert len(unused) > 3
    assert float(near.max()) < 1e-5
    assert len(quantiser.tokens(latents).unique()) > len(chosen.unique())


@pytest.mark.parametrize("normalised", [True, False])
def test_codes_move_to_the_mean_of_what_chose_them(normalised: bool) -> None:
    torch.manual_seed(0)
    quantiser = Quantiser(replace(SMALL, normalised=normalised))
    untouched = quantiser.book()[5].clone()
    latents = quantiser.prepared(torch.randn(1, 4, 6, 6))
    tokens = torch.full((1, 6, 6), 3)
    for _ in range(60):
        quantiser.follow(latents, tokens, torch.Generator(), 0.8, 0.0)
    mean = latents.mean((0, 2, 3))
    torch.testing.assert_close(quantiser.book()[3], F.normalize(mean, dim=0) if normalised else mean)
    assert torch.equal(quantiser.book()[5], untouched)


def test_codes_rest_when_nothing_is_to_be_revived() -> None:
    torch.manual_seed(0)
    quantiser = Quantiser(SMALL)
    before = quantiser.book().clone()
    latents = quantiser.lookup(torch.zeros(1, 2, 2, dtype=torch.long))
    quantiser.follow(latents, torch.zeros(1, 2, 2, dtype=torch.long), torch.Generator(), 0.9, 0.0)
    torch.testing.assert_close(quantiser.book(), before)


def test_a_learned_codebook_gets_gradients_from_the_codebook_loss() -> None:
    torch.manual_seed(0)
    model = VQGAN(replace(SMALL, learning="gradient", normalised=False))
    found = model(mels())
    vqgan.codebook_loss(found, 0.25, learned=True).backward()
    assert isinstance(model.quantiser.codebook, torch.nn.Parameter)
    assert bool(model.quantiser.codebook.grad.any())  # type: ignore[union-attr]


def test_losses_are_zero_for_the_same_and_notice_what_was_smoothed() -> None:
    true = mels(1, 64)
    assert all(float(value) == 0 for value in vqgan.reconstruction_terms(true, true).values())
    smooth = F.avg_pool1d(true, 9, 1, 4)
    terms = vqgan.reconstruction_terms(smooth, true)
    assert float(terms["flicker"]) > 0.1
    assert float(terms["flicker"]) > 5 * float(vqgan.reconstruction_terms(true + 0.01, true)["flicker"])


def test_perplexity_counts_codes() -> None:
    assert float(vqgan.perplexity(torch.zeros(2, 3, dtype=torch.long), 8)) == pytest.approx(1)
    assert float(vqgan.perplexity(torch.arange(8), 8)) == pytest.approx(8)


def test_the_adversary_and_the_tokenizer_pull_on_their_own_weights() -> None:
    torch.manual_seed(0)
    objective = TokenizerObjective(crop=96, adversary_width=8, weights=TokenizerWeights(adversary=0.5))
    model = TokenizerTraining(SMALL, objective)
    assert model.adversary is not None
    batch = (mels(),)
    terms = vqgan.make_loss(objective)(model, batch, step_generator(0, 0))
    (judge,) = torch.autograd.grad(terms["fooling"], model.adversary.layers[0].weight, retain_graph=True,
                                   allow_unused=True)  # fmt: skip
    (own,) = torch.autograd.grad(terms["judging"], model.tokenizer.last_layer(), retain_graph=True, allow_unused=True)
    assert judge is None
    assert own is None
    terms["loss"].backward()
    assert bool(model.adversary.layers[0].weight.grad.any())  # type: ignore[union-attr]


def test_the_adversary_waits_for_its_step() -> None:
    torch.manual_seed(0)
    weights = TokenizerWeights(adversary=0.5)
    objective = TokenizerObjective(crop=96, adversary_start=1, adversary_width=8, weights=weights)
    model, loss = TokenizerTraining(SMALL, objective), vqgan.make_loss(objective)
    first, second = (loss(model, (mels(),), step_generator(0, step)) for step in range(2))
    assert first["judging"].item() == 0.0
    assert second["judging"].item() > 0.0
    assert first.keys() == second.keys()


def test_judging_knows_a_perfect_level_from_a_flat_one() -> None:
    torch.manual_seed(0)
    found = vqgan.judge(load_vqgan(SMALL), mels(2).numpy().astype(np.float16))
    assert 0.05 < found["level"] < 1
    assert found["gradient"] < 1
    assert 1 <= found["perplexity"] <= found["codes"] <= 12


def test_a_part_on_disk_is_the_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = load_vqgan(SMALL)
    state = {name: value for name, value in model.state_dict().items() if name not in TRAINING_ONLY}
    config = {"num_mels": 32, "num_frames": 96, "codebook_size": 12, "code_dim": 4, "widths": [8, 8, 16]}
    parts.save(tmp_path / "part", {"kind": "tokenizer", "model": config}, state)
    found, weights = parts.load(tmp_path / "part", "tokenizer")
    loaded = load_vqgan(found["model"], weights)
    assert loaded.config == SMALL
    with torch.no_grad():
        tokens = model.encode(mels())
        torch.testing.assert_close(loaded.decode(tokens), model.decode(tokens), atol=5e-3, rtol=5e-3)
    with pytest.raises(BundleError, match="kind is 'tokenizer', not 'tagger'"):
        parts.load(tmp_path / "part", "tagger")
    (tmp_path / "part" / parts.WEIGHTS).write_bytes(b"torn")
    with pytest.raises(BundleError, match="cannot be read"):
        parts.load(tmp_path / "part", "tokenizer")


def test_what_does_not_fit_is_explained() -> None:
    with pytest.raises(BundleError, match="80 x 850 is no grid of 16 x 16"):
        VQGANConfig(80, 850)
    with pytest.raises(BundleError, match="unknown tokenizer 'large'"):
        load_vqgan("large")
    with pytest.raises(BundleError, match="do not fit"):
        load_vqgan(SMALL, {"quantiser.codebook": torch.zeros(2, 2)})
    with pytest.raises(UsageError, match="crop is 100"):
        TokenizerObjective(crop=100)
