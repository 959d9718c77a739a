"""The transformer against the published architecture's numbers, and what must hold for any geometry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from standins import fill_module

from foleygen.errors import BundleError
from foleygen.models.embeddings import RelativePositionBias
from foleygen.models.masking import mask_groups, single_groups, time_groups
from foleygen.models.transformer import MDSGen, TransformerConfig

GOLDEN = Path(__file__).parent / "golden"
GRIDS = ("paper", "release")


def filled(config: TransformerConfig) -> MDSGen:
    model = MDSGen(config)
    fill_module(model)
    return model


def small(**overrides: Any) -> TransformerConfig:
    """A few tokens, time last: 2 rows of 4 columns."""
    geometry: dict[str, Any] = {
        "latent_shape": (2, 4, 8), "time_axis": 2, "hidden_size": 16, "depth": 3, "num_heads": 2,
        "decode_layers": 1, "frequency_embedding_size": 8, "feature_dim": 6, "num_features": 8,
    }  # fmt: skip
    return TransformerConfig(**{**geometry, **overrides})


def inputs(config: TransformerConfig, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn(batch, *config.latent_shape, generator=generator)
    features = torch.randn(batch, config.num_features, config.feature_dim, generator=generator)
    return latents, torch.rand(batch, generator=generator) * 999, features


@pytest.fixture(scope="module", params=GRIDS)
def golden(request: pytest.FixtureRequest) -> tuple[MDSGen, dict[str, torch.Tensor]]:
    arrays = np.load(GOLDEN / f"{request.param}_T_forward.npz")
    return (
        filled(TransformerConfig.preset("T", grid=request.param, mask_ratio=0.3)),
        {name: torch.from_numpy(arrays[name]) for name in arrays.files},
    )


@torch.inference_mode()
def test_forward_equals_the_published_model(golden: tuple[MDSGen, dict[str, torch.Tensor]]) -> None:
    model, known = golden
    dropped = torch.ones(len(known["t"]), dtype=torch.bool)
    conditional = model(known["x"], known["t"], known["video"])
    unconditional = model(known["x"], known["t"], known["video"], dropped=dropped)
    torch.testing.assert_close(conditional, known["cond"], rtol=0, atol=2e-5)
    torch.testing.assert_close(unconditional, known["uncond"], rtol=0, atol=2e-5)


@torch.inference_mode()
def test_masked_forward_equals_the_published_model(golden: tuple[MDSGen, dict[str, torch.Tensor]]) -> None:
    model, known = golden
    groups = time_groups(model.config.grid, model.config.time_axis)
    mask = mask_groups(known["mask_noise"], groups, 0.3)
    output = model(known["x"], known["t"], known["video"], mask=mask)
    torch.testing.assert_close(output, known["masked_cond"], rtol=0, atol=2e-5)


@torch.inference_mode()
def test_fractional_time_equals_the_published_model() -> None:
    known = np.load(GOLDEN / "release_T_forward.npz")
    model = filled(TransformerConfig.preset("T", grid="release"))
    output = model(*(torch.from_numpy(known[name][:1]) for name in ("x", "t_frac", "video")))
    torch.testing.assert_close(output[:, :8], torch.from_numpy(known["cond_frac"]), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["paper_T", "release_T", "release_B"])
def test_parameter_names_and_shapes_are_those_of_the_published_checkpoints(name: str) -> None:
    published = json.loads((GOLDEN / f"{name}_keys.json").read_text())
    grid, size = name.split("_")
    with torch.device("meta"):
        ours = MDSGen(TransformerConfig.preset(size, grid=grid)).state_dict()  # type: ignore[arg-type]
    wanted = {key: tuple(shape) for key, (shape, _) in published.items() if "relative_position_index" not in key}
    assert {key: tuple(value.shape) for key, value in ours.items()} == wanted


@pytest.mark.parametrize("size", ["T", "S", "B", "L"])
@pytest.mark.parametrize("grid", GRIDS)
def test_parameter_counts(size: str, grid: Any) -> None:
    with torch.device("meta"):
        model = MDSGen(TransformerConfig.preset(size, grid=grid))
    known = json.loads((GOLDEN / "param_counts.json").read_text())[f"{grid}-{size}"]
    assert sum(parameter.numel() for parameter in model.parameters()) == known["total"]
    assert sum(parameter.numel() for parameter in model.sideblocks.parameters()) == known["sideblock"]


@pytest.mark.parametrize("grid", GRIDS)
def test_initialisation(grid: Any) -> None:
    config = TransformerConfig.preset("T", grid=grid)
    model = MDSGen(config)
    known = np.load(GOLDEN / f"init_{grid}_T.npz")
    assert np.array_equal(model.pos_embed.detach(), known["pos_embed"])
    assert torch.equal(model.pos_embed, model.decoder_pos_embed)
    with torch.inference_mode():
        assert model(*inputs(config, 1)).count_nonzero() == 0
    assert not model.mask_token.requires_grad
    assert MDSGen(small(mask_ratio=0.3)).mask_token.requires_grad
    table = model.blocks[0].get_parameter("attn.rel_pos_bias.relative_position_bias_table")
    assert table.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.get_parameter("t_embedder.mlp.2.weight").std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_pair_of_tokens_reads_the_published_row_of_its_bias_table(grid: Any) -> None:
    known = np.load(GOLDEN / f"init_{grid}_T.npz")
    bias = RelativePositionBias(TransformerConfig.preset("T", grid=grid).grid, num_heads=1)
    table = bias.relative_position_bias_table
    table.data = torch.arange(len(table), dtype=torch.float64)[:, None]
    index = bias()[0].long()
    assert np.array_equal(index[0], known["rel_index_first_row"])
    assert np.array_equal(index[-1], known["rel_index_last_row"])
    assert index.sum().item() == known["rel_index_sum"]


def test_a_bias_is_gathered_once_for_all_runs_with_the_same_table() -> None:
    bias = RelativePositionBias((3, 4), num_heads=2)
    table = bias.relative_position_bias_table
    torch.nn.init.normal_(table)
    assert bias().requires_grad
    with torch.inference_mode():
        first = bias()
        assert bias() is first
    with torch.no_grad():
        table.add_(1)
    with torch.inference_mode():
        assert torch.equal(bias(), first + 1)
    table.data = torch.zeros_like(table)
    with torch.inference_mode():
        assert not bias().any()
    assert bias().requires_grad


def test_bias_gradient_equals_that_of_a_gather_by_pairs() -> None:
    bias = RelativePositionBias((3, 4), num_heads=2)
    table = bias.relative_position_bias_table
    table.data = torch.randn(table.shape, dtype=torch.float64)
    upstream = torch.randn(2, 12, 12, dtype=torch.float64)
    bias().backward(upstream)

    row, column = torch.arange(12) // 4, torch.arange(12) % 4
    index = (row[:, None] - row + 2) * 7 + column[:, None] - column + 3
    plain = table.detach().clone().requires_grad_()
    gathered = plain[index].permute(2, 0, 1)
    gathered.backward(upstream)
    assert torch.equal(gathered, bias())
    torch.testing.assert_close(table.grad, plain.grad)


@pytest.mark.parametrize("time_axis", [1, 2])
@pytest.mark.parametrize("conditioning", ["reducer", "aligned"])
@pytest.mark.parametrize("by_time", [True, False])
def test_masking_nothing_changes_nothing(time_axis: int, conditioning: str, by_time: bool) -> None:
    """The kept tokens travel shuffled; bias, modulation and positions have to travel with them."""
    config = small(time_axis=time_axis, conditioning=conditioning)
    model = filled(config)
    latents, t, features = inputs(config, batch=3)
    groups = time_groups(config.grid, time_axis) if by_time else single_groups(config.grid)
    mask = mask_groups(torch.rand(3, len(groups)), groups, 0.0)
    with torch.inference_mode():
        whole = model(latents, t, features)
        torch.testing.assert_close(model(latents, t, features, mask=mask), whole, rtol=1e-4, atol=1e-5)


def test_hidden_tokens_do_not_reach_the_first_blocks() -> None:
    config = small(decode_layers=0)
    model = filled(config)
    latents, t, features = inputs(config, batch=1)
    noise = torch.tensor([[0.9, 0.1, 0.2, 0.3]])
    mask = mask_groups(noise, time_groups(config.grid, 2), 0.25)
    changed = latents.clone()
    changed[:, :, :, :2] += 1
    with torch.inference_mode():
        assert torch.equal(model(latents, t, features, mask=mask), model(changed, t, features, mask=mask))
        assert not torch.equal(model(latents, t, features), model(changed, t, features))


@pytest.mark.parametrize("time_axis", [1, 2])
def test_aligned_features_reach_their_own_column_of_time(time_axis: int) -> None:
    """Without blocks that mix tokens, a change in one column's features shows in that column alone."""
    config = small(conditioning="aligned", time_axis=time_axis, depth=0, decode_layers=0)
    model = filled(config)
    model.get_parameter("conv1d_feat.0.weight").data.zero_()
    latents, t, features = inputs(config)
    stacked = config.num_features // config.columns
    changed = features.clone()
    changed[:, stacked : 2 * stacked] += 1
    with torch.inference_mode():
        difference = (model(latents, t, changed) - model(latents, t, features)).abs().amax(dim=(0, 1))
    per_time = difference.amax(dim=2 - time_axis).view(config.columns, config.patch_size).amax(dim=1)
    assert [value > 1e-3 for value in per_time] == [column == 1 for column in range(config.columns)]
    assert per_time.count_nonzero() == 1


def test_aligned_without_its_column_vectors_is_the_reducer() -> None:
    reducer, aligned = filled(small()), filled(small(conditioning="aligned"))
    for name in ("mlp_column.2.weight", "mlp_column.2.bias"):
        aligned.get_parameter(name).data.zero_()
    with torch.inference_mode():
        latents, t, features = inputs(small())
        torch.testing.assert_close(aligned(latents, t, features), reducer(latents, t, features))


@pytest.mark.parametrize("conditioning", ["reducer", "aligned"])
def test_dropped_rows_ignore_their_features(conditioning: str) -> None:
    config = small(conditioning=conditioning)
    model = filled(config)
    latents, t, features = inputs(config)
    dropped = torch.tensor([True, False])
    with torch.inference_mode():
        before = model(latents, t, features, dropped=dropped)
        after = model(latents, t, features + 1, dropped=dropped)
        kept = model(latents, t, features)
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])
    assert torch.equal(before[1], kept[1])
    assert not torch.allclose(before[0], kept[0])


@pytest.mark.parametrize("conditioning", ["reducer", "aligned"])
def test_training_and_inference_compute_the_same(conditioning: str) -> None:
    """Attention takes another path when its bias learns."""
    config = small(conditioning=conditioning)
    model = filled(config)
    arguments = inputs(config)
    learning = model(*arguments)
    with torch.inference_mode():
        torch.testing.assert_close(learning, model(*arguments), rtol=1e-4, atol=1e-5)


def test_every_trainable_parameter_that_a_masked_step_uses_gets_a_gradient() -> None:
    config = small(conditioning="aligned", mask_ratio=0.5)
    model = filled(config)
    mask = mask_groups(torch.rand(2, 4), time_groups(config.grid, 2), 0.5)
    model(*inputs(config), mask=mask).square().mean().backward()
    without = [name for name, parameter in model.named_parameters() if not parameter.grad.count_nonzero()]  # type: ignore[union-attr]
    assert without == []


def test_bfloat16_autocast_stays_near_float32() -> None:
    model = filled(small(conditioning="aligned"))
    arguments = inputs(model.config)
    exact = model(*arguments)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(*arguments)
    assert (rough.float() - exact).square().mean().sqrt() < 0.05 * exact.std()


@settings(deadline=None, max_examples=20)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    patch_size=st.integers(1, 3),
    channels=st.integers(1, 3),
    time_axis=st.sampled_from([1, 2]),
    learn_sigma=st.booleans(),
    conditioning=st.sampled_from(["reducer", "aligned"]),
)
def test_any_geometry_keeps_the_shape(
    rows: int, columns: int, patch_size: int, channels: int, time_axis: int, learn_sigma: bool, conditioning: str
) -> None:
    config = small(
        latent_shape=(channels, rows * patch_size, columns * patch_size), patch_size=patch_size, time_axis=time_axis,
        learn_sigma=learn_sigma, conditioning=conditioning, num_features=2 * (rows, columns)[time_axis - 1],
    )  # fmt: skip
    with torch.inference_mode():
        output = filled(config)(*inputs(config))
    assert output.shape == (2, channels * (1 + learn_sigma), *config.latent_shape[1:])
    assert output.isfinite().all()


@pytest.mark.parametrize(
    ("wrong", "fact"),
    [
        ({"patch_size": 3}, "patch_size 3"),
        ({"time_axis": 0}, "time_axis is 0"),
        ({"num_heads": 3}, "num_heads 3"),
        ({"hidden_size": 18}, "hidden_size 18"),
        ({"decode_layers": 4}, "decode_layers 4"),
        ({"conditioning": "both"}, "'both'"),
        ({"conditioning": "aligned", "num_features": 7}, "num_features 7"),
        ({"mask_ratio": 0.8}, "mask_ratio 0.8"),
        ({"mask_ratio": -0.1}, "mask_ratio -0.1"),
    ],
)
def test_impossible_geometries_are_refused(wrong: dict[str, Any], fact: str) -> None:
    with pytest.raises(BundleError, match=fact):
        small(**wrong)
