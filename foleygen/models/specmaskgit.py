"""SpecMaskGIT: a bidirectional transformer that names the masked tokens of a mel, after arXiv 2406.17672 (2024).

The condition is a *conditional mask*: at masked places the input is the projected condition in place of the learned
mask, which alone is the unconditional branch. No code was published; heads, dropout, learned positions and the tied
output are MaskGIT's (Chang et al. 2022), which the paper builds on. N batch, R rows and W columns of tokens,
L = R W tokens row by row, D hidden size, C condition, K codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import BundleError
from foleygen.strict import Reader

SIZES: Mapping[str, Mapping[str, int]] = {
    "paper": {"hidden_size": 768, "depth": 24, "num_heads": 8},
    "small": {"hidden_size": 512, "depth": 12, "num_heads": 8},
    "narrow": {"hidden_size": 384, "depth": 12, "num_heads": 6},
    "embedded": {"hidden_size": 256, "depth": 6, "num_heads": 4},
}
GRIDS: Mapping[str, tuple[int, int]] = {"published": (5, 53), "full_band": (8, 53)}


@dataclass(frozen=True)
class SpecMaskGITConfig:
    """Geometry; ``grid`` is (R, W) of a whole window, ``condition_dim`` is 512 for CLAP or the number of tags.

    ``positions``: one learned vector a token, as published, or the sum of one a row and one a column.
    """

    grid: tuple[int, int] = (5, 53)
    hidden_size: int = 768
    depth: int = 24
    num_heads: int = 8
    mlp_ratio: int = 4
    condition_dim: int = 512
    codebook_size: int = 1024
    dropout: float = 0.1
    positions: Literal["tokens", "axes"] = "tokens"

    @classmethod
    def preset(cls, size: str, grid: str = "published", **overrides: Any) -> SpecMaskGITConfig:
        """Sizes paper, small, narrow and embedded on the grids published (5 x 53) and full_band (8 x 53)."""
        return cls(**{**SIZES[size], "grid": GRIDS[grid], **overrides})

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_heads:
            fact = f"hidden_size {self.hidden_size} is no multiple of num_heads {self.num_heads}"
            raise BundleError(f"transformer configuration: {fact}", "correct it in the bundle or training file")

    @property
    def num_tokens(self) -> int:
        return self.grid[0] * self.grid[1]


class Attention(nn.Module):
    """Multi-head self-attention, every token with every other."""

    def __init__(self, config: SpecMaskGITConfig) -> None:
        super().__init__()
        self.num_heads, self.dropout = config.num_heads, config.dropout
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, L, D) -> (N, L, D)."""
        batch, tokens, width = x.shape
        qkv: Tensor = self.qkv(x)
        query, key, value = qkv.view(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)  # N h L D/h
        dropped = self.dropout if self.training else 0.0
        mixed = _attend(query, key, value, dropped)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return projected


def _attend(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """Softmax attention (N, heads, L, D/heads); written out in training on a CPU, where the fused kernel is slower."""
    if query.device.type != "cpu" or not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    shares = scores.softmax(-1).to(value.dtype)
    return (F.dropout(shares, dropout) if dropout else shares) @ value


class Block(nn.Module):
    """Attention and MLP, each after a layer norm and beside a way around."""

    def __init__(self, config: SpecMaskGITConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(config)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.mlp_ratio * width), nn.GELU(), nn.Linear(config.mlp_ratio * width, width)
        )
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.attention(self.norm1(x)))
        mixed: Tensor = x + self.drop(self.mlp(self.norm2(x)))
        return mixed


class SpecMaskGIT(nn.Module):
    """Tokens, of which some are masked, and a condition -> logits of every token."""

    def __init__(self, config: SpecMaskGITConfig) -> None:
        super().__init__()
        self.config = config
        rows, columns = config.grid
        width = config.hidden_size
        self.token_embedding = nn.Embedding(config.codebook_size, width)
        self.mask_embedding = nn.Parameter(torch.zeros(width))
        self.condition = nn.Linear(config.condition_dim, width, bias=False)
        shapes = [(rows, columns, width)] if config.positions == "tokens" else [(rows, 1, width), (1, columns, width)]
        self.positions = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.output_bias = nn.Parameter(torch.zeros(config.codebook_size))
        self.apply(_initialise)
        for value in (self.mask_embedding, *self.positions):
            nn.init.trunc_normal_(value, std=0.02)

    def forward(
        self, tokens: Tensor, mask: Tensor, condition: Tensor | None = None, given: Tensor | None = None, first: int = 0
    ) -> Tensor:
        """Logits (N, L, K).

        ``tokens`` (N, R, W) int64, of which those where ``mask`` (N, R, W) bool are not looked at; ``condition``
        (N, C), None for the unconditional branch; ``given`` (N,) bool says which rows have one, else all; W may be
        less than the window's columns: then ``first`` is the column of the window at which the tokens begin.
        """
        return self.read(self.hidden(tokens, mask, condition, given, first))

    def hidden(
        self, tokens: Tensor, mask: Tensor, condition: Tensor | None = None, given: Tensor | None = None, first: int = 0
    ) -> Tensor:
        """The last layer's (N, L, D)."""
        unknown = self._unknown(len(tokens), condition, given)  # N D
        known: Tensor = self.token_embedding(tokens.masked_fill(mask, 0))  # N R W D
        x = torch.where(mask[..., None], unknown[:, None, None].to(known.dtype), known)
        for positions in self.positions:
            shared = positions.shape[1] == 1
            x = x + (positions if shared else positions[:, first : first + tokens.shape[2]])
        x = x.flatten(1, 2)  # N L D
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.norm(x)
        return normed

    def read(self, hidden: Tensor) -> Tensor:
        """Logits (..., K) of hidden vectors (..., D)."""
        return F.linear(hidden, self.token_embedding.weight, self.output_bias)

    def _unknown(self, batch: int, condition: Tensor | None, given: Tensor | None) -> Tensor:
        """What stands at masked places, (N, D)."""
        plain = self.mask_embedding.expand(batch, -1)
        if condition is None:
            return plain
        told: Tensor = self.condition(condition.to(self.condition.weight.dtype))
        return told if given is None else torch.where(given[:, None], told.to(plain.dtype), plain)


def load_specmaskgit(
    config: SpecMaskGITConfig | Mapping[str, Any], state: Mapping[str, Tensor] | None = None
) -> SpecMaskGIT:
    """A transformer in eval mode from a mapping or a configuration. Raises BundleError."""
    if isinstance(config, Mapping):
        config = Reader(BundleError).section(SpecMaskGITConfig, config, "transformer configuration")
    model = SpecMaskGIT(config)
    if state is not None:
        try:
            model.load_state_dict({name: value.float() for name, value in state.items()})
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise BundleError(f"the transformer's weights do not fit it ({reason})", "name another bundle") from error
    return model.eval()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
