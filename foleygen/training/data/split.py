"""Which clips are held out of a training, to validate it: by their names alone, so that they stay the same.

A clip that is added to the data later changes nothing about the others, and neither do seeds and steps.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import UsageError
from foleygen.training.data.dataset import SceneDataset


def held_out(names: Sequence[str], share: float) -> NDArray[np.bool_]:
    """True for about ``share`` of ``names`` (N,): by a hash of the name, at least one and not all of them.

    Equal names stay together. Raises UsageError where all names are equal.
    """
    places = np.array([_place(name) for name in names])
    low, high = places.min(initial=1.0), places.max(initial=0.0)
    if low >= high:
        raise UsageError("there is one clip, and none to hold out", "give more clips, or leave --validation out")
    held: NDArray[np.bool_] = (places < share) & (places < high) | (places == low)
    return held


def split_scenes(datasets: Sequence[SceneDataset], share: float) -> tuple[list[SceneDataset], list[SceneDataset]]:
    """Datasets to learn from, and of what is held out of each, by the clips' seeds; none without a ``share``."""
    if not share:
        return list(datasets), []
    masks = [held_out([str(clip.seed) for clip in dataset.clips], share) for dataset in datasets]
    kept = [_part(dataset, ~mask) for dataset, mask in zip(datasets, masks, strict=True)]
    return kept, [_part(dataset, mask) for dataset, mask in zip(datasets, masks, strict=True)]


def _part(dataset: SceneDataset, mask: NDArray[np.bool_]) -> SceneDataset:
    part = copy.copy(dataset)
    part.clips = [clip for clip, chosen in zip(dataset.clips, mask, strict=True) if chosen]
    return part


def _place(name: str) -> float:
    """A number from 0 to 1 that the name alone decides."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:6], "big") / 2**48
