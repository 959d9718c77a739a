"""Vocoders side by side: what each makes of the same mels, and what it costs.

The vocoders are given mels (M, T) on their own scale, and judged on that of decibels, [0, 1] where 0.01 is 1 dB.
Samples are (S,) in [-1, 1].
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.audio import onsets
from foleygen.audio.griffin_lim import GriffinLim
from foleygen.audio.mel import MelConfig, MelSpectrogram
from foleygen.audio.vocoder import Vocoder
from foleygen.engines.building import mel_config, vocoder_of
from foleygen.errors import UsageError
from foleygen.evaluation import reconstruction, spectrograms
from foleygen.evaluation.report import Cell, text_table
from foleygen.scenes import TEST_SEEDS
from foleygen.training.data.dataset import DatasetConfig
from foleygen.training.data.sounds import recording_sounds, scene_sounds
from foleygen.training.discriminators import log_magnitude
from foleygen.training.vocoder import Autoencoder, trained_vocoder
from foleygen.weights.bundle import Bundle

TOLERANCE_S = 0.05
"""Onsets this near to each other are the same one."""

AUDIBLE = 1e-3
"""Least magnitude that counts for roughness."""

WINDOW_S = 8.192
"""Length of a compared sound, about."""

COLUMN = 8
"""A sound has a multiple of this many mel frames, so that autoencoders, which shrink by 4 or 8, keep its length."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class VocoderScore:
    """Means over sounds of how a vocoder's sounds differ from the true ones.

    ``mel_l1`` is that of the sound analysed again, ``log_spectral_distance_db`` and ``frequency_gradient_ratio`` are of
    the same mels; ``stft`` is the multi-resolution distance of the samples; ``onset_f1`` is against the onsets of the
    true mel, at 50 ms. ``roughness_ratio`` is how much spectrograms vary from bin to bin, found over true: a vocoder
    that plays the average of what noise might be is near to every noise in ``stft`` and falls short of 1 here.
    ``milliseconds`` is the median processor time of one sound.
    """

    mel_l1: float
    log_spectral_distance_db: float
    stft: float | None
    onset_f1: float
    frequency_gradient_ratio: float | None
    roughness_ratio: float
    milliseconds: float


@dataclass(frozen=True)
class VocodingReport:
    """A score by vocoder; ``seconds`` is the length of a sound."""

    sounds: int
    seconds: float
    scores: Mapping[str, VocoderScore]

    def table(self) -> str:
        """The report as text, a row per vocoder."""
        rows: list[list[Cell]] = [
            [
                name,
                f"{score.mel_l1:.4f}",
                f"{score.log_spectral_distance_db:.2f}",
                score.stft,
                score.onset_f1,
                score.frequency_gradient_ratio,
                score.roughness_ratio,
                f"{score.milliseconds:.0f}",
            ]
            for name, score in self.scores.items()
        ]
        first = f"{self.sounds} sounds of {self.seconds:.1f} s"
        return text_table([first, "mel L1", "LSD dB", "STFT", "onset F1", "gradient", "rough", "ms"], rows)


@dataclass(frozen=True)
class Voicing:
    """What vocoders made of one sound: the ``true`` samples, and ``found`` ones by vocoder."""

    true: Floats
    found: Mapping[str, Floats]


def compare(
    vocoders: Mapping[str, Vocoder],
    sounds: Sequence[Floats],
    mel: MelSpectrogram,
    autoencoder: Autoencoder | None = None,
    on_sound: Callable[[int, int], None] | None = None,
) -> tuple[VocodingReport, list[Voicing]]:
    """Score every vocoder on the mels of ``sounds``, (S,) each, all of one length; with an ``autoencoder`` on what it
    makes of these mels.

    The vocoders take turns on each sound, so that a busy machine is unfair to none. Raises UsageError without sounds.
    """
    if not sounds:
        raise UsageError("vocoders were compared on no sound", "give recordings or a count of scenes")
    voicings: list[Voicing] = []
    times: dict[str, list[float]] = {name: [] for name in vocoders}
    for number, sound in enumerate(sounds):
        given = mel_of(sound, mel)[None]
        with torch.inference_mode():
            if autoencoder is not None:
                given = autoencoder.decode(autoencoder.encode(given)).float()
            found = {}
            for name, vocoder in vocoders.items():
                generator = torch.Generator().manual_seed(number)
                since = time.process_time()
                samples = vocoder(given, [generator])
                times[name].append(time.process_time() - since)
                found[name] = samples[0].numpy()
        voicings.append(Voicing(sound, found))
        if on_sound is not None:
            on_sound(number + 1, len(sounds))
    judge = MelSpectrogram(mel.config.in_decibels)
    scores = {name: _score(name, voicings, judge, times[name]) for name in vocoders}
    return VocodingReport(len(sounds), len(sounds[0]) / mel.config.sample_rate, scores), voicings


def contenders(runs: Sequence[Path], bundle: Bundle | None) -> tuple[MelConfig, dict[str, Vocoder]]:
    """Griffin-Lim, the bundle's vocoder if it is another, and the vocoders of ``runs``, and the mel that all speak.

    Raises UsageError where nothing is given or the mels differ.
    """
    found: dict[str, Vocoder] = {}
    mels = []
    if bundle is not None:
        mels.append(mel_config(bundle))
        if bundle.vocoder.kind != "griffin_lim":
            found[bundle.name] = vocoder_of(bundle)
    for run in runs:
        vocoder = trained_vocoder(run)
        mels.append(vocoder.config)
        found[run.name] = vocoder
    if not mels or any(mel != mels[0] for mel in mels):
        fact = "the vocoders speak different mels" if mels else "no vocoder was named"
        raise UsageError(fact, "name runs of foleygen train vocoder for one mel, or a --model")
    return mels[0], {"Griffin-Lim": GriffinLim(mels[0]), **found}


def held_out(
    mel: MelConfig, count: int, recordings: Path | None, on_sound: Callable[[int, int], None] | None = None
) -> dict[str, list[Floats]]:
    """Sounds that no training has heard, in windows of about ``WINDOW_S``: ``count`` scenes from the seeds kept for
    tests, and the test fold of the ``recordings``."""
    length = int(WINDOW_S * mel.sample_rate / mel.hop_length) // COLUMN * COLUMN * mel.hop_length
    config = DatasetConfig(
        count=count,
        first_seed=TEST_SEEDS.start,
        num_frames=round(WINDOW_S * 31.25),
        recordings=str(recordings) if recordings is not None else None,
        fold="test",
    )
    made = scene_sounds(config, count, mel.sample_rate, on_clip=on_sound)
    sounds = {"scenes": [np.asarray(sound[:length], np.float32) for sound in made]}
    if recordings is not None:
        sounds["recordings"] = whole_windows(recording_sounds(recordings, "test", mel.sample_rate), length)
    return sounds


def mel_of(sound: Floats, mel: MelSpectrogram) -> Tensor:
    """Mel (M, T) of samples (S,)."""
    with torch.inference_mode():
        found: Tensor = mel(torch.from_numpy(np.ascontiguousarray(sound, np.float32))[None])[0]
    return found


def roughness(samples: Floats) -> float:
    """Mean absolute step from bin to bin of the log magnitudes (nats, windows of 512 samples) of samples (S,)."""
    window = torch.hann_window(512)
    levels = log_magnitude(torch.from_numpy(np.ascontiguousarray(samples))[None], window, AUDIBLE)
    return float(levels.diff(dim=1).abs().mean())


def whole_windows(sounds: Sequence[NDArray[np.floating]], length: int) -> list[Floats]:
    """Sounds end to end, each repeated up to a quarter of the window, cut into windows of ``length`` samples.

    The rest that fills no window is left out, unless it is all there is: then it is repeated.
    """
    parts = [np.tile(sound, max(1, -(-length // (4 * len(sound))))) for sound in sounds if len(sound)]
    if not parts:
        return []
    joined = np.concatenate(parts).astype(np.float32)
    if len(joined) < length:
        joined = np.resize(joined, length)
    return list(joined[: len(joined) // length * length].reshape(-1, length))


def draw_spectrograms(voicings: Mapping[str, Voicing], mel: MelSpectrogram, path: Path) -> None:
    """A row per named sound: its true mel and that of every vocoder, as PNG. Raises SetupError without matplotlib."""
    judge = MelSpectrogram(mel.config.in_decibels)
    spectrograms.draw(
        {
            name: {title: mel_of(sound, judge).numpy() for title, sound in {"true": one.true, **one.found}.items()}
            for name, one in voicings.items()
        },
        path,
    )


def _score(name: str, voicings: Sequence[Voicing], mel: MelSpectrogram, times: Sequence[float]) -> VocoderScore:
    true = [mel_of(voicing.true, mel).numpy() for voicing in voicings]
    found = [mel_of(voicing.found[name], mel).numpy() for voicing in voicings]
    samples = [voicing.found[name] for voicing in voicings]
    report = reconstruction.evaluate(
        found, true, [""] * len(true), samples, [v.true[: len(s)] for v, s in zip(voicings, samples, strict=True)]
    )
    rate = mel.config.frame_rate
    matched = [
        onsets.f1(onsets.detect(ours, rate), onsets.detect(theirs, rate), TOLERANCE_S)
        for ours, theirs in zip(found, true, strict=True)
    ]
    return VocoderScore(
        mel_l1=report.mel_l1,
        log_spectral_distance_db=report.log_spectral_distance_db,
        stft=report.stft,
        onset_f1=float(np.mean(matched)),
        frequency_gradient_ratio=report.frequency_gradient_ratio,
        roughness_ratio=sum(map(roughness, samples)) / max(1e-9, sum(roughness(voicing.true) for voicing in voicings)),
        milliseconds=1000 * float(np.median(times)),
    )
