"""Parts of an engine that take turns on a device where their weights would crowd it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor, nn

SHARE = 8
"""Weights that take more than one of this many parts of a device's memory take turns on it."""


def crowded(device: str, weights: int) -> bool:
    """Whether ``weights`` bytes are much for a device; a CPU and Metal share the memory that they come from."""
    if device != "cuda":
        return False
    return weights * SHARE > torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory


def onto(values: Tensor, device: str) -> Tensor:
    """A copy on the device."""
    return values.to(device)


class Turns:
    """Modules in groups: one group at a time is on the device, or all are there where it has the room.

    A group that leaves gives its memory back and goes on from the copy that stayed with the host, which nothing has
    changed, so that nothing is copied back.
    """

    def __init__(self, groups: Mapping[str, Sequence[object]], device: str) -> None:
        """``groups`` of modules on the host by name; what is None or no module is passed over."""
        self._device = device
        self._groups = {name: [part for part in parts if isinstance(part, nn.Module)] for name, parts in groups.items()}
        self._away = {name: [value.data for value in _tensors(modules)] for name, modules in self._groups.items()}
        self.alone = crowded(device, sum(value.nbytes for values in self._away.values() for value in values))
        self._here: str | None = None
        if not self.alone:
            self._away = {}
            for module in chain(*self._groups.values()):
                module.to(device)

    def take(self, name: str) -> None:
        """Bring the group ``name`` to the device, and send away the one that was there."""
        if not self.alone or self._here == name:
            return
        if self._here is not None:
            self._leave(self._here)
        # Only now, so that never two groups are there.
        try:
            # Copies made in inference mode could not be part of a gradient, which the classifier's guidance takes.
            with torch.inference_mode(False):
                _put(self._groups[name], (onto(values, self._device) for values in self._away[name]))
        except RuntimeError:
            self._leave(name)
            raise
        self._here = name

    def _leave(self, name: str) -> None:
        _put(self._groups[name], iter(self._away[name]))
        self._here = None


def _tensors(modules: Sequence[nn.Module]) -> Iterator[Tensor]:
    for module in modules:
        yield from chain(module.parameters(), module.buffers())


def _put(modules: Sequence[nn.Module], values: Iterator[Tensor]) -> None:
    for own, value in zip(_tensors(modules), values, strict=True):
        own.data = value
