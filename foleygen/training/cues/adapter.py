"""``train cues``: the adapter beside a frozen transformer, on scenes and what happens in them.

N rows, (Z, H, W) standardised latents, L mel frames, K cues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.engines.building import transformer_of
from foleygen.engines.cues import grid_of
from foleygen.errors import BundleError, UsageError
from foleygen.models.cues import CueAdapter, CueAdapterConfig
from foleygen.models.transformer import MDSGen
from foleygen.training.cues import examples as sources
from foleygen.training.cues.draw import make_draw
from foleygen.training.cues.examples import Examples
from foleygen.training.cues.level import LevelReader, fit_level
from foleygen.training.cues.recipe import CuesRecipe
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.loop import Batch, Loop, Loss
from foleygen.training.objectives import DiffusionConfig, add_noise, losses_of, schedule
from foleygen.training.runs import started
from foleygen.weights.bundle import Bundle

RIDGE = 3.0
"""Penalty on the words' first vectors, in clips."""


def cues_loop(
    recipe: CuesRecipe,
    datasets: Sequence[SceneDataset],
    bundle: Bundle,
    folder: Path,
    device: str,
    on_clip: Callable[[int, int], None] | None = None,
) -> Loop:
    """The adapter for the transformer of ``bundle``; what is encoded once is kept in ``folder``."""
    if bundle.sampling.prediction_type != recipe.objective.prediction_type:
        fact = (
            f"{bundle.path}: predicts {bundle.sampling.prediction_type}, the recipe {recipe.objective.prediction_type}"
        )
        raise UsageError(fact, "choose a recipe with the same objective")
    base = frozen(bundle).to(device)
    examples = sources.held(folder, bundle, datasets, recipe.views, recipe.loop.seed, device, on_clip)
    reader = fit_level(bundle, datasets, folder).to(device)
    torch.manual_seed(recipe.loop.seed)
    adapter = CueAdapter(adapter_config(base, recipe))
    adapter.speak(*first_words(base, examples, device))
    mel_rate = bundle.sample_rate / bundle.mel.hop_length
    draw = make_draw(examples, grid_of(bundle), recipe.mix, mel_rate, device)
    return started(recipe, adapter, make_loss(base, reader, recipe), draw, folder, device)


def frozen(bundle: Bundle) -> MDSGen:
    """The transformer of a bundle, which is not to change. Raises BundleError if it cannot be told when."""
    base = transformer_of(bundle)
    if base.config.conditioning != "aligned":
        raise BundleError(f"{bundle.path}: its transformer hears one vector a window", "name a bundle such as tiny")
    for parameter in base.parameters():
        parameter.requires_grad_(False)
    return base


def adapter_config(base: MDSGen, recipe: CuesRecipe) -> CueAdapterConfig:
    """The recipe's adapter for this transformer."""
    config = base.config
    return CueAdapterConfig(
        families=len(sources.FAMILIES),
        materials=len(sources.MATERIALS),
        condition_size=config.hidden_size,
        columns=config.columns,
        frames_per_column=config.num_features // config.columns,
        hidden_size=recipe.hidden_size,
        blend_size=recipe.blend_size,
    )


@torch.inference_mode()
def first_words(base: MDSGen, examples: Examples, device: str) -> tuple[Tensor, Tensor]:
    """Vectors of families and materials, number 0 for one that is not said, whose sums are nearest to pictures' means.

    That is the mean over the window of what the transformer hears of a picture, by ridge regression; every clip counts
    with both words and with either alone.
    """
    means = []
    for view in examples.features:
        for part in np.array_split(view, max(1, len(view) // 64)):
            means.append(base.embed_video(torch.from_numpy(part.astype(np.float32)).to(device)).mean(dim=1).cpu())
    count, views = examples.pictured, len(examples.features)
    targets = torch.cat(means).double()
    family = torch.from_numpy(np.tile(examples.families[:count], views)).long()
    material = torch.from_numpy(np.tile(examples.materials[:count], views)).long()
    nothing = torch.zeros_like(family)
    families, materials = len(sources.FAMILIES) + 1, len(sources.MATERIALS) + 1
    design = torch.cat([
        torch.cat([F.one_hot(first, families), F.one_hot(second, materials)], dim=1)
        for first, second in ((family, material), (family, nothing), (nothing, material))
    ]).double()  # fmt: skip
    centre = targets.mean(dim=0)
    wanted = (targets - centre).repeat(3, 1)
    penalty = RIDGE * torch.eye(families + materials, dtype=torch.float64)
    found = torch.linalg.solve(design.T @ design + penalty, design.T @ wanted)
    return (found[:families] + centre).float(), found[families:].float()


def make_loss(base: MDSGen, reader: LevelReader, recipe: CuesRecipe) -> Loss:
    """The transformer's own error, and how far the hits' levels are from the true ones."""
    biases = tuple(bias.detach() for bias in base.position_biases())

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents, features, behind, hits = batch
        config = recipe.objective
        t = draw_times(len(latents), recipe, generator).to(latents.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        with torch.no_grad():
            video = base.embed_video(features)
        told = model(video, behind)
        noisy = add_noise(latents, noise, t, config)
        modulations = base.modulations(base.embed_time(t.float()) + told)
        output = base.denoise(noisy, modulations, biases).float()
        mse = losses_of(output, latents, noisy, noise, t, config)["loss"].mean()
        level = level_error(reader, start_of(output, noisy, t, config), latents, hits, _clearness(t, config))
        return {"loss": mse + recipe.level_weight * level, "mse": mse, "level": level}

    return loss


def draw_times(count: int, recipe: CuesRecipe, generator: torch.Generator) -> Tensor:
    """Timesteps (count,) int64."""
    uniform = torch.rand(count, generator=generator)
    steps = recipe.objective.num_train_timesteps
    return (uniform**recipe.time_power * steps).long().clamp(max=steps - 1)


def start_of(output: Tensor, noisy: Tensor, t: Tensor, config: DiffusionConfig) -> Tensor:
    """The latents (N, Z, H, W) that a prediction of noise or velocity means."""
    cumulative = schedule(config).alphas_cumprod[t.cpu()].to(noisy)[:, None, None, None]
    signal, sigma = cumulative.sqrt(), (1 - cumulative).sqrt()
    if config.prediction_type == "epsilon":
        return (noisy - sigma * output) / signal
    return signal * noisy - sigma * output


def level_error(reader: LevelReader, found: Tensor, true: Tensor, hits: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error of the hits' levels about their window's mean, in squares of 10 dB, rows weighted (N,).

    How loud a window is as a whole nobody told; asked for, it is learnt as loudness that guidance then multiplies.
    """
    there = hits >= 0  # N K
    if not there.any():
        return found.sum() * 0
    made, wanted = reader.hits(found, hits), reader.hits(true, hits)
    apart = torch.where(there, made - wanted, 0.0)
    count = there.sum(dim=1, keepdim=True).clamp_min(1)
    about = torch.where(there, apart - apart.sum(dim=1, keepdim=True) / count, 0.0)
    return (weight[:, None] * _bounded(about)).sum() / there.sum()


def _clearness(t: Tensor, config: DiffusionConfig) -> Tensor:
    """Weight of levels at t (N,): the ratio of signal to noise, at most 1; what is nearly noise need not be loud."""
    cumulative = schedule(config).alphas_cumprod[t.cpu()]
    return (cumulative / (1 - cumulative)).sqrt().clamp_max(1.0).float().to(t.device)


def _bounded(errors: Tensor) -> Tensor:
    """Half squares, growing linearly beyond 10 dB."""
    return F.huber_loss(errors, torch.zeros_like(errors), reduction="none", delta=1.0)
