"""Nothing of a mel that a sampler overshot with is louder than sounds are, and the rest is not touched."""

from __future__ import annotations

import pytest
import torch

from foleygen.audio.ceiling import LOUDEST_DB, lowered


def level_db(mels: torch.Tensor) -> torch.Tensor:
    """Of each column (N, M, L) -> (N, L), all its bands together."""
    return 10 * torch.log10((10 ** (10 * mels.double())).sum(dim=1))


def mels(rows: int = 3) -> torch.Tensor:
    """Soft noise with a loud hit in each, twelve decibels above all true ones."""
    found = 0.3 + 0.1 * torch.rand(rows, 128, 64, generator=torch.Generator().manual_seed(0))
    found[:, :, 20:22] += 0.55
    return found


def test_what_is_too_loud_is_lowered_as_a_whole() -> None:
    before = mels()
    after = lowered(before)
    assert level_db(before).max() > LOUDEST_DB + 8
    assert level_db(after).max() == pytest.approx(LOUDEST_DB, abs=0.01)
    by = before[:, :, 20:22] - after[:, :, 20:22]
    assert by.amax(dim=1) == pytest.approx(by.amin(dim=1), abs=1e-6)  # its spectrum stays
    assert torch.equal(after[:, :, :20], before[:, :, :20])
    assert torch.equal(after[:, :, 22:], before[:, :, 22:])


def test_a_mel_like_those_of_true_sounds_keeps_its_bits() -> None:
    quiet = mels().clamp(max=0.5)
    assert torch.equal(lowered(quiet), quiet)


def test_it_does_not_depend_on_the_batch() -> None:
    many = mels(5)
    assert torch.equal(lowered(many)[3:4], lowered(many[3:4]))
