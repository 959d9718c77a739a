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
from foleygen.media.channels import in_stereo
from foleygen.pipeline.voices.own import HEARD_S, band_db

BEFORE_S = 0.005
"""What is kept of a recording before the attack."""
FADE_IN_S, LEAST_FADE_S = 0.003, 0.0005
LONGEST_S = 12.0
RELEASE_S = 0.08
"""Within which a tail ends where its recording does."""
DAMPED_S, GONE_S = 0.12, 0.01
"""Within which a tail gives way to the next hit of its kind, or in half of the time; how long before it is gone."""
AGAIN_DB, FAINT_DB = 12.0, 30.0
"""What rises by that above what was before it, and is no fainter than that under the hit, is another hit."""
HIGHEST = 4.0
"""No sample is higher than that by the gain of its hit: a model's loudest are half as high. The take as a whole is
lowered where it is written."""
_PAD_S = 0.02
_STEP_S, _WIDE, _SURE = 0.005, 4, 10
"""Levels are means over 20 ms, every 5 ms; the first 50 ms are the hit itself."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Sounded:
    """Samples, (S,) or (2, S), at 48 kHz, the place of the attack among them, and the gain (dB) they were given."""

    samples: Samples
    attack: int
    gain_db: float


def sounded(
    samples: Samples,
    rate: int,
    attack: int,
    *,
    level_db: float,
    cents: float,
    until_s: float = np.inf,
    channels: int = 1,
) -> Sounded:
    """The event (C, S) at ``rate`` Hz, its first 100 ms at ``level_db`` (see ``own.band_db``), ``cents`` higher.

    It gives way to what begins ``until_s`` seconds after its attack, and to another hit in the recording. With two
    ``channels`` one of several keeps its image: all that is done to it is done to both sides alike.
    """
    faster = 2 ** (cents / 1200)
    first = max(0, attack - round(BEFORE_S * faster * rate))
    last = attack + round(min(LONGEST_S, until_s) * faster * rate)
    piece = imaged(samples[:, first : max(attack + 1, last)], channels)
    np.nan_to_num(piece, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    middle = piece if piece.ndim == 1 else piece.mean(axis=0)
    damped = min(until_s * faster, _again_s(middle[attack - first :], rate))
    # Before the change of rate, which would make ripples of a step.
    piece *= _shape(piece.shape[-1], attack - first, damped, rate)
    _soften(piece, rate)
    sound, place = _resampled(piece, rate * faster, attack - first)
    heard = np.zeros((*sound.shape[:-1], round(min(HEARD_S, max(0.01, until_s)) * SAMPLE_RATE)))
    part = sound[..., place : place + heard.shape[-1]]
    heard[..., : part.shape[-1]] = part
    gain = min(level_db - band_db(heard, SAMPLE_RATE), room_db(sound))
    return Sounded(np.asarray(sound * 10 ** (gain / 20), np.float32), place, float(gain))


def room_db(samples: NDArray[np.floating]) -> float:
    """The gain by which no sample is higher than HIGHEST; 0 for silence."""
    peak = float(np.abs(samples).max(initial=0.0))
    return float(20 * np.log10(HIGHEST / peak)) if peak > 0 else 0.0


def imaged(samples: Samples, channels: int) -> NDArray[np.float64]:
    """Samples (C, S) of a recording as they are played: (S,), or (2, S) where there is an image to keep."""
    if channels == 1 or len(samples) == 1:
        return np.asarray(samples.mean(axis=0, dtype=np.float64))
    return in_stereo(samples).astype(np.float64)


def _resampled(piece: NDArray[np.float64], rate: float, attack: int) -> tuple[NDArray[np.float64], int]:
    """``piece`` at 48 kHz, moved by less than a sample so that its sample ``attack`` is one again; and which.

    In the frequencies of the whole, padded with silence: exact for any ratio of rates.
    """
    pad = round(_PAD_S * rate)
    ends = np.concatenate([piece, np.zeros((*piece.shape[:-1], pad))], axis=-1)
    length = next_fast_len(ends.shape[-1] + pad, real=True)
    wanted = max(1, round(length * SAMPLE_RATE / rate))
    spectrum = np.fft.rfft(ends, length)
    kept = min(spectrum.shape[-1], wanted // 2 + 1)
    exact = attack * wanted / length
    place = round(exact)
    turned = spectrum[..., :kept] * np.exp(-2j * np.pi * np.arange(kept) * (place - exact) / wanted)
    found = np.fft.irfft(turned, wanted) * (wanted / length)
    return found[..., : max(place + 1, round(piece.shape[-1] * wanted / length))], place


def _again_s(tail: NDArray[np.float64], rate: int) -> float:
    """Seconds until another hit begins in what follows an attack, (S,); infinity if none does."""
    step = round(_STEP_S * rate)
    count = len(tail) // step
    if count < _SURE + _WIDE:
        return np.inf
    power = (tail[: count * step].reshape(count, step) ** 2).mean(axis=1)
    smooth = np.convolve(power, np.ones(_WIDE) / _WIDE, mode="valid")  # of the _WIDE steps from each on
    levels = 10 * np.log10(smooth + 1e-12)
    lowest = np.minimum.accumulate(levels[_SURE:])
    rises = (levels[_SURE:] >= lowest + AGAIN_DB) & (levels[_SURE:] >= levels[0] - FAINT_DB)
    found = np.flatnonzero(rises)
    return (_SURE + int(found[0]) + _WIDE - 1) * _STEP_S if len(found) else np.inf


def _shape(length: int, attack: int, until_s: float, rate: int) -> NDArray[np.float64]:
    """The fades, (length,): whole at the attack, and none at either end."""
    shape = np.ones(length)
    rise = min(attack, round(FADE_IN_S * rate))
    shape[:rise] = _ramp(rise)
    release = min(round(RELEASE_S * rate), max(1, (length - attack) // 2))
    shape[length - release :] = _ramp(release)[::-1]
    if until_s < np.inf:
        damped = min(DAMPED_S, until_s / 2)
        over = attack + max(1, round((until_s - GONE_S - damped) * rate))
        fall = _ramp(round(damped * rate))[::-1][: max(0, length - over)]
        shape[over : over + len(fall)] *= fall
        shape[over + len(fall) :] = 0
    return shape


def _soften(piece: NDArray[np.float64], rate: int) -> None:
    """Fade in a recording that begins with its attack, if that is the middle of a sound."""
    if np.any(np.abs(piece[..., 0]) > np.abs(np.diff(piece)).max(axis=-1, initial=0.0)):
        rise = min(piece.shape[-1], round(LEAST_FADE_S * rate))
        piece[..., :rise] *= _ramp(rise)


def _ramp(length: int) -> NDArray[np.float64]:
    """From nothing to one, with level ends."""
    ramp: NDArray[np.float64] = np.sin((np.arange(length) + 0.5) / max(1, length) * (np.pi / 2)) ** 2
    return ramp
