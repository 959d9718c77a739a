"""Sound from a mel without weights: non-negative inverse of the mel, then fast Griffin-Lim for the phase.

N batch, M mel bands, F linear frequency bins, T frames, L samples of an analysis frame (n_fft).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from foleygen.audio.mel import MelConfig, NonNegativeInverse, denormalise

_MIN_POWER = 0.05
"""Least window power that is divided out: past it, at an end that one window barely reaches, sound fades instead."""


class GriffinLim(nn.Module):
    """Vocoder for mels as ``MelSpectrogram`` makes them, with random initial phase.

    Rows are made one by one: Griffin-Lim is chaotic, so the last bits that a batched kernel may round differently
    would be heard. ``basis_rate`` Hz in place of the sound's own rate is what the mel bands are taken to be of:
    Diff-Foley's published demo takes 22050 for its mels of 16000 Hz, and sounds 5.5 semitones too low.
    """

    window: Tensor
    goes_on = True

    def __init__(
        self,
        config: MelConfig | None = None,
        iterations: int = 32,
        momentum: float = 0.99,
        basis_rate: int | None = None,
    ) -> None:
        super().__init__()
        self.config = config or MelConfig()
        self.iterations, self.momentum = iterations, momentum
        self.sample_rate, self.hop_length = self.config.sample_rate, self.config.hop_length
        bands = replace(self.config, sample_rate=basis_rate) if basis_rate else self.config
        self.inverse = NonNegativeInverse(bands)
        self.register_buffer("window", torch.hann_window(self.config.n_fft), persistent=False)

    @torch.no_grad()
    def forward(self, mel: Tensor, generators: Sequence[torch.Generator], begun: Tensor | None = None) -> Tensor:
        """``begun``, samples (S,), is how the sound of the one row begins: it goes on in their phase."""
        if len(generators) != len(mel):
            raise ValueError(f"{len(mel)} mels came with {len(generators)} generators")
        if mel.shape[-1] == 0 or len(mel) == 0:
            return mel.new_zeros(len(mel), mel.shape[-1] * self.hop_length)
        rows = []
        for row, generator in zip(mel.float(), generators, strict=True):
            magnitude = self.inverse(denormalise(row, self.config.scaling)[None])[0]  # (F, T)
            turns = torch.rand(magnitude.shape, generator=generator).to(magnitude.device)
            phase = torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)
            rows.append(
                reconstruct(magnitude, phase, self.window, self.hop_length, self.iterations, self.momentum, begun)
            )
        return torch.stack(rows)


def reconstruct(
    magnitude: Tensor,
    phase: Tensor,
    window: Tensor,
    hop_length: int,
    iterations: int,
    momentum: float,
    begun: Tensor | None = None,
) -> Tensor:
    """Samples (T * hop_length,) whose transform comes close to ``magnitude`` (F, T).

    Fast Griffin-Lim (Perraudin, Balazs and Søndergaard 2013) from ``phase``, unit complex numbers (F, T). Frames are
    centred on multiples of the hop, and the signal is zero outside. Each round makes the spectrogram consistent,
    goes beyond it by ``momentum`` times the last change, and restores the magnitude. Each consistent spectrogram is
    that of a signal that begins with ``begun`` (S,), the end of a sound that is cut off there: the last half of an
    analysis frame, which misses what would have followed, is left free.
    """
    target = magnitude.T.contiguous()  # (T, F): a frame's transform is contiguous
    frames = _Frames(len(target), window, hop_length)
    previous = torch.zeros_like(target, dtype=phase.dtype)
    spectrum = target * phase.T
    known = begun[: max(0, len(begun) - len(window) // 2)] if begun is not None else target.new_zeros(0)
    for _ in range(iterations):
        samples = frames.join(spectrum)
        samples[: len(known)] = known
        consistent = frames.split(samples)  # (T, F)
        ahead = torch.view_as_real(torch.sub(consistent, previous, alpha=momentum / (1 + momentum)))
        gain = target * ahead.square().sum(-1).clamp_(min=1e-24).rsqrt_()
        spectrum = torch.view_as_complex(ahead * gain[..., None])
        previous = consistent
    return frames.join(spectrum)


class _Frames:
    """Short-time Fourier transform and its least-squares inverse for a fixed number of frames, without checks."""

    def __init__(self, count: int, window: Tensor, hop_length: int) -> None:
        self.count, self.window, self.hop = count, window, hop_length
        self.size = len(window)
        self.overlapping = -(-self.size // hop_length)
        power = self._overlap_add(window.square().expand(count, -1))
        self.inverse_power = 1 / power.clamp(min=_MIN_POWER)

    def split(self, samples: Tensor) -> Tensor:
        """Samples (T * hop,) to spectra (T, F)."""
        half = self.size // 2
        framed = pad(samples, (half, half)).unfold(0, self.size, self.hop)[: self.count]
        spectra: Tensor = torch.fft.rfft(framed * self.window)
        return spectra

    def join(self, spectra: Tensor) -> Tensor:
        """Spectra (T, F) to the samples (T * hop,) whose spectra are nearest."""
        return self._overlap_add(torch.fft.irfft(spectra, n=self.size) * self.window) * self.inverse_power

    def _overlap_add(self, framed: Tensor) -> Tensor:
        """Frames (T, L) added at their places, cut to (T * hop,)."""
        padded = pad(framed, (0, self.overlapping * self.hop - self.size))
        parts = padded.view(self.count, self.overlapping, self.hop)
        total = framed.new_zeros(self.count + self.overlapping, self.hop)
        for part in range(self.overlapping):
            total[part : part + self.count] += parts[:, part]
        half = self.size // 2
        return total.flatten()[half : half + self.count * self.hop]
