"""Mel spectrograms: the picture of a sound that the autoencoder compresses, on the scale that it was trained with.

N batch, S samples, F linear frequency bins (n_fft // 2 + 1), M mel bands, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Scaling = Literal["decibel", "log"]
"""``decibel`` puts 100 dB on [0, 1], as Diff-Foley does; ``log`` is the natural logarithm of AudioLDM."""

DB_PER_UNIT = 100.0
"""Of a mel in decibels."""
FLOOR = 1e-5
"""Smallest magnitude that enters the logarithm."""

_HZ_PER_MEL = 200.0 / 3.0
_LINEAR_END_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


@dataclass(frozen=True)
class MelConfig:
    """Short-time Fourier transform (periodic Hann window of ``n_fft``) and mel bands; frequencies in Hz, lengths in
    samples. The defaults are those of Diff-Foley and of the MDSGen paper. AudioLDM, and so the released MDSGen, has a
    hop of 160, 64 bands from 0 to 8000 Hz, and the scaling ``log``."""

    sample_rate: int = 16000
    n_fft: int = 1024
    hop_length: int = 256
    num_mels: int = 128
    f_min: float = 125.0
    f_max: float = 7600.0
    scaling: Scaling = "decibel"

    def __post_init__(self) -> None:
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"mel bands from {self.f_min} to {self.f_max} Hz do not fit {self.sample_rate} Hz audio")
        if not 0 < self.hop_length <= self.n_fft // 2:
            raise ValueError(f"hop_length {self.hop_length} is not in 1..{self.n_fft // 2}")

    @property
    def num_bins(self) -> int:
        """Linear frequency bins F."""
        return self.n_fft // 2 + 1

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def in_decibels(self) -> MelConfig:
        """The same bands and frames on the scale of decibels, which everything that judges a mel expects."""
        return replace(self, scaling="decibel")


def mel_basis(config: MelConfig) -> NDArray[np.float32]:
    """Triangular mel filters of unit area on the scale of Slaney's Auditory Toolbox, (M, F).

    The scale is linear below 1 kHz (200/3 Hz a mel) and logarithmic above (27 mels for a factor of 6.4).
    """
    low, high = _hz_to_mel(np.array([config.f_min, config.f_max]))
    corners = _mel_to_hz(np.linspace(low, high, config.num_mels + 2))
    bins = np.linspace(0.0, config.sample_rate / 2, config.num_bins)
    widths = np.diff(corners)[:, None]
    rising = (bins - corners[:-2, None]) / widths[:-1]
    falling = (corners[2:, None] - bins) / widths[1:]
    area = (corners[2:] - corners[:-2])[:, None] / 2
    basis: NDArray[np.float32] = (np.maximum(0.0, np.minimum(rising, falling)) / area).astype(np.float32)
    return basis


def normalise(magnitude: Tensor, scaling: Scaling = "decibel") -> Tensor:
    """Mel magnitude, any shape, on a scale.

    ``decibel``: [0, 1] for 100 dB, where 0.01 is 1 dB and 1 a magnitude of 10 or more. ``log``: nepers, from -11.5.
    """
    if scaling == "log":
        return magnitude.clamp(min=FLOOR).log()
    return (0.2 * torch.log10(magnitude.clamp(min=FLOOR)) + 0.8).clamp(0.0, 1.0)


def denormalise(mel: Tensor, scaling: Scaling = "decibel") -> Tensor:
    """Mel, any shape, back to mel magnitude; silence comes back as 1e-4 (``decibel``) or FLOOR. Nothing is clipped."""
    return mel.exp() if scaling == "log" else torch.pow(10.0, 5.0 * mel - 4.0)


def to_decibels(mel: Tensor, scaling: Scaling) -> Tensor:
    """Mel of any shape and ``scaling`` in [0, 1], where 0.01 is 1 dB; one that is on that scale stays as it is."""
    return mel if scaling == "decibel" else normalise(denormalise(mel, scaling))


class MelSpectrogram(nn.Module):
    """Samples (N, S) in [-1, 1] to mel (N, M, S // hop_length) in the configuration's scaling; band 0 is the lowest.

    Frames are centred on multiples of the hop and padded with zeros outside. As in Diff-Foley the last sample is
    dropped first, so that a window of whole hops has exactly its hops as frames. (AudioLDM mirrors the sound at its
    ends and brings its peak to 0.5 first; the released MDSGen does not say whether it did. Neither is done here.)
    """

    window: Tensor
    basis: Tensor

    def __init__(self, config: MelConfig | None = None) -> None:
        super().__init__()
        self.config = config or MelConfig()
        self.register_buffer("window", torch.hann_window(self.config.n_fft), persistent=False)
        self.register_buffer("basis", torch.from_numpy(mel_basis(self.config)), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        hop, n_fft = self.config.hop_length, self.config.n_fft
        frames = samples.shape[-1] // hop
        if frames == 0:
            return samples.new_zeros(*samples.shape[:-1], self.config.num_mels, 0)
        stft = torch.stft(
            samples[..., :-1], n_fft, hop, window=self.window, center=True, pad_mode="constant", return_complex=True
        )
        magnitude = stft[..., :frames].abs()  # (N, F, T)
        return normalise(self.basis @ magnitude, self.config.scaling)  # (N, M, T)


class NonNegativeInverse(nn.Module):
    """Mel magnitude (N, M, T) to the linear magnitude (N, F, T) whose mel it is: non-negative least squares.

    Accelerated projected gradient (Beck and Teboulle 2009, FISTA) from the clamped minimum-norm solution, on all
    frames of a row at once, until no frame's step is longer than ``tolerance`` of the largest magnitude, or
    ``max_iterations``. Each band is first divided by the norm of its filter, which levels the curvature and decides
    the compromise only where no exact solution exists. Rows do not depend on each other.
    """

    row_scale: Tensor
    start: Tensor
    analysis: Tensor
    synthesis: Tensor

    def __init__(self, config: MelConfig | None = None, tolerance: float = 1e-4, max_iterations: int = 200) -> None:
        super().__init__()
        self.config = config or MelConfig()
        self.tolerance, self.max_iterations = tolerance, max_iterations
        basis = torch.from_numpy(mel_basis(self.config)).double()
        heard = basis.any(dim=0).nonzero().flatten()
        self._first, self._beyond = int(heard[0]), self.config.num_bins - 1 - int(heard[-1])
        basis = basis[:, self._first : self.config.num_bins - self._beyond]
        row_scale = 1 / basis.norm(dim=1, keepdim=True).clamp(min=1e-12)
        row_scale = row_scale / torch.linalg.matrix_norm(basis * row_scale, ord=2)  # makes 1 a safe step
        scaled = (basis * row_scale).float()
        self.register_buffer("row_scale", row_scale.float(), persistent=False)
        self.register_buffer("start", torch.linalg.pinv(scaled.double()).float(), persistent=False)
        self.register_buffer("analysis", scaled.to_sparse().coalesce(), persistent=False)  # two entries a column
        self.register_buffer("synthesis", scaled.T.to_sparse().coalesce(), persistent=False)

    def forward(self, mel_magnitude: Tensor) -> Tensor:
        rows = [self._solve(row * self.row_scale) for row in mel_magnitude]
        if not rows:
            return mel_magnitude.new_zeros(0, self.config.num_bins, mel_magnitude.shape[-1])
        return nn.functional.pad(torch.stack(rows), (0, 0, self._first, self._beyond))

    def _solve(self, target: Tensor) -> Tensor:
        """Scaled mel (M, T) to the magnitude of the bins that any band hears, (heard bins, T)."""
        current = (self.start @ target).clamp_(min=0.0)
        ahead, momentum = current, 1.0
        for iteration in range(1, self.max_iterations + 1):
            residual = torch.addmm(target, self.analysis, ahead, beta=-1.0)
            new = torch.addmm(ahead, self.synthesis, residual, alpha=-1.0).clamp_(min=0.0)
            if iteration % 10 == 0 and (new - ahead).abs().max() <= self.tolerance * new.max():
                return new
            next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = torch.lerp(current, new, 1 + (momentum - 1) / next_momentum)
            current, momentum = new, next_momentum
        return current


def _hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = hz / _HZ_PER_MEL
    logarithmic = _LINEAR_END_HZ / _HZ_PER_MEL + np.log(np.maximum(hz, _LINEAR_END_HZ) / _LINEAR_END_HZ) / _LOG_STEP
    return np.where(hz < _LINEAR_END_HZ, linear, logarithmic)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear_end = _LINEAR_END_HZ / _HZ_PER_MEL
    logarithmic = _LINEAR_END_HZ * np.exp(_LOG_STEP * np.maximum(mel - linear_end, 0.0))
    return np.where(mel < linear_end, mel * _HZ_PER_MEL, logarithmic)
