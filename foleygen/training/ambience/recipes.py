"""Recipes of the ambience models: tokenizer, transformer, and the tagger that judges them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from foleygen.errors import UsageError
from foleygen.models.specmaskgit import SpecMaskGITConfig
from foleygen.models.vqgan import PATCH, VQGANConfig
from foleygen.sampling.parallel_decode import DecodeConfig
from foleygen.training.loop import LoopConfig


@dataclass(frozen=True)
class TokenizerWeights:
    """Weights of the reconstruction's terms (see ``reconstruction_loss``; ``flicker`` is how much change in time there
    is at all in each neighbourhood), of the codebook (``beta`` as in VQ-VAE, on the commitment) and the adversary."""

    level: float = 1.0
    time: float = 0.5
    frequency: float = 1.0
    steady: float = 2.0
    detail: float = 1.0
    flicker: float = 0.5
    codebook: float = 0.1
    beta: float = 0.25
    adversary: float = 0.0


@dataclass(frozen=True)
class TokenizerObjective:
    """``crop`` frames at a time. Codes follow with ``code_decay``, and are moved where something is when used less
    than ``least_share`` of an even use, until step ``settle_from``. The adversary, if it has a weight, starts at step
    ``adversary_start``, with ``adversary_width`` channels and at most ``adversary_limit`` times the weight that
    balances the gradients."""

    crop: int = 128
    code_decay: float = 0.97
    least_share: float = 0.25
    settle_from: int | None = None
    adversary_start: int = 0
    adversary_width: int = 32
    adversary_limit: float = 1.0
    weights: TokenizerWeights = TokenizerWeights()

    def __post_init__(self) -> None:
        if self.crop < PATCH or self.crop % PATCH:
            raise UsageError(f"objective.crop is {self.crop}", f"give a multiple of {PATCH}")


@dataclass(frozen=True)
class MaskMixture:
    """How often each kind of mask is drawn, relatively: places at random, all after a prefix, a block of columns, the
    rows above a border. A prefix has 3/10 to 1/2 of the columns, a block at most half of them."""

    random: float = 0.5
    prefix: float = 0.15
    block: float = 0.2
    rows: float = 0.15

    def __post_init__(self) -> None:
        values = [float(value) for value in asdict(self).values()]
        if min(values) < 0 or sum(values) <= 0:
            raise UsageError("the kinds of masks have a negative weight or none at all", "correct objective.masks")


@dataclass(frozen=True)
class TokenObjective:
    """``crop`` columns at a time, and whole windows in ``whole_share`` of the steps, with as many rows of the batch as
    have as many tokens; a condition is left out for ``condition_dropout``, and gets noise of ``condition_noise``
    (standard deviation of the whole vector, which is then made of unit length again; for CLAP)."""

    masks: MaskMixture = MaskMixture()
    label_smoothing: float = 0.1
    condition_dropout: float = 0.1
    condition_noise: float = 0.0
    crop: int = 53
    whole_share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe:
    """The mel tokenizer."""

    kind: Literal["tokenizer"]
    loop: LoopConfig
    model: VQGANConfig = field(default_factory=VQGANConfig)
    objective: TokenizerObjective = field(default_factory=TokenizerObjective)


@dataclass(frozen=True, kw_only=True)
class SpecMaskGITRecipe:
    """The transformer of tokens; ``model.condition_dim`` comes from the data. ``embed_codes``: token embeddings begin
    as a projection of the codes. ``sampling`` is what the finished model decodes with unless told otherwise."""

    kind: Literal["specmaskgit"]
    loop: LoopConfig
    model: SpecMaskGITConfig
    embed_codes: bool = False
    objective: TokenObjective = field(default_factory=TokenObjective)
    sampling: DecodeConfig = field(default_factory=DecodeConfig)


@dataclass(frozen=True, kw_only=True)
class TaggerRecipe:
    """The classifier of tags, on crops of ``crop`` mel frames."""

    kind: Literal["tagger"]
    loop: LoopConfig
    widths: tuple[int, int] = (32, 64)
    crop: int = 256
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        if self.crop < 16 or self.crop % 16:
            raise UsageError(f"crop is {self.crop}", "make it a multiple of 16")
