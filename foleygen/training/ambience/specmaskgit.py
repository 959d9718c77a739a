"""``train specmaskgit``: a transformer learns to name masked tokens, told what the sound is or not."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import UsageError
from foleygen.models.specmaskgit import SpecMaskGIT
from foleygen.sampling.parallel_decode import columns_mask, rows_mask
from foleygen.strict import plain
from foleygen.training import runs
from foleygen.training.ambience.recipes import MaskMixture, SpecMaskGITRecipe, TokenObjective
from foleygen.training.ambience.tokens import TokenSet
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.parallel import RowParallel, place
from foleygen.training.recipe import recorded
from foleygen.training.runs import shipped
from foleygen.weights import parts


def draw_mask(grid: tuple[int, int], mixture: MaskMixture, generator: torch.Generator) -> Tensor:
    """(R, W) bool with at least one true: a region of the mixture, of which cos(pi/2 u), u uniform, stays masked.

    The share is MaskGIT's; inside a region it is what decoding meets on its way.
    """
    rows, columns = grid
    weights = torch.tensor(list(asdict(mixture).values()))
    kind = list(asdict(mixture))[int(torch.multinomial(weights, 1, generator=generator))]
    region = torch.ones(grid, dtype=torch.bool)
    if kind == "prefix":
        region = columns_mask(grid, _whole(0.3 * columns, 0.5 * columns, generator), columns)
    elif kind == "block":
        length = _whole(1, max(1, columns // 2), generator)
        first = _whole(0, columns - length, generator)
        region = columns_mask(grid, first, first + length)
    elif kind == "rows":
        region = rows_mask(grid, _whole(min(rows - 1, rows // 2), rows - 1, generator))
    share = math.cos(math.pi / 2 * float(torch.rand((), generator=generator)))
    order = torch.rand(grid, generator=generator).masked_fill(~region, 2.0)
    count = max(1, round(share * int(region.sum())))
    return order <= order.flatten().kthvalue(count).values


def make_draw(data: TokenSet, objective: TokenObjective, device: str = "cpu") -> DrawBatch:
    """Tokens (N, R, w), conditions (N, C) and the window's column at which the tokens begin (N,), all the same."""
    columns = data.tokens.shape[2]
    crop = min(objective.crop, columns)

    def draw(generator: torch.Generator, count: int) -> Batch:
        whole = float(torch.rand((), generator=generator)) < objective.whole_share
        width = columns if whole else crop
        _, processes = place()
        count = max(1, count * crop // width // processes) * processes
        rows = torch.randint(len(data.tokens), (count,), generator=generator).numpy()
        first = _whole(0, columns - width, generator)
        tokens = torch.from_numpy(data.tokens[rows, :, first : first + width].astype(np.int64))
        conditions = torch.from_numpy(data.conditions[rows])
        return tokens.to(device), conditions.to(device), torch.full((count,), first, device=device)

    return draw


def make_loss(objective: TokenObjective) -> Loss:
    """Cross entropy of the masked tokens; ``accuracy`` and ``perplexity`` of theirs are logged."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        tokens, conditions, firsts = batch
        grid = (tokens.shape[1], tokens.shape[2])
        mask = torch.stack([draw_mask(grid, objective.masks, generator) for _ in tokens]).to(tokens.device)
        given = torch.rand(len(tokens), generator=generator) >= objective.condition_dropout
        given = given.to(tokens.device) & (conditions != 0).any(1)
        conditions = _noisy(conditions, objective.condition_noise, generator)
        whole = model.model if isinstance(model, RowParallel) else model
        assert isinstance(whole, Masked)
        hidden: Tensor = model(tokens, mask, conditions, given, firsts)
        logits = whole.transformer.read(hidden.unflatten(1, grid)[mask]).float()
        true = tokens[mask]
        smoothed = F.cross_entropy(logits, true, label_smoothing=objective.label_smoothing)
        plain = F.cross_entropy(logits.detach(), true)
        accuracy = (logits.detach().argmax(-1) == true).float().mean()
        return {"loss": smoothed, "entropy": plain, "perplexity": plain.exp(), "accuracy": accuracy}

    return loss


@torch.no_grad()
def embed_codes(model: SpecMaskGIT, codebook: NDArray[np.float32], seed: int) -> None:
    """Let the token embeddings begin as a random projection of the codes (K, D), at their usual scale: codes that sound
    alike then begin alike, at the input and, the output being tied, among the answers."""
    codes = torch.from_numpy(codebook)
    codes = (codes - codes.mean(0)) / codes.std()
    weight = model.token_embedding.weight
    draw = torch.randn(codes.shape[1], weight.shape[1], generator=torch.Generator().manual_seed(seed))
    weight.copy_(weight.std() * codes @ draw / codes.shape[1] ** 0.5)


class Masked(nn.Module):
    """The transformer as the loop calls it: rows first, hidden vectors out."""

    def __init__(self, transformer: SpecMaskGIT) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, tokens: Tensor, mask: Tensor, conditions: Tensor, given: Tensor, firsts: Tensor) -> Tensor:
        return self.transformer.hidden(tokens, mask, conditions, given, int(firsts[0]))


@torch.inference_mode()
def judge(
    model: SpecMaskGIT, data: TokenSet, mixture: MaskMixture, conditioned: bool, seed: int = 0
) -> dict[str, float]:
    """Masked tokens of whole windows with masks from ``seed``: ``accuracy`` and ``perplexity``."""
    generator = torch.Generator().manual_seed(seed)
    hits, entropy, count = 0, 0.0, 0
    for window, vector in zip(data.tokens, data.conditions, strict=True):
        tokens = torch.from_numpy(window.astype(np.int64))[None]
        mask = draw_mask((tokens.shape[1], tokens.shape[2]), mixture, generator)[None]
        condition = torch.from_numpy(vector)[None] if conditioned and bool(vector.any()) else None
        logits = model(tokens, mask, condition)[mask.flatten(1)]
        true = tokens[mask]
        hits += int((logits.argmax(-1) == true).sum())
        entropy += float(F.cross_entropy(logits, true, reduction="sum"))
        count += len(true)
    return {"accuracy": hits / count, "perplexity": math.exp(entropy / count)}


def token_entropy(train: NDArray[np.int16], held_out: NDArray[np.int16], codes: int) -> float:
    """Perplexity of held-out tokens (windows, R, W) under the training tokens' frequencies in each row: the floor that
    a model without context reaches (add-one counts)."""
    entropy = 0.0
    for row in range(train.shape[1]):
        counts = np.bincount(train[:, row].ravel(), minlength=codes) + 1.0
        entropy -= float(np.log(counts / counts.sum())[held_out[:, row].ravel()].mean()) / train.shape[1]
    return math.exp(entropy)


def _whole(least: float, most: float, generator: torch.Generator) -> int:
    low = math.ceil(least)
    return int(torch.randint(low, max(low, math.floor(most)) + 1, (), generator=generator))


def _noisy(conditions: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    if not deviation:
        return conditions
    noise = torch.randn(conditions.shape, generator=generator).to(conditions.device)
    return F.normalize(conditions + deviation / conditions.shape[1] ** 0.5 * noise, dim=1)


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
    model = Masked(SpecMaskGIT(recipe.model))
    if recipe.embed_codes:
        embed_codes(model.transformer, tokens.codebook, recipe.loop.seed)
    draw = make_draw(tokens, recipe.objective, device)
    return runs.started(recipe, model, make_loss(recipe.objective), draw, folder, device)


def trained_specmaskgit(folder: Path) -> SpecMaskGIT:
    """The transformer of a run, for use."""
    recipe = recorded(folder, SpecMaskGITRecipe)
    model = SpecMaskGIT(recipe.model)
    model.load_state_dict(runs.part(runs.weights(folder, recipe), "transformer"))
    return model.eval()


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
    parts.save(folder, config, shipped(model))
