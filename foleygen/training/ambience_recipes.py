"""Recipes of the ambience models: tokenizer, transformer, and the tagger that judges them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from foleygen.errors import UsageError
from foleygen.models.specmaskgit import SpecMaskGITConfig
from foleygen.models.vqgan import VQGANConfig
from foleygen.sampling.parallel_decode import DecodeConfig
from foleygen.training.loop import LoopConfig
from foleygen.training.specmaskgit import TokenObjective
from foleygen.training.vqgan import TokenizerObjective


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
