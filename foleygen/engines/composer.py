"""The models of one ambience bundle on one device: sound to mel to tokens and back, and tokens found anew.

N rows, S samples, M mel bands, T frames, R rows and W columns of tokens. A column is 16 frames, a row 16 bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.vocoder import Vocoder
from foleygen.engines.building import mel_config, vocoder_of
from foleygen.engines.device import choose_device, loading
from foleygen.engines.words import Words
from foleygen.errors import BundleError, SetupError
from foleygen.models.specmaskgit import SpecMaskGIT, load_specmaskgit
from foleygen.models.vqgan import PATCH, load_vqgan
from foleygen.sampling.parallel_decode import DecodeConfig, decode, guided
from foleygen.weights import store
from foleygen.weights.ambience import AmbienceBundle
from foleygen.weights.files import tensors
from foleygen.weights.published.presets import CLAP

Samples = NDArray[np.float32]
Precision = Literal["fp32", "bf16"]


class Composer:
    """Loaded once; rows do not see each other. ``precision`` is the transformer's; all else is float32."""

    def __init__(self, bundle: AmbienceBundle, device: str, precision: Precision = "fp32") -> None:
        self.bundle, self.device, self.precision = bundle, device, precision
        self.mel_config = mel_config(bundle)
        self._mel = MelSpectrogram(self.mel_config).to(device)
        self._tokenizer = load_vqgan(bundle.tokenizer, tensors(bundle, "tokenizer")).to(device)
        self.transformer: SpecMaskGIT = load_specmaskgit(bundle.transformer, tensors(bundle, "transformer")).to(
            device, torch.bfloat16 if precision == "bf16" else torch.float32
        )
        self._vocoder = _vocoder(bundle, device)
        self.grid = self.transformer.config.grid
        _refuse_misfits(self)
        self.defaults = DecodeConfig(**vars(bundle.decoding))

    @classmethod
    def load(cls, bundle: AmbienceBundle, device: str = "auto", precision: Precision = "fp32") -> Composer:
        """Put a bundle's models on ``auto|cpu|cuda|mps``. Raises SetupError or BundleError, and RetryableError when
        the models do not fit in memory.

        bf16 takes half the time where the processor multiplies it and draws from all but the same probabilities, but
        another window of them: a seed that has to sound alike on unlike machines needs fp32.
        """
        chosen = choose_device(device)
        with loading(bundle.name):
            return cls(bundle, chosen, precision)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.mel_config.sample_rate

    @property
    def column(self) -> int:
        """Samples of a column."""
        return PATCH * self.mel_config.hop_length

    @property
    def columns(self) -> int:
        """W: columns of a whole window."""
        return self.grid[1]

    def condition(self, words: Words | None) -> Tensor | None:
        """What the transformer is told, (1, C); None for what it finds likely."""
        if words is None:
            return None
        tags = self.bundle.tags
        if self.bundle.conditioning == "tags":
            weights = torch.zeros(1, len(tags))
            weights[0, [tags.index(tag) for tag in words.tags]] = 1 / len(words.tags)
            return weights.to(self.device)
        from foleygen.models.clap import load_clap

        folder = store.folder_of(CLAP)
        if not folder.is_dir():
            fact = f"{self.bundle.name} understands words through CLAP, which is not installed"
            raise SetupError(fact, "run 'foleygen models fetch clap', or use the bundle 'ambience'")
        return load_clap(folder).text([words.prompt]).to(self.device)

    @torch.inference_mode()
    def hear(self, samples: Samples) -> Tensor:
        """Mel (N, M, S // hop) of samples (N, S)."""
        mel: Tensor = self._mel(torch.from_numpy(np.ascontiguousarray(samples, np.float32)).to(self.device))
        return mel

    @torch.inference_mode()
    def encode(self, mel: Tensor) -> Tensor:
        """Tokens (N, R, W) of mel (N, M, T), T = 16 W."""
        return self._tokenizer.encode(mel)

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Mel (N, M, T) in [0, 1] of tokens (N, R, W)."""
        return self._tokenizer.decode(tokens).clamp(0, 1)

    @torch.inference_mode()
    def sound(self, mel: Tensor) -> Samples:
        """Samples (N, T * hop) of mel (N, M, T)."""
        samples: Samples = self._vocoder(mel, []).float().cpu().numpy()
        return samples

    @torch.inference_mode()
    def compose(
        self,
        tokens: Tensor,
        mask: Tensor,
        generators: Sequence[torch.Generator],
        condition: Tensor | None = None,
        config: DecodeConfig | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Tokens (N, R, w) with those under ``mask`` (N, R, w) found anew; w is W or less.

        ``condition`` (1, C) is every row's. A short stretch is told that it lies in the middle of a window.
        """
        first = (self.columns - tokens.shape[2]) // 2
        told = None if condition is None else condition.expand(len(tokens), -1)

        def model(tokens: Tensor, mask: Tensor, condition: Tensor | None, given: Tensor | None = None) -> Tensor:
            logits: Tensor = self.transformer(tokens, mask, condition, given, first)
            return logits

        found = guided(model, told, config or self.defaults)
        return decode(found, tokens, mask.to(tokens.device), generators, config or self.defaults, on_step)

    def decoding(self, steps: int | None = None, guidance: float | None = None) -> DecodeConfig:
        """The bundle's way to find tokens, with what is not None instead."""
        config = self.defaults
        return replace(
            config,
            steps=config.steps if steps is None else steps,
            guidance_scale=config.guidance_scale if guidance is None else guidance,
        )


def _vocoder(bundle: AmbienceBundle, device: str) -> Vocoder:
    """One that needs no random numbers: the same tokens are always the same sound."""
    if bundle.vocoder.kind != "vocos":
        raise BundleError(f"{bundle.path}: its vocoder is {bundle.vocoder.kind!r}, not 'vocos'", "export it again")
    return vocoder_of(bundle, device)


def _refuse_misfits(composer: Composer) -> None:
    tokenizer, transformer = composer._tokenizer.config, composer.transformer.config
    told = len(composer.bundle.tags) if composer.bundle.conditioning == "tags" else transformer.condition_dim
    if (
        tokenizer.grid != transformer.grid
        or tokenizer.codebook_size != transformer.codebook_size
        or tokenizer.num_mels != composer.mel_config.num_mels
        or told != transformer.condition_dim
    ):
        fact = f"{composer.bundle.path}: its tokenizer, transformer, mel and tags do not fit each other"
        raise BundleError(fact, "export it again")
