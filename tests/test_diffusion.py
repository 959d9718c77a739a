"""What windows are told, picked and joined by rows; and who keeps to what a sampler may ask."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from foleygen.models.diffusion import Condition, DiffusionModel
from foleygen.sampling import joint
from foleygen.sampling.sampler import SamplerConfig, sample

SHAPE = (2, 3, 8)


@dataclass(frozen=True)
class Told(Condition):
    """A condition with one thing more."""

    word: Tensor | None = None


class Echo:
    """Another family, without weights: it predicts what it was told of each window, and counts what is asked."""

    latent_shape = SHAPE
    time_axis = 2
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.rows: list[int] = []

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> EchoPrepared:
        assert isinstance(condition, Told)
        assert condition.word is not None
        self.rows.append(len(condition))
        return EchoPrepared(condition.word, guided)


@dataclass(frozen=True)
class EchoPrepared:
    word: Tensor
    guided: bool

    def __call__(self, latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
        told = self.word[:, None, None, None].expand_as(latents)
        return told, torch.zeros_like(told) if self.guided else None


def told(count: int) -> Told:
    numbers = torch.arange(float(count))
    return Told(numbers[:, None, None].expand(count, 4, 5), word=numbers)


def test_rows_are_picked_over_all_fields() -> None:
    condition = told(4)
    for rows in (slice(1, 3), [1, 2], torch.tensor([1, 2])):
        found = condition[rows]
        assert len(found) == 2
        assert found.word is not None
        assert found.word.tolist() == found.features[:, 0, 0].tolist() == [1, 2]
    assert Told(condition.features)[:1].word is None
    assert condition.to("cpu").word is not None


def test_parts_are_joined_over_all_fields() -> None:
    condition = told(5)
    joined = Condition.cat([condition[:2], condition[2:]])
    assert joined.word is not None
    assert torch.equal(joined.word, torch.arange(5.0))
    assert torch.equal(joined.features, condition.features)
    silent = Condition.cat([Told(condition.features)] * 2)
    assert (len(silent), silent.word) == (10, None)
    with pytest.raises(TypeError):
        Condition.cat([condition, Told(condition.features)])


def test_a_family_of_its_own_is_sampled_and_hears_its_condition() -> None:
    model: DiffusionModel = Echo()
    noise = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    config = SamplerConfig(4, 2.0)
    apart = sample(model, told(3), noise, config)
    again = sample(model, told(3)[:1], noise[:1], config)
    assert torch.equal(apart[:1], again)
    swapped = sample(model, told(3)[[0, 2, 1]], noise, config)
    assert torch.equal(swapped[0], apart[0])
    assert not torch.equal(swapped[1], apart[1])


def test_joint_windows_hear_their_own_rows() -> None:
    model = Echo()
    noise = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    latents, _ = joint.sample(model, told(5), noise, 3, SamplerConfig(4, 1.0), rows=2)
    assert model.rows == [2, 2, 1]
    whole, _ = joint.sample(Echo(), told(5), noise, 3, SamplerConfig(4, 1.0), rows=5)
    assert torch.equal(latents, whole)
