"""What a sampler may ask of a model, and what a model is told of the sound to make; no model is imported here.

Letters: N windows, C H W latent, T features of a window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

Told = TypeVar("Told", bound="Condition")


@dataclass(frozen=True)
class Condition:
    """What is known of N windows: each field is a tensor with a row per window, or None where nothing is said.

    Rows are picked and joined over all fields alike, so a new one needs no line here but its own.
    """

    features: Tensor
    """(N, T, feature_dim), of the pictures."""
    told: Tensor | None = None
    """(N, T, X) cues and words as ``CueLayout`` orders them; for models with an adapter of them."""

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self: Told, rows: slice | Tensor | Sequence[int]) -> Told:
        """The windows that ``rows`` picks: a slice, or their numbers in the order wanted."""
        return self._each(lambda values: values[rows.to(values.device) if isinstance(rows, Tensor) else rows])

    def to(self: Told, device: torch.device | str) -> Told:
        """The same on another device."""
        return self._each(lambda values: values.to(device))

    @staticmethod
    def cat(parts: Sequence[Told]) -> Told:
        """The windows of all ``parts`` in order. All of them say something in a field, or none does."""
        columns = {item.name: [getattr(part, item.name) for part in parts] for item in fields(parts[0])}
        silent = {name for name, values in columns.items() if all(value is None for value in values)}
        return replace(parts[0], **{name: torch.cat(columns[name]) for name in columns.keys() - silent})

    def _each(self: Told, change: Callable[[Tensor], Tensor]) -> Told:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(self, **{name: change(value) for name, value in values.items() if value is not None})


class Denoiser(Protocol):
    """A model prepared for one condition and one row of times."""

    def __call__(self, latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
        """Float32 predictions (N, C, H, W) for latents (N, C, H, W) at the time with number ``step``.

        The first follows the condition, the second does not; it is None unless guidance was asked for.
        """
        ...


class DiffusionModel(Protocol):
    """What the sampler sees of a model family."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a window."""
        ...

    @property
    def time_axis(self) -> int:
        """Index into ``latent_shape`` of the axis that is time: 1 or 2."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes, and where latents are kept between its evaluations."""
        ...

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> Denoiser:
        """The model with all that depends on the condition and on ``times`` (steps,) alone computed once.

        ``times`` lie in [0, 999] and may be fractional; ``guided`` asks for predictions without the condition too.
        """
        ...


Model = TypeVar("Model", bound=DiffusionModel)


class Around(Generic[Model]):
    """Of a model made of another one: it has that one's windows, and is where that one is."""

    model: Model

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return self.model.latent_shape

    @property
    def time_axis(self) -> int:
        return self.model.time_axis

    @property
    def device(self) -> torch.device:
        return self.model.device
