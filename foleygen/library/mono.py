"""The mean of a recording's channels: read once in blocks, and again in parts around what was found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import ClipError, printable
from foleygen.library import reading
from foleygen.media.channels import in_stereo

BLOCK_S = 4.0
LOWEST_RATE, HIGHEST_RATE = 4000, 1_536_000
"""Hz; DSD that was made PCM is the highest that there is."""
MAX_CHANNELS = 128
SIDE_DB = -50.0
"""Left and right of a recording differ if half their difference is no fainter than that beside half their sum: what is
fainter comes of converters and coders, and is no image."""
CANCELLED_DB = 30.0
"""Left and right cancel each other if half their sum is so much fainter than half their difference."""
_LOUDEST = 1e3
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
        self._middle = self._side = 0.0
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE or self.channels > MAX_CHANNELS:
            fact = f"{printable(path)}: says that it has {self.channels} channels at {self.sample_rate} Hz"
            raise ClipError(fact, f"convert it to at most {MAX_CHANNELS} channels and at least {LOWEST_RATE} Hz")

    @property
    def is_stereo(self) -> bool:
        """Whether left and right differ, once ``blocks`` was through."""
        return self._side > self._middle * 10 ** (SIDE_DB / 10)

    @property
    def is_cancelled(self) -> bool:
        """Whether left and right cancel each other, once ``blocks`` was through."""
        return self._side > self._middle * 10 ** (CANCELLED_DB / 10)

    def blocks(self) -> Iterator[Samples]:
        """All of it, in order, BLOCK_S at a time; ``samples`` is as many as there were, when this is through."""
        short = 0 < self.samples <= _KEPT
        parts: list[Samples] = []
        count, block = 0, max(1, round(BLOCK_S * self.sample_rate))
        self._middle = self._side = 0.0
        with reading.opened(self.path) as file:
            while len(frames := file.read(block, dtype="float32", always_2d=True)):
                frames = _numbers(frames)
                mono = np.asarray(frames.mean(axis=1), np.float32)
                self._compare(frames)
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
        mono = np.asarray(_numbers(reading.part(self.path, low, high).T).mean(axis=1), np.float32)
        return np.pad(mono, (0, high - low - len(mono)))

    def _compare(self, frames: Samples) -> None:
        """Add the power of what is alike in left and right of ``frames`` (S, C), and of what is not."""
        if self.channels > 1:
            left, right = in_stereo(frames.T)
            self._middle += float(np.square((left + right) / 2).sum(dtype=np.float64))
            self._side += float(np.square((left - right) / 2).sum(dtype=np.float64))


def _numbers(frames: Samples) -> Samples:
    """What is no number is silence, and what is far above full scale comes of a broken file."""
    return np.clip(np.nan_to_num(frames, nan=0.0, posinf=0.0, neginf=0.0), -_LOUDEST, _LOUDEST)
