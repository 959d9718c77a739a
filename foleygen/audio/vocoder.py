"""What turns a mel spectrogram into sound: GriffinLim needs no weights, HiFiGAN and VocosVocoder do.

N batch, M mel bands, T frames, S samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Vocoder(Protocol):
    """Mel (N, M, T), as the bundle's autoencoder decodes it, to samples (N, T * hop_length) at ``sample_rate`` Hz.

    ``generators`` has one CPU generator per row, so that a row sounds the same in whatever batch it is made;
    deterministic vocoders leave them alone. So they do with ``begun``, samples (S,), which is how the sound of the one
    row begins.
    """

    sample_rate: int
    hop_length: int
    goes_on: bool
    """Whether ``begun`` counts: the phase is found by search, and can be found so that it goes on in that of ``begun``.

    Other vocoders make the same sound of the same mel.
    """

    def __call__(self, mel: Tensor, generators: Sequence[torch.Generator], begun: Tensor | None = None) -> Tensor: ...
