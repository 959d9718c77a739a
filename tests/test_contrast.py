"""CAVP's contrastive objective against plain loops, and the pairs shown to the alignment classifier."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from foleygen.training import contrast
from foleygen.training.contrast import ContrastConfig


def units(rows: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(rows, 16, generator=torch.Generator().manual_seed(seed)), dim=1)


def slow_info_nce(video: Tensor, audio: Tensor, scale: float) -> float:
    """Symmetric InfoNCE, a pair at a time."""
    total = 0.0
    for i in range(len(video)):
        to_audio = [scale * float(video[i] @ row) for row in audio]
        to_video = [scale * float(row @ audio[i]) for row in video]
        for logits in (to_audio, to_video):
            total += math.log(sum(math.exp(x) for x in logits)) - logits[i]
    return total / (2 * len(video))


@settings(max_examples=20, deadline=None)
@given(videos=st.integers(1, 4), clips=st.integers(1, 4), seed=st.integers(0, 100))
def test_losses_equal_plain_loops(videos: int, clips: int, seed: int) -> None:
    video, audio = units(videos * clips, seed), units(videos * clips, seed + 1)
    config = ContrastConfig(clips_per_video=clips, temporal_weight=0.7)
    losses = contrast.contrastive_losses(video, audio, torch.tensor(contrast.LOGIT_SCALE), config)
    scale = 1 / 0.07
    semantic = slow_info_nce(video, audio, scale)
    blocks = zip(video.split(clips), audio.split(clips), strict=True)
    temporal = sum(slow_info_nce(v, a, scale) for v, a in blocks) / videos
    assert float(losses["semantic"]) == pytest.approx(semantic, rel=1e-4, abs=1e-5)
    assert float(losses["temporal"]) == pytest.approx(temporal, rel=1e-4, abs=1e-5)
    assert float(losses["loss"]) == pytest.approx(semantic + 0.7 * temporal, rel=1e-4, abs=1e-5)


def test_swapping_clips_within_a_video_is_a_temporal_mistake() -> None:
    video = units(6, 0)
    swapped = video[[1, 0, 2, 3, 4, 5]]
    scale = torch.tensor(contrast.LOGIT_SCALE)
    right = contrast.contrastive_losses(video, video, scale, ContrastConfig())
    wrong = contrast.contrastive_losses(video, swapped, scale, ContrastConfig())
    assert float(right["temporal"]) < 0.1 < 1 < float(wrong["temporal"])


def test_logit_scale_learns_within_its_bounds() -> None:
    scale = torch.nn.Parameter(torch.tensor(contrast.LOGIT_SCALE))
    optimiser = torch.optim.SGD([scale], lr=100.0)
    video = units(6, 0)
    contrast.contrastive_losses(video, video, scale, ContrastConfig())["loss"].backward()
    assert scale.grad is not None
    assert float(scale.grad) < 0
    optimiser.step()
    contrast.clamp_logit_scale(scale)
    assert contrast.LOGIT_SCALE < scale.item() <= math.log(100) + 1e-6
    with torch.no_grad():
        scale.fill_(-3)
    contrast.clamp_logit_scale(scale)
    assert scale.item() == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_clip_starts_keep_their_distance(seed: int) -> None:
    first, second, third = contrast.draw_clip_starts(40, torch.Generator().manual_seed(seed))
    assert 0 <= first <= 8
    assert first + 8 <= second <= 16
    assert second + 8 <= third <= 24


def test_alignment_pairs_are_half_true_a_quarter_shifted_a_quarter_foreign() -> None:
    features = torch.randn(2000, 16, 3, generator=torch.Generator().manual_seed(0))
    shown, labels = contrast.draw_alignment_pairs(features, torch.Generator().manual_seed(1))
    same = (shown == features).flatten(1).all(1)
    assert torch.equal(same, labels.bool())
    sorted_in_time = [x.flatten(1).sort(dim=1).values for x in (shown, features)]
    own = (sorted_in_time[0] == sorted_in_time[1]).all(1)
    assert float(same.float().mean()) == pytest.approx(0.5, abs=0.04)
    assert float((own & ~same).float().mean()) == pytest.approx(0.25, abs=0.04)
    row = int((own & ~same).nonzero()[0])
    turns = [n for n in range(16) if torch.equal(features[row].roll(n, 0), shown[row])]
    assert len(turns) == 1
    assert 2 <= turns[0] <= 14


def test_alignment_loss_is_the_cross_entropy() -> None:
    loss = contrast.alignment_loss(torch.tensor([[0.0], [2.0]]), torch.tensor([1.0, 0.0]))
    assert float(loss) == pytest.approx((math.log(2) + math.log(1 + math.exp(2))) / 2, rel=1e-6)
