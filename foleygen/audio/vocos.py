"""The small neural vocoder as a Vocoder: normalised mel to sound, without random numbers.

N batch, M mel bands, F linear frequency bins, T frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foleygen.audio.mel import MelConfig, mel_basis, normalise
from foleygen.models.vocos import Vocos, VocosConfig

_NATS = 5.0 * math.log(10.0)
_OFFSET = -4.0 * math.log(10.0)
"""log of mel magnitude = _NATS * mel + _OFFSET."""

_MOST_NATS = 3.0
"""Largest change of a level by one correction."""


def vocos_config(mel: MelConfig, hidden_size: int, depth: int, expansion: int) -> VocosConfig:
    """The network for a mel. Raises ValueError where it is not in decibels or the hop does not divide the window."""
    if mel.scaling != "decibel":
        raise ValueError(f"it is for mels in decibels, and these have the scaling {mel.scaling!r}")
    if mel.n_fft % mel.hop_length:
        raise ValueError(f"n_fft {mel.n_fft} is not a multiple of hop_length {mel.hop_length}")
    return VocosConfig(
        num_mels=mel.num_mels,
        num_bins=mel.num_bins,
        clock=mel.n_fft // mel.hop_length,
        hidden_size=hidden_size,
        depth=depth,
        expansion=expansion,
    )


class VocosVocoder(nn.Module):
    """Vocoder for normalised mels in [0, 1] (``MelSpectrogram``); the same mel always gives the same sound.

    Frames that overlap never agree quite, so the sound's own mel differs from the one it was made from. Each of the
    ``corrections`` analyses the sound and scales its spectrum by the difference. Rows are made one by one, so that
    what a batch rounds differently is not heard.
    """

    goes_on = False
    window: Tensor
    basis: Tensor
    spread: Tensor
    level: Tensor

    def __init__(
        self, mel: MelConfig, hidden_size: int = 96, depth: int = 4, expansion: int = 2, corrections: int = 4
    ) -> None:
        super().__init__()
        self.config, self.corrections = mel, corrections
        self.sample_rate, self.hop_length = mel.sample_rate, mel.hop_length
        self.network = Vocos(vocos_config(mel, hidden_size, depth, expansion))
        spread, level = guess_of(mel)
        self.register_buffer("window", torch.hann_window(mel.n_fft), persistent=False)
        self.register_buffer("basis", torch.from_numpy(mel_basis(mel)), persistent=False)
        self.register_buffer("spread", spread, persistent=False)
        self.register_buffer("level", level, persistent=False)

    def spectrum(self, mel: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
        """Log magnitude and unit complex phase, (N, F, T) each, for mels (N, M, T); ``first`` frame of the clock."""
        guess = self.spread @ (_NATS * mel + _OFFSET - self.level)
        found: tuple[Tensor, Tensor] = self.network(mel, guess, first)
        return found

    def synthesise(self, log_magnitude: Tensor, phase: Tensor, mel: Tensor) -> Tensor:
        """Samples (N, T * hop_length) of spectra (N, F, T), corrected to sound as mels (N, M, T); differentiable."""
        sound = self._join(log_magnitude.exp() * phase)
        for _ in range(self.corrections):
            spectrum = self._split(sound)
            missing = mel - normalise(self.basis @ spectrum.abs())  # (N, M, T)
            gain = (self.spread @ (_NATS * missing)).clamp(-_MOST_NATS, _MOST_NATS).exp()
            sound = self._join(spectrum * gain)
        return sound

    @torch.no_grad()
    def forward(self, mel: Tensor, generators: Sequence[torch.Generator] = (), begun: Tensor | None = None) -> Tensor:
        if mel.shape[-1] == 0 or len(mel) == 0:
            return mel.new_zeros(len(mel), mel.shape[-1] * self.hop_length)
        rows = mel.float().clamp(0, 1).split(1)
        return torch.cat([self.synthesise(*self.spectrum(row), row) for row in rows])

    def _split(self, samples: Tensor) -> Tensor:
        """Samples (N, T * hop_length) to spectra (N, F, T), as MelSpectrogram analyses them."""
        n_fft, hop = self.config.n_fft, self.config.hop_length
        spectrum = torch.stft(samples[:, :-1], n_fft, hop, window=self.window, pad_mode="constant", return_complex=True)
        return spectrum[..., : samples.shape[-1] // hop]

    def _join(self, spectrum: Tensor) -> Tensor:
        """Spectra (N, F, T) to the samples (N, T * hop_length) whose spectra are nearest."""
        hop = self.config.hop_length
        return torch.istft(spectrum, self.config.n_fft, hop, window=self.window, length=spectrum.shape[-1] * hop)


def guess_of(mel: MelConfig) -> tuple[Tensor, Tensor]:
    """How log mel magnitudes (M, T) become a first guess of log magnitudes: ``spread`` (F, M) @ (log - ``level``).

    ``level`` (M, 1) is the log of what a flat spectrum of 1 gives a band; a bin then takes the levels of the bands
    that hear it, by their share in it. Bins outside all bands take the nearest one's.
    """
    basis = torch.from_numpy(mel_basis(mel)).double()  # (M, F)
    total = basis.sum(dim=1, keepdim=True)
    silent = total[:, 0] == 0  # a narrow low band may fall between two bins
    level = torch.where(silent[:, None], torch.ones_like(total), total).log()
    centres = (basis @ torch.arange(mel.num_bins, dtype=torch.float64)) / total[:, 0].clamp(min=1e-12)
    spread = (basis / basis.amax(dim=1, keepdim=True).clamp(min=1e-12)).T.clone()  # (F, M)
    distance = (torch.arange(mel.num_bins)[:, None] - centres[None]).abs()
    distance[:, silent] = math.inf
    unheard = spread.sum(dim=1) == 0
    spread[unheard, distance[unheard].argmin(dim=1)] = 1.0
    spread /= spread.sum(dim=1, keepdim=True)
    return spread.float(), level.float()
