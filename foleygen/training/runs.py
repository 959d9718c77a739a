"""From a recipe and data to a Loop in a run's folder, and from a finished run to its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from foleygen.errors import UsageError
from foleygen.models.vqgan import TRAINING_ONLY
from foleygen.training.loop import CHECKPOINT, DrawBatch, Loop, Loss, load_checkpoint
from foleygen.training.recipe import Recipe, record


def weights(folder: Path, recipe: Recipe) -> dict[str, Tensor]:
    """The weights that a run would ship: its moving average, or the last ones where none is kept."""
    if not (folder / CHECKPOINT).is_file():
        raise UsageError(f"{folder}: holds no checkpoint yet", "let the training reach its first one")
    state = load_checkpoint(folder / CHECKPOINT)
    chosen = state.get("average" if recipe.loop.ema_decay is not None else "model")
    if not isinstance(chosen, dict):
        raise UsageError(f"{folder / CHECKPOINT}: holds no weights", "restore it, or train again")
    return chosen


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below ``prefix.``, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in state.items() if name.startswith(f"{prefix}.")}


def started(
    recipe: Recipe,
    model: nn.Module,
    loss: Loss,
    draw: DrawBatch,
    folder: Path,
    device: str,
    held: DrawBatch | None = None,
) -> Loop:
    """The loop of a run's folder, at its checkpoint if there is one; the recipe is kept beside it.

    ``held`` draws from what is held out. Raises UsageError where the recipe wants that, and there is none.
    """
    if recipe.loop.validation and held is None:
        raise UsageError(f"a training of {recipe.kind} holds no clips out", "take loop.validation out of the recipe")
    loop = Loop(model.to(device), loss, draw, recipe.loop, folder, held)
    if loop.rank == 0:
        record(recipe, folder)
    loop.resume()
    return loop


def shipped(model: nn.Module) -> dict[str, Tensor]:
    """The weights without what only training needs."""
    return {name: value for name, value in model.state_dict().items() if name not in TRAINING_ONLY}


def channels_last(model: nn.Module) -> nn.Module:
    """The model with its pictures laid out as convolutions on the CPU like them."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
