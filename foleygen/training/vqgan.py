"""``train tokenizer``: the mel tokenizer of SpecMaskGIT, with reconstruction, codebook and optional adversary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.errors import UsageError
from foleygen.models.vqgan import PATCH, VQGAN, PatchDiscriminator, Quantised, VQGANConfig
from foleygen.training.autoencoder import reconstruction_loss
from foleygen.training.loop import Batch, DrawBatch, Loss
from foleygen.training.parallel import RowParallel

GAIN = (-0.20, 0.12)
"""Change of level of a training crop, in mel units of 100 dB."""


@dataclass(frozen=True)
class TokenizerWeights:
    """Weights of the reconstruction's terms (see ``reconstruction_loss``; ``flicker`` is how much change in time there
    is at all in each neighbourhood), of the codebook (``beta`` as in VQ-VAE, on the commitment) and the adversary."""

    level: float = 1.0
    time: float = 0.5
    frequency: float = 1.0
    steady: float = 2.0
    detail: float = 1.0
    flicker: float = 0.5
    codebook: float = 0.1
    beta: float = 0.25
    adversary: float = 0.0


@dataclass(frozen=True)
class TokenizerObjective:
    """``crop`` frames at a time. Codes follow with ``code_decay``, and are moved where something is when used less
    than ``least_share`` of an even use, until step ``settle_from``. The adversary, if it has a weight, starts at step
    ``adversary_start``, with ``adversary_width`` channels and at most ``adversary_limit`` times the weight that
    balances the gradients."""

    crop: int = 128
    code_decay: float = 0.97
    least_share: float = 0.25
    settle_from: int | None = None
    adversary_start: int = 0
    adversary_width: int = 32
    adversary_limit: float = 1.0
    weights: TokenizerWeights = TokenizerWeights()

    def __post_init__(self) -> None:
        if self.crop < PATCH or self.crop % PATCH:
            raise UsageError(f"objective.crop is {self.crop}", f"give a multiple of {PATCH}")


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
