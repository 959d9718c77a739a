"""A seed becomes noise here, and nowhere else: for windows of Foley, for their phase, for ambience, for choices."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowKey:
    """What the noise of a window depends on, and nothing else does; ``start`` is in samples of the soundtrack."""

    seed: int
    content_id: str
    start: int
    take: int

    @property
    def noise_seed(self) -> int:
        """The seed of the window's noise, 0..2**63 - 1: no two windows, takes or clips share it."""
        return derived(self.seed, self.content_id, self.start, self.take)

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        """The window's noise, float32, drawn on the CPU so that every device and batch starts alike."""
        return torch.randn(shape, generator=generator(self.seed, self.content_id, self.start, self.take))

    def again(self, attempt: int) -> WindowKey:
        """The key of the same window made once more, from other noise; attempt 0 is the window's own."""
        return replace(self, seed=derived(self.seed, "again", attempt)) if attempt else self

    def phase(self) -> torch.Generator:
        """Random numbers for the phase of the window's sound; they have nothing in common with its noise."""
        return generator(f"phase/{self.seed}/{self.content_id}/{self.start}/{self.take}")


def generator(*key: object) -> torch.Generator:
    """Random numbers, on the CPU, that depend on all of ``key`` and on nothing else."""
    return torch.Generator().manual_seed(derived(*key))


def derived(*key: object) -> int:
    """A seed, 0..2**63 - 1: the first bits of the SHA-256 of the lines that ``key`` makes."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def share(*key: object) -> float:
    """A number in [0, 1) that depends on all of ``key`` and on nothing else: what a choice is made by."""
    return (derived(*key) >> 10) / 2**53
