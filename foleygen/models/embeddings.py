"""How patches, positions and times become vectors: DiT's embeddings and BEiT's relative position bias.

Letters: N batch, C latent channels, H W latent height and width, L tokens of the grid (rows GH, columns GW),
D hidden size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

UNREAD_TABLE_ROWS = 3
"""Rows at the end of each bias table that no token pair reads (BEiT's class token); published weights have them."""


def sincos_positions(grid: tuple[int, int], hidden_size: int) -> Tensor:
    """Fixed 2-D sine-cosine positions, (1, L, D) float32.

    The first half of the channels encodes the column, the second half the row; each half is [sin | cos] at
    ``10000 ** (-k / (D / 4))`` (MDSGen's initialisation, MAE's order).
    """
    rows, columns = grid
    quarter = hidden_size // 4
    omega = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)

    def axis(length: int) -> Tensor:
        angle = torch.outer(torch.arange(length, dtype=torch.float64), omega)
        return torch.cat([angle.sin(), angle.cos()], dim=1)  # (length, D/2)

    by_column = axis(columns).expand(rows, columns, -1)
    by_row = axis(rows)[:, None].expand(rows, columns, -1)
    return torch.cat([by_column, by_row], dim=-1).flatten(0, 1)[None].float()


class PatchEmbed(nn.Module):
    """(N, C, H, W) -> (N, GH, GW, D): non-overlapping patches through one strided convolution."""

    def __init__(self, channels: int, patch_size: int, hidden_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, hidden_size, kernel_size=patch_size, stride=patch_size)

    def forward(self, latents: Tensor) -> Tensor:
        embedded: Tensor = self.proj(latents)
        return embedded.permute(0, 2, 3, 1)


class TimestepEmbedder(nn.Module):
    """(N,) diffusion times in [0, 999], fractional or not, -> (N, D): cosines, sines, then a small MLP."""

    def __init__(self, hidden_size: int, frequency_embedding_size: int) -> None:
        super().__init__()
        self.frequency_embedding_size = frequency_embedding_size
        self.mlp = nn.Sequential(
            nn.Linear(frequency_embedding_size, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size)
        )

    def forward(self, t: Tensor) -> Tensor:
        embedded: Tensor = self.mlp(self.frequencies(t).to(next(self.mlp.parameters()).dtype))
        return embedded

    def frequencies(self, t: Tensor) -> Tensor:
        """(N, frequency_embedding_size) float32, cosines first; always float32 because t reaches 999."""
        half = self.frequency_embedding_size // 2
        # Divided last, as in DiT: at t = 999 another order of rounding shows in the fifth digit of the output.
        exponent = -math.log(10000.0) * torch.arange(half, dtype=torch.float32, device=t.device) / half
        angle = t.float()[:, None] * exponent.exp()
        return torch.cat([angle.cos(), angle.sin()], dim=1)


class RelativePositionBias(nn.Module):
    """What a pair of tokens adds to its attention logit, by its distance in rows and columns.

    ``relative_position_bias_table`` is ((2 GH - 1)(2 GW - 1) + 3, heads); a pair (query i, key j) reads row
    ``(r_i - r_j + GH - 1)(2 GW - 1) + (c_i - c_j + GW - 1)``. The gather goes one axis at a time: the same
    numbers as one gather by an (L, L) index, no slower on a CPU in either direction, and no index to store.
    """

    def __init__(self, grid: tuple[int, int], num_heads: int) -> None:
        super().__init__()
        self.grid = grid
        self.num_heads = num_heads
        distances = (2 * grid[0] - 1) * (2 * grid[1] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(distances + UNREAD_TABLE_ROWS, num_heads))
        self._known: tuple[Tensor, tuple[int, int], Tensor] | None = None

    def forward(self) -> Tensor:
        """(heads, L, L) in the table's type; in inference, what was gathered once as long as the table stays."""
        table = self.relative_position_bias_table
        if not torch.is_inference_mode_enabled() or table.is_inference():
            return self._gathered()
        state = table.data_ptr(), table._version
        if self._known is None or self._known[0] is not table or self._known[1] != state:
            self._known = table, state, self._gathered()
        return self._known[2]

    def _gathered(self) -> Tensor:
        rows, columns = self.grid
        heads = self.num_heads
        table = self.relative_position_bias_table[:-UNREAD_TABLE_ROWS].t()
        table = table.reshape(heads, 2 * rows - 1, 2 * columns - 1)
        by_column = table.index_select(2, _distances(columns, table.device).flatten())
        by_column = by_column.view(heads, 2 * rows - 1, columns * columns)
        both = by_column.index_select(1, _distances(rows, table.device).flatten())
        both = both.view(heads, rows, rows, columns, columns)
        return both.transpose(2, 3).reshape(heads, rows * columns, rows * columns)


def _distances(length: int, device: torch.device) -> Tensor:
    """(length, length) int64: query minus key, shifted to start at 0."""
    position = torch.arange(length, device=device)
    return position[:, None] - position[None, :] + length - 1


def initialise(modules: Iterable[nn.Module]) -> None:
    """Xavier-uniform weights and zero biases for every Linear and for patch convolutions seen as Linear."""
    for module in modules:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, PatchEmbed):
            nn.init.xavier_uniform_(module.proj.weight.view(module.proj.out_channels, -1))
            assert module.proj.bias is not None
            nn.init.zeros_(module.proj.bias)
        elif isinstance(module, RelativePositionBias):
            nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)
