"""The teacher's runs, which a student is to repeat in fewer evaluations; kept in pieces, each whole or not there.

R runs, K marks, (Z, H, W) latents, M token columns, D the transformer's width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.atomic import publish
from foleygen.errors import UsageError
from foleygen.models.diffusion import Condition
from foleygen.models.transformer import MDSGen
from foleygen.sampling.sampler import SamplerConfig, guided
from foleygen.sampling.solver import Solver
from foleygen.training.distillation.recipe import TeachingConfig
from foleygen.training.loop import step_generator

PIECE = 64
"""Runs in a file."""
ALIKE = 8
"""Runs at once, which are led alike."""


@dataclass(frozen=True)
class Runs:
    """What the transformer heard, how it was led, and where that took the noise.

    Of cues and words only what the transformer hears of them is kept, so that an adapter that is trained on makes no
    run untrue.
    """

    states: NDArray[np.float16]
    """(R, K + 1, Z, H, W), the noise first."""
    heard: NDArray[np.float16]
    """(R, M, D)"""
    guidance: NDArray[np.float32]
    """(R,)"""
    rescale: NDArray[np.float32]
    """(R,)"""

    @staticmethod
    def cat(parts: Sequence[Runs]) -> Runs:
        """The runs of all ``parts`` in order."""
        return Runs(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Runs)))


class DrawCondition(Protocol):
    """(generator, rows, whether they are told something) -> what is known of them."""

    def __call__(self, generator: torch.Generator, count: int, told: bool) -> Condition: ...


@dataclass(frozen=True)
class Teacher:
    """A transformer, and how it is usually led: without anything told, and with."""

    model: MDSGen
    untold: SamplerConfig
    told: SamplerConfig
    source: str
    """Which transformer this is, and how it is sampled."""

    def config(self, teaching: TeachingConfig, told: bool, generator: torch.Generator) -> SamplerConfig:
        """How some runs are led."""
        usual = self.told if told else self.untold
        draw = torch.rand(3, generator=generator).tolist()
        least, most = teaching.guidance
        scale = usual.guidance_scale if draw[0] < teaching.usual else least + draw[1] * (most - least)
        rescale = 0.0 if draw[2] < teaching.plain else usual.guidance_rescale
        return replace(usual, num_inference_steps=teaching.steps, guidance_scale=scale, guidance_rescale=rescale)


def make(
    folder: Path,
    teacher: Teacher,
    draw: DrawCondition,
    teaching: TeachingConfig,
    part: tuple[int, int] = (1, 1),
    on_run: Callable[[int, int], None] | None = None,
) -> None:
    """Make the pieces that are missing, ``part`` (i, n) of them; several processes may make different parts."""
    pieces = -(-teaching.runs // PIECE)
    own = range(part[0] - 1, pieces, part[1])
    for done, number in enumerate(own, 1):
        if not _file(folder, number).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            _save(_file(folder, number), _piece(teacher, draw, teaching, number), teacher.source)
        if on_run is not None:
            on_run(done * PIECE, len(own) * PIECE)


def load(folder: Path, source: str, teaching: TeachingConfig) -> Runs:
    """All runs of a folder. Raises UsageError if some are missing, or were made by another transformer."""
    found = []
    for number in range(-(-teaching.runs // PIECE)):
        path = _file(folder, number)
        if not path.is_file():
            raise UsageError(f"{path}: is not there", "let every part of the runs be made")
        found.append(_loaded(path, source))
    return Runs.cat(found)


def _piece(teacher: Teacher, draw: DrawCondition, teaching: TeachingConfig, number: int) -> Runs:
    generator = step_generator(teaching.seed, number)
    parts = []
    for _ in range(PIECE // ALIKE):
        told = bool(torch.rand((), generator=generator) < teaching.told)
        config = teacher.config(teaching, told, generator)
        condition = draw(generator, ALIKE, told)
        noise = torch.randn(ALIKE, *teacher.model.latent_shape, generator=generator).half().float()
        parts.append(run(teacher.model, condition, noise, config, teaching.marks))
    return Runs.cat(parts)


@torch.inference_mode()
def run(model: MDSGen, condition: Condition, noise: Tensor, config: SamplerConfig, marks: Sequence[int]) -> Runs:
    """The states (R, K + 1, Z, H, W) of noise (R, Z, H, W) before and after as many steps as ``marks`` say."""
    solver = Solver(config.schedule, config.num_inference_steps)
    denoiser = model.prepared(condition.to(model.device), solver.times, guided=config.guidance_scale != 1)
    state = noise.to(model.device, torch.float32)
    kept = [state]
    for step, t in enumerate(solver.times.tolist()):
        state = solver.step(guided(denoiser, state, step, t, config), step, state)
        if step + 1 in marks:
            kept.append(state)
    count = len(noise)
    return Runs(
        torch.stack(kept, dim=1).cpu().numpy().astype(np.float16),
        denoiser.video.float().cpu().numpy().astype(np.float16),
        np.full(count, config.guidance_scale, np.float32),
        np.full(count, config.guidance_rescale, np.float32),
    )


def _file(folder: Path, number: int) -> Path:
    return folder / f"runs-{number:05}.npz"


def _save(path: Path, piece: Runs, source: str) -> None:
    with publish(path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, source=source, **vars(piece))


def _loaded(path: Path, source: str) -> Runs:
    with np.load(path) as arrays:
        if str(arrays["source"]) != source:
            raise UsageError(f"{path}: was made by another transformer", "choose another folder with -o")
        return Runs(**{item.name: arrays[item.name] for item in fields(Runs)})
