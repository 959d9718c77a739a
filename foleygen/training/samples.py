"""Sounds of a transformer while it is trained: a few held-out rows, by the averaged weights, made audible."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foleygen.audio.vocoder import Vocoder
from foleygen.engines.building import autoencoder_of, vocoder_of
from foleygen.errors import UsageError
from foleygen.media import wav
from foleygen.models.autoencoder import KLAutoencoder
from foleygen.models.diffusion import Condition
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.models.transformer import MDSGen
from foleygen.sampling.noise import WindowKey
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig
from foleygen.training.data.prepare import Shards
from foleygen.training.loop import Loop
from foleygen.training.mdsgen import Pairs, open_pairs
from foleygen.training.recipe import MdsgenRecipe
from foleygen.weights.bundle import Bundle

FOLDER = "samples"
ROWS = 4
"""How many held-out rows are heard, the first ones."""


@dataclass(frozen=True)
class Listening:
    """What is needed to hear rows: features (N, K, C) and true latents (N, Z, H, W) with their mean and deviation."""

    bundle: Bundle
    autoencoder: PatchAutoencoder | KLAutoencoder
    vocoder: Vocoder
    sampler: SamplerConfig
    features: Tensor
    latents: Tensor
    mean: Tensor
    std: Tensor

    @property
    def keys(self) -> list[WindowKey]:
        """The noise of each row, the same at every step."""
        return [WindowKey(0, f"sample/{row}", 0, 1) for row in range(len(self.features))]

    @torch.inference_mode()
    def made(self, model: MDSGen) -> Tensor:
        """Latents (N, Z, H, W) of the rows."""
        noise = torch.stack([key.noise(tuple(self.latents.shape[1:])) for key in self.keys])
        return sample(model, Condition(self.features), noise, self.sampler)

    @torch.inference_mode()
    def write(self, latents: Tensor, folder: Path, name: str) -> list[Path]:
        """The sounds of latents (N, Z, H, W) as ``NAME-row-1.wav`` and so on."""
        mels = self.autoencoder.decode(latents * self.std + self.mean).float()
        sounds = self.vocoder(mels, [key.phase() for key in self.keys])[:, : self.bundle.window_samples]
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{name}-row-{row}.wav" for row in range(1, len(sounds) + 1)]
        for path, sound in zip(paths, sounds.float().cpu().numpy(), strict=True):
            wav.write(path, [sound.clip(-1, 1).astype(np.float32)], self.bundle.sample_rate)
        return paths


def listen(loop: Loop, listening: Listening, every: int) -> None:
    """Let ``loop`` write the rows' sounds every so many steps and at the end, and the true ones once.

    Nothing that a step draws depends on it.
    """
    folder = loop.folder / FOLDER

    def write(step: int) -> None:
        if step % every and step != loop.config.steps:
            return
        if not (folder / "true-row-1.wav").exists():
            listening.write(listening.latents, folder, "true")
        model = copy.deepcopy(loop.model)
        model.load_state_dict(loop.averaged())
        assert isinstance(model, MDSGen)
        listening.write(listening.made(model.eval()), folder, f"step-{step:07d}")

    loop.on_step = write


def listening_to(data: Path, recipe: MdsgenRecipe, bundle: Bundle, device: str, rows: int = ROWS) -> Listening:
    """The first rows that ``recipe`` holds out of ``data``, heard through ``bundle``.

    The bundle gives the autoencoder, which must be the one that encoded ``data``, and the vocoder. Raises UsageError
    where nothing is held out or it does not fit.
    """
    if not recipe.loop.validation:
        raise UsageError("--sample-every: nothing is held out to listen to", "give --validation too, such as 0.05")
    _, held = open_pairs(data).split(recipe.loop.validation)
    statistics = held.meta if isinstance(held, Shards) else held
    mean, std = (torch.tensor(np.asarray(values)) for values in (statistics.latent_mean, statistics.latent_std))
    latents, features = _rows(held, rows)
    shape = tuple(int(size) for size in bundle.transformer["latent_shape"])
    if tuple(latents.shape[1:]) != shape:
        fact = f"{bundle.path}: its latents are {shape}, those of the data {tuple(latents.shape[1:])}"
        raise UsageError(fact, "name the bundle whose autoencoder encoded the data with --sample-with")
    if isinstance(held, Shards) and held.meta.autoencoder_hash != bundle.autoencoder_hash:
        fact = f"{bundle.path}: its autoencoder is not the one that prepared the clips ({held.meta.bundle})"
        raise UsageError(fact, "name that bundle with --sample-with")
    kind, sampling = recipe.objective.prediction_type, recipe.sampling
    return Listening(
        bundle=bundle,
        autoencoder=autoencoder_of(bundle).to(device),
        vocoder=vocoder_of(bundle, device),
        sampler=SamplerConfig(
            num_inference_steps=sampling.num_inference_steps,
            guidance_scale=sampling.guidance_scale,
            guidance_power=sampling.guidance_power,
            schedule=ScheduleConfig.preset("linear", kind),
        ),
        features=features.to(device),
        latents=latents.to(device),
        mean=mean.float().to(device)[:, None, None],
        std=std.float().to(device)[:, None, None],
    )


def _rows(held: Pairs | Shards, count: int) -> tuple[Tensor, Tensor]:
    """Latents and features of the first rows, seen through their own camera."""
    if isinstance(held, Shards):
        found = [held.window(row) for row in range(min(count, len(held)))]
        latents, features = (np.stack(column) for column in zip(*found, strict=True))
    else:
        latents, features = held.latents[:count], held.features[0, :count]
    return torch.from_numpy(latents.astype(np.float32)), torch.from_numpy(features.astype(np.float32))
