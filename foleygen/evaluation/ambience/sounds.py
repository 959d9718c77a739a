"""Sounds that the second engine never heard, and what its tokenizer and its vocoder make of them: its ceiling.

S samples at the composer's rate; mels (M, T) are normalised, 0.01 is 1 dB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import UsageError
from foleygen.evaluation import reconstruction
from foleygen.evaluation.report import text_table
from foleygen.evaluation.vocoding import roughness
from foleygen.media.resample import resampled
from foleygen.scenes import TEST_SEEDS, compose
from foleygen.training.data.recordings import Manifest, read

if TYPE_CHECKING:
    from foleygen.engines.composer import Composer

SHORTEST_S, LONGEST_S = 4.0, 6.0
"""A recording is used if it lasts the first, and as far as the second."""
LEAST_PEAK = 1e-3
"""What never gets louder than this (-60 dB) is not measured."""

Floats = NDArray[np.float32]
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Sound:
    """A true sound, (S,), and what it is called."""

    name: str
    samples: Floats


@dataclass(frozen=True)
class RoundTripScore:
    """Means over sounds of how what comes back differs from the truth.

    ``mel_l1``, ``log_spectral_distance_db`` and the ``..._ratio`` (pitch detail that is left) are of the mels as heard;
    ``stft`` is the multi-resolution distance of the samples, and ``roughness_ratio`` how much spectra vary from bin to
    bin, found over true. Both are None where there are no samples.
    """

    mel_l1: float
    log_spectral_distance_db: float
    frequency_gradient_ratio: float | None
    stft: float | None
    roughness_ratio: float | None


@dataclass(frozen=True)
class RoundTripReport:
    """A score by what the sounds went through."""

    sounds: int
    scores: Mapping[str, RoundTripScore]

    def table(self) -> str:
        """The report as text, a row per way."""
        rows = [
            [
                name,
                f"{score.mel_l1:.4f}",
                f"{score.log_spectral_distance_db:.2f}",
                score.frequency_gradient_ratio,
                score.stft,
                score.roughness_ratio,
            ]
            for name, score in self.scores.items()
        ]
        return text_table([f"{self.sounds} sounds", "mel L1", "LSD dB", "gradient", "STFT", "rough"], rows)


def held_out(rate: int, count: int, recordings: Path | None, told: Told | None = None) -> list[Sound]:
    """Up to ``count`` recordings of the fold test at ``rate`` Hz, or without a folder of recordings as many scenes
    from the seeds kept for tests. Raises UsageError where there is none."""
    if recordings is not None:
        return recorded(recordings, "test", rate, count)
    made = []
    for row in range(count):
        seed = TEST_SEEDS.start + row
        scene = compose(seed, duration_s=LONGEST_S)
        made.append(Sound(f"{scene.family} {seed}", np.asarray(scene.sound(rate), np.float32)))
        if told is not None:
            told(row + 1, count)
    sounds = _audible(made)
    if not sounds:
        raise UsageError(f"none of {count} scenes can be heard", "give a larger --count")
    return sounds


def recorded(folder: Path, fold: str, rate: int, count: int) -> list[Sound]:
    """Up to ``count`` recordings of a fold that last SHORTEST_S and were made at ``rate`` Hz or more, mono.

    Which ones is decided by the manifest alone; more of them begin with the same. Raises UsageError.
    """
    manifest = Manifest(folder)
    files = list(manifest.files(fold).values())
    sounds: list[Sound] = []
    for index in np.random.default_rng(0).permutation(len(files)):
        if len(sounds) == count:
            break
        samples, source_rate = read(files[index])
        if source_rate < rate or len(samples) < SHORTEST_S * source_rate:
            continue
        total = min(round(len(samples) * rate / source_rate), round(LONGEST_S * rate))
        heard = np.concatenate(list(resampled([samples], source_rate, rate, total)))
        sounds += _audible([Sound(files[index].stem, heard)])
    if not sounds:
        fact = f"{manifest.path}: has no recording of the fold {fold!r} of {SHORTEST_S:.0f} s at {rate} Hz or more"
        raise UsageError(fact, "add some, or leave out --recordings to measure on scenes")
    return sounds


def round_trip(composer: Composer, sounds: Sequence[Sound], told: Told | None = None) -> RoundTripReport:
    """What tokenizer, vocoder and both of them do to sounds."""
    true: list[Floats] = []
    samples: dict[str, list[Floats]] = {"vocoder": [], "tokenizer and vocoder": []}
    mels: dict[str, list[Floats]] = {"tokenizer": [], **{name: [] for name in samples}}
    true_mels: list[Floats] = []
    for number, sound in enumerate(sounds, 1):
        own = whole_columns(composer, sound.samples)
        mel = composer.hear(own[None])
        decoded = composer.decode(composer.encode(mel))
        true.append(own)
        true_mels.append(mel[0].cpu().numpy())
        mels["tokenizer"].append(decoded[0].cpu().numpy())
        for name, given in (("vocoder", mel), ("tokenizer and vocoder", decoded)):
            found = composer.sound(given)
            samples[name].append(found[0])
            mels[name].append(composer.hear(found)[0].cpu().numpy())
        if told is not None:
            told(number, len(sounds))
    scores = {name: score(found, true_mels, samples.get(name), true) for name, found in mels.items()}
    return RoundTripReport(len(sounds), scores)


def score(
    mels: Sequence[Floats], true_mels: Sequence[Floats], samples: Sequence[Floats] | None, true: Sequence[Floats]
) -> RoundTripScore:
    """How mels (M, T), and samples (S,) if there are any, differ from the true ones."""
    report = reconstruction.evaluate(
        mels, true_mels, [""] * len(mels), samples, None if samples is None else list(true)
    )
    rough = None
    if samples is not None:
        rough = sum(map(roughness, samples)) / max(1e-9, sum(map(roughness, true)))
    return RoundTripScore(
        mel_l1=report.mel_l1,
        log_spectral_distance_db=report.log_spectral_distance_db,
        frequency_gradient_ratio=report.frequency_gradient_ratio,
        stft=report.stft,
        roughness_ratio=rough,
    )


def whole_columns(composer: Composer, samples: Floats) -> Floats:
    """As many whole columns of samples (S,) as there are, at most a window."""
    columns = min(composer.columns, len(samples) // composer.column)
    return np.ascontiguousarray(samples[: columns * composer.column])


def _audible(sounds: Sequence[Sound]) -> list[Sound]:
    return [sound for sound in sounds if float(np.abs(sound.samples).max(initial=0.0)) >= LEAST_PEAK]
