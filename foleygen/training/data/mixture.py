"""Batches out of several datasets of scenes: whether they go together, and how much of a batch each of them gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from foleygen.errors import UsageError
from foleygen.training.data.dataset import SceneDataset, open_scenes, with_pictures
from foleygen.training.loop import Batch, DrawBatch


def shares_of(given: Sequence[float], clips: Sequence[int]) -> tuple[float, ...]:
    """What each of the datasets with so many ``clips`` gives to the batches, relative to the sum of all.

    Without shares ``given``, every clip is as likely as any other. Empty for one dataset, which gives all. Raises
    UsageError where the numbers of shares and datasets differ.
    """
    if given and len(given) != len(clips):
        raise UsageError(
            f"shares for {len(given)} datasets are given, and {len(clips)} datasets",
            "give --share once for every --data, or not at all",
        )
    if len(clips) == 1:
        return ()
    return tuple(given) or tuple(count / sum(clips) for count in clips)


def mixed(draws: Sequence[DrawBatch], shares: Sequence[float]) -> DrawBatch:
    """Batches whose rows come from one of ``draws`` each, by chance in these shares; one alone is left as it is."""
    if len(draws) == 1:
        return draws[0]
    weights = torch.tensor(shares, dtype=torch.float64)

    def draw(generator: torch.Generator, count: int) -> Batch:
        picked = torch.multinomial(weights, count, replacement=True, generator=generator)
        counts = picked.bincount(minlength=len(draws)).tolist()
        parts = [one(generator, rows) for one, rows in zip(draws, counts, strict=True) if rows]
        # every row back to where it was picked, or processes that share a batch would each see one dataset
        places = picked.argsort(stable=True).argsort()
        return tuple(torch.cat(column)[places] for column in zip(*parts, strict=True))

    return draw


def check_alike(datasets: Sequence[SceneDataset], pictures: bool) -> None:
    """Raises UsageError for datasets whose mels, or ``pictures``, have other shapes or rates than the first one's."""
    first, *others = datasets
    wanted = _geometry(first, pictures)
    for dataset in others:
        found = _geometry(dataset, pictures)
        if found != wanted:
            raise UsageError(
                f"{dataset.folder}: has {found}, {first.folder} {wanted}", "name datasets that were made alike"
            )


def _geometry(dataset: SceneDataset, pictures: bool) -> str:
    """Shapes and rates in words."""
    config = dataset.config
    count, rate = int(config["num_frames"]), float(config["frame_rate"])
    bands, columns = dataset.mels.shape[1:]
    mels = f"mels of {bands} x {columns} for {count / rate:g} s"
    return f"{count} pictures of {config['frame_size']} pixels and {mels}" if pictures else mels


def open_alike(folders: Sequence[Path], pictures: bool = False) -> list[SceneDataset]:
    """Datasets whose clips fit one batch. Raises UsageError where they do not, or have no ``pictures``."""
    datasets = [open_scenes(folder) for folder in folders]
    if pictures:
        datasets = [with_pictures(dataset) for dataset in datasets]
    check_alike(datasets, pictures)
    return datasets
