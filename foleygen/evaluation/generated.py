"""What an engine makes of a dataset of scenes: the sounds that every report of this folder judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.onsets import detect
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.errors import UsageError
from foleygen.evaluation import reconstruction, sync
from foleygen.evaluation.naming import Namer, Namers, NamingReport, reported
from foleygen.evaluation.perturb import PERTURBATIONS
from foleygen.evaluation.probe import Probe
from foleygen.models.sound_judge import LABELS, Label
from foleygen.sampling.noise import WindowKey
from foleygen.training.data.dataset import ClipRecord, SceneDataset

AUDIBLE = 0.15
"""Events weaker than this (0..1) are not asked for."""
MERGED_S = 0.06
"""Events closer than this count as one."""


@dataclass(frozen=True)
class Generated:
    """One clip: its record, the mel of the sound that was made (M, L), its onsets, and the true mel."""

    record: ClipRecord
    mel: NDArray[np.float32]
    true_mel: NDArray[np.float32]
    onsets: NDArray[np.float64]
    events: NDArray[np.float64]


def generate(
    engine: Engine,
    dataset: SceneDataset,
    perturbation: str = "clean",
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
    batch_size: int = 8,
    on_clip: Callable[[int, int], None] | None = None,
) -> list[Generated]:
    """Sound for every clip of a dataset, judged as heard: the mel is that of the finished sound."""
    results: list[Generated] = []
    for start in range(0, len(dataset.clips), batch_size):
        batch = dataset.clips[start : start + batch_size]
        features = torch.cat([_features(engine, dataset, clip, perturbation) for clip in batch])
        results.extend(_heard(engine, dataset, batch, features, steps, guidance, seed))
        if on_clip is not None:
            on_clip(len(results), len(dataset.clips))
    return results


def audible_events(record: ClipRecord) -> NDArray[np.float64]:
    """Times of the events that a listener would count."""
    return audible(record.times, record.strengths)


def audible(times: Sequence[float], strengths: Sequence[float]) -> NDArray[np.float64]:
    """The times, ascending, of those events that are strong enough and not one with the one before."""
    kept: list[float] = []
    for time, strength in sorted(zip(times, strengths, strict=True)):
        if strength >= AUDIBLE and (not kept or time - kept[-1] >= MERGED_S):
            kept.append(time)
    return np.array(kept)


def sync_report(results: Sequence[Generated], duration: float) -> sync.SyncReport:
    """Onset F1 with nulls, over the clips that have events. Raises UsageError if none has."""
    scored = [result for result in results if result.events.size]
    if not scored:
        fact = f"none of {len(results)} clips has an event that is strong enough to be heard"
        raise UsageError(fact, "name scenes with events, or use foleygen evaluate scenes for the others")
    return sync.score(
        [result.onsets for result in scored],
        [result.events for result in scored],
        [result.record.family for result in scored],
        duration,
    )


def ceiling_report(results: Sequence[Generated], duration: float, frame_rate: float) -> sync.SyncReport:
    """The same for the true sounds: what the measure itself can reach."""
    heard = [replace(result, onsets=detect(result.true_mel, frame_rate)) for result in results]
    return sync_report(heard, duration)


def loudness_report(results: Sequence[Generated]) -> sync.LoudnessReport:
    """Correlation of level with the scene's intensity, over the clips without events."""
    scored = [result for result in results if not result.events.size]
    return sync.loudness(
        [result.mel.mean(axis=0) for result in scored],
        [result.record.intensity for result in scored],
        [result.record.family for result in scored],
    )


def timbre_report(results: Sequence[Generated]) -> reconstruction.ReconstructionReport:
    """Distances of the sounds from the true ones, with the distance to another clip of the family beside them."""
    return reconstruction.evaluate(
        [result.mel for result in results],
        [result.true_mel for result in results],
        [result.record.family for result in results],
    )


def learnt_from(training: SceneDataset) -> Namers:
    """Classifiers of family and material that have learnt from the true sounds of training scenes."""
    mels = [training.mels[clip.row].astype(np.float32) for clip in training.clips]
    return {label: Probe.fit(mels, [getattr(clip, label) for clip in training.clips]) for label in LABELS}


def naming_report(results: Sequence[Generated], namer: Namer, label: Label) -> NamingReport:
    """How often a namer of true sounds names the ``family`` or ``material`` of the generated ones."""
    known = [result for result in results if getattr(result.record, label) in namer.labels]
    return reported(
        namer,
        [result.mel for result in known],
        [getattr(result.record, label) for result in known],
        [result.true_mel for result in known],
    )


def reconstruction_reports(
    engine: Engine, dataset: SceneDataset, batch_size: int = 8
) -> dict[str, reconstruction.ReconstructionReport]:
    """True mels through the autoencoder, and through the vocoder as well."""
    mel = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    decoded: list[NDArray[np.float32]] = []
    voiced: list[NDArray[np.float32]] = []
    for start in range(0, len(dataset.clips), batch_size):
        batch = dataset.clips[start : start + batch_size]
        true = torch.from_numpy(np.stack([dataset.mels[clip.row].astype(np.float32) for clip in batch]))
        keys = [WindowKey(0, f"scene/{clip.seed}", 0, 1) for clip in batch]
        with torch.inference_mode():
            found = engine.autoencoder.decode(engine.autoencoder.encode(true.to(engine.device))).float()
            decoded.extend(found.cpu().numpy())
            voiced.extend(mel(engine.sounds(found, keys)).numpy())
    truth = [dataset.mels[clip.row].astype(np.float32) for clip in dataset.clips]
    families = [clip.family for clip in dataset.clips]
    return {
        "autoencoder": reconstruction.evaluate(decoded, truth, families),
        "autoencoder and vocoder": reconstruction.evaluate(voiced, truth, families),
    }


def _features(engine: Engine, dataset: SceneDataset, clip: ClipRecord, perturbation: str) -> torch.Tensor:
    assert dataset.frames is not None, "the dataset has no pictures"
    rng = np.random.default_rng(clip.seed)
    frames = PERTURBATIONS[perturbation](np.asarray(dataset.frames[clip.row]), dataset.config["frame_rate"], rng)
    with torch.inference_mode():
        return engine.encode(torch.from_numpy(np.array(frames))[None]).cpu()


def _heard(
    engine: Engine,
    dataset: SceneDataset,
    clips: Sequence[ClipRecord],
    features: torch.Tensor,
    steps: int | None,
    guidance: float | None,
    seed: int,
) -> list[Generated]:
    mel = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    keys = [WindowKey(seed, f"scene/{clip.seed}", 0, 1) for clip in clips]
    sounds = engine.sounds(engine.mels(engine.latents(features, keys, steps, guidance), features), keys)
    with torch.inference_mode():
        mels = mel(sounds).numpy()
    return [
        Generated(
            record=clip,
            mel=heard,
            true_mel=dataset.mels[clip.row].astype(np.float32),
            onsets=detect(heard, mel.config.frame_rate),
            events=audible_events(clip),
        )
        for clip, heard in zip(clips, mels, strict=True)
    ]
