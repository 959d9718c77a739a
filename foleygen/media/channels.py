"""Sounds of one channel, (n,), and of two, (2, n): from any number of channels to two, and from one to both.

C channels, n samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

LAYOUTS = {1: "mono", 2: "stereo"}
"""How FFmpeg's libraries call them."""
_SIDES = {
    3: ((1, 0, 0.7071), (0, 1, 0.7071)),
    4: ((1, 0, 0.7071, 0), (0, 1, 0, 0.7071)),
    5: ((1, 0, 0.7071, 0.7071, 0), (0, 1, 0.7071, 0, 0.7071)),
    6: ((1, 0, 0.7071, 0, 0.7071, 0), (0, 1, 0.7071, 0, 0, 0.7071)),
}
"""How much of each channel goes left and right, by their number; 5.1 as ITU-R BS.775 mixes it down."""


def in_stereo(samples: Samples) -> Samples:
    """Samples (C, n) as (2, n): one channel in both, more than two mixed down, seven and more as their mean in both."""
    channels = len(samples)
    if channels <= 2:
        return np.repeat(samples, 2, axis=0)[:2] if channels == 1 else samples
    sides = np.array(_SIDES.get(channels, np.full((2, channels), 1 / channels)), np.float32)
    return np.asarray(sides @ samples, np.float32)


def centred(chunk: Samples, channels: int) -> Samples:
    """A chunk, (n,) or (2, n), as one of ``channels``, 1 or 2: a single channel is heard in the middle of both."""
    return chunk if chunk.ndim == channels else np.ascontiguousarray(np.broadcast_to(chunk, (channels, len(chunk))))


def frames(chunk: Samples) -> bytes:
    """A chunk, (n,) or (2, n), as a spool keeps it: the channels take turns."""
    return np.ascontiguousarray(chunk.T, np.float32).tobytes()


def chunk_of(block: bytes, channels: int) -> Samples:
    """The chunk, (n,) or (2, n), that ``frames`` has made bytes of."""
    samples = np.frombuffer(block, np.float32)
    return samples if channels == 1 else np.ascontiguousarray(samples.reshape(-1, channels).T)


def mean(chunk: Samples) -> Samples:
    """A chunk, (n,) or (2, n), as one channel (n,)."""
    return chunk if chunk.ndim == 1 else np.asarray(chunk.mean(axis=0), np.float32)


@dataclass(frozen=True)
class Centred:
    """``sound`` in so many channels; anew at each iteration."""

    sound: Iterable[Samples]
    channels: int

    def __iter__(self) -> Iterator[Samples]:
        return (centred(chunk, self.channels) for chunk in self.sound)
