"""The model's sound and what is laid into it -> one sound at 48 kHz, chunk by chunk.

Places are samples of the take at 48 kHz. In memory are the chunk at hand and the hits that are heard in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Dip:
    """A stretch in which the model is not heard: it gives way from ``begin`` to ``gone``, and is back from ``again``
    to ``end``."""

    begin: int
    gone: int
    again: int
    end: int

    def gain(self, first: int, length: int) -> NDArray[np.float64]:
        """What is left of the model in the ``length`` samples from ``first`` on."""
        places = np.arange(first, first + length)
        share = np.interp(places, (self.begin, self.gone, self.again, self.end), (1.0, 0.0, 0.0, 1.0))
        gain: NDArray[np.float64] = np.sin(share * (np.pi / 2))
        return gain


@dataclass(frozen=True)
class Laid:
    """A sound that begins at ``first``, and where the model gives way to it; either may be nothing."""

    begin: int
    """From where on it counts: neither the sound nor the dip begins earlier."""
    first: int
    samples: Samples
    """(S,), or of two channels (2, S)."""
    dip: Dip | None = None

    @property
    def end(self) -> int:
        """From where on it does not count any more."""
        end = self.first + int(self.samples.shape[-1])
        return end if self.dip is None else max(end, self.dip.end)


def mixed(own: Iterable[Samples], laid: Iterable[Laid], gain_db: float = 0.0) -> Iterator[Samples]:
    """``own``, the model's chunks under ``gain_db``, less where it gives way, and with what is ``laid`` into it.

    Chunks (n,) as they came, or (2, n) where something of two channels is in them: the model is in the middle then.
    ``laid`` is drawn from as the chunks reach it, and comes in the order of ``Laid.begin``.
    """
    waiting, active = iter(laid), list[Laid]()
    coming = next(waiting, None)
    position, factor = 0, 10 ** (gain_db / 20)
    for chunk in own:
        end = position + len(chunk)
        while coming is not None and coming.begin < end:
            active.append(coming)
            coming = next(waiting, None)
        yield _sum(chunk, position, active, factor)
        position = end
        active = [one for one in active if one.end > end]


def _sum(chunk: Samples, position: int, active: list[Laid], factor: float) -> Samples:
    if not active and factor == 1.0:
        return chunk
    gain = np.full(len(chunk), factor)
    is_stereo = any(one.samples.ndim == 2 for one in active)
    added = np.zeros((2, len(chunk)) if is_stereo else len(chunk))
    for one in active:
        if one.dip is not None:
            gain = np.minimum(gain, factor * one.dip.gain(position, len(chunk)))
        begin, end = max(one.first, position), min(one.first + one.samples.shape[-1], position + len(chunk))
        if begin < end:
            added[..., begin - position : end - position] += one.samples[..., begin - one.first : end - one.first]
    return np.asarray(chunk * gain + added, np.float32)
