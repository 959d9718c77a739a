"""A seed becomes noise here, and nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowKey:
    """What the noise of a window depends on, and nothing else does."""

    seed: int
    content_id: str
    start: int
    take: int


def _phase_generator(key: WindowKey) -> torch.Generator:
    text = f"phase/{key.seed}/{key.content_id}/{key.start}/{key.take}"
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def window_noise(seed: int, content_id: str, window_start: int, take: int, shape: tuple[int, ...]) -> Tensor:
    """The noise of one window, float32, drawn on the CPU so that every device and batch starts alike."""
    generator = torch.Generator().manual_seed(noise_seed(seed, content_id, window_start, take))
    return torch.randn(shape, generator=generator)


def noise_seed(seed: int, content_id: str, window_start: int, take: int) -> int:
    """The seed of a window's noise, 0..2**63 - 1.

    ``window_start`` is in samples of the soundtrack. The four are hashed, so no two windows, takes or clips share
    their noise.
    """
    digest = hashlib.sha256(f"{seed}\n{content_id}\n{window_start}\n{take}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*key: object) -> torch.Generator:
    """Random numbers, on the CPU, that depend on all of ``key`` and on nothing else."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
