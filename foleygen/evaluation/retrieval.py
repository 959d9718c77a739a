"""Retrieval: does the embedding of a picture find that of its sound, among others' and among its own at other times?

For towers of ``train cavp``. B videos, K clips of each, D embedding size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foleygen.errors import UsageError
from foleygen.evaluation.report import Cell, text_table
from foleygen.training.cavp import ClipGeometry, Embeddings, make_rows
from foleygen.training.contrast import ContrastConfig, diagonal_blocks
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.loop import step_generator


@dataclass(frozen=True)
class RetrievalReport:
    """Share of pictures whose own sound is the nearest, and the reverse, in [0, 1].

    ``semantic`` is among all clips of ``batch`` videos, ``temporal`` among the clips of the same video.
    """

    videos: int
    batch: int
    clips_per_video: int
    semantic: float
    semantic_chance: float
    temporal: float
    temporal_chance: float

    def table(self) -> str:
        """The report as text."""
        rows: list[list[Cell]] = [
            [f"among {self.batch * self.clips_per_video} clips of {self.batch} videos", self.semantic,
             self.semantic_chance],
            [f"among the {self.clips_per_video} clips of one video", self.temporal, self.temporal_chance],
        ]  # fmt: skip
        return text_table([f"own sound and picture nearest, {self.videos} videos", "share", "chance"], rows)


def nearest(video: Tensor, audio: Tensor) -> tuple[float, float]:
    """Shares (semantic, temporal) of rows and columns whose largest cosine is the true pair's; both (B, K, D)."""
    clips = video.shape[1]
    cosines = video.flatten(0, 1).float() @ audio.flatten(0, 1).float().T  # B*K B*K
    return _found(cosines[None]), _found(diagonal_blocks(cosines, clips))


@torch.inference_mode()
def evaluate(
    towers: nn.Module,
    dataset: SceneDataset,
    geometry: ClipGeometry,
    contrast: ContrastConfig,
    batch_size: int = 8,
    seed: int = 0,
    on_clip: Callable[[int, int], None] | None = None,
) -> RetrievalReport:
    """Retrieval over the videos of a dataset, ``batch_size`` at a time; a last batch that is not full is left out.

    Raises UsageError when there are fewer videos than that.
    """
    batches = len(dataset.clips) // batch_size
    if not batches:
        fact = f"{dataset.folder}: holds {len(dataset.clips)} clips, and {batch_size} are compared at a time"
        raise UsageError(fact, "give more clips")
    row = make_rows(dataset, geometry, contrast, augmented=False)
    shares: list[tuple[float, float]] = []
    for start in range(0, batches * batch_size, batch_size):
        rows = [row(clip, step_generator(seed, clip.row)) for clip in dataset.clips[start : start + batch_size]]
        frames, mel = (torch.stack(column) for column in list(zip(*rows, strict=True))[:2])
        found: Embeddings = towers(frames, mel)
        shares.append(nearest(found.video, found.audio))
        if on_clip is not None:
            on_clip(start + batch_size, batches * batch_size)
    semantic, temporal = (sum(column) / batches for column in zip(*shares, strict=True))
    return RetrievalReport(
        videos=batches * batch_size,
        batch=batch_size,
        clips_per_video=contrast.clips_per_video,
        semantic=semantic,
        semantic_chance=1 / (batch_size * contrast.clips_per_video),
        temporal=temporal,
        temporal_chance=1 / contrast.clips_per_video,
    )


def _found(logits: Tensor) -> float:
    """Of square blocks (G, n, n), over rows and columns."""
    true = torch.arange(logits.shape[1])
    return float(sum((logits.argmax(axis) == true).double().mean() for axis in (1, 2)) / 2)
