"""From a recipe and data to a Loop for the ambience models, and from a finished run to its part of a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from foleygen.errors import UsageError
from foleygen.models.specmaskgit import SpecMaskGIT
from foleygen.models.tagger import Tagger, TaggerConfig
from foleygen.models.vqgan import TRAINING_ONLY, VQGAN
from foleygen.strict import plain
from foleygen.training import runs, specmaskgit, tagger, vqgan
from foleygen.training.ambience_recipes import SpecMaskGITRecipe, TaggerRecipe, TokenizerRecipe
from foleygen.training.loop import Loop
from foleygen.training.recipe import recorded
from foleygen.training.tokens import TokenSet
from foleygen.training.windows import Windows
from foleygen.weights import parts
from foleygen.weights import tags as vocabulary


def tokenizer_loop(recipe: TokenizerRecipe, data: Path, folder: Path, device: str) -> Loop:
    """The tokenizer on the mels of windows of sound."""
    windows = Windows(data)
    wanted, found = (recipe.model.num_mels, recipe.model.num_frames), windows.mels.shape[1:]
    if wanted != found:
        fact = f"{data}: has mels of {found[0]} x {found[1]}, the recipe wants {wanted[0]} x {wanted[1]}"
        raise UsageError(fact, "make the windows with the --mel of the recipe")
    if recipe.objective.crop > windows.config.frames:
        raise UsageError(f"objective.crop is {recipe.objective.crop} frames", f"give {windows.config.frames} at most")
    torch.manual_seed(recipe.loop.seed)
    model = _channels_last(vqgan.TokenizerTraining(recipe.model, recipe.objective))
    draw = vqgan.make_draw(windows.mels, recipe.objective.crop, device)
    return runs.started(recipe, model, vqgan.make_loss(recipe.objective), draw, folder, device)


def specmaskgit_loop(recipe: SpecMaskGITRecipe, data: Path, folder: Path, device: str) -> Loop:
    """The transformer on tokens; the condition's size is the data's."""
    tokens = TokenSet.load(data)
    if tokens.tokens.shape[1:] != recipe.model.grid:
        fact = f"{data}: has tokens of {tokens.tokens.shape[1]} x {tokens.tokens.shape[2]}"
        raise UsageError(fact, f"the recipe wants {recipe.model.grid[0]} x {recipe.model.grid[1]}")
    if recipe.objective.crop < 1:
        raise UsageError(f"objective.crop is {recipe.objective.crop} columns", "give 1 or more")
    recipe = replace(recipe, model=replace(recipe.model, condition_dim=tokens.conditions.shape[1]))
    torch.manual_seed(recipe.loop.seed)
    model = specmaskgit.Masked(SpecMaskGIT(recipe.model))
    if recipe.embed_codes:
        specmaskgit.embed_codes(model.transformer, tokens.codebook, recipe.loop.seed)
    draw = specmaskgit.make_draw(tokens, recipe.objective, device)
    return runs.started(recipe, model, specmaskgit.make_loss(recipe.objective), draw, folder, device)


def tagger_loop(recipe: TaggerRecipe, data: Path, tokenizer: Path | None, folder: Path, device: str) -> Loop:
    """The classifier on windows of sound, half of them as the tokenizer of a run gives them back."""
    windows = Windows(data)
    torch.manual_seed(recipe.loop.seed)
    model = _channels_last(Tagger(tagger_config(recipe, windows)))
    ears = trained_tokenizer(tokenizer) if tokenizer is not None else None
    draw = tagger.make_draw(windows, tags_of(windows), recipe.crop, ears, device)
    return runs.started(recipe, model, tagger.make_loss(recipe.label_smoothing), draw, folder, device)


def tags_of(windows: Windows) -> tuple[str, ...]:
    """The tags that occur, in the order of the table."""
    named = {tag for record in windows.records for tag in record.tags}
    return tuple(tag for tag in vocabulary.table() if tag in named)


def tagger_config(recipe: TaggerRecipe, windows: Windows) -> TaggerConfig:
    """The recipe's tagger for the mel and the tags of these windows."""
    return TaggerConfig(windows.config.mel.num_mels, len(tags_of(windows)), recipe.widths)


def trained_tokenizer(folder: Path) -> VQGAN:
    """The tokenizer of a run, for use."""
    recipe = recorded(folder, TokenizerRecipe)
    model = VQGAN(recipe.model)
    model.load_state_dict(runs.part(runs.weights(folder, recipe), "tokenizer"))
    return model.eval()


def trained_specmaskgit(folder: Path) -> SpecMaskGIT:
    """The transformer of a run, for use."""
    recipe = recorded(folder, SpecMaskGITRecipe)
    model = SpecMaskGIT(recipe.model)
    model.load_state_dict(runs.part(runs.weights(folder, recipe), "transformer"))
    return model.eval()


def export_tokenizer(run: Path, windows: Windows, folder: Path) -> None:
    """A tokenizer's run as a part; ``windows`` say which mel it is for."""
    model = trained_tokenizer(run)
    config = {"kind": "tokenizer", "mel": plain(windows.config.mel), "model": plain(model.config)}
    parts.save(folder, config, _state(model))


def export_specmaskgit(run: Path, tokens: TokenSet, folder: Path) -> None:
    """A transformer's run as a part."""
    model, recipe = trained_specmaskgit(run), recorded(run, SpecMaskGITRecipe)
    config = {
        "kind": "specmaskgit",
        "conditioning": tokens.conditioning,
        "tags": list(tokens.tags),
        "model": plain(model.config),
        "sampling": plain(recipe.sampling),
    }
    parts.save(folder, config, _state(model))


def export_tagger(run: Path, windows: Windows, folder: Path) -> None:
    """A tagger's run as a part."""
    recipe = recorded(run, TaggerRecipe)
    model = Tagger(tagger_config(recipe, windows))
    model.load_state_dict(runs.weights(run, recipe))
    config = {"kind": "tagger", "tags": list(tags_of(windows)), "model": plain(model.config)}
    parts.save(folder, config, _state(model))


def _state(model: nn.Module) -> dict[str, Tensor]:
    """The weights without what only training needs."""
    return {name: value for name, value in model.state_dict().items() if name not in TRAINING_ONLY}


def _channels_last(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
