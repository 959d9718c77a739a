"""``train mdsgen``: the masked diffusion transformer on cached features and latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foleygen.atomic import publish
from foleygen.engines.building import SIDE_BLOCK, transformer_of
from foleygen.errors import BundleError, UsageError
from foleygen.models.motion import MotionEncoder
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.training import objectives, outputs, stored
from foleygen.training.data import prepare
from foleygen.training.data.augment import augment
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.data.prepare import META as SHARDS
from foleygen.training.data.prepare import Shards
from foleygen.training.data.split import held_out
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss, step_generator
from foleygen.training.objectives import DiffusionConfig, draw_timesteps, training_losses
from foleygen.training.recipe import MdsgenRecipe
from foleygen.training.runs import started
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import tensors


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
        """Raises UsageError when there is none."""
        if not (folder / "pairs.npz").exists():
            raise outputs.not_held(folder, "pairs", "holds no pairs")
        make = outputs.OUTPUTS["pairs"].made
        names = [item.name for item in fields(cls)]
        found = stored.arrays(folder / "pairs.npz", names, make)
        return cls(**{name: found[name] for name in names})

    def split(self, share: float) -> tuple[Pairs, Pairs]:
        """What to learn from, and about ``share`` of the clips to validate on. Raises UsageError for a single clip."""
        held = held_out([str(row) for row in range(len(self.latents))], share)
        return self._part(~held), self._part(held)

    def _part(self, mask: NDArray[np.bool_]) -> Pairs:
        return replace(self, features=self.features[:, mask], latents=self.latents[mask])


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


def mdsgen_loop(recipe: MdsgenRecipe, data: Path, init: Bundle | None, folder: Path, device: str) -> Loop:
    """The transformer on pairs or shards; ``init`` gives the weights to begin with, and its geometry."""
    pairs = open_pairs(data)
    if init is not None:
        recipe = _fine_tuning(recipe, init, pairs)
    config = recipe.transformer
    _same_geometry(config, pairs, data)
    torch.manual_seed(recipe.loop.seed)
    model = MDSGen(config)
    if init is not None:
        _fill(model, init)
    loss = make_loss(recipe.objective, objectives.token_groups(recipe.objective, config))
    learnt, held = pairs.split(recipe.loop.validation) if recipe.loop.validation else (pairs, None)
    draws = [drawing(part, device) for part in (learnt, held) if part is not None]
    return started(recipe, model, loss, draws[0], folder, device, *draws[1:])


def drawing(pairs: Pairs | Shards, device: str) -> DrawBatch:
    """(latents, features) of random rows of either."""
    return prepare.make_draw(pairs, device) if isinstance(pairs, Shards) else make_draw(pairs, device)


def open_pairs(folder: Path) -> Pairs | Shards:
    """What ``train pairs`` or ``train prepare`` wrote. Raises UsageError."""
    if (folder / "pairs.npz").is_file():
        return Pairs.load(folder)
    if not (folder / SHARDS).is_file():
        made = "make them with foleygen train pairs, or of clips of your own with foleygen train prepare"
        raise outputs.not_held(folder, "pairs", "holds no pairs and no prepared clips", made)
    return Shards(folder)


def _same_geometry(config: TransformerConfig, pairs: Pairs | Shards, data: Path) -> None:
    if isinstance(pairs, Shards):
        features, latents = pairs.meta.features, pairs.meta.latents
    else:
        (_, _, *features_shape), (_, *latent_shape) = pairs.features.shape, pairs.latents.shape
        features, latents = tuple(features_shape), tuple(latent_shape)
    wanted = (config.num_features, config.feature_dim), config.latent_shape
    if (features, latents) != wanted:
        fact = f"{data}: has features {features} and latents {latents}, the recipe wants {wanted[0]} and {wanted[1]}"
        raise UsageError(fact, "prepare the clips with the bundle that the recipe is for")


def _fill(model: MDSGen, init: Bundle) -> None:
    """The bundle's weights; bundles ship without the side block, which only training uses and begins anew."""
    state = {name: value.float() for name, value in tensors(init, "transformer").items()}
    fresh = {name: value for name, value in model.state_dict().items() if name.startswith(SIDE_BLOCK)}
    try:
        model.load_state_dict({**fresh, **state})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{init.path}: its transformer does not fit ({reason})", "name another bundle") from error


def _fine_tuning(recipe: MdsgenRecipe, init: Bundle, pairs: Pairs | Shards) -> MdsgenRecipe:
    """The recipe with the bundle's transformer; the rest of the recipe must fit it."""
    if isinstance(pairs, Shards):
        meta = pairs.meta
        other = "encoder" if meta.encoder_hash != init.encoder_hash else "autoencoder"
        if (meta.encoder_hash, meta.autoencoder_hash) != (init.encoder_hash, init.autoencoder_hash):
            fact = f"{init.path}: its {other} is not the one that prepared the clips ({meta.bundle})"
            raise UsageError(fact, "prepare them with this bundle")
    if init.sampling.prediction_type != recipe.objective.prediction_type:
        raise UsageError(
            f"{init.path}: predicts {init.sampling.prediction_type}, the recipe {recipe.objective.prediction_type}",
            "choose a recipe with the same objective",
        )
    config = transformer_of(init).config
    if config.learn_sigma != recipe.objective.learned_sigma:
        raise BundleError(f"{init.path}: learn_sigma is {config.learn_sigma}", "set objective.learned_sigma alike")
    return replace(recipe, transformer=config)
