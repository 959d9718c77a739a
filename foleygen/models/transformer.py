"""MDSGen: a masked diffusion transformer over mel latents, conditioned on video features through adaLN.

MDSGen (ICLR 2025) on MDT and DiT; parameter names are those of the published checkpoint. Letters: N batch,
C latent channels, H W latent height and width, GH GW token grid, L = GH GW tokens, K kept tokens, D hidden size,
T video features, M modulations in time: 1, or one per token column of time when ``conditioning`` is "aligned".
Between the blocks tokens are (N, A, B, D): A B = GH GW, or kept groups x group size while masked, so that every
modulation broadcasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import BundleError
from foleygen.models import blank, embeddings, masking
from foleygen.models.cues import CueAdapter
from foleygen.models.denoiser import Modulations, Prepared
from foleygen.models.diffusion import Condition
from foleygen.models.masking import MaskedTokens

SIZES: dict[str, dict[str, int]] = {
    "T": {"hidden_size": 192, "depth": 12, "num_heads": 3},
    "S": {"hidden_size": 384, "depth": 12, "num_heads": 6},
    "B": {"hidden_size": 768, "depth": 12, "num_heads": 12},
    "L": {"hidden_size": 1024, "depth": 24, "num_heads": 16},
}
GRIDS: dict[str, dict[str, Any]] = {
    "paper": {"latent_shape": (4, 16, 64), "time_axis": 2, "frequency_embedding_size": 256},
    "release": {"latent_shape": (8, 204, 16), "time_axis": 1, "frequency_embedding_size": 204},
}


@dataclass(frozen=True)
class TransformerConfig:
    """Geometry of one MDSGen; ``preset`` has the published ones."""

    latent_shape: tuple[int, int, int]
    """(C, H, W)."""
    time_axis: int
    """Index into ``latent_shape`` of the axis that is time: 1 or 2."""
    hidden_size: int
    depth: int
    num_heads: int
    patch_size: int = 2
    decode_layers: int = 4
    """Last blocks, which see all tokens even in a masked step."""
    frequency_embedding_size: int = 256
    feature_dim: int = 512
    num_features: int = 32
    """Video features per window."""
    conditioning: Literal["reducer", "aligned"] = "reducer"
    """"reducer": one vector for the window, as published. "aligned": also one per token column of time."""
    learn_sigma: bool = True
    mask_ratio: float | None = None
    """Ratio masked in training; without one the mask token is frozen."""

    @classmethod
    def preset(cls, size: str, grid: Literal["paper", "release"] = "paper", **overrides: Any) -> TransformerConfig:
        """Sizes T, S, B, L on the paper's grid (time last) or the released one (time first)."""
        return cls(**{**SIZES[size], **GRIDS[grid], **overrides})

    def __post_init__(self) -> None:
        patch, width = self.patch_size, self.hidden_size
        _require(
            all(length % patch == 0 for length in self.latent_shape[1:]),
            f"patch_size {patch} does not divide the latent {self.latent_shape[1]} x {self.latent_shape[2]}",
        )
        _require(self.time_axis in (1, 2), f"time_axis is {self.time_axis}, not 1 or 2")
        _require(width % 4 == 0, f"hidden_size {width} is no multiple of 4")
        _require(width % self.num_heads == 0, f"hidden_size {width} is no multiple of num_heads {self.num_heads}")
        _require(
            0 <= self.decode_layers <= self.depth,
            f"decode_layers {self.decode_layers} is not within the depth {self.depth}",
        )
        _require(
            self.conditioning in ("reducer", "aligned"),
            f"conditioning {self.conditioning!r} is neither 'reducer' nor 'aligned'",
        )
        _require(
            self.conditioning == "reducer" or self.num_features % self.columns == 0,
            f"num_features {self.num_features} is no multiple of the {self.columns} token columns of time",
        )
        _require(
            self.mask_ratio is None or (self.mask_ratio >= 0 and int(self.columns * (1 - self.mask_ratio)) >= 1),
            f"mask_ratio {self.mask_ratio} does not leave some of the {self.columns} token columns of time",
        )

    @property
    def grid(self) -> tuple[int, int]:
        """(GH, GW)."""
        return self.latent_shape[1] // self.patch_size, self.latent_shape[2] // self.patch_size

    @property
    def num_tokens(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def columns(self) -> int:
        """Token columns of time, whichever axis it is."""
        return self.grid[self.time_axis - 1]

    @property
    def out_channels(self) -> int:
        return self.latent_shape[0] * (2 if self.learn_sigma else 1)


def _require(holds: bool, fact: str) -> None:
    if not holds:
        raise BundleError(f"transformer configuration: {fact}", "correct it in the bundle or training file")


class Attention(nn.Module):
    """Multi-head self-attention with a relative position bias of its own."""

    def __init__(self, hidden_size: int, num_heads: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.proj = nn.Linear(hidden_size, hidden_size)
        self.rel_pos_bias = embeddings.RelativePositionBias(grid, num_heads)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x (N, L, D), bias (1 or N, heads, L, L) -> (N, L, D)."""
        batch, tokens, width = x.shape
        qkv: Tensor = self.qkv(x)
        qkv = qkv.view(batch, tokens, 3, self.num_heads, -1)  # N L 3 h D/h
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # N h L D/h each
        mixed = _attend(query, key, value, bias)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return projected


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Softmax attention with an additive bias, (N, heads, L, D/heads).

    Written out on a CPU in bfloat16 or when the bias learns: there the fused kernel is 1.2 to 1.6 times slower
    (it upcasts bfloat16, and leaves its fast path when a mask needs a gradient). In float32 it is a little faster.
    """
    bias = bias.to(query.dtype)
    if query.device.type == "cpu" and (query.dtype != torch.float32 or bias.requires_grad):
        logits: Tensor = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias
        return logits.softmax(-1).to(value.dtype) @ value
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)


class Mlp(nn.Module):
    """Linear, tanh-GELU, Linear, at four times the width."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, 4 * hidden_size)
        self.fc2 = nn.Linear(4 * hidden_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return out


class Block(nn.Module):
    """An adaLN-Zero block (DiT)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attn = Attention(width, config.num_heads, config.grid)
        self.mlp = Mlp(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, modulation: Tensor, bias: Tensor) -> Tensor:
        """x (N, A, B, D), modulation (N, A or 1, B or 1, 6 D), bias (1 or N, heads, A B, A B)."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = modulation.chunk(6, dim=-1)
        attended: Tensor = self.attn(_modulated(x, shift_a, scale_a).flatten(1, 2), bias)
        x = torch.addcmul(x, gate_a, attended.view(x.shape))
        return torch.addcmul(x, gate_m, self.mlp(_modulated(x, shift_m, scale_m)))


class FinalLayer(nn.Module):
    """Modulated norm and projection to the values of a patch."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.linear = nn.Linear(width, config.patch_size**2 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        shift, scale = modulation.chunk(2, dim=-1)
        values: Tensor = self.linear(_modulated(x, shift, scale))
        return values


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    normed = F.layer_norm(x, x.shape[-1:], eps=1e-6)
    return torch.addcmul(shift, normed, 1 + scale)


class MDSGen(nn.Module):
    """Predicts noise or velocity (and, with ``learn_sigma``, the variance channels) for noised mel latents."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.pos_embed = nn.Parameter(torch.empty(1, config.num_tokens, width))
        self.decoder_pos_embed = nn.Parameter(torch.empty(1, config.num_tokens, width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width), requires_grad=config.mask_ratio is not None)
        self.x_embedder = embeddings.PatchEmbed(config.latent_shape[0], config.patch_size, width)
        self.t_embedder = embeddings.TimestepEmbedder(width, config.frequency_embedding_size)
        self.mlp_feat = nn.Sequential(nn.Linear(config.feature_dim, width), nn.GELU(), nn.LayerNorm(width, eps=1e-12))
        self.conv1d_feat = nn.Sequential(
            nn.Conv1d(config.num_features, 1, kernel_size=1), nn.GELU(), nn.LayerNorm(width, eps=1e-12)
        )
        if config.conditioning == "aligned":
            stacked = config.num_features // config.columns * config.feature_dim
            self.mlp_column = nn.Sequential(nn.Linear(stacked, width), nn.GELU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.sideblocks = nn.ModuleList([Block(config)])
        self.final_layer = FinalLayer(config)
        self.cues: CueAdapter | None = None
        if not blank.is_entered():
            self._initialise()

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return self.config.latent_shape

    @property
    def time_axis(self) -> int:
        return self.config.time_axis

    @property
    def device(self) -> torch.device:
        return self.pos_embed.device

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> Prepared:
        """For the sampler (``diffusion.DiffusionModel``): valid until the parameters change."""
        embedded = self.embed_time(times.to(self.device))  # steps 1 D
        return Prepared(
            modulations=self.modulations,
            denoise=partial(self.denoise, biases=self.position_biases()),
            video=self.heard(condition),
            times=embedded,
            unconditional=self.modulations(embedded) if guided else None,
        )

    def forward(
        self,
        latents: Tensor,
        t: Tensor,
        features: Tensor,
        dropped: Tensor | None = None,
        mask: MaskedTokens | None = None,
    ) -> Tensor:
        """One evaluation.

        latents (N, C, H, W); t (N,) in [0, 999], may be fractional; features (N, T, feature_dim); ``dropped``
        (N,) bool: rows without condition; ``mask``: hide tokens from the first blocks, as in masked training.
        Returns (N, 2C or C, H, W), the prediction in the first C channels.
        """
        condition = self.condition(t, features, dropped)  # N M D
        modulations = self.modulations(condition)
        biases = self.position_biases()
        if mask is None:
            return self.denoise(latents, modulations, biases)
        x = self._embed(latents)  # N GH GW D
        x = self._encode_masked(x, condition, modulations, biases, mask)  # N GH GW D
        return self._decode(x, modulations, biases)  # N 2C H W

    def condition(self, t: Tensor, features: Tensor, dropped: Tensor | None = None) -> Tensor:
        """The vectors that modulate every layer, (N, M, D). A dropped row's depend on t alone."""
        video = self.embed_video(features)  # N M D
        if dropped is not None:
            video = video.masked_fill(dropped[:, None, None], 0)
        return self.embed_time(t) + video

    def embed_time(self, t: Tensor) -> Tensor:
        """(N,) -> (N, 1, D); alone, the condition of a row without video."""
        embedded: Tensor = self.t_embedder(t)
        return embedded[:, None]

    def heard(self, condition: Condition) -> Tensor:
        """What the condition says of each column, (N, M, D): the picture, and what is told beside it."""
        video = self.embed_video(condition.features.to(self.pos_embed))
        if condition.told is None:
            return video
        if self.cues is None:
            raise ValueError("this transformer has no adapter of cues and words")
        told: Tensor = self.cues(video, condition.told.to(self.pos_embed))
        return told

    def embed_video(self, features: Tensor) -> Tensor:
        """(N, T, feature_dim) -> (N, M, D): the paper's reducer, plus each column's own features when aligned."""
        video: Tensor = self.conv1d_feat(self.mlp_feat(features))  # N 1 D
        if self.config.conditioning == "aligned":
            stacked = features.reshape(features.shape[0], self.config.columns, -1)  # N M T/M*feature_dim
            video = video + self.mlp_column(stacked)  # N M D
        return video

    def modulations(self, condition: Tensor) -> Modulations:
        """The condition (N, M, D) as every layer applies it."""
        return Modulations(
            tuple(self._on_grid(block.adaLN_modulation(condition)) for block in self._blocks()),
            self._on_grid(self.final_layer.adaLN_modulation(condition)),
        )

    def position_biases(self) -> tuple[Tensor, ...]:
        """Per block (1, heads, L, L); constant until the parameters change."""
        return tuple(block.attn.rel_pos_bias()[None] for block in self._blocks())

    def denoise(self, latents: Tensor, modulations: Modulations, biases: tuple[Tensor, ...]) -> Tensor:
        """What is left of ``forward`` once the modulations and the position biases are known."""
        x = self._embed(latents)  # N GH GW D
        for layer in range(self._encode_layers):
            x = self.blocks[layer](x, modulations.blocks[layer], biases[layer])
        x = x + self._on_tokens(self.decoder_pos_embed)
        return self._decode(x, modulations, biases)  # N 2C H W

    def _blocks(self) -> Iterator[Block]:
        return (cast(Block, block) for block in self.blocks)

    @property
    def _encode_layers(self) -> int:
        return self.config.depth - self.config.decode_layers

    def _embed(self, latents: Tensor) -> Tensor:
        embedded: Tensor = self.x_embedder(latents)
        return embedded + self._on_tokens(self.pos_embed)

    def _encode_masked(
        self, x: Tensor, condition: Tensor, modulations: Modulations, biases: tuple[Tensor, ...], mask: MaskedTokens
    ) -> Tensor:
        """The first blocks on the kept tokens, then the side block's guess of the hidden ones; (N, GH, GW, D)."""
        grid_shape = x.shape
        x = masking.keep_tokens(x.flatten(1, 2), mask)  # N K D
        x = x.view(x.shape[0], -1, mask.group_size, x.shape[2])  # N K/S S D
        for layer in range(self._encode_layers):
            modulation = self._of_groups(modulations.blocks[layer], mask)
            x = self.blocks[layer](x, modulation, masking.keep_pairs(biases[layer][0], mask))
        x = masking.restore_tokens(x.flatten(1, 2), self.mask_token, mask).view(grid_shape)
        x = x + self._on_tokens(self.decoder_pos_embed)
        side = cast(Block, self.sideblocks[0])
        guess: Tensor = side(x, self._on_grid(side.adaLN_modulation(condition)), side.attn.rel_pos_bias()[None])
        return torch.where(mask.mask.view(*grid_shape[:3], 1) > 0, guess, x)

    def _decode(self, x: Tensor, modulations: Modulations, biases: tuple[Tensor, ...]) -> Tensor:
        for layer in range(self._encode_layers, self.config.depth):
            x = self.blocks[layer](x, modulations.blocks[layer], biases[layer])
        values: Tensor = self.final_layer(x, modulations.final)  # N GH GW p*p*2C
        size = self.config.patch_size
        patches = values.view(*values.shape[:3], size, size, -1)  # N GH GW p p 2C
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(x.shape[0], -1, *self.config.latent_shape[1:])

    def _on_tokens(self, positions: Tensor) -> Tensor:
        """(1, L, D) -> (1, GH, GW, D)."""
        return positions.view(1, *self.config.grid, -1)

    def _on_grid(self, modulation: Tensor) -> Tensor:
        """(N, M, 6 D) -> (N, M, 1, 6 D) where rows are time, (N, 1, M, 6 D) where columns are."""
        return modulation.unsqueeze(2 if self.config.time_axis == 1 else 1)

    def _of_groups(self, modulation: Tensor, mask: MaskedTokens) -> Tensor:
        """The modulation of each kept group, (N, K/S, 1, 6 D); broadcasts unchanged when it is one for all times."""
        by_time = modulation.flatten(1, 2)  # N M 6D
        if by_time.shape[1] == 1:
            return modulation
        first = mask.ids_keep[:, :: mask.group_size]
        columns = self.config.grid[1]
        time = first // columns if self.config.time_axis == 1 else first % columns  # N K/S
        return by_time.gather(1, time[:, :, None].expand(-1, -1, by_time.shape[2]))[:, :, None]

    def _initialise(self) -> None:
        positions = embeddings.sincos_positions(self.config.grid, self.config.hidden_size)
        for parameter in (self.pos_embed, self.decoder_pos_embed):
            parameter.data.copy_(positions)
        embeddings.initialise(self.modules())
        for name in ("t_embedder.mlp.0", "t_embedder.mlp.2", "mlp_feat.0", "conv1d_feat.0"):
            nn.init.normal_(self.get_parameter(f"{name}.weight"), std=0.02)
        for name, parameter in self.named_parameters():
            if "adaLN_modulation" in name or name.startswith("final_layer.linear"):
                nn.init.zeros_(parameter)
        if self.config.mask_ratio is not None:
            nn.init.normal_(self.mask_token, std=0.02)
