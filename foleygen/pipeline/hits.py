"""What an encoder expects to hear, and how suddenly the picture stops -> the moments at which something seems to sound.

The constants are fitted by logistic regression on 120 scenes that no encoder was trained on, 60 of the style physics
and 60 of the style foreign; at THRESHOLD 79 % of what is found is there within 50 ms, and 69 % of what is there is
found.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foleygen.audio.onsets import PEAK_RADIUS_S, highest_near, peaks

THRESHOLD = 0.5
"""The confidence from which on a hit counts."""
ONSET_WEIGHT, STOP_WEIGHT, CONSTANT = 0.961, 0.292, -0.698
LATE_S = 0.004
"""By how much the encoder's peaks are early, in the median."""
_STOP_BEFORE_S, _STOP_AFTER_S = 0.080, 0.032
"""How near to a hit its stop is looked for."""
_STOP_RANGE = (-1.0, 4.0)
_STILL = 1e-9

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Hit:
    """Something seems to sound ``seconds`` after the first picture; ``confidence`` in 0..1."""

    seconds: float
    confidence: float


def hits(
    onsets: Array, stops: Array, rate: float, threshold: float = THRESHOLD, max_rate: float | None = None
) -> list[Hit]:
    """The peaks of a clip that reach ``threshold``, in order, from logits and stops (n,) at ``rate`` steps a second.

    Of more than ``max_rate`` in any second the surest stay.
    """
    if not len(onsets):
        return []
    score = _score(onsets, stops, rate)
    radius = max(1, round(PEAK_RADIUS_S * rate))
    confidence = 1 / (1 + np.exp(-score))
    steps = peaks(score, radius, confidence >= threshold)
    end = len(onsets) / rate
    found = [Hit(float(min(step / rate + LATE_S, end)), float(confidence[step])) for step in steps]
    return found if max_rate is None else _thinned(found, max_rate)


def _score(onsets: Array, stops: Array, rate: float) -> NDArray[np.float64]:
    """Logits of a hit at every step."""
    before, after = round(_STOP_BEFORE_S * rate), round(_STOP_AFTER_S * rate)
    scaled = (stops.astype(np.float64) - stops.mean()) / max(float(stops.std()), _STILL)
    near = highest_near(scaled, before, after)
    score: NDArray[np.float64] = ONSET_WEIGHT * onsets + STOP_WEIGHT * np.clip(near, *_STOP_RANGE) + CONSTANT
    return score


def _thinned(found: list[Hit], max_rate: float) -> list[Hit]:
    """The surest of ``found``, no second of which has more than ``max_rate``."""
    most = max(1, int(max_rate))
    kept: list[float] = []
    chosen = []
    for hit in sorted(found, key=lambda one: -one.confidence):
        insort(kept, hit.seconds)
        place = kept.index(hit.seconds)
        spans = (kept[first : first + most + 1] for first in range(max(0, place - most), place + 1))
        if any(len(span) > most and span[-1] - span[0] < 1 for span in spans):
            kept.remove(hit.seconds)
        else:
            chosen.append(hit)
    return sorted(chosen, key=lambda one: one.seconds)
