"""The tokenizer of SpecMaskGIT: log-mel pictures <-> a grid of code numbers, one per patch of 16 x 16.

Two nets share the interface. "published" is the geometry of SpecVQGAN (Iashin and Rahtu, 2021), with diffusers'
encoder and decoder; "patch" is a small one that trains on a CPU: its patches are cut by reshaping, and learned row
embeddings let one code mean different things in different bands. N batch, M mel rows, T frames, GH GW token grid
(M / 16, T / 16), K codes, D code dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import BundleError
from foleygen.models.patch_autoencoder import ResidualBlock
from foleygen.strict import Reader

PATCH = 16
"""Mel rows and frames of a token."""
TRAINING_ONLY = ("quantiser.sums", "quantiser.usage")
"""Entries of the state that a finished tokenizer can do without."""


@dataclass(frozen=True)
class VQGANConfig:
    """``widths`` (channels at 1/4, 1/8 and 1/16) and ``depth`` (blocks at 1/16) are those of the patch net.

    ``normalised`` codes lie on the unit sphere, where the nearest is the most similar; ``learning`` is how codes
    follow what is encoded: "ema" moves them to the mean of their patches, "gradient" by the codebook loss.
    """

    num_mels: int = 128
    num_frames: int = 848
    net: Literal["patch", "published"] = "patch"
    codebook_size: int = 1024
    code_dim: int = 16
    normalised: bool = True
    learning: Literal["ema", "gradient"] = "ema"
    widths: tuple[int, int, int] = (32, 80, 128)
    depth: int = 1

    def __post_init__(self) -> None:
        if self.num_mels % PATCH or self.num_frames % PATCH or min(self.num_mels, self.num_frames) < PATCH:
            fact = f"tokenizer configuration: {self.num_mels} x {self.num_frames} is no grid of {PATCH} x {PATCH}"
            raise BundleError(fact, "correct it in the bundle or training file")

    @property
    def grid(self) -> tuple[int, int]:
        """(GH, GW) of a whole window."""
        return self.num_mels // PATCH, self.num_frames // PATCH

    @property
    def num_tokens(self) -> int:
        return self.grid[0] * self.grid[1]


PRESETS: Mapping[str, VQGANConfig] = {
    "published": VQGANConfig(80, 848, "published", 1024, 256, normalised=False, learning="gradient"),
    "embedded": VQGANConfig(),
}


@dataclass(frozen=True)
class Quantised:
    """A reconstruction with what the losses need: ``latents`` as encoded and ``codes`` as chosen, (N, D, GH, GW)."""

    mel: Tensor
    latents: Tensor
    codes: Tensor
    tokens: Tensor


class Quantiser(nn.Module):
    """The codebook (K, D), how much each code was used lately, and the nearest code of a latent."""

    codebook: Tensor
    sums: Tensor
    usage: Tensor

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.normalised, self.learning = config.normalised, config.learning
        start = torch.randn(config.codebook_size, config.code_dim)
        start = F.normalize(start, dim=1) if config.normalised else start / config.codebook_size
        if config.learning == "gradient":
            self.codebook = nn.Parameter(start)
        else:
            self.register_buffer("codebook", start)
            self.register_buffer("sums", torch.zeros_like(start))
        self.register_buffer("usage", torch.zeros(config.codebook_size))

    def prepared(self, latents: Tensor) -> Tensor:
        """Latents (N, D, GH, GW) as they are compared: in float32, of unit length where codes are."""
        latents = latents.float()
        return F.normalize(latents, dim=1) if self.normalised else latents

    def tokens(self, latents: Tensor) -> Tensor:
        """Numbers of the nearest codes, (N, GH, GW), of prepared latents."""
        flat = latents.detach().movedim(1, -1)  # N GH GW D
        book = self.book()
        distances = -2 * flat @ book.T if self.normalised else book.square().sum(1) - 2 * flat @ book.T
        return distances.argmin(-1)

    def lookup(self, tokens: Tensor) -> Tensor:
        """The codes (N, D, GH, GW) of tokens (N, GH, GW)."""
        return F.embedding(tokens, self.book()).movedim(-1, 1)

    def book(self) -> Tensor:
        """The codes as they are compared."""
        return F.normalize(self.codebook, dim=1) if self.normalised else self.codebook

    @torch.no_grad()
    def follow(
        self, latents: Tensor, tokens: Tensor, generator: torch.Generator, decay: float, least_share: float
    ) -> None:
        """Move the codes to the latents that chose them, and put those used less than ``least_share`` of an even
        use onto random latents of this batch. Under "gradient" only the second."""
        flat = latents.detach().movedim(1, -1).flatten(0, 2)  # P D
        chosen = tokens.flatten()
        counts = torch.bincount(chosen, minlength=len(self.usage)).to(flat.dtype)
        self.usage.lerp_(counts, 1 - decay)
        if self.learning == "ema":
            self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, chosen, flat), 1 - decay)
            moved = self.sums / self.usage.clamp_min(1e-6)[:, None]
            moved = F.normalize(moved, dim=1) if self.normalised else moved
            self.codebook.copy_(torch.where(self.usage[:, None] > 1e-6, moved, self.codebook))
        even = len(chosen) / len(self.usage)
        dead = torch.nonzero(self.usage < least_share * even)[:, 0]
        if len(dead):
            picked = torch.randint(len(flat), (len(dead),), generator=generator).to(flat.device)
            self.codebook[dead] = flat[picked]
            self.usage[dead] = even
            if self.learning == "ema":
                self.sums[dead] = flat[picked] * even


class VQGAN(nn.Module):
    """(N, M, T) log-mel in [0, 1] <-> (N, M/16, T/16) tokens; T is any multiple of 16."""

    def __init__(self, config: VQGANConfig | None = None) -> None:
        super().__init__()
        self.config = config or VQGANConfig()
        build = _published if self.config.net == "published" else _patch_net
        self.encoder, self.decoder = build(self.config)
        self.quantiser = Quantiser(self.config)

    @torch.no_grad()
    def encode(self, mel: Tensor) -> Tensor:
        """Tokens (N, GH, GW), int64, of mel (N, M, T)."""
        return self.quantiser.tokens(self.quantiser.prepared(self._latents(mel)))

    def decode(self, tokens: Tensor) -> Tensor:
        """Log-mel (N, M, T), about [0, 1] and not clipped, of tokens (N, GH, GW)."""
        return self._mel(self.quantiser.lookup(tokens))

    def forward(self, mel: Tensor) -> Quantised:
        """The reconstruction; gradients pass the choice of codes as if it were not there."""
        latents = self.quantiser.prepared(self._latents(mel))
        tokens = self.quantiser.tokens(latents)
        codes = self.quantiser.lookup(tokens)
        return Quantised(self._mel(latents + (codes - latents).detach()), latents, codes, tokens)

    def last_layer(self) -> nn.Parameter:
        """The weight whose gradients weigh the adversary against the reconstruction."""
        return [value for value in self.decoder.parameters() if value.ndim == 4][-1]

    def _latents(self, mel: Tensor) -> Tensor:
        latents: Tensor = self.encoder(mel[:, None] * 2 - 1)
        return latents

    def _mel(self, codes: Tensor) -> Tensor:
        mel: Tensor = self.decoder(codes)
        return (mel[:, 0] + 1) / 2


class PatchDiscriminator(nn.Module):
    """Judges patches of a mel (N, M, T): logits (N, 1, h, w). Three strided layers, as in SpecVQGAN; group norms do
    not mix the rows of a batch."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inside, outside, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
            layers += [
                nn.Conv2d(inside, outside, 4, stride, 1, bias=False),
                nn.GroupNorm(8, outside),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, mel: Tensor) -> Tensor:
        logits: Tensor = self.layers(mel[:, None] * 2 - 1)
        return logits


class RowEmbedding(nn.Module):
    """Adds a learned vector per row of the grid: frequency is not shift invariant."""

    def __init__(self, channels: int, rows: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(0.02 * torch.randn(1, channels, rows, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rows


def load_vqgan(config: VQGANConfig | Mapping[str, Any] | str, state: Mapping[str, Tensor] | None = None) -> VQGAN:
    """A tokenizer in eval mode from a preset's name, a mapping or a configuration. Raises BundleError."""
    if isinstance(config, str):
        if config not in PRESETS:
            raise BundleError(f"unknown tokenizer {config!r}", f"choose from {', '.join(PRESETS)}")
        config = PRESETS[config]
    elif isinstance(config, Mapping):
        config = Reader(BundleError).section(VQGANConfig, config, "tokenizer configuration")
    model = VQGAN(config)
    if state is not None:
        try:
            unused = {name: value for name, value in model.state_dict().items() if name in TRAINING_ONLY}
            model.load_state_dict({**unused, **{name: value.float() for name, value in state.items()}})
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise BundleError(f"the tokenizer's weights do not fit it ({reason})", "name another bundle") from error
    return model.eval()


def _patch_net(config: VQGANConfig) -> tuple[nn.Module, nn.Module]:
    fine, middle, coarse = config.widths
    rows, _ = config.grid
    encoder = nn.Sequential(
        nn.PixelUnshuffle(4),
        nn.Conv2d(16, fine, 3, padding=1),
        RowEmbedding(fine, 4 * rows),
        ResidualBlock(fine, 8),
        nn.PixelUnshuffle(2),
        nn.Conv2d(4 * fine, middle, 1),
        ResidualBlock(middle, 8),
        nn.PixelUnshuffle(2),
        nn.Conv2d(4 * middle, coarse, 1),
        RowEmbedding(coarse, rows),
        *(ResidualBlock(coarse, 8) for _ in range(config.depth)),
        nn.Conv2d(coarse, config.code_dim, 1),
    )
    decoder = nn.Sequential(
        nn.Conv2d(config.code_dim, coarse, 3, padding=1),
        RowEmbedding(coarse, rows),
        *(ResidualBlock(coarse, 8) for _ in range(config.depth)),
        nn.Conv2d(coarse, 4 * middle, 1),
        nn.PixelShuffle(2),
        ResidualBlock(middle, 8),
        nn.Conv2d(middle, 4 * fine, 1),
        nn.PixelShuffle(2),
        RowEmbedding(fine, 4 * rows),
        ResidualBlock(fine, 8),
        nn.Conv2d(fine, 16, 3, padding=1),
        nn.PixelShuffle(4),
    )
    return encoder, decoder


def _published(config: VQGANConfig) -> tuple[nn.Module, nn.Module]:
    """diffusers' net in the published widths; its quantiser is left out for the one here."""
    from diffusers import VQModel

    net = VQModel(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        block_out_channels=(128, 128, 256, 256, 512),
        layers_per_block=2,
        latent_channels=config.code_dim,
        vq_embed_dim=config.code_dim,
        num_vq_embeddings=1,
    )
    return nn.Sequential(net.encoder, net.quant_conv), nn.Sequential(net.post_quant_conv, net.decoder)
