"""``train mdsgen``: the masked diffusion transformer on cached features and latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foleygen.atomic import publish
from foleygen.models.motion import MotionEncoder
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.training.augment import augment
from foleygen.training.dataset import SceneDataset
from foleygen.training.loop import Batch, DrawBatch, Loss, step_generator
from foleygen.training.objectives import DiffusionConfig, draw_timesteps, training_losses


@dataclass(frozen=True)
class Pairs:
    """Features (V, N, K, C) of V views of N clips, and latents (N, Z, H, W) of unit variance per channel."""

    features: NDArray[np.float16]
    latents: NDArray[np.float16]
    latent_mean: NDArray[np.float32]
    latent_std: NDArray[np.float32]

    def save(self, folder: Path) -> None:
        with publish(folder / "pairs.npz") as path:
            np.savez(
                path,
                features=self.features,
                latents=self.latents,
                latent_mean=self.latent_mean,
                latent_std=self.latent_std,
            )

    @classmethod
    def load(cls, folder: Path) -> Pairs:
        with np.load(folder / "pairs.npz") as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})


@torch.inference_mode()
def pair(
    datasets: Sequence[SceneDataset],
    encoder: MotionEncoder,
    autoencoder: PatchAutoencoder,
    views: int = 2,
    seed: int = 0,
    on_clip: Callable[[int, int], None] | None = None,
) -> Pairs:
    """Encode every clip of datasets, one after the other: view 0 as it is, the others through another camera."""
    total, features, latents, before = sum(map(len, datasets)), [], [], 0
    for dataset in datasets:
        assert dataset.frames is not None, "the dataset has no pictures"
        rate = float(dataset.config["frame_rate"])
        for row in (clip.row for clip in dataset.clips):
            cameras = [step_generator(seed, before + row, view) if view else None for view in range(views)]
            features.append([_encoded(encoder, dataset.frames[row], rate, camera) for camera in cameras])
            latents.append(_latents(autoencoder, dataset.mels[row]))
            if on_clip is not None:
                on_clip(len(latents), total)
        before += int(dataset.config["count"])
    return standardised(np.array(features, np.float16).swapaxes(0, 1), np.stack(latents))


def standardised(features: NDArray[np.float16], latents: NDArray[np.float32]) -> Pairs:
    """Pairs whose latents (N, Z, H, W) have mean 0 and variance 1 in every channel."""
    mean = latents.mean(axis=(0, 2, 3), keepdims=True)[0]
    std = latents.std(axis=(0, 2, 3), keepdims=True)[0]
    return Pairs(
        features=features,
        latents=((latents - mean) / std).astype(np.float16),
        latent_mean=mean.ravel().astype(np.float32),
        latent_std=std.ravel().astype(np.float32),
    )


def make_draw(pairs: Pairs, device: str = "cpu") -> DrawBatch:
    """(latents, features) of random clips, each in a random view."""

    def draw(generator: torch.Generator, count: int) -> Batch:
        views, clips = pairs.features.shape[:2]
        rows = torch.randint(clips, (count,), generator=generator).numpy()
        view = torch.randint(views, (count,), generator=generator).numpy()
        latents = torch.from_numpy(pairs.latents[rows].astype(np.float32))
        features = torch.from_numpy(pairs.features[view, rows].astype(np.float32))
        return latents.to(device), features.to(device)

    return draw


def make_loss(config: DiffusionConfig, groups: Tensor | None = None) -> Loss:
    """The mean over the batch of the objective's terms; ``groups`` are those of ``objectives.token_groups``."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents, features = batch
        t = draw_timesteps(len(latents), config, generator).to(latents.device)
        terms = training_losses(model, latents, features, t, config, generator, groups)
        return {name: value.mean() for name, value in terms.items()}

    return loss


def _encoded(
    encoder: MotionEncoder, frames: NDArray[np.uint8], rate: float, generator: torch.Generator | None
) -> NDArray[np.float16]:
    pictures = torch.from_numpy(np.array(frames))
    seen = pictures if generator is None else augment(pictures, rate, generator)
    encoded: NDArray[np.float16] = encoder(seen[None])[0].numpy().astype(np.float16)
    return encoded


def _latents(autoencoder: PatchAutoencoder, mel: NDArray[np.float16]) -> NDArray[np.float32]:
    encoded: NDArray[np.float32] = autoencoder.encode(torch.from_numpy(mel.astype(np.float32))[None])[0].numpy()
    return encoded
