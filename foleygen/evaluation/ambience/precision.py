"""What a lower precision of the second engine's transformer changes, against float32 on the same weights.

One wrong bit may tip a draw, and every later step then sees other tokens: a window decoded freely becomes another
window, as it does with another seed. So the precisions are compared step by step on float32's own states, and the
windows themselves beside the distance of two seeds. R rows and W columns of tokens; M mel bands, T frames.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from foleygen.evaluation.ambience.speed import Precision, System, converted
from foleygen.models.specmaskgit import SpecMaskGIT
from foleygen.sampling.noise import generator
from foleygen.sampling.parallel_decode import DecodeConfig, Logits, decode, draw, guided


@dataclass(frozen=True)
class Forced:
    """Means over the masked places of all steps of float32's windows: how often the likeliest code is the same, the
    Kullback-Leibler divergence from float32 in nats, and the share of draws, by the same random numbers, that are
    not."""

    argmax_agreement: float
    kl_nats: float
    draws_differ: float


@dataclass(frozen=True)
class PrecisionError:
    """``Forced`` for a precision, and its windows: mean difference of mels in [0, 1] from float32's with the same
    seed, beside that of two seeds in float32."""

    precision: Precision
    argmax_agreement: float
    kl_nats: float
    draws_differ: float
    tokens_differ: float
    mel_l1: float
    mel_l1_of_two_seeds: float


@torch.inference_mode()
def measure(
    system: System, precisions: Sequence[Precision], steps: int, windows: int = 2, seed: int = 0
) -> list[PrecisionError]:
    """A row for each of ``precisions`` but fp32; each of ``windows`` is told another tag."""
    exact = system.transformer
    config = DecodeConfig(steps=steps)
    conditions = [torch.eye(exact.config.condition_dim)[number % exact.config.condition_dim][None]
                  for number in range(windows)]  # fmt: skip
    true = [_window(exact, condition, config, seed, number) for number, condition in enumerate(conditions)]
    other = [_window(exact, condition, config, seed + 1, number) for number, condition in enumerate(conditions)]
    apart = _mel_l1(system, true, other)
    rows = []
    for precision in precisions:
        if precision == "fp32":
            continue
        model = converted(copy.deepcopy(exact), precision)
        found = [_window(model, condition, config, seed, number) for number, condition in enumerate(conditions)]
        rows.append(
            PrecisionError(
                precision=precision,
                **asdict(forced(exact, model, conditions, config, seed)),
                tokens_differ=float((torch.cat(found) != torch.cat(true)).float().mean()),
                mel_l1=_mel_l1(system, found, true),
                mel_l1_of_two_seeds=apart,
            )
        )
    return rows


@torch.inference_mode()
def forced(
    exact: SpecMaskGIT, model: SpecMaskGIT, conditions: Sequence[Tensor], config: DecodeConfig, seed: int
) -> Forced:
    """``model`` asked at every step of the windows that ``exact`` decodes, one for each of ``conditions`` (1, C)."""
    agreeing, divergences, differing = [], [], []
    for number, condition in enumerate(conditions):
        rows = [_random_numbers(seed, number)]
        truth, guess = guided(exact, condition, config), guided(model, condition, config)

        def both(
            tokens: Tensor,
            mask: Tensor,
            step: int,
            rows: Sequence[torch.Generator] = rows,
            truth: Logits = truth,
            guess: Logits = guess,
        ) -> Tensor:
            expected, found = truth(tokens, mask, step), guess(tokens, mask, step)
            open_places = mask.flatten(1)
            p, q = expected.log_softmax(-1)[open_places], found.log_softmax(-1)[open_places]
            agreeing.append(p.argmax(-1) == q.argmax(-1))
            divergences.append((p.exp() * (p - q)).sum(-1))
            first, second = (draw(logits, [row.clone_state() for row in rows], 0.0)[0] for logits in (expected, found))
            differing.append((first != second)[open_places])
            return expected

        decode(both, *_blank(exact), rows, config)
    agreement, divergence, difference = (
        float(torch.cat(values).float().mean()) for values in (agreeing, divergences, differing)
    )
    return Forced(agreement, divergence, difference)


def _window(model: SpecMaskGIT, condition: Tensor, config: DecodeConfig, seed: int, number: int) -> Tensor:
    """Tokens (1, R, W)."""
    return decode(guided(model, condition, config), *_blank(model), [_random_numbers(seed, number)], config)


def _blank(model: SpecMaskGIT) -> tuple[Tensor, Tensor]:
    grid = model.config.grid
    return torch.zeros(1, *grid, dtype=torch.long), torch.ones(1, *grid, dtype=torch.bool)


def _random_numbers(seed: int, number: int) -> torch.Generator:
    return generator("precision", seed, number)


def _mel_l1(system: System, found: Sequence[Tensor], true: Sequence[Tensor]) -> float:
    return float((system.to_mel(torch.cat(list(found))) - system.to_mel(torch.cat(list(true)))).abs().mean())
