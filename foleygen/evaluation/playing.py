"""Hits that were played, one by one: whether each is on its cue, has no click, and is not the one before it.

S samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample

from foleygen.facts import SAMPLE_RATE, Played
from foleygen.pipeline.voices.recorded import sounded
from foleygen.pipeline.voices.shelf import Shelf

CLICK = 1.05
"""A sample step that is as many times that of the recording itself is one that playing has added."""
_LOOK_S = 0.04
"""How far from its cue an attack is looked for."""
_SIDE_S = 0.003
"""What is compared before and after an attack."""

Samples = NDArray[np.float32]


def leaps(samples: Samples, times: Sequence[float] | NDArray[np.float64]) -> list[float]:
    """How far, in seconds, the level of samples (S,) at 48 kHz leaps up most from each of ``times``, within 40 ms."""
    side, look = round(_SIDE_S * SAMPLE_RATE), round(_LOOK_S * SAMPLE_RATE)
    power = np.cumsum(np.concatenate([[0.0], np.square(samples, dtype=np.float64)]))
    errors = []
    for moment in times:
        places = np.arange(-look, look + 1) + round(moment * SAMPLE_RATE)
        places = places[(places >= side) & (places < len(power) - side)]
        after, before = power[places + side] - power[places], power[places] - power[places - side]
        floor = 1e-3 * max(float(after.max(initial=0.0)), 1e-12)
        leap = np.log((after + floor) / (before + floor))
        errors.append(abs(float(places[np.argmax(leap)]) / SAMPLE_RATE - moment) if len(places) else np.inf)
    return errors


def has_click(shelf: Shelf, event: int, one: Played) -> bool:
    """Whether the sound as it was laid has a larger step, relative to its level, than the recording itself as played.

    What a recording begins with is its own step, where the event is the first thing in it.
    """
    samples, rate, attack = shelf.index.sound(event, before_s=0.01)
    made = sounded(samples, rate, attack, level_db=-20.0, cents=one.cents)
    laid = _steepest(np.pad(made.samples, 960), SAMPLE_RATE) / 10 ** (made.gain_db / 20)
    mono = np.pad(samples.mean(axis=0), (0, round(0.02 * rate)), mode="edge")
    lead = np.zeros(round(0.02 * rate), np.float32) if attack < round(0.01 * rate) else mono[:0]
    raw = _steepest(np.concatenate([lead, mono]), rate * 2 ** (one.cents / 1200))
    return laid > CLICK * raw


def _steepest(samples: Samples, rate: float) -> float:
    """The largest step of samples (S,) at four times 48 kHz, where it does not depend on where the samples fall."""
    fine = resample(samples, round(len(samples) * 4 * SAMPLE_RATE / rate))
    edge = round(0.001 * 4 * SAMPLE_RATE)  # where the ends meet
    return float(np.abs(np.diff(fine[edge:-edge])).max())


def repeats(played: Sequence[Played]) -> int:
    """How many of them are the event before once more."""
    places = [(one.file, one.file_s) for one in played]
    return sum(before == after for before, after in pairwise(places))
