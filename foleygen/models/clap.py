"""CLAP: text and sound in one space of 512 dimensions (Wu et al. 2023), through transformers, loaded when used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from foleygen.errors import BundleError, SetupError, UsageError

if TYPE_CHECKING:
    from transformers import ClapModel, ClapProcessor

SAMPLE_RATE = 48000
"""Hz; what CLAP hears."""
DIMENSIONS = 512
LONGEST_S = 10
"""Of a longer sound the beginning is heard: the processor would take a random piece."""


class Clap:
    """Embeddings of unit length, on the CPU."""

    def __init__(self, model: ClapModel, processor: ClapProcessor) -> None:
        self._model, self._processor = model.eval(), processor

    @torch.inference_mode()
    def text(self, prompts: Sequence[str]) -> Tensor:
        """(N, 512) of N prompts. Raises UsageError for an empty one."""
        if not all(prompt.strip() for prompt in prompts):
            raise UsageError("the prompt is empty", "say what is to be heard, such as 'rain on a tin roof'")
        words = self._processor.tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt")
        return self._embedding(self._model.get_text_features(**words.to(self._model.device)))

    @torch.inference_mode()
    def audio(self, samples: NDArray[np.float32]) -> Tensor:
        """(N, 512) of samples (N, S) at SAMPLE_RATE, mono, in [-1, 1]."""
        heard = [row[: LONGEST_S * SAMPLE_RATE] for row in np.atleast_2d(samples)]
        features = self._processor.feature_extractor(
            heard, sampling_rate=SAMPLE_RATE, truncation="rand_trunc", return_tensors="pt"
        )
        return self._embedding(self._model.get_audio_features(**features.to(self._model.device)))

    def _embedding(self, found: Any) -> Tensor:
        """transformers 4 gives the tensor, 5 an object that holds it."""
        pooled = found if isinstance(found, Tensor) else found.pooler_output
        return F.normalize(pooled.float(), dim=-1).cpu()


def load_clap(folder: Path, device: str = "cpu") -> Clap:
    """CLAP from a folder in the layout of transformers. Raises SetupError without transformers, BundleError."""
    try:
        from transformers import ClapModel, ClapProcessor
    except ImportError as error:
        raise SetupError(
            "prompts in free words need transformers, which is not installed",
            "install it with: pip install 'foleygen[base]'",
        ) from error
    if not (folder / "config.json").is_file():
        raise BundleError(f"{folder}: holds no CLAP model", "name a folder with its config.json, weights and tokenizer")
    try:
        model = ClapModel.from_pretrained(folder, local_files_only=True)
        processor = ClapProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{folder}: its CLAP model cannot be read ({reason})", "fetch it again") from error
    return Clap(model.to(device), processor)
