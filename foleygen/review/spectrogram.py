"""A sound as a small picture: mel bands over time, and the outline of its waveform."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLUMNS = 480
BANDS = 48
_FFT = 2048
_SHORTEST_HOP, _LONGEST_HOP = 64, _FFT // 2
_BLOCK_HOPS = 512
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 16000.0
_FLOOR, _TOP = 0.15, 0.9
"""Of the scale of decibels, where 0.01 is 1 dB: what is drawn as nothing, and as much as there is."""
_COLOURS = np.array([[13, 14, 24], [64, 38, 112], [176, 52, 92], [240, 140, 50], [252, 240, 190]], np.float32)


@dataclass(frozen=True)
class Drawn:
    """One sound, drawn."""

    picture: NDArray[np.uint8]
    """RGB, (BANDS, columns, 3), high bands on top; COLUMNS columns, fewer where the sound is shorter."""
    outline: tuple[int, ...]
    """Largest magnitude, 0 to 255, in each of COLUMNS equal stretches."""


def drawn(chunks: Iterable[NDArray[np.float32]], sample_rate: int, total: int) -> Drawn:
    """A sound of ``total`` samples in mono ``chunks``, (n,) float32 at ``sample_rate`` Hz, in bounded memory."""
    import torch

    from foleygen.audio.mel import MelConfig, MelSpectrogram

    hop = max(_SHORTEST_HOP, min(_LONGEST_HOP, total // COLUMNS))
    highest = min(_HIGHEST_HZ, sample_rate / 2)
    mel = MelSpectrogram(MelConfig(sample_rate, _FFT, hop, BANDS, _LOWEST_HZ, highest))
    frames = max(1, total // hop)
    columns = min(COLUMNS, frames)
    bands, outline = np.zeros((columns, BANDS), np.float32), np.zeros(COLUMNS, np.float32)
    position = 0
    for block in _blocks(chunks, hop * _BLOCK_HOPS, total):
        found = mel(torch.from_numpy(block)[None])[0].numpy()
        places = np.minimum((position // hop + np.arange(found.shape[1])) * columns // frames, columns - 1)
        np.maximum.at(bands, places, found.T)
        places = np.minimum((position + np.arange(len(block))) * COLUMNS // max(1, total), COLUMNS - 1)
        np.maximum.at(outline, places, np.abs(block))
        position += len(block)
    heights = np.rint(np.minimum(outline, 1) * 255).astype(int)
    return Drawn(_coloured(bands.T[::-1]), tuple(heights.tolist()))


def _blocks(chunks: Iterable[NDArray[np.float32]], size: int, total: int) -> Iterable[NDArray[np.float32]]:
    """The first ``total`` samples in blocks of ``size``; the last one may be shorter."""
    held: list[NDArray[np.float32]] = []
    waiting, left = 0, total
    for chunk in chunks:
        chunk = chunk[:left]
        left -= len(chunk)
        held.append(chunk)
        waiting += len(chunk)
        if waiting >= size:
            joined = np.concatenate(held)
            whole = waiting // size * size
            yield from np.split(joined[:whole], whole // size)
            held, waiting = [joined[whole:]], waiting - whole
    if waiting:
        yield np.concatenate(held)


def _coloured(bands: NDArray[np.float32]) -> NDArray[np.uint8]:
    scale = np.clip((bands - _FLOOR) / (_TOP - _FLOOR), 0, 1) * (len(_COLOURS) - 1)
    steps = np.arange(len(_COLOURS))
    channels = [np.interp(scale, steps, _COLOURS[:, channel]) for channel in range(3)]
    picture: NDArray[np.uint8] = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return picture
