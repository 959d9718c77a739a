"""The mean of a recording's channels: read once in blocks, and again in parts around what was found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foleygen.library import reading

BLOCK_S = 4.0
_KEPT = 1 << 23
"""Samples that stay in memory, 32 MiB: three minutes at 48 kHz. Of longer recordings parts are read again."""

Samples = NDArray[np.float32]


class Mono:
    """The recording in ``path``, S ``samples`` long. Raises ClipError, here and wherever it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading.opened(path) as file:
            self.sample_rate, self.channels, self.samples = file.samplerate, file.channels, file.frames
            self.format: str = file.format
            self.tags: dict[str, str] = file.copy_metadata()
        self._kept: Samples | None = None

    def blocks(self) -> Iterator[Samples]:
        """All of it, in order, BLOCK_S at a time; ``samples`` is as many as there were, when this is through."""
        short = 0 < self.samples <= _KEPT
        parts: list[Samples] = []
        count, block = 0, max(1, round(BLOCK_S * self.sample_rate))
        with reading.opened(self.path) as file:
            while len(frames := file.read(block, dtype="float32", always_2d=True)):
                mono = _numbers(frames.mean(axis=1))
                count += len(mono)
                if short:
                    parts.append(mono)
                yield mono
        self.samples = count
        self._kept = np.concatenate([np.zeros(0, np.float32), *parts]) if short else None

    def part(self, first: int, last: int) -> Samples:
        """Samples from ``first`` to ``last``; silence before the recording and after it."""
        low, high = max(0, first), max(0, min(self.samples, last))
        found = np.zeros(last - first, np.float32)
        if low < high:
            found[low - first : high - first] = self._read(low, high)[: high - low]
        return found

    def _read(self, low: int, high: int) -> Samples:
        if self._kept is not None:
            return self._kept[low:high]
        mono = reading.part(self.path, low, high).mean(axis=0)
        return _numbers(np.pad(mono, (0, high - low - len(mono))))


def _numbers(samples: Samples) -> Samples:
    """What is no number is silence."""
    return np.asarray(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0), np.float32)
