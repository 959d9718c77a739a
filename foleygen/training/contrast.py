"""Objectives on pairs of picture and sound, after Diff-Foley (NeurIPS 2023).

CAVP tells clips apart across videos (semantic) and within one (temporal); the alignment classifier tells true pairs
from shifted and foreign ones. B videos, K clips of each, D embedding size; both towers of CAVP give unit vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

LOGIT_SCALE = math.log(1 / 0.07)
"""Initial log of the factor on cosine similarities: temperature 0.07."""
MAX_LOGIT_SCALE = math.log(100)


@dataclass(frozen=True)
class ContrastConfig:
    """``clips_per_video`` is K; ``temporal_weight`` weighs the loss within a video against the semantic one."""

    clips_per_video: int = 3
    temporal_weight: float = 1.0


def contrastive_losses(video: Tensor, audio: Tensor, logit_scale: Tensor, config: ContrastConfig) -> dict[str, Tensor]:
    """Scalar ``loss``, ``semantic`` and ``temporal`` of embeddings (B * K, D), the clips of a video side by side.

    semantic: symmetric InfoNCE over all B * K pairs, other clips of the same video being negatives too.
    temporal: the same within each video, among its K clips; 0 when K is 1.
    """
    assert video.shape == audio.shape
    assert len(video) % config.clips_per_video == 0
    logits = logit_scale.exp() * video.float() @ audio.float().T  # B*K B*K
    semantic = info_nce(logits[None])
    temporal = info_nce(diagonal_blocks(logits, config.clips_per_video))
    return {"loss": semantic + config.temporal_weight * temporal, "semantic": semantic, "temporal": temporal}


def info_nce(logits: Tensor) -> Tensor:
    """Mean cross entropy of square blocks (G, n, n) whose diagonals are the true pairs, over rows and columns."""
    groups, size = logits.shape[:2]
    labels = torch.arange(size, device=logits.device).repeat(groups)
    rows = F.cross_entropy(logits.flatten(0, 1), labels)
    columns = F.cross_entropy(logits.transpose(1, 2).flatten(0, 1), labels)
    return (rows + columns) / 2


def diagonal_blocks(logits: Tensor, size: int) -> Tensor:
    """The blocks (B, size, size) on the diagonal of (B * size, B * size)."""
    videos = len(logits) // size
    blocks = logits.view(videos, size, videos, size).diagonal(dim1=0, dim2=2)  # K K B
    return blocks.permute(2, 0, 1)


@torch.no_grad()
def clamp_logit_scale(logit_scale: Tensor) -> None:
    """Keep the learned log scale in [0, ln 100], in place; called after every optimiser step."""
    logit_scale.clamp_(0, MAX_LOGIT_SCALE)


def draw_clip_starts(
    total: int, generator: torch.Generator, length: int = 16, least_shift: int = 8, clips: int = 3
) -> tuple[int, ...]:
    """Ascending starts of ``clips`` stretches of ``length`` frames in ``total``, each ``least_shift`` apart or more.

    With the published 40 frames at 4 fps: starts in 0..8, then at least 8 later and up to 16, then up to 24. The k-th
    start is uniform over what leaves room for the later ones.
    """
    last = total - length
    assert last >= (clips - 1) * least_shift
    starts: list[int] = []
    for index in range(clips):
        low = starts[-1] + least_shift if starts else 0
        high = last - (clips - 1 - index) * least_shift
        starts.append(int(torch.randint(low, high + 1, (), generator=generator, device=generator.device)))
    return tuple(starts)


def draw_alignment_pairs(features: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Features to show the alignment classifier beside the latents of a batch, and their labels.

    Of features (N, T, F) a half stays (label 1), a quarter is turned in time by T/8 to 7 T/8, and a quarter comes
    from another row of the batch (label 0 both). Returns (N, T, F) and float32 (N,); N is at least 2.
    """
    batch, length = features.shape[:2]
    assert batch > 1
    kind = torch.rand(batch, generator=generator, device=generator.device)
    turns = torch.randint(
        max(1, length // 8), length - length // 8, (batch,), generator=generator, device=generator.device
    )
    others = torch.randint(1, batch, (batch,), generator=generator, device=generator.device)
    rows = torch.arange(batch, device=generator.device)
    rows = torch.where(kind >= 0.75, (rows + others) % batch, rows)
    turns = torch.where((kind >= 0.5) & (kind < 0.75), turns, 0)
    times = (torch.arange(length, device=generator.device) - turns[:, None]) % length  # N T
    shown = features[rows.to(features.device)[:, None], times.to(features.device)]
    return shown, (kind < 0.5).float().to(features.device)


def alignment_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross entropy of logits (N, 1) against labels (N,)."""
    return F.binary_cross_entropy_with_logits(logits[:, 0], labels)
