"""Columns of a stretch of sound composed anew, with what is on both sides as context; and the splice.

N channels, S samples, M mel bands, T frames, W columns; everything at the composer's rate unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.ambience.composer import Composer, Samples, generator
from foleygen.models.vqgan import PATCH
from foleygen.sampling.parallel_decode import DecodeConfig

FADE_S = 0.05
"""Equal-power fade on each side of what is composed."""
_BESIDE = 8
"""Frames beside a hole whose mel stands in for what is in it, until that is found."""
_NEAR = 4 * PATCH
"""Frames beside a hole that say how loud each band is."""
MOST_CHANGE = 0.1
"""Most by which a band of what was found is raised or lowered to that: 10 dB."""
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


def candidates(composer: Composer, samples: Samples, mask: NDArray[np.bool_], ask: Ask) -> Iterator[Samples]:
    """The stretch (N, W * column) with its columns under ``mask`` (W,) composed anew, time and again.

    All of it has been through the vocoder; what is not masked has its own mel. Channels that are alike stay alike.
    """
    frames = torch.from_numpy(np.repeat(mask, PATCH)).to(composer.device)
    mel = _bridged(composer.hear(samples), frames)
    tokens = composer.encode(mel)
    empty = mel[..., ~frames].amax(-1, keepdim=True) < _EMPTY  # above half the rate of the file
    wanted = torch.from_numpy(mask).to(composer.device).expand(tokens.shape)
    for number in range(ask.candidates):
        rows = [generator("fill", *ask.key, number) for _ in samples]
        found = composer.decode(composer.compose(tokens, wanted, rows, ask.condition, ask.decoding))
        found = _levelled(mel, found, frames).clamp(0, 1).masked_fill(empty, 0)
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


def runs(mask: Sequence[bool] | NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) of the stretches of masked columns."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(mask, bool), [False]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


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


def _levelled(mel: Tensor, found: Tensor, masked: Tensor) -> Tensor:
    """``found`` (N, M, T) with each band of each hole as loud, on the whole, as it is beside the hole."""
    levelled = found.clone()
    for first, last in runs(masked.cpu().numpy()):
        sides = [mel[..., max(0, first - _NEAR) : first], mel[..., last : last + _NEAR]]
        means = [side.mean(-1, keepdim=True) for side in sides if side.shape[-1]]
        if means:
            beside = sum(means[1:], means[0]) / len(means)
            missing = beside - found[..., first:last].mean(-1, keepdim=True)
            levelled[..., first:last] += missing.clamp(-MOST_CHANGE, MOST_CHANGE)
    return levelled
