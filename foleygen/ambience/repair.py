"""Joints of a sound composed anew, where that makes them stand out less.

S samples at the sound's own rate, W columns; times are seconds from the beginning of the stretch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from foleygen.ambience.fill import resampled_rows
from foleygen.ambience.inpaint import FADE_S, Ask, candidates, level, ramp
from foleygen.audio import seams
from foleygen.audio.runs import runs
from foleygen.engines.composer import Composer, Samples

CANDIDATES = 3
"""Ways to repair a joint that are tried."""
COLUMNS = 6
"""Columns (1.1 s) that are composed around a joint."""
EVENT_S = 0.03
"""A column is kept if an event begins in it, or this much after or before."""


@dataclass(frozen=True)
class Joint:
    """Where a joint is and which stretch around it is listened to, in samples of the sound; ``half`` of its fade."""

    place: int
    half: int
    begin: int
    end: int
    columns: int
    first: int
    """Column of the stretch at which what is composed begins; the joint is in the middle of COLUMNS."""


def plan(composer: Composer, rate: int, total: int, place: int, half: int) -> Joint | None:
    """The stretch for a joint at sample ``place`` of ``total``; None where there is no sound on one side."""
    column = composer.column / composer.sample_rate * rate
    most = (composer.columns - COLUMNS) // 2
    left = min(most, int((place / column) - COLUMNS / 2))
    right = min(most, int(((total - place) / column) - COLUMNS / 2))
    if min(left, right) < COLUMNS:
        return None
    begin = round(place - (left + COLUMNS / 2) * column)
    columns = left + COLUMNS + right
    return Joint(place, half, begin, begin + ceil(columns * column), columns, left)


def repaired(
    composer: Composer, samples: Samples, rate: int, joint: Joint, events: Sequence[float], ask: Ask
) -> Samples | None:
    """The stretch (S,) from ``joint.begin`` with its joint composed anew; None where that is no better.

    Columns in which one of ``events`` (s) begins are kept.
    """
    mask = columns_to_compose(composer, joint, events)
    if not mask.any() or not samples.any():
        return None
    gain = level(samples[None])
    length = joint.columns * composer.column
    stretch = resampled_rows(samples[None] * gain, rate, composer.sample_rate, length)
    scale = composer.sample_rate / rate
    place = (round((joint.place - joint.begin) * scale), joint.half / rate)
    worst = _prominence(composer, stretch, place)
    best: Samples | None = None
    for found in candidates(composer, stretch, mask, ask) if worst > 0 else ():
        mixed = _spliced(stretch, found, mask, composer)
        stands = _prominence(composer, mixed, place)
        if stands < worst:
            worst, best = stands, mixed
    if best is None:
        return None
    # Only what was composed comes back: the rest has been through a resampler.
    change = resampled_rows(best - stretch, composer.sample_rate, rate, len(samples))[0]
    return np.asarray(samples + change / gain, np.float32)


def columns_to_compose(composer: Composer, joint: Joint, events: Sequence[float]) -> NDArray[np.bool_]:
    """(W,): the columns around the joint in which nothing begins."""
    column = composer.column / composer.sample_rate
    mask = np.zeros(joint.columns, bool)
    for number in range(joint.first, joint.first + COLUMNS):
        begin, end = number * column - EVENT_S, (number + 1) * column + EVENT_S
        mask[number] = not any(begin <= event < end for event in events)
    return mask


def _prominence(composer: Composer, stretch: Samples, place: tuple[int, float]) -> float:
    joint, half = place
    mel = composer.hear(stretch)[0].cpu().numpy()
    joints = [(joint / composer.sample_rate, half)]
    return seams.prominence_db(stretch[0], composer.sample_rate, mel, composer.mel_config.frame_rate, joints)


def _spliced(stretch: Samples, found: Samples, mask: NDArray[np.bool_], composer: Composer) -> Samples:
    """What was found where it was asked for, faded in constant power inside the mask."""
    mixed = stretch.copy()
    for first, last in runs(mask):
        begin, end = first * composer.column, last * composer.column
        fade = min(round(FADE_S * composer.sample_rate), (end - begin) // 3)
        gain = np.ones(end - begin, np.float32)
        gain[:fade], gain[-fade:] = ramp(fade), ramp(fade)[::-1]
        old = np.zeros_like(gain)
        old[:fade], old[-fade:] = ramp(fade)[::-1], ramp(fade)
        mixed[:, begin:end] = found[:, begin:end] * gain + stretch[:, begin:end] * old
    return mixed
