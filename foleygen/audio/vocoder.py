"""What turns a mel spectrogram into sound: GriffinLim needs no weights, HiFiGAN does.

N batch, M mel bands, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Vocoder(Protocol):
    """Mel (N, M, T), as the bundle's autoencoder decodes it, to samples (N, T * hop_length) at ``sample_rate`` Hz.

    ``generators`` has one CPU generator per row, so that a row sounds the same in whatever batch it is made;
    deterministic vocoders leave them alone.
    """

    sample_rate: int
    hop_length: int

    def __call__(self, mel: Tensor, generators: Sequence[torch.Generator]) -> Tensor: ...
