"""Several processes, one gradient: each computes its rows of a batch, and all see every row's outputs.

The loss runs on whole batches in every process, with the same random numbers, so that its gradient is the single
process's whatever the loss mixes: masked terms, contrast across the batch, averages over weights. Only the models
work on a share of the rows. Batch norms keep the statistics of their process' rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn

from foleygen.errors import UsageError


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the processes that ``torchrun`` started, if it did; yields this process' device.

    NCCL joins CUDA devices, one each, gloo everything else.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
        yield device
        return
    cuda = device == "cuda"
    if cuda:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def place() -> tuple[int, int]:
    """(rank, processes); (0, 1) alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def check_batch(batch_size: int, world: int) -> None:
    """Raises UsageError unless the processes get equal shares."""
    if batch_size % world:
        raise UsageError(
            f"a batch of {batch_size} cannot be dealt evenly to {world} processes",
            f"make loop.batch_size a multiple of {world}",
        )


class RowParallel(nn.Module):
    """A model whose forward takes and gives whole batches, and computes every ``world``-th row from ``rank``.

    Inputs are tensors, or dataclasses of tensors, with rows first; so are the outputs. A tensor without dimensions
    (a learned scale) passes as it is.
    """

    def __init__(self, model: nn.Module, rank: int, world: int) -> None:
        super().__init__()
        self.model, self.rank, self.world = model, rank, world

    def forward(self, *inputs: Any, **named: Any) -> Any:
        first = next(value for value in (*inputs, *named.values()) if isinstance(value, Tensor))
        rows = len(first)
        check_batch(rows, self.world)
        mine = [self._share(value, rows) for value in inputs]
        outputs = self.model(*mine, **{name: self._share(value, rows) for name, value in named.items()})
        return self._joined(outputs)

    def _share(self, value: Any, rows: int) -> Any:
        if isinstance(value, Tensor) and value.ndim:
            assert len(value) == rows
            return value[self.rank :: self.world]
        if is_dataclass(value) and not isinstance(value, type):
            shared = {item.name: self._share(getattr(value, item.name), rows) for item in fields(value)}
            return replace(value, **shared)
        return value

    def _joined(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return _Gather.apply(value, self.rank, self.world) if value.ndim else value  # type: ignore[no-untyped-call]
        if isinstance(value, tuple):
            return tuple(self._joined(entry) for entry in value)
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{item.name: self._joined(getattr(value, item.name)) for item in fields(value)})
        return value


class _Gather(torch.autograd.Function):
    """Rows of all processes in the batch's order; the gradient goes to one's own."""

    @staticmethod
    def forward(context: Any, mine: Tensor, rank: int, world: int) -> Tensor:
        context.place = rank, world
        shares = [torch.empty(mine.shape, device=mine.device) for _ in range(world)]
        distributed.all_gather(shares, mine.detach().float().contiguous())
        return torch.stack(shares, dim=1).flatten(0, 1).to(mine.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        rank, world = context.place
        (gradient,) = gradients
        # times world: average_gradients divides what is the same in all processes and this alike
        return cast(Tensor, gradient[rank::world]) * world, None, None


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], world: int) -> None:
    """The mean of every gradient over the processes, in one exchange; a missing one counts as zero."""
    trained = [value for value in parameters if value.requires_grad]
    used = torch.tensor([float(value.grad is not None) for value in trained], device=trained[0].device)
    distributed.all_reduce(used)
    trained = [value for value, count in zip(trained, used.tolist(), strict=True) if count]
    gradients = [torch.zeros_like(value) if value.grad is None else value.grad for value in trained]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(together)
    shares = (together / world).split([value.numel() for value in trained])
    for value, share in zip(trained, shares, strict=True):
        value.grad = share.view_as(value)


@torch.no_grad()
def broadcast(state: Mapping[str, Tensor]) -> None:
    """Every tensor as the first process has it."""
    for value in state.values():
        distributed.broadcast(value, 0)
