"""One training loop for every model: seeded by step, resumable to the step, with curves on disk.

A batch is a function of (seed, step) alone, so a run that was killed and resumed draws what it would have
drawn, and processes that share a batch (``torchrun``) give the gradients of one: see ``parallel``.
"""

from __future__ import annotations

import csv
import errno
import math
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from foleygen.atomic import publish
from foleygen.errors import ExitCode, FoleygenError, SetupError, UsageError
from foleygen.strict import shortened
from foleygen.training import journal, parallel
from foleygen.training.progress import Report

CHECKPOINT = "checkpoint.pt"
CURVE = "loss.csv"
HELD_BATCHES = 4
"""How many batches of what is held out the loss is the mean of."""


class TrainingError(FoleygenError):
    """The training cannot go on; the last good checkpoint is kept."""

    exit_code = ExitCode.ALL_FAILED


@dataclass(frozen=True)
class LoopConfig:
    """How long, how fast, how often; ``hold`` is the share of the steps before a linear decay to ``final_rate``.

    ``validation`` is the share of the clips that is held out, whose loss is logged too.
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 5e-4
    schedule: Literal["constant", "decay", "cosine"] = "constant"
    warmup: int = 0
    hold: float = 0.6
    final_rate: float = 0.02
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    optimiser: Literal["adamw", "adan"] = "adamw"
    ema_decay: float | None = 0.999
    clip_norm: float = 1.0
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    log_every: int = 20
    save_every: int = 500
    validation: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1:
            raise UsageError("steps and batch_size must be at least 1", "correct the training configuration")
        if not 0 <= self.validation < 1:
            raise UsageError(f"validation is {self.validation:g}", "hold out a share of the clips from 0 to below 1")

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        progress = step / self.steps
        if self.schedule == "cosine":
            shape = 0.5 * (1 + math.cos(math.pi * progress))
        elif self.schedule == "decay" and progress > self.hold:
            shape = 1 - (1 - self.final_rate) * (progress - self.hold) / (1 - self.hold)
        else:
            shape = 1.0
        return self.learning_rate * warm * shape


Batch = tuple[Tensor, ...]
DrawBatch = Callable[[torch.Generator, int], Batch]
"""(generator, batch size) -> the batch's tensors, rows first."""
Loss = Callable[[nn.Module, Batch, torch.Generator], Mapping[str, Tensor]]
"""(model, rows, generator) -> scalars; ``loss`` is minimised, the others are logged."""


def step_generator(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """The random numbers of one step; ``stream`` separates what is drawn for the data from what the loss draws."""
    mixed = (seed * 1_000_003 + step) * 7_919 + stream
    return torch.Generator().manual_seed(mixed % (2**63))


class Loop:
    """Owns model, optimiser, averaged weights and step count; ``run`` goes on from wherever they stand."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        draw: DrawBatch,
        config: LoopConfig,
        folder: Path,
        held: DrawBatch | None = None,
    ) -> None:
        """``held`` draws from what is held out of ``draw``; ``on_step`` may be set, to be called after each step."""
        self.held, self.on_step = held, _nothing
        self.model, self.loss, self.draw, self.config, self.folder = model, loss, draw, config, folder
        self.optimiser = make_optimiser(model, config)
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.step = 0
        self.rank, self.world = parallel.place()
        parallel.check_batch(config.batch_size, self.world)
        self._forward = parallel.RowParallel(model, self.rank, self.world) if self.world > 1 else model

    def resume(self) -> bool:
        """Load the folder's checkpoint if there is one; True if so."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return False
        state = load_checkpoint(path)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average = {
            name: value.to(self.average[name].device, copy=True) for name, value in state["average"].items()
        }
        self.step = int(state["step"])
        if self.rank == 0:
            self._forget_curve()
        return True

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "step": self.step,
        }
        destination = self.folder / CHECKPOINT
        with publish(destination) as path, open(path, "wb") as handle:
            try:
                torch.save(state, handle)
            except RuntimeError as error:
                # torch hides the errno; a file that opened and then takes no more bytes has no room
                raise OSError(errno.ENOSPC, str(error)) from error

    def run(self, report: Report | None = None) -> None:
        """Train to the last step. Raises TrainingError at the first loss or gradient that is not finite."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.world > 1:
            parallel.broadcast(self.model.state_dict())
        self.model.train()
        sums: dict[str, float] = {}
        since, started = 0, time.monotonic()
        while self.step < self.config.steps:
            for name, value in self._step().items():
                sums[name] = sums.get(name, 0.0) + value
            self.step, since = self.step + 1, since + 1
            last = self.step == self.config.steps
            if self.step % self.config.log_every == 0 or last:
                means = {name: value / since for name, value in sums.items()} | self._validated()
                rate = since / max(1e-9, time.monotonic() - started)
                if self.rank == 0:
                    self._log(means)
                if report is not None:
                    report(self.step, self.config.steps, means, rate)
                sums, since, started = {}, 0, time.monotonic()
            if (self.step % self.config.save_every == 0 or last) and self.rank == 0:
                self.save()
            if self.rank == 0:
                self.on_step(self.step)

    def averaged(self) -> dict[str, Tensor]:
        """The weights to ship: the moving average, or the last ones where none is kept."""
        return self.average if self.config.ema_decay is not None else self.model.state_dict()

    def _step(self) -> dict[str, float]:
        config = self.config
        rows = self.draw(step_generator(config.seed, self.step), config.batch_size)
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate(self.step)
        device = next(self.model.parameters()).device
        generator = step_generator(config.seed, self.step, 1)
        torch.manual_seed(step_generator(config.seed, self.step, 2 + self.rank).initial_seed())  # for dropout
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            terms = self.loss(self._forward, rows, generator)
        self.optimiser.zero_grad(set_to_none=True)
        terms["loss"].backward()
        if self.world > 1:
            parallel.average_gradients(self.model.parameters(), self.world)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        if not (torch.isfinite(terms["loss"]) and torch.isfinite(norm)):
            raise TrainingError(
                f"{self.folder}: the loss is not finite at step {self.step}",
                f"the last good checkpoint is {self.folder / CHECKPOINT}; lower learning_rate and run again",
            )
        self.optimiser.step()
        self._update_average()
        return {name: float(value.detach()) for name, value in terms.items()}

    @torch.no_grad()
    def _validated(self) -> dict[str, float]:
        """The loss of what is held out: the same rows and the same noise every time, whatever the seed is."""
        if self.held is None or self.rank:
            return {}
        self.model.eval()
        device, found = next(self.model.parameters()).device, []
        for batch in range(HELD_BATCHES):
            rows = self.held(step_generator(0, batch), self.config.batch_size)
            with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                terms = self.loss(self.model, rows, step_generator(0, batch, 1))
            found.append(float(terms["loss"]))
        self.model.train()
        return {"validation": sum(found) / len(found)}

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = self.config.ema_decay
        if decay is None:
            return
        for name, value in self.model.state_dict().items():
            average = self.average[name]
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def _log(self, means: Mapping[str, float]) -> None:
        path = self.folder / CURVE
        fresh = not path.exists()
        with journal.room_for(path), open(path, "a", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            if fresh:
                writer.writerow(["step", *means])
            writer.writerow([self.step, *(f"{value:.6g}" for value in means.values())])

    def _forget_curve(self) -> None:
        """Drop the rows beyond the checkpoint: they are about to be written again."""
        path = self.folder / CURVE
        if not path.exists():
            return
        with open(path, newline="", encoding="utf-8") as handle:
            header, *rows = list(csv.reader(handle)) or [[]]
        kept = [row for row in rows if len(row) == len(header) and int(row[0]) <= self.step]
        with publish(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerows([header, *kept] if header else [])


def _nothing(step: int) -> None:
    """What follows a step unless something else is set."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What ``Loop.save`` wrote, on the CPU. Raises UsageError when it is damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = shortened(str(error), 160)
        raise UsageError(f"{path}: cannot be read ({reason})", "restore it, or remove it to begin again") from error
    if not isinstance(state, dict):
        raise UsageError(f"{path}: is no checkpoint", "restore it, or remove it to begin again")
    return state


def make_optimiser(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    """AdamW, or the Adan of the paper."""
    parameters = [value for value in model.parameters() if value.requires_grad]
    if config.optimiser == "adan":
        try:
            from pytorch_optimizer import Adan
        except ImportError as error:
            raise SetupError(
                "Adan needs pytorch-optimizer, which is not installed", "install it with: pip install 'foleygen[train]'"
            ) from error
        optimiser: torch.optim.Optimizer = Adan(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
        return optimiser
    return torch.optim.AdamW(parameters, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay)


def plot_curve(folder: Path) -> Path:
    """Draw ``loss.csv`` as ``loss.png``. Raises SetupError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SetupError(
            "curves need matplotlib, which is not installed", "install it with: pip install 'foleygen[train]'"
        ) from error
    with open(folder / CURVE, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    drawing = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    steps = [int(row["step"]) for row in rows]
    marker = "-" if len(rows) > 1 else "o"  # a line through one point is not seen
    for name in rows[0]:
        if name != "step":
            axes.plot(steps, [float(row[name]) for row in rows], marker, label=name)
    axes.set(xlabel="step", yscale="log")
    axes.legend(ncols=3, fontsize=7)
    destination = folder / "loss.png"
    with publish(destination) as temporary:
        drawing.savefig(temporary, dpi=120)
    return destination
