"""Columns of a stretch of sound composed anew, with what is on both sides as context; and the splice.

N channels, S samples, M mel bands, T frames, W columns; everything at the composer's rate unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.audio.runs import runs
from foleygen.engines.composer import Composer, Samples
from foleygen.models.vqgan import PATCH
from foleygen.sampling.noise import generator
from foleygen.sampling.parallel_decode import DecodeConfig

FADE_S = 0.05
"""Equal-power fade on each side of what is composed."""
_BESIDE = 8
"""Frames beside a hole whose mel stands in for what is in it, until that is found."""
_NEAR = (PATCH, 8 * PATCH)
"""Least and most frames on each side of a hole that say how loud each band is and how much it varies; in between it is
half as many again as are missing."""
MOST_CHANGE = 0.1
"""Most by which a band of what goes on without an end is raised or lowered: 10 dB."""
_MOST_LEVEL = 0.3
"""Most by which a band in a hole is raised or lowered to what is beside it: 30 dB."""
_MOST_VARIED = 3.0
"""Most by which its changes in time are stretched or flattened."""
_EMPTY = 0.05
"""A band that stays below this (95 dB down) on both sides is not filled."""
_WORKING_PEAK = 0.5
_MOST_GAIN = 10 ** (40 / 20)


@dataclass(frozen=True)
class Ask:
    """What is to be composed: ``key`` is all that the random numbers depend on, the condition is (1, C)."""

    key: tuple[object, ...]
    condition: Tensor | None
    decoding: DecodeConfig
    candidates: int


def candidates(
    composer: Composer, samples: Samples, mask: NDArray[np.bool_], ask: Ask, hole: tuple[int, int] | None = None
) -> Iterator[Samples]:
    """The stretch (N, W * column) with its columns under ``mask`` (W,) composed anew, time and again.

    All of it has been through the vocoder; what is not masked has its own mel, and with a ``hole`` (first and last
    sample) so has what is masked and out of its reach. Channels that are alike stay alike.
    """
    frames = torch.from_numpy(_reached(composer, mask, hole)).to(composer.device)
    mel = _bridged(composer.hear(samples), frames)
    tokens = composer.encode(mel)
    empty = mel[..., ~frames].amax(-1, keepdim=True) < _EMPTY  # above half the rate of the file
    wanted = torch.from_numpy(mask).to(composer.device).expand(tokens.shape)
    for number in range(ask.candidates):
        rows = [generator("fill", *ask.key, number) for _ in samples]
        found = composer.decode(composer.compose(tokens, wanted, rows, ask.condition, ask.decoding))
        found = _likened(mel, found, frames).clamp(0, 1).masked_fill(empty, 0)
        yield composer.sound(torch.where(frames, found, mel))


def level(samples: Samples) -> float:
    """The factor that brings a sound to where the models have heard most; 1 for silence."""
    peak = float(np.abs(samples).max(initial=0.0))
    return min(_MOST_GAIN, _WORKING_PEAK / peak) if peak > 0 else 1.0


def spliced(outside: Samples, inside: Samples, first: int, last: int, fade: int) -> Samples:
    """(N, last - first): ``inside`` from ``first`` to ``last``, both (N, S), faded in constant power to what is around.

    Within the hole nothing of ``outside`` is heard: each fade is from the sound beside the hole, backwards.
    """
    filled = inside[:, first:last].copy()
    before = outside[:, max(0, first - fade) : first][:, ::-1]
    after = outside[:, last : last + fade][:, ::-1]
    _fade(filled, before, slice(0, before.shape[1]), rising=True)
    _fade(filled, after, slice(filled.shape[1] - after.shape[1], None), rising=False)
    return filled


def ramp(length: int) -> NDArray[np.float32]:
    """A quarter of a sine, (length,), rising; with its mirror image it has constant power."""
    angle = (np.arange(length, dtype=np.float64) + 0.5) * (np.pi / 2 / max(1, length))
    return np.asarray(np.sin(angle), np.float32)


def _fade(filled: Samples, other: Samples, where: slice, rising: bool) -> None:
    ours = ramp(other.shape[1])
    ours, theirs = (ours, ours[::-1]) if rising else (ours[::-1], ours)
    filled[:, where] = filled[:, where] * ours + other * theirs


def _bridged(mel: Tensor, masked: Tensor) -> Tensor:
    """Mel (N, M, T) whose masked frames go straight from one side to the other, so that nothing of them is heard."""
    bridged = mel.clone()
    for first, last in runs(masked.cpu().numpy()):
        sides = [mel[..., max(0, first - _BESIDE) : first], mel[..., last : last + _BESIDE]]
        means = [side.mean(-1, keepdim=True) for side in sides if side.shape[-1]]
        share = torch.linspace(0, 1, last - first, device=mel.device)
        bridged[..., first:last] = means[0] + (means[-1] - means[0]) * share if means else 0
    return bridged


def _reached(composer: Composer, mask: NDArray[np.bool_], hole: tuple[int, int] | None) -> NDArray[np.bool_]:
    """(T,): the frames of masked columns whose analysis hears something of the hole; without one, all of them."""
    frames = np.repeat(mask, PATCH)
    if hole is None:
        return frames
    middle = np.arange(len(frames)) * composer.mel_config.hop_length
    half = composer.mel_config.n_fft // 2
    reached: NDArray[np.bool_] = frames & (middle + half > hole[0]) & (middle - half < hole[1])
    return reached


def _likened(mel: Tensor, found: Tensor, masked: Tensor) -> Tensor:
    """``found`` (N, M, T) with each band of each hole as loud, and as varied, as it is on the whole beside the hole.

    Tokens keep less of the changes in time than there are, and guess at levels that the neighbours know.
    """
    likened = found.clone()
    for first, last in runs(masked.cpu().numpy()):
        near = min(max(3 * (last - first) // 2, _NEAR[0]), _NEAR[1])
        around = (mel[..., max(0, first - near) : first], mel[..., last : last + near])
        sides = [side for side in around if side.shape[-1] > 1]
        if not sides:
            continue
        inside = found[..., first:last]
        mean = inside.mean(-1, keepdim=True)
        beside, varied = (torch.stack(values).mean(0) for values in zip(*map(_statistics, sides), strict=True))
        ratio = varied / inside.std(-1, keepdim=True, correction=0).clamp_min(1e-3)
        level = mean + (beside - mean).clamp(-_MOST_LEVEL, _MOST_LEVEL)
        likened[..., first:last] = level + (inside - mean) * ratio.clamp(1 / _MOST_VARIED, _MOST_VARIED)
    return likened


def _statistics(mel: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation in time of mel (N, M, T), (N, M, 1) each."""
    return mel.mean(-1, keepdim=True), mel.std(-1, keepdim=True, correction=0)
