"""How near a sound is to the true one: levels, pitch detail, spectra.

Mels are normalised, (M, T) in [0, 1], where 0.01 is 1 dB; samples are (S,) in [-1, 1]. N clips, M mels, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from foleygen.audio.mel import DB_PER_UNIT
from foleygen.errors import UsageError
from foleygen.evaluation.report import Cell, text_table
from foleygen.evaluation.sync import other_clips

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""FFT size, hop and window in samples of the multi-resolution STFT distance (Yamamoto et al., Parallel WaveGAN)."""
SILENCE = 1e-5
"""Least magnitude whose logarithm counts: below it there is nothing to hear."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReconstructionReport:
    """Means over clips of how found sounds differ from the true ones.

    ``mel_l1`` is in units of the mel, ``log_spectral_distance_db`` in dB. ``frequency_gradient_ratio`` is the share of
    pitch detail that is left: 1 is all. ``spectrum_l1`` is between time-mean spectra, ``spectrum_l1_other_clip`` the
    same against another clip of the family, ``true_spectrum_l1_other_clip`` that of the true sounds among themselves.
    ``stft`` is None if no samples were given.
    """

    clips: int
    mel_l1: float
    log_spectral_distance_db: float
    frequency_gradient_ratio: float | None
    spectrum_l1: float
    spectrum_l1_other_clip: float | None
    true_spectrum_l1_other_clip: float | None
    stft: float | None

    def table(self) -> str:
        """The report as text."""
        rows: list[list[Cell]] = [
            ["mel L1", self.mel_l1],
            ["log-spectral distance, dB", self.log_spectral_distance_db],
            ["gradient along frequency, found / true", self.frequency_gradient_ratio],
            ["mean spectrum L1, own clip", self.spectrum_l1],
            ["mean spectrum L1, other clip of the family", self.spectrum_l1_other_clip],
            ["mean spectrum L1, true against other true", self.true_spectrum_l1_other_clip],
            ["multi-resolution STFT distance", self.stft],
        ]
        return text_table([f"{self.clips} clips", ""], rows, digits=4)


def evaluate(
    found: Sequence[ArrayLike],
    true: Sequence[ArrayLike],
    families: Sequence[str],
    found_samples: Sequence[ArrayLike] | None = None,
    true_samples: Sequence[ArrayLike] | None = None,
) -> ReconstructionReport:
    """Compare mels (M, T), and samples (S,) if given; the i-th entries belong together.

    Raises UsageError when there are no clips, the lists differ in length or two mels in shape.
    """
    ours, theirs = ([np.asarray(mel, dtype=np.float64) for mel in mels] for mels in (found, true))
    if not ours or len({len(ours), len(theirs), len(families)}) != 1:
        raise UsageError("reconstruction was given lists of different lengths or no clips", "give one per clip")
    for index, (mel, other) in enumerate(zip(ours, theirs, strict=True)):
        if mel.shape != other.shape:
            raise UsageError(f"clip {index}: the mels are {mel.shape} and {other.shape}", "give sounds of one length")
    pairs = list(zip(ours, theirs, strict=True))
    others = other_clips(families)
    stft = None
    if found_samples is not None and true_samples is not None:
        stft = _mean([stft_distance(f, t) for f, t in zip(found_samples, true_samples, strict=True)])
    return ReconstructionReport(
        clips=len(pairs),
        mel_l1=_mean([mel_l1(f, t) for f, t in pairs]) or 0.0,
        log_spectral_distance_db=_mean([log_spectral_distance(f, t) for f, t in pairs]) or 0.0,
        frequency_gradient_ratio=frequency_gradient_ratio(ours, theirs),
        spectrum_l1=_mean([spectrum_l1(f, t) for f, t in pairs]) or 0.0,
        spectrum_l1_other_clip=_mean([spectrum_l1(ours[i], theirs[j]) for i, j in others]),
        true_spectrum_l1_other_clip=_mean([spectrum_l1(theirs[i], theirs[j]) for i, j in others]),
        stft=stft,
    )


def mel_l1(found: Floats, true: Floats) -> float:
    """Mean absolute difference of two mels (M, T)."""
    return float(np.abs(found - true).mean())


def log_spectral_distance(found: Floats, true: Floats) -> float:
    """Mean over frames of the root mean square difference over bands of two mels (M, T), dB."""
    return DB_PER_UNIT * float(np.sqrt(np.square(found - true).mean(axis=0)).mean())


def spectrum_l1(found: Floats, true: Floats) -> float:
    """Mean absolute difference of the time-mean spectra of two mels, (M, T) and (M, T')."""
    return float(np.abs(found.mean(axis=1) - true.mean(axis=1)).mean())


def frequency_gradient(mel: Floats) -> float:
    """Mean absolute step from band to band of the time-mean spectrum of a mel (M, T)."""
    return float(np.abs(np.diff(mel.mean(axis=1))).mean())


def frequency_gradient_ratio(found: Sequence[Floats], true: Sequence[Floats]) -> float | None:
    """Summed frequency gradient of found over that of true mels; below 1 pitch is smeared. None if truth is flat."""
    whole = sum(map(frequency_gradient, true))
    return sum(map(frequency_gradient, found)) / whole if whole > 0 else None


def stft_distance(found: ArrayLike, true: ArrayLike) -> float:
    """Mean over RESOLUTIONS of spectral convergence plus L1 of log magnitudes (nats); samples (S,) of one length."""
    ours, theirs = (torch.as_tensor(np.asarray(x), dtype=torch.float32) for x in (found, true))
    if ours.shape != theirs.shape:
        raise UsageError(f"sounds of {len(ours)} and {len(theirs)} samples are compared", "give sounds of one length")
    total = 0.0
    for n_fft, hop, window in RESOLUTIONS:
        first, second = (_magnitude(x, n_fft, hop, window) for x in (ours, theirs))
        convergence = torch.linalg.norm(second - first) / torch.linalg.norm(second).clamp(min=SILENCE)
        total += float(convergence + (second.log() - first.log()).abs().mean())
    return total / len(RESOLUTIONS)


def _magnitude(samples: torch.Tensor, n_fft: int, hop: int, window: int) -> torch.Tensor:
    spectrum = torch.stft(
        samples, n_fft, hop, window, torch.hann_window(window), pad_mode="constant", return_complex=True
    )
    return spectrum.abs().clamp(min=SILENCE)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
