"""How loud a sound is, as a whole and after each hit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foleygen.media.loudness import Meter

AFTER_FRAMES = 6
"""Mel frames after a hit over which its level is taken: 96 ms."""
LEAST = 1e-6
CEILING_DB = -1.0


@dataclass(frozen=True)
class Level:
    """Integrated loudness, None for silence, and the highest sample in dB of full scale."""

    lufs: float | None
    peak_db: float

    @property
    def delivered_lufs(self) -> float | None:
        """Under the one gain that keeps the peak at -1 dB, where it is higher."""
        return None if self.lufs is None else self.lufs - max(0.0, self.peak_db - CEILING_DB)


def level_of(samples: NDArray[np.float32], sample_rate: int) -> Level:
    """The level of samples (S,), which may go beyond full scale."""
    peak = max(LEAST, float(np.abs(samples).max(initial=0.0)))
    meter = Meter(sample_rate)
    meter.push(samples / np.float32(max(1.0, peak)))  # the filter's input is full scale at most
    loudness = meter.result().integrated_lufs
    gain = 20 * np.log10(max(1.0, peak))
    return Level(None if loudness is None else float(loudness + gain), float(20 * np.log10(peak)))


def hit_levels(mel: NDArray[np.float32], times: Sequence[float], frame_rate: float) -> NDArray[np.float64]:
    """The power after each of ``times`` in dB, from a mel (M, T) in [0, 1] for 100 dB."""
    levels = []
    for time in times:
        first = min(max(0, round(time * frame_rate)), mel.shape[1] - 1)
        levels.append(10 * np.log10(np.mean(10 ** (10.0 * mel[:, first : first + AFTER_FRAMES].astype(np.float64)))))
    return np.array(levels)


def followed(clips: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float | None:
    """How the levels of hits (K,) follow their strengths (K,), both in dB: the mean correlation.

    Over clips with four hits and more, whose strengths differ by a dB and more.
    """
    found = [
        float(np.corrcoef(levels, strengths)[0, 1])
        for levels, strengths in clips
        if len(levels) >= 4 and strengths.std() >= 1 and levels.std() > 0
    ]
    return float(np.mean(found)) if found else None
