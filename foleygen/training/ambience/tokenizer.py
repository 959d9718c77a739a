"""``train tokenizer``: the mel tokenizer of SpecMaskGIT, with reconstruction, codebook and optional adversary."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import UsageError
from foleygen.models.vqgan import VQGAN, PatchDiscriminator, Quantised, VQGANConfig
from foleygen.strict import plain
from foleygen.training import runs
from foleygen.training.ambience.recipes import TokenizerObjective, TokenizerRecipe
from foleygen.training.ambience.windows import Windows
from foleygen.training.autoencoder import reconstruction_loss
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.parallel import RowParallel
from foleygen.training.recipe import recorded
from foleygen.training.runs import channels_last, shipped
from foleygen.weights import parts

GAIN = (-0.20, 0.12)
"""Change of level of a training crop, in mel units of 100 dB."""


class TokenizerTraining(nn.Module):
    """The tokenizer with its adversary, if the objective has one."""

    adversary: PatchDiscriminator | None
    steps: Tensor

    def __init__(self, config: VQGANConfig, objective: TokenizerObjective) -> None:
        super().__init__()
        self.tokenizer = VQGAN(config)
        self.adversary = PatchDiscriminator(objective.adversary_width) if objective.weights.adversary else None
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, mel: Tensor) -> Quantised:
        found: Quantised = self.tokenizer(mel)
        return found


def make_loss(objective: TokenizerObjective) -> Loss:
    """Weighted terms; ``perplexity`` is logged: how many codes the batch's use of the codebook is worth."""
    weights = objective.weights

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        (mel,) = batch
        found: Quantised = model(mel)
        whole = model.model if isinstance(model, RowParallel) else model
        assert isinstance(whole, TokenizerTraining)
        terms = reconstruction_terms(found.mel.float(), mel)
        rebuilt = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
        codebook = codebook_loss(found, weights.beta, whole.tokenizer.quantiser.learning == "gradient")
        total = rebuilt + weights.codebook * codebook
        logged = {**terms, "codebook": codebook, "perplexity": perplexity(found.tokens, len(_usage(whole)))}
        if whole.adversary is not None and int(whole.steps) >= objective.adversary_start:
            judged = _adversarial(whole, found.mel.float(), mel, rebuilt, objective.adversary_limit)
            total = total + weights.adversary * judged["fooling"] + judged["judging"]
            logged |= judged
        elif whole.adversary is not None:
            logged |= {"fooling": mel.new_zeros(()), "judging": mel.new_zeros(())}
        settled = objective.settle_from is not None and int(whole.steps) >= objective.settle_from
        least_share = 0.0 if settled else objective.least_share
        whole.tokenizer.quantiser.follow(found.latents, found.tokens, generator, objective.code_decay, least_share)
        whole.steps += 1
        return {"loss": total, **logged}

    return loss


def reconstruction_terms(found: Tensor, true: Tensor) -> dict[str, Tensor]:
    """``reconstruction_loss`` of mels (N, M, T), and ``flicker``: it keeps noise from being decoded as steady."""
    change_found, change_true = (F.avg_pool2d(mel.diff(dim=2).abs(), (8, 16)) for mel in (found, true))
    return {**reconstruction_loss(found, true), "flicker": F.l1_loss(change_found, change_true)}


def codebook_loss(found: Quantised, beta: float, learned: bool) -> Tensor:
    """Squared distance of latents and codes, summed over D: pulls latents by ``beta``, and codes where ``learned``."""
    commitment = (found.latents - found.codes.detach()).square().sum(1).mean()
    if not learned:
        return beta * commitment
    return beta * commitment + (found.codes - found.latents.detach()).square().sum(1).mean()


def perplexity(tokens: Tensor, codes: int) -> Tensor:
    """exp of the entropy of the codes' use: 1 when one does all, ``codes`` when all are used alike."""
    share = torch.bincount(tokens.flatten(), minlength=codes).float() / tokens.numel()
    entropy: Tensor = torch.special.entr(share).sum()
    return entropy.exp()


def make_draw(mels: NDArray[np.float16], crop: int, device: str = "cpu") -> DrawBatch:
    """Crops (M, ``crop``) of windows (windows, M, T), the livelier of two places, at another level each time."""

    def draw(generator: torch.Generator, count: int) -> Batch:
        rows = torch.randint(len(mels), (count,), generator=generator).tolist()
        crops = []
        for row in rows:
            starts = torch.randint(mels.shape[2] - crop + 1, (2,), generator=generator).tolist()
            places = [mels[row, :, start : start + crop] for start in starts]
            crops.append(max(places, key=lambda place: float(place.mean(dtype=np.float32))))
        gains = torch.empty(count, 1, 1).uniform_(*GAIN, generator=generator)
        mel = torch.from_numpy(np.stack(crops).astype(np.float32)) + gains
        return (mel.clamp(0, 1).to(device),)

    return draw


@torch.inference_mode()
def judge(tokenizer: VQGAN, mels: NDArray[np.float16]) -> dict[str, Any]:
    """The tokenizer on whole windows (windows, M, T): ``level`` (L1), ``gradient`` (share of the change along
    frequency that is left, 1 is all), ``flicker`` (the same in time), ``codes`` used and their ``perplexity``."""
    level, tokens = [], []
    changes = np.zeros((2, 2))
    for window in mels:
        mel = torch.from_numpy(window.astype(np.float32))[None]
        tokens.append(tokenizer.encode(mel))
        found = tokenizer.decode(tokens[-1]).clamp(0, 1)
        level.append(float(F.l1_loss(found, mel)))
        changes += [[float(x.diff(dim=axis).abs().mean()) for axis in (1, 2)] for x in (found, mel)]
    together = torch.cat(tokens)
    codes = tokenizer.config.codebook_size
    return {
        "level": math.fsum(level) / len(level),
        "gradient": changes[0, 0] / changes[1, 0],
        "flicker": changes[0, 1] / changes[1, 1],
        "codes": len(together.unique()),
        "perplexity": float(perplexity(together, codes)),
    }


def _adversarial(
    model: TokenizerTraining, found: Tensor, true: Tensor, rebuilt: Tensor, limit: float
) -> dict[str, Tensor]:
    """``judging`` moves the adversary alone (hinge), ``fooling`` the tokenizer alone, as strongly as ``rebuilt`` moves
    the last layer (VQGAN, Esser et al. 2021)."""
    assert model.adversary is not None
    frozen = {name: value.detach() for name, value in model.adversary.named_parameters()}
    fooling = -torch.func.functional_call(model.adversary, frozen, (found,)).float().mean()
    last = model.tokenizer.last_layer()
    pull, push = (torch.autograd.grad(term, last, retain_graph=True)[0].float().norm() for term in (rebuilt, fooling))
    balance = (pull / (push + 1e-4)).clamp(max=limit).detach()
    real, made = model.adversary(true).float(), model.adversary(found.detach()).float()
    judging = 0.5 * (F.relu(1 - real).mean() + F.relu(1 + made).mean())
    return {"fooling": balance * fooling, "judging": judging}


def _usage(model: TokenizerTraining) -> Tensor:
    return model.tokenizer.quantiser.usage


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
    model = channels_last(TokenizerTraining(recipe.model, recipe.objective))
    draw = make_draw(windows.mels, recipe.objective.crop, device)
    return runs.started(recipe, model, make_loss(recipe.objective), draw, folder, device)


def trained_tokenizer(folder: Path) -> VQGAN:
    """The tokenizer of a run, for use."""
    recipe = recorded(folder, TokenizerRecipe)
    model = VQGAN(recipe.model)
    model.load_state_dict(runs.part(runs.weights(folder, recipe), "tokenizer"))
    return model.eval()


def export_tokenizer(run: Path, windows: Windows, folder: Path) -> None:
    """A tokenizer's run as a part; ``windows`` say which mel it is for."""
    model = trained_tokenizer(run)
    config = {"kind": "tokenizer", "mel": plain(windows.config.mel), "model": plain(model.config)}
    parts.save(folder, config, shipped(model))
