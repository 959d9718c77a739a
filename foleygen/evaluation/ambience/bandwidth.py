"""The band above a cut-off, composed from what is below it: how near it comes to the band that was cut away.

S samples at the composer's rate. Levels are of the short-time spectrum, in dB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.ambience.bandwidth import high_pass, widened
from foleygen.ambience.inpaint import Ask
from foleygen.errors import UsageError
from foleygen.evaluation.ambience.sounds import Floats, Sound, Told, whole_columns
from foleygen.evaluation.report import text_table
from foleygen.media.resample import resampled
from foleygen.sampling.parallel_decode import DecodeConfig

if TYPE_CHECKING:
    from foleygen.engines.composer import Composer

NARROW_RATE = 16000
"""Hz: the rate that sounds go through, which leaves them nothing above half of it."""
HIGHEST_HZ = 20000.0
N_FFT, HOP = 2048, 512
FLOOR_DB = -100.0
"""Levels below this count as this."""

Levels = NDArray[np.float64]


@dataclass(frozen=True)
class BandScore:
    """Means over sounds, of the band that was cut away.

    ``log_spectral_distance_db`` is the mean over frames of the root mean square difference over bins. ``level_db`` is
    the mean of found less true, and ``roughness_ratio`` how much levels vary from bin to bin, found over true: what
    plays the average of noise is near to every noise and falls short of 1 here.
    """

    log_spectral_distance_db: float
    level_db: float
    roughness_ratio: float | None


@dataclass(frozen=True)
class BandReport:
    """Scores by method; ``distances_db`` are (before, after) of each sound.

    ``ratio`` is the distance after over that before; ``low_band_error_db`` what changed below the cut-off against what
    is there, of the worst sound.
    """

    sounds: int
    low_hz: float
    high_hz: float
    scores: Mapping[str, BandScore]
    ratio: float
    low_band_error_db: float
    distances_db: Mapping[str, tuple[float, float]]

    def table(self) -> str:
        """The report as text, a row per method."""
        head = [f"{self.sounds} sounds, {self.low_hz:.0f} to {self.high_hz:.0f} Hz", "LSD dB", "level dB", "rough"]
        rows = [
            [name, f"{score.log_spectral_distance_db:.2f}", f"{score.level_db:+.2f}", score.roughness_ratio]
            for name, score in self.scores.items()
        ]
        said = f"after / before: {self.ratio:.3f}; changed below the cut-off: {self.low_band_error_db:.1f} dB at most"
        return f"{text_table(head, rows)}\n{said}"


def evaluate(
    composer: Composer,
    sounds: Sequence[Sound],
    seed: int = 0,
    decoding: DecodeConfig | None = None,
    told: Told | None = None,
) -> BandReport:
    """Cut sounds at half of NARROW_RATE and compose what is above. Raises UsageError for a bundle that cannot.

    ``vocoder`` and ``tokenizer and vocoder`` give back the true band: nothing that is composed can be nearer on the
    whole, but for luck.
    """
    cutoff, rate = NARROW_RATE / 2, composer.sample_rate
    highest = min(HIGHEST_HZ, composer.mel_config.f_max, rate / 2)
    if highest < 1.25 * cutoff:
        fact = f"{composer.bundle.name}: its mel ends at {highest:.0f} Hz"
        raise UsageError(fact, f"leave bandwidth out of --what: there is nothing to compose above {cutoff:.0f} Hz")
    taps = high_pass(cutoff, rate)
    found: dict[str, list[Floats]] = {name: [] for name in ("before", "after", "tokenizer and vocoder", "vocoder")}
    true = [whole_columns(composer, sound.samples) for sound in sounds]
    for number, own in enumerate(true, 1):
        narrow = _narrowed(own, rate)
        ask = Ask((seed,), None, decoding or composer.defaults, 1)
        found["before"].append(narrow)
        found["after"].append(np.concatenate(list(widened(composer, [narrow], len(own), cutoff, ask))))
        mel = composer.hear(own[None])
        for name, given in (("tokenizer and vocoder", composer.decode(composer.encode(mel))), ("vocoder", mel)):
            found[name].append(narrow + _filtered(composer.sound(given)[0], taps))
        if told is not None:
            told(number, len(true))
    return compared(sounds, true, found, rate, (cutoff, highest))


def compared(
    sounds: Sequence[Sound],
    true: Sequence[Floats],
    found: Mapping[str, Sequence[Floats]],
    rate: int,
    band_hz: tuple[float, float],
) -> BandReport:
    """The report on what methods ``found``, with ``before`` and ``after`` among them; samples (S,)."""
    levels = [band_levels(samples, rate, band_hz) for samples in true]
    distances: dict[str, list[float]] = {}
    scores = {}
    for name, samples in found.items():
        theirs = [band_levels(each, rate, band_hz) for each in samples]
        distances[name] = [distance_db(ours, own) for ours, own in zip(theirs, levels, strict=True)]
        scores[name] = BandScore(
            log_spectral_distance_db=float(np.mean(distances[name])),
            level_db=float(np.mean([np.mean(ours - own) for ours, own in zip(theirs, levels, strict=True)])),
            roughness_ratio=_roughness_ratio(theirs, levels),
        )
    before, after = scores["before"].log_spectral_distance_db, scores["after"].log_spectral_distance_db
    changes = [low_band_error_db(a, b, rate, band_hz[0]) for a, b in zip(found["after"], found["before"], strict=True)]
    pairs = zip(distances["before"], distances["after"], strict=True)
    return BandReport(
        sounds=len(sounds),
        low_hz=band_hz[0],
        high_hz=band_hz[1],
        scores=scores,
        ratio=after / before if before > 0 else float("nan"),
        low_band_error_db=max(changes),
        distances_db=dict(zip([sound.name for sound in sounds], pairs, strict=True)),
    )


def band_levels(samples: Floats, rate: int, band_hz: tuple[float, float]) -> Levels:
    """Levels (bins, frames) of the bins between two frequencies, dB."""
    spectrum = torch.stft(
        torch.from_numpy(np.ascontiguousarray(samples)), N_FFT, HOP, window=torch.hann_window(N_FFT),
        return_complex=True,
    ).abs()  # fmt: skip
    first, last = (int(hz * N_FFT / rate) for hz in band_hz)
    levels: Levels = 20 * np.log10(np.maximum(spectrum[first:last].numpy().astype(np.float64), 10 ** (FLOOR_DB / 20)))
    return levels


def distance_db(found: Levels, true: Levels) -> float:
    """Mean over frames of the root mean square difference over bins of levels (bins, frames)."""
    return float(np.sqrt(np.square(found - true).mean(axis=0)).mean())


def low_band_error_db(after: Floats, before: Floats, rate: int, cutoff_hz: float) -> float:
    """Power below the cut-off of what was added to a sound, against that of the sound there, dB."""
    last = int(cutoff_hz / rate * len(before))
    changed, own = (np.square(np.abs(np.fft.rfft(x.astype(np.float64))[:last])).sum() for x in (after - before, before))
    return 10 * float(np.log10(max(changed, 1e-30) / max(own, 1e-30)))


def _roughness_ratio(found: Sequence[Levels], true: Sequence[Levels]) -> float | None:
    """Mean step from bin to bin where there is something to hear in truth, found over true."""
    steps = []
    for levels in (found, true):
        heard = [np.minimum(own[1:], own[:-1]) > FLOOR_DB for own in true]
        steps.append(
            sum(float(np.abs(np.diff(x, axis=0))[where].sum()) for x, where in zip(levels, heard, strict=True))
        )
    return steps[0] / steps[1] if steps[1] > 0 else None


def _narrowed(samples: Floats, rate: int) -> Floats:
    down = np.concatenate(list(resampled([samples], rate, NARROW_RATE, round(len(samples) * NARROW_RATE / rate))))
    return np.concatenate(list(resampled([down], NARROW_RATE, rate, len(samples))))


def _filtered(samples: Floats, taps: Levels) -> Floats:
    from scipy.signal import oaconvolve

    return np.asarray(oaconvolve(samples, taps, mode="same"), np.float32)
