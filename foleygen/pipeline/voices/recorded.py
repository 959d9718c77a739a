"""An event of a recording -> the same as it is laid into a track: at 48 kHz, its attack on a sample, at its level.

C channels, S samples. It begins a moment before its attack, fades in there, and fades out where it ends: nothing of it
is a step. Its pitch and its level differ a little each time, as a Foley artist's do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from foleygen.facts import SAMPLE_RATE
from foleygen.pipeline.voices.own import HEARD_S, rms_db

BEFORE_S = 0.005
"""What is kept of a recording before the attack."""
FADE_IN_S = 0.003
LONGEST_S = 12.0
RELEASE_S = 0.08
"""Within which a tail gives way to the next hit of its kind, or ends where its recording does."""
HIGHEST = 0.89
"""No sample is higher than that by the gain of its hit: -1 dB of full scale."""
_PAD_S = 0.02

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Sounded:
    """Mono samples at 48 kHz, the place of the attack among them, and the gain (dB) that they were given."""

    samples: Samples
    attack: int
    gain_db: float


def sounded(
    samples: Samples, rate: int, attack: int, *, level_db: float, cents: float, until_s: float = np.inf
) -> Sounded:
    """The event (C, S) at ``rate`` Hz, its first 100 ms at ``level_db`` (RMS), its pitch raised by ``cents``.

    It is over ``until_s`` seconds after its attack, or softly after that if it lasts longer.
    """
    faster = 2 ** (cents / 1200)
    longest = min(LONGEST_S, until_s + RELEASE_S)
    first = max(0, attack - round(BEFORE_S * faster * rate))
    piece = samples[:, first : attack + max(1, round(longest * faster * rate))].mean(axis=0, dtype=np.float64)
    # Before the change of rate, which would make ripples of a step.
    piece *= _shape(len(piece), attack - first, until_s * faster, rate)
    sound, place = _resampled(piece, rate * faster, attack - first)
    heard = np.zeros(round(min(HEARD_S, max(0.01, until_s)) * SAMPLE_RATE))
    part = sound[place : place + len(heard)]
    heard[: len(part)] = part
    peak = float(np.abs(sound).max(initial=0.0))
    room = 20 * np.log10(HIGHEST / peak) if peak > 0 else 0.0
    gain = min(level_db - rms_db(heard), room)
    return Sounded(np.asarray(sound * 10 ** (gain / 20), np.float32), place, float(gain))


def _resampled(piece: NDArray[np.float64], rate: float, attack: int) -> tuple[NDArray[np.float64], int]:
    """``piece`` at 48 kHz, moved by less than a sample so that its sample ``attack`` is one again; and which.

    In the frequencies of the whole, padded with silence: exact for any ratio of rates.
    """
    pad = round(_PAD_S * rate)
    ends = np.concatenate([piece, np.zeros(pad)])
    length = next_fast_len(len(ends) + pad, real=True)
    wanted = max(1, round(length * SAMPLE_RATE / rate))
    spectrum = np.fft.rfft(ends, length)
    kept = min(len(spectrum), wanted // 2 + 1)
    exact = attack * wanted / length
    place = round(exact)
    turned = spectrum[:kept] * np.exp(-2j * np.pi * np.arange(kept) * (place - exact) / wanted)
    found = np.fft.irfft(turned, wanted) * (wanted / length)
    return found[: max(place + 1, round(len(piece) * wanted / length))], place


def _shape(length: int, attack: int, until_s: float, rate: int) -> NDArray[np.float64]:
    """The fades, (length,): whole at the attack, and none at either end."""
    shape = np.ones(length)
    rise = min(attack, round(FADE_IN_S * rate))
    shape[:rise] = _ramp(rise)
    release = min(round(RELEASE_S * rate), max(1, (length - attack) // 2))
    over = length - release
    if until_s < np.inf:
        over = min(over, attack + round(until_s * rate))
    over = max(over, attack + 1)
    fall = _ramp(release)[::-1][: length - over]
    shape[over : over + len(fall)] *= fall
    shape[over + len(fall) :] = 0
    return shape


def _ramp(length: int) -> NDArray[np.float64]:
    """From nothing to one, with level ends."""
    ramp: NDArray[np.float64] = np.sin((np.arange(length) + 0.5) / max(1, length) * (np.pi / 2)) ** 2
    return ramp
