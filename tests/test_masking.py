"""Masking: the published draws, and that masking and restoring lose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen.models.masking import (
    MaskedTokens,
    keep_pairs,
    keep_tokens,
    mask_groups,
    restore_tokens,
    single_groups,
    time_groups,
)

GOLDEN = Path(__file__).parent / "golden"

grids = st.tuples(st.integers(1, 6), st.integers(1, 6))
ratios = st.floats(0, 0.95)


def draw(grid: tuple[int, int], time_axis: int | None, ratio: float, batch: int = 2) -> MaskedTokens:
    groups = single_groups(grid) if time_axis is None else time_groups(grid, time_axis)
    return mask_groups(torch.rand(batch, len(groups)), groups, ratio)


@pytest.mark.parametrize(
    ("name", "grid", "time_axis", "kept"),
    [("paper_T_forward.npz", (8, 32), 2, 176), ("release_T_forward.npz", (102, 8), 1, 568)],
)
def test_draws_equal_the_published_ones(name: str, grid: tuple[int, int], time_axis: int, kept: int) -> None:
    golden = np.load(GOLDEN / name)
    masked = mask_groups(torch.from_numpy(golden["mask_noise"]), time_groups(grid, time_axis), 0.3)
    assert masked.ids_keep.shape[1] == kept
    assert np.array_equal(masked.ids_keep, golden["ids_keep"])
    assert np.array_equal(masked.ids_restore, golden["ids_restore"])
    assert np.array_equal(masked.mask, golden["mask"])


@settings(deadline=None, max_examples=50)
@given(grid=grids, time_axis=st.sampled_from([1, 2]), ratio=ratios)
def test_a_time_is_masked_whole_on_either_axis(grid: tuple[int, int], time_axis: int, ratio: float) -> None:
    mask = draw(grid, time_axis, ratio).mask.view(2, *grid)
    over_frequency = mask.movedim(time_axis, 1)  # N time frequency
    assert torch.equal(over_frequency, over_frequency[:, :, :1].expand_as(over_frequency))
    times = grid[time_axis - 1]
    assert over_frequency[:, :, 0].sum(dim=1).tolist() == [times - int(times * (1 - ratio))] * 2


@settings(deadline=None, max_examples=50)
@given(grid=grids, time_axis=st.sampled_from([1, 2, None]), ratio=ratios)
def test_restoring_puts_each_kept_token_back(grid: tuple[int, int], time_axis: int | None, ratio: float) -> None:
    masked = draw(grid, time_axis, ratio)
    tokens = torch.randn(2, grid[0] * grid[1], 3)
    missing = torch.full((1, 1, 3), 7.0)
    restored = restore_tokens(keep_tokens(tokens, masked), missing, masked)
    assert torch.equal(restored, torch.where(masked.mask[:, :, None] > 0, missing, tokens))
    assert masked.ids_keep.shape[1] % masked.group_size == 0


@settings(deadline=None, max_examples=30)
@given(grid=grids, time_axis=st.sampled_from([1, 2, None]), ratio=ratios)
def test_kept_pairs_are_rows_and_columns_of_the_bias(
    grid: tuple[int, int], time_axis: int | None, ratio: float
) -> None:
    masked = draw(grid, time_axis, ratio)
    tokens = grid[0] * grid[1]
    bias = torch.randn(3, tokens, tokens)
    pairs = keep_pairs(bias, masked)
    for row, ids in enumerate(masked.ids_keep):
        assert torch.equal(pairs[row], bias[:, ids][:, :, ids])


def test_rows_of_a_batch_are_masked_by_their_own_noise() -> None:
    noise = torch.rand(3, 32)
    together = mask_groups(noise, time_groups((8, 32), 2), 0.5)
    alone = mask_groups(noise[1:2], time_groups((8, 32), 2), 0.5)
    assert torch.equal(together.mask[1], alone.mask[0])
    assert not torch.equal(together.mask[0], together.mask[1])
