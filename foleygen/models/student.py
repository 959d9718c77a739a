"""A transformer's student: the same network, changed by little, that repeats guided runs in a few evaluations.

Every linear layer has a change of low rank beside it (LoRA, Hu et al. 2022). How strongly a run is led, for which the
transformer is evaluated twice (classifier-free guidance), is a vector beside that of the time (Meng et al. 2023, On
Distillation of Guided Diffusion Models). Changes are merged before sampling, so that an evaluation costs what one of
the transformer does. Letters: N windows, D the transformer's width, R the rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foleygen.models.denoiser import Prepared
from foleygen.models.diffusion import Around, Condition
from foleygen.models.transformer import MDSGen

CHANGED = ("blocks", "final_layer")
"""Parts of the transformer whose linear layers change."""


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """``rank`` of the changes, and the width of what embeds how a run is led."""

    rank: int = 10
    hidden_size: int = 32


class Change(nn.Module):
    """What is added to a weight (out, in), of rank R; it begins as nothing."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.down, self.up = nn.Parameter(torch.empty(rank, columns)), nn.Parameter(torch.empty(rows, rank))
        # By nn.init, which is left out for weights that are about to be loaded.
        nn.init.normal_(self.down, std=columns**-0.5)
        nn.init.zeros_(self.up)

    def forward(self, x: Tensor) -> Tensor:
        """What it adds to the layer's output."""
        return F.linear(F.linear(x, self.down), self.up)

    def whole(self) -> Tensor:
        """(out, in)"""
        return self.up @ self.down


class Lead(nn.Module):
    """How a run is led, as a vector that is added to that of the time; it begins as nothing."""

    def __init__(self, width: int, hidden_size: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(3, hidden_size), nn.SiLU(), nn.Linear(hidden_size, width))
        for parameter in self.network[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, guidance: Tensor, rescale: Tensor, evaluations: int) -> Tensor:
        """(N, 1, D) for runs of so many ``evaluations``; the scale of their guidance and its rescaling are (N,)."""
        count = torch.full_like(guidance, evaluations)
        said = torch.stack([guidance.log(), rescale, count.log2() / 2], dim=1)
        vector: Tensor = self.network(said.to(next(self.network.parameters())))
        return vector[:, None]


class StudentAdapter(nn.Module):
    """What makes a student of ``base``: a change of each linear layer, and how a run is led."""

    def __init__(self, base: MDSGen, config: StudentConfig) -> None:
        super().__init__()
        layers = linear_layers(base)
        self.changes = nn.ModuleDict({_key(name): Change(layer.weight, config.rank) for name, layer in layers.items()})
        self.lead = Lead(base.config.hidden_size, config.hidden_size)

    @contextmanager
    def beside(self, base: MDSGen) -> Iterator[None]:
        """The layers of ``base`` give what the student's would, and learn nothing themselves."""
        hooks = [
            layer.register_forward_hook(_adding(cast(Change, self.changes[_key(name)])))
            for name, layer in linear_layers(base).items()
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @torch.no_grad()
    def merge(self, base: MDSGen) -> None:
        """Change the weights of ``base`` for good."""
        for name, layer in linear_layers(base).items():
            layer.weight += cast(Change, self.changes[_key(name)]).whole().to(layer.weight)


@dataclass(frozen=True)
class Student(Around[MDSGen]):
    """A merged transformer, led as strongly as wanted without a second evaluation; a ``DiffusionModel``."""

    model: MDSGen
    lead: Lead
    guidance: float = 1.0
    rescale: float = 0.0

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> Prepared:
        """For runs at ``times``. Raises ValueError if it is to be ``guided`` once more."""
        if guided:
            raise ValueError("a student is led by what it has learnt")
        prepared = self.model.prepared(condition, times, guided=False)
        scale, rescale = (torch.tensor([value], device=self.device) for value in (self.guidance, self.rescale))
        return replace(prepared, times=prepared.times + self.lead(scale, rescale, len(times)))


def linear_layers(base: MDSGen) -> dict[str, nn.Linear]:
    """The layers that a student changes, by name."""
    named = ((name, module) for name, module in base.named_modules() if isinstance(module, nn.Linear))
    return {name: layer for name, layer in named if name.split(".")[0] in CHANGED}


def _key(name: str) -> str:
    """A module's name as a name inside another module."""
    return name.replace(".", "/")


def _adding(change: Change) -> Any:
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        added: Tensor = change(inputs[0])
        return output + added

    return hook
