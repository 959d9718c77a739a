"""Which tokens a masked training step sees: temporal-aware masking (MDSGen) and MDT's token-wise masking.

A mask is drawn over groups of tokens; a group is all tokens of one time (temporal) or one token (token-wise),
so no group spans two times. Letters: N batch, L tokens, G groups, S tokens in a group, K kept tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MaskedTokens:
    """One draw. Kept tokens stay in the order of the draw, group after group."""

    ids_keep: Tensor
    """(N, K) int64: positions of the kept tokens in the full grid."""
    ids_restore: Tensor
    """(N, L) int64: where each position of the grid lies among [kept, masked]."""
    mask: Tensor
    """(N, L) float32: 1 where masked."""
    group_size: int
    """S; K is a multiple of it."""


def time_groups(grid: tuple[int, int], time_axis: int) -> Tensor:
    """(G, S) int64: the tokens of each time. ``time_axis`` is 1 where rows are time, 2 where columns are."""
    rows, columns = grid
    tokens = torch.arange(rows * columns).view(rows, columns)
    return tokens if time_axis == 1 else tokens.t().contiguous()


def single_groups(grid: tuple[int, int]) -> Tensor:
    """(L, 1) int64: every token alone, MDT's masking."""
    return torch.arange(grid[0] * grid[1])[:, None]


def mask_groups(noise: Tensor, groups: Tensor, mask_ratio: float) -> MaskedTokens:
    """Keep the ``int(G * (1 - mask_ratio))`` groups of lowest ``noise`` (N, G), uniform in [0, 1)."""
    batch, num_groups = noise.shape
    group_size = groups.shape[1]
    kept_tokens = int(num_groups * (1 - mask_ratio)) * group_size
    order = noise.argsort(dim=1)
    ids_shuffle = groups.to(noise.device)[order].view(batch, num_groups * group_size)
    ids_restore = ids_shuffle.argsort(dim=1)
    shuffled = torch.ones(batch, num_groups * group_size, device=noise.device)
    shuffled[:, :kept_tokens] = 0
    return MaskedTokens(
        ids_keep=ids_shuffle[:, :kept_tokens],
        ids_restore=ids_restore,
        mask=shuffled.gather(1, ids_restore),
        group_size=group_size,
    )


def keep_tokens(tokens: Tensor, masked: MaskedTokens) -> Tensor:
    """(N, L, D) -> (N, K, D)."""
    return tokens.gather(1, masked.ids_keep[:, :, None].expand(-1, -1, tokens.shape[2]))


def restore_tokens(kept: Tensor, mask_token: Tensor, masked: MaskedTokens) -> Tensor:
    """(N, K, D) and one (1, 1, D) token for the missing -> (N, L, D) in grid order."""
    batch, num_kept, width = kept.shape
    missing = mask_token.to(kept.dtype).expand(batch, masked.mask.shape[1] - num_kept, width)
    shuffled = torch.cat([kept, missing], dim=1)
    return shuffled.gather(1, masked.ids_restore[:, :, None].expand(-1, -1, width))


def keep_pairs(bias: Tensor, masked: MaskedTokens) -> Tensor:
    """The bias of kept query-key pairs, (heads, L, L) -> (N, heads, K, K)."""
    heads, tokens, _ = bias.shape
    batch, num_kept = masked.ids_keep.shape
    queries = bias.index_select(1, masked.ids_keep.flatten()).view(heads, batch, num_kept, tokens)
    keys = masked.ids_keep[None, :, None, :].expand(heads, batch, num_kept, num_kept)
    return queries.gather(3, keys).transpose(0, 1)
