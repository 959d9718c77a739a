"""The windows of one clip denoised together, so that neighbours describe one sound where they overlap.

All windows are views of one canvas of latent columns; at every step the model predicts each window by itself, and the
canvas follows the mean of their predictions (MultiDiffusion, Bar-Tal et al. 2023, along time). Where the state is
shared, the mean of predictions is the mean of their x0, whatever the model predicts: x0 is affine in it. A clip of any
length goes through in groups of windows; the columns that a group shares with the next are kept for every step.

Letters: N windows, C channels, P the latent axis that is no time, W latent columns of a window, O columns shared with
the next window, K columns of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from foleygen.models.diffusion import Condition, Denoiser, DiffusionModel
from foleygen.sampling.sampler import SamplerConfig, guided
from foleygen.sampling.solver import Solver

GROUP = 8
"""Windows denoised together: what a long clip holds in memory."""


Part = TypeVar("Part")
Made = TypeVar("Made")


class Each(Protocol):
    """How the parts of one work are done: one by one, or some at a time."""

    def __call__(self, work: Callable[[Part], Made], parts: Sequence[Part]) -> list[Made]:
        """``work`` of every part, in order."""
        ...


def one_by_one(work: Callable[[Part], Made], parts: Sequence[Part]) -> list[Made]:
    """In the caller's thread."""
    return [work(part) for part in parts]


@dataclass(frozen=True)
class Tie:
    """What a group leaves to the next one of its clip: the states (steps + 1, C, P, O) of the columns they share."""

    states: Tensor


def whole_columns(overlap: int, window: int, columns: int) -> int:
    """``overlap`` in samples, rounded to whole latent columns of windows of ``window`` samples and ``columns`` columns.

    At least one column unless there is no overlap, and less than a window.
    """
    width = window // columns
    return width * min(columns - 1, max(min(1, overlap), round(overlap / width)))


def fading(columns: int, shared: int) -> Tensor:
    """Weight of each column of one window, (columns,): a ramp over the columns shared with either neighbour."""
    place = torch.arange(columns, dtype=torch.float32) + 0.5
    return torch.minimum(place, columns - place).clamp(max=max(shared, 0.5))


@torch.inference_mode()
def sample(
    model: DiffusionModel,
    condition: Condition,
    noise: Tensor,
    shared: int,
    config: SamplerConfig,
    tie: Tie | None = None,
    rows: int = GROUP,
    on_step: Callable[[int, int], None] | None = None,
    each: Each = one_by_one,
) -> tuple[Tensor, Tie]:
    """Denoise consecutive windows, each ``shared`` columns into the one before it, as one.

    ``condition`` (N rows) and ``noise`` (N, *latent_shape) as for one window at a time; ``tie`` comes from
    the group before and holds the first ``shared`` columns to what that group made of them. ``rows`` windows
    at once go through the model, and ``each`` says who does the next ones meanwhile. Returns float32 latents
    (N, *latent_shape), equal where windows overlap, and the tie for the next group.
    """
    canvas = Canvas(model, len(noise), shared)
    solver = Solver(config.schedule, config.num_inference_steps, config.times)
    batches = torch.arange(len(noise)).split(rows)
    is_guided = config.guidance_scale != 1
    denoisers = each(lambda batch: model.prepared(condition[batch], solver.times, is_guided), batches)
    state = canvas.noise(noise.to(model.device, torch.float32))  # C P K
    kept = [_tied(state, tie, 0)[..., canvas.tail :].clone()]
    for step, t in enumerate(solver.times.tolist()):
        windows = canvas.windows(state)  # N C H W
        views = [windows[batch.to(windows.device)] for batch in batches]
        predict = partial(_predicted, step=step, t=t, config=config)
        predicted = each(predict, list(zip(denoisers, views, strict=True)))
        mean = canvas.mean(torch.cat(predicted))  # C P K
        state = solver.step(mean, step, state)
        kept.append(_tied(state, tie, step + 1)[..., canvas.tail :].clone())
        if on_step is not None:
            on_step(step + 1, len(solver.times))
    return canvas.windows(state), Tie(torch.stack(kept))


def _predicted(part: tuple[Denoiser, Tensor], step: int, t: float, config: SamplerConfig) -> Tensor:
    return guided(*part, step, t, config)


class Canvas:
    """The columns of ``count`` windows, each ``shared`` columns into the one before."""

    def __init__(self, model: DiffusionModel, count: int, shared: int) -> None:
        self._time_axis = model.time_axis
        columns = model.latent_shape[self._time_axis]
        if not 0 <= shared < columns:
            raise ValueError(f"windows of {columns} columns cannot share {shared}")
        hop = columns - shared
        self.tail = count * hop
        """First column that the next group shares."""
        weight = fading(columns, shared).to(model.device)
        self._weights = weight.expand(count, columns)
        self._columns = torch.arange(columns) + hop * torch.arange(count)[:, None]  # N W
        self._columns = self._columns.to(model.device)
        self._width = self.tail + shared
        self._total = self._spread(self._weights[:, None, None])[0, 0]  # K
        self._power = self._spread(self._weights.square()[:, None, None])[0, 0].sqrt()  # K

    def windows(self, canvas: Tensor) -> Tensor:
        """Each window's view (N, *latent_shape) of a canvas (C, P, K)."""
        views = canvas[..., self._columns]  # C P N W
        return self._latent(views.permute(2, 0, 1, 3))

    def mean(self, windows: Tensor) -> Tensor:
        """The canvas (C, P, K) of windows (N, *latent_shape), a weighted mean where they overlap."""
        return self._spread(self._latent(windows) * self._weights[:, None, None]) / self._total

    def noise(self, windows: Tensor) -> Tensor:
        """The same for independent noise, whose variance is kept."""
        return self._spread(self._latent(windows) * self._weights[:, None, None]) / self._power

    def _spread(self, windows: Tensor) -> Tensor:
        """The sum (C, P, K) of (N, C, P, W), each window at its columns."""
        total = windows.new_zeros(*windows.shape[1:3], self._width)
        for columns, window in zip(self._columns, windows, strict=True):
            total[..., columns[0] : columns[0] + len(columns)] += window
        return total

    def _latent(self, windows: Tensor) -> Tensor:
        """(N, C, P, W) as the model's latent, time in its place, or back: the swap is its own inverse."""
        return windows if self._time_axis == 2 else windows.transpose(2, 3)


def _tied(state: Tensor, tie: Tie | None, step: int) -> Tensor:
    """``state`` (C, P, K) with the columns of the group before in their place."""
    if tie is not None:
        state[..., : tie.states.shape[-1]] = tie.states[step]
    return state
