"""What the adapter of cues and words learns from: scenes, encoded once, with what happens in them.

P scenes with pictures, Q sounds alone, V views; T frames and C channels of features, (Z, H, W) latents, K the most
events of a scene. Sounds alone cost a tenth of scenes with pictures, and teach as much about cues without a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen import scenes
from foleygen.atomic import publish
from foleygen.engines.building import autoencoder_of, encoder_of
from foleygen.errors import UsageError
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.scenes.catalogue import HELD_OUT_FAMILY, HELD_OUT_MATERIAL, TRAINING_FAMILIES
from foleygen.training.data.augment import augment
from foleygen.training.data.dataset import ClipRecord, SceneDataset
from foleygen.training.loop import step_generator
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import digest

FILE = "examples.npz"
MOST_EVENTS = 64
"""Events of a window that are kept; more are not told apart anyway."""
AUDIBLE = 0.15

FAMILIES = TRAINING_FAMILIES
MATERIALS = tuple(name for name in scenes.MATERIALS if name != HELD_OUT_MATERIAL)


@dataclass(frozen=True)
class Examples:
    """The first P rows have pictures. Words are numbers from 1 on; events are padded with NaN."""

    features: NDArray[np.float16]
    """(V, P, T, C): view 0 as it is, the others through another camera."""
    latents: NDArray[np.float16]
    """(P + Q, Z, H, W), standardised as the bundle says."""
    families: NDArray[np.int16]
    """(P + Q,)"""
    materials: NDArray[np.int16]
    """(P + Q,)"""
    times: NDArray[np.float32]
    """(P + Q, K) seconds, ascending."""
    strengths: NDArray[np.float32]
    """(P + Q, K)"""
    silence: NDArray[np.float16]
    """(Z, H, W): nothing at all."""
    source: str
    """Which bundle and datasets it was made of."""

    @property
    def pictured(self) -> int:
        """P."""
        return int(self.features.shape[1])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with publish(folder / FILE) as path:
            np.savez(path, **{item.name: getattr(self, item.name) for item in fields(self)})


def load(folder: Path, source: str) -> Examples | None:
    """The examples that a run's folder holds. Raises UsageError if they were made of something else."""
    path = folder / FILE
    if not path.is_file():
        return None
    with np.load(path) as arrays:
        if str(arrays["source"]) != source:
            raise UsageError(f"{path}: was made of other datasets or another bundle", "choose another folder with -o")
        return Examples(source=source, **{name: arrays[name] for name in arrays.files if name != "source"})


def held(
    folder: Path | None,
    bundle: Bundle,
    datasets: Sequence[SceneDataset],
    views: int,
    seed: int,
    device: str = "cpu",
    on_clip: Callable[[int, int], None] | None = None,
) -> Examples:
    """The examples that a run's ``folder`` holds, or those that it holds from now on; without one they are not kept.

    Raises UsageError as ``load`` and ``make`` do.
    """
    if folder is None:
        return make(bundle, datasets, views, seed, device, on_clip)
    examples = load(folder, source_of(bundle, datasets, views))
    if examples is None:
        examples = make(bundle, datasets, views, seed, device, on_clip)
        examples.save(folder)
    return examples


def in_order(datasets: Sequence[SceneDataset]) -> list[SceneDataset]:
    """As examples have them: those with pictures first."""
    return sorted(datasets, key=lambda dataset: dataset.frames is None)


def source_of(bundle: Bundle, datasets: Sequence[SceneDataset], views: int) -> str:
    """16 hex digits that change with all that ``make`` depends on."""
    configs = [dataset.config for dataset in datasets]
    return digest(
        {"encoder": bundle.encoder_hash, "autoencoder": bundle.autoencoder_hash, "data": configs, "views": views}
    )


@torch.inference_mode()
def make(
    bundle: Bundle,
    datasets: Sequence[SceneDataset],
    views: int = 2,
    seed: int = 0,
    device: str = "cpu",
    on_clip: Callable[[int, int], None] | None = None,
) -> Examples:
    """Encode datasets, those with pictures first. Raises UsageError for scenes that are kept for tests, or none."""
    for dataset in datasets:
        _check(dataset)
    ordered = in_order(datasets)
    eyes, ears = encoder_of(bundle, device), autoencoder_of(bundle).to(device)
    assert isinstance(ears, PatchAutoencoder)
    total, done = sum(map(len, ordered)), 0
    seen: list[NDArray[np.float16]] = []
    heard: list[NDArray[np.float16]] = []
    records: list[ClipRecord] = []
    for dataset in ordered:
        for clip in dataset.clips:
            if dataset.frames is not None:
                pictures = torch.from_numpy(np.array(dataset.frames[clip.row]))
                rate = float(dataset.config["frame_rate"])
                shown = [pictures] + [
                    augment(pictures, rate, step_generator(seed, done, view)) for view in range(1, views)
                ]
                seen.append(np.stack([eyes(each[None])[0].cpu().numpy().astype(np.float16) for each in shown]))
            heard.append(_latents(bundle, ears, dataset.mels[clip.row]))
            records.append(clip)
            done += 1
            if on_clip is not None:
                on_clip(done, total)
    if not seen:
        raise UsageError("none of the datasets has pictures", "make one with foleygen train scenes")
    times, strengths = _events(records)
    return Examples(
        features=np.stack(seen, axis=1),
        latents=np.stack(heard),
        families=np.array([FAMILIES.index(clip.family) + 1 for clip in records], np.int16),
        materials=np.array([MATERIALS.index(clip.material) + 1 for clip in records], np.int16),
        times=times,
        strengths=strengths,
        silence=_latents(bundle, ears, np.zeros_like(ordered[0].mels[0])),
        source=source_of(bundle, datasets, views),
    )


def _check(dataset: SceneDataset) -> None:
    kept = [clip for clip in dataset.clips if clip.family == HELD_OUT_FAMILY or clip.material == HELD_OUT_MATERIAL]
    tests = [clip for clip in dataset.clips if clip.seed in scenes.TEST_SEEDS]
    if kept or tests:
        named = (kept or tests)[0]
        fact = f"{dataset.folder}: clip {named.row} ({named.family}, {named.material}, seed {named.seed})"
        raise UsageError(f"{fact} is kept for tests", "make the dataset from other seeds")


def _latents(bundle: Bundle, ears: PatchAutoencoder, mel: NDArray[np.float16]) -> NDArray[np.float16]:
    device = next(ears.parameters()).device
    found = ears.encode(torch.from_numpy(mel.astype(np.float32))[None].to(device))[0].float().cpu().numpy()
    spec = bundle.autoencoder
    if spec.latent_mean is not None and spec.latent_std is not None:
        mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (spec.latent_mean, spec.latent_std))
        found = (found - mean) / std
    latents: NDArray[np.float16] = found.astype(np.float16)
    return latents


def _events(records: Sequence[ClipRecord]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Times and strengths of the audible events, (clips, MOST_EVENTS) each, padded with NaN."""
    times = np.full((len(records), MOST_EVENTS), np.nan, np.float32)
    strengths = np.full_like(times, np.nan)
    for row, clip in enumerate(records):
        pairs = sorted(pair for pair in zip(clip.times, clip.strengths, strict=True) if pair[1] >= AUDIBLE)
        for place, (time, strength) in enumerate(pairs[:MOST_EVENTS]):
            times[row, place], strengths[row, place] = time, strength
    return times, strengths
