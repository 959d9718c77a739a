"""``train tagger``: which tag a window of sound has, learnt from the training fold to judge what is generated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.models.tagger import Tagger, TaggerConfig
from foleygen.models.vqgan import VQGAN
from foleygen.strict import plain
from foleygen.training import runs
from foleygen.training.ambience.recipes import TaggerRecipe
from foleygen.training.ambience.tokenizer import trained_tokenizer
from foleygen.training.ambience.windows import Windows, tags_of
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.recipe import recorded
from foleygen.training.runs import channels_last, shipped
from foleygen.training.spoiling import recoloured
from foleygen.weights import parts

GAIN = (-0.20, 0.12)
"""Change of level of a training crop, in mel units of 100 dB."""
COLOUR = 0.08
"""Change of colour of a training crop: a tag is not to be known by one recording's equipment."""
NOISE = 0.03
"""Standard deviation of noise on the mel: what was decoded or vocoded is not to look foreign."""


def make_draw(
    windows: Windows, tags: Sequence[str], crop: int, tokenizer: VQGAN | None = None, device: str = "cpu"
) -> DrawBatch:
    """Crops (N, M, ``crop``), the livelier of two places, and weights (N, tags) of windows that have a tag.

    With a tokenizer half of the crops are its reconstructions, which is how generated sound looks.
    """
    weights = windows.tag_weights(tags)
    rows = np.flatnonzero(weights.any(1))

    def draw(generator: torch.Generator, count: int) -> Batch:
        picked = rows[torch.randint(len(rows), (count,), generator=generator).numpy()]
        crops = []
        for row in picked:
            starts = torch.randint(windows.mels.shape[2] - crop + 1, (2,), generator=generator).tolist()
            places = [windows.mels[row, :, start : start + crop] for start in starts]
            crops.append(max(places, key=lambda place: float(place.mean(dtype=np.float32))))
        mel = torch.from_numpy(np.stack(crops).astype(np.float32))
        mel = recoloured(mel, GAIN, COLOUR, generator)
        if tokenizer is not None:
            half = count // 2
            with torch.inference_mode():
                rebuilt = tokenizer.decode(tokenizer.encode(mel[:half]))
            mel[:half] = rebuilt.clamp(0, 1)
        mel = mel + NOISE * torch.randn(mel.shape, generator=generator)
        return mel.to(device), torch.from_numpy(weights[picked]).to(device)

    return draw


def make_loss(label_smoothing: float = 0.1) -> Loss:
    """Cross entropy against the weights of the tags."""

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        mel, weights = batch
        logits = model(mel).float()
        accuracy = weights.gather(1, logits.detach().argmax(1, keepdim=True)).gt(0).float().mean()
        return {"loss": F.cross_entropy(logits, weights, label_smoothing=label_smoothing), "accuracy": accuracy}

    return loss


@torch.inference_mode()
def judge(tagger: Tagger, mels: NDArray[np.float16], weights: NDArray[np.float32]) -> dict[str, float]:
    """``accuracy`` of the first and ``top3`` of the first three guesses on windows (windows, M, T) that have a tag, and
    the ``chance`` of one who always says the most frequent tag."""
    hits = hits3 = 0
    rows = np.flatnonzero(weights.any(1))
    for row in rows:
        logits = tagger(torch.from_numpy(mels[row].astype(np.float32))[None])[0]
        order = logits.argsort(descending=True)[:3].tolist()
        hits += bool(weights[row, order[0]])
        hits3 += bool(weights[row, order].any())
    chance = float((weights[rows] > 0).mean(0).max())
    return {"accuracy": hits / len(rows), "top3": hits3 / len(rows), "chance": chance, "windows": float(len(rows))}


def tagger_loop(recipe: TaggerRecipe, data: Path, tokenizer: Path | None, folder: Path, device: str) -> Loop:
    """The classifier on windows of sound, half of them as the tokenizer of a run gives them back."""
    windows = Windows(data)
    torch.manual_seed(recipe.loop.seed)
    model = channels_last(Tagger(tagger_config(recipe, windows)))
    ears = trained_tokenizer(tokenizer) if tokenizer is not None else None
    draw = make_draw(windows, tags_of(windows), recipe.crop, ears, device)
    return runs.started(recipe, model, make_loss(recipe.label_smoothing), draw, folder, device)


def tagger_config(recipe: TaggerRecipe, windows: Windows) -> TaggerConfig:
    """The recipe's tagger for the mel and the tags of these windows."""
    return TaggerConfig(windows.config.mel.num_mels, len(tags_of(windows)), recipe.widths)


def export_tagger(run: Path, windows: Windows, folder: Path) -> None:
    """A tagger's run as a part."""
    recipe = recorded(run, TaggerRecipe)
    model = Tagger(tagger_config(recipe, windows))
    model.load_state_dict(runs.weights(run, recipe))
    config = {"kind": "tagger", "tags": list(tags_of(windows)), "model": plain(model.config)}
    parts.save(folder, config, shipped(model))
