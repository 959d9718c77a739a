"""A steady stretch of a recording -> a sound that goes on for as long as it is wanted, without a seam.

It is played to a joint near its end and goes on from near its beginning: a joint is where the two are most alike and
equally loud, and there the one fades into the other. Arrays are (..., S): time is the last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from foleygen.facts import SAMPLE_RATE
from foleygen.library.rates import changed

FADE_S = 0.25
"""How long a joint is, in a stretch that is long enough."""
JOINTS = 4
"""From which chance chooses, so that what comes round is not always the same."""
_CANDIDATES = 16
_PER_DB = 0.25
"""What a joint is worth less, as a correlation, for each dB by which its ends differ from each other and the rest."""
_GOOD = 0.15
"""A joint that is worth less than the best by more than that is none."""
_EARLIEST, _LATEST = 0.6, 0.4
"""Shares of a stretch: from where on it may be left, and until where it may be entered."""
_SHORT_S, _SHORT_EARLIEST, _SHORT_LATEST = 4.0, 0.75, 0.125
"""The same of one that is so short that it comes round soon: next to all of it is played each time."""
_EDGE_S = 0.01
"""What is left away at either end, where a filter has heard silence."""

Samples = NDArray[np.floating]


@dataclass(frozen=True)
class Joint:
    """From the ``fade`` samples before ``leave`` to those from ``enter`` on."""

    leave: int
    enter: int
    likeness: float
    """The correlation of the two."""


@dataclass(frozen=True)
class Loop:
    """A stretch (..., S) at 48 kHz and its joints, the best first."""

    samples: Samples
    joints: tuple[Joint, ...]
    fade: int

    def start(self, length: int, share: float) -> int:
        """Where to begin a sound of ``length`` samples; ``share`` in 0..1 is chance."""
        spare = self.samples.shape[-1] - length
        most = spare if spare >= 0 else min(joint.leave for joint in self.joints) - 2 * self.fade
        return int(share * max(0, most))

    def sound(self, length: int, start: int, share: Callable[[int], float]) -> Iterator[Samples]:
        """``length`` samples from ``start`` on in parts (..., n), a round each; ``share`` is the chance of a round."""
        place, left, rounds = start, length, 0
        head = self.samples[..., :0]
        while left > 0:
            joint = self.joints[int(share(rounds) * len(self.joints))]
            is_last = head.shape[-1] + self.samples.shape[-1] - place >= left
            end = self.samples.shape[-1] if is_last else joint.leave - self.fade
            part = np.concatenate([head, self.samples[..., place:end]], axis=-1)[..., :left]
            yield part
            left -= part.shape[-1]
            head, place, rounds = self._joined(joint), joint.enter + self.fade, rounds + 1

    def _joined(self, joint: Joint) -> Samples:
        """The ``fade`` samples of a joint: as loud all through as the two that it is made of."""
        turn = (np.arange(self.fade) + 0.5) / self.fade * (np.pi / 2)
        old, new = np.cos(turn), np.sin(turn)
        loud = np.sqrt(1 + 2 * old * new * max(joint.likeness, 0.0))
        leaving = self.samples[..., joint.leave - self.fade : joint.leave]
        entering = self.samples[..., joint.enter : joint.enter + self.fade]
        return np.asarray((old * leaving + new * entering) / loud, self.samples.dtype)


def looped(samples: Samples, rate: int) -> Loop:
    """The steady stretch (..., S) at ``rate`` Hz, half a second or more of it, as a loop."""
    numbers = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    at_48k = changed(numbers, rate, SAMPLE_RATE)
    edge = round(_EDGE_S * SAMPLE_RATE) if rate != SAMPLE_RATE else 0
    whole = np.asarray(at_48k[..., edge : at_48k.shape[-1] - edge], np.float32)
    fade = min(round(FADE_S * SAMPLE_RATE), whole.shape[-1] // 8)
    heard = whole.reshape(-1, whole.shape[-1]).mean(axis=0, dtype=np.float64)
    return Loop(whole, _joints(heard, fade), fade)


def _joints(heard: NDArray[np.float64], fade: int) -> tuple[Joint, ...]:
    """The best joints of mono samples (S,), at most JOINTS."""
    size = len(heard)
    is_short = size < _SHORT_S * SAMPLE_RATE
    earliest, latest = (_SHORT_EARLIEST, _SHORT_LATEST) if is_short else (_EARLIEST, _LATEST)
    last = int(latest * size)
    early = heard[: last + fade]
    energies = _energies(early, fade)
    usual = _decibels(np.array([np.mean(heard**2) * fade]))[0]
    found = []
    for leave in np.linspace(earliest * size + fade, size, _CANDIDATES).astype(int):
        leaving = heard[leave - fade : leave]
        energy = float(leaving @ leaving)
        product = fftconvolve(early, leaving[::-1], mode="valid")
        alike = product / np.sqrt(np.maximum(energies * energy, 1e-20))
        level, levels = float(_decibels(np.array([energy]))[0]), _decibels(energies)
        worth = alike - _PER_DB * (np.abs(levels - level) + np.abs(levels - usual) + abs(level - usual))
        enter = int(np.argmax(worth))
        found.append((float(worth[enter]), Joint(int(leave), enter, float(np.clip(alike[enter], -1, 1)))))
    ordered = sorted(found, key=lambda one: (-one[0], one[1].leave))
    least = ordered[0][0] - _GOOD
    return tuple(joint for worth, joint in ordered[:JOINTS] if worth >= least)


def _energies(samples: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Of the ``width`` samples from each on."""
    cumulated = np.concatenate([[0.0], np.cumsum(samples**2)])
    found: NDArray[np.float64] = np.maximum(cumulated[width:] - cumulated[:-width], 0.0)
    return found


def _decibels(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 10 * np.log10(np.maximum(energies, 1e-12))
    return found
