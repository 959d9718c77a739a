"""Parallel decoding: known tokens stay, schedules count right, and AmusedScheduler agrees where both can."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from diffusers import AmusedScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foleygen.errors import UsageError
from foleygen.models.specmaskgit import SpecMaskGIT, SpecMaskGITConfig
from foleygen.sampling.parallel_decode import DecodeConfig, columns_mask, decode, guided, rows_mask

ROWS, COLUMNS, CODES = 3, 5, 16
GRID = (ROWS, COLUMNS)


def seeds(count: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + row) for row in range(count)]


def table(batch: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(batch, ROWS * COLUMNS, CODES, generator=torch.Generator().manual_seed(seed))


masks = st.lists(st.booleans(), min_size=ROWS * COLUMNS, max_size=ROWS * COLUMNS).map(
    lambda flags: torch.tensor(flags).view(1, *GRID)
)
configs = st.builds(
    DecodeConfig,
    steps=st.integers(1, 16),
    schedule=st.sampled_from(["cosine", "linear"]),
    temperature=st.floats(0, 10),
)


@settings(max_examples=60, deadline=None)
@given(mask=masks, config=configs, seed=st.integers(0, 99))
def test_known_tokens_stay_and_the_masked_are_found_step_by_step(mask: Tensor, config: DecodeConfig, seed: int) -> None:
    tokens = torch.randint(CODES, (1, *GRID), generator=torch.Generator().manual_seed(seed))
    logits, open_places = table(1, seed), []

    def spy(now: Tensor, masked: Tensor, step: int) -> Tensor:
        assert torch.equal(now[~mask], tokens[~mask])
        assert not bool((masked & ~mask).any())
        open_places.append(int(masked.sum()))
        return logits

    found = decode(spy, tokens, mask, seeds(1, seed), config)
    assert torch.equal(found[~mask], tokens[~mask])
    assert int(found.min()) >= 0
    assert int(found.max()) < CODES
    assert open_places[0] == int(mask.sum())
    assert all(later < earlier for earlier, later in itertools.pairwise(open_places))
    assert len(open_places) <= config.steps


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_as_many_stay_masked_as_the_schedule_says(schedule: str) -> None:
    config = DecodeConfig(steps=8, schedule=schedule)  # type: ignore[arg-type]
    grid, counts = (10, 30), []

    def spy(tokens: Tensor, mask: Tensor, step: int) -> Tensor:
        counts.append(mask.flatten(1).sum(1).tolist())
        return torch.zeros(2, 300, CODES)

    mask = torch.stack([torch.ones(grid, dtype=torch.bool), columns_mask(grid, 5, 15)])
    decode(spy, torch.zeros(2, *grid, dtype=torch.long), mask, seeds(2), config)
    share = [math.cos(math.pi / 2 * k / 8) if schedule == "cosine" else 1 - k / 8 for k in range(8)]
    assert counts == [[int(300 * value), int(100 * value)] for value in share]


def test_a_row_does_not_see_the_batch_it_is_in() -> None:
    config = DecodeConfig(steps=5)
    logits, mask = table(3), torch.stack([rows_mask(GRID, first) for first in (0, 1, 2)])
    tokens = torch.zeros(3, *GRID, dtype=torch.long)
    together = decode(lambda *_: logits, tokens, mask, seeds(3), config)
    for row in range(3):
        alone = decode(
            lambda *_, row=row: logits[row : row + 1], tokens[:1], mask[row : row + 1], seeds(1, row), config
        )
        assert torch.equal(alone[0], together[row])


def test_tokens_are_drawn_with_their_probabilities() -> None:
    logits = torch.log(torch.tensor([0.5, 0.25, 0.125, 0.125])).expand(1, 4000, 4)
    tokens, mask = torch.zeros(1, 1, 4000, dtype=torch.long), torch.ones(1, 1, 4000, dtype=torch.bool)
    found = decode(lambda *_: logits, tokens, mask, seeds(1), DecodeConfig(steps=1))
    shares = found.flatten().bincount(minlength=4) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.25, 0.125, 0.125]), atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("schedule", "steps"), [("cosine", 1), ("cosine", 4), ("cosine", 12), ("linear", 4), ("linear", 8)]
)
def test_agrees_with_amused_when_there_is_no_chance(schedule: str, steps: int) -> None:
    # one code is all but certain everywhere, more or less so: no draw is random, and the order is the confidence's
    generator = torch.Generator().manual_seed(3)
    best = torch.randint(CODES, (2, ROWS * COLUMNS), generator=generator)
    doubt = torch.rand(2, ROWS * COLUMNS, generator=generator, dtype=torch.float64) * 4 + 12
    logits = torch.zeros(2, ROWS * COLUMNS, CODES, dtype=torch.float64).scatter_(2, best[..., None], doubt[..., None])
    ours: list[Tensor] = []

    def spy(tokens: Tensor, mask: Tensor, step: int) -> Tensor:
        ours.append(mask.clone())
        return logits

    config = DecodeConfig(steps=steps, schedule=schedule, temperature=0.0)  # type: ignore[arg-type]
    blank = torch.zeros(2, *GRID, dtype=torch.long)
    found = decode(spy, blank, torch.ones(2, *GRID, dtype=torch.bool), seeds(2), config)

    scheduler = AmusedScheduler(mask_token_id=CODES, masking_schedule=schedule)
    scheduler.set_timesteps(steps, temperature=(0.0, 0.0))
    sample, theirs = torch.full((2, *GRID), CODES), []
    for time in scheduler.timesteps:
        theirs.append(sample == CODES)
        output = logits.view(2, *GRID, CODES).permute(0, 3, 1, 2)
        sample = scheduler.step(output, time, sample, generator=torch.Generator().manual_seed(0)).prev_sample
    assert torch.equal(found, sample)
    assert torch.equal(torch.stack(ours), torch.stack(theirs))


def test_certain_tokens_come_first_without_noise_and_not_always_with_it() -> None:
    logits = table(1, scale=0.1)
    logits[:, :5, 0] += 20.0
    first: dict[float, Tensor] = {}
    for temperature in (0.0, 50.0):
        masked: list[Tensor] = []
        config = DecodeConfig(steps=3, temperature=temperature)
        blank, mask = torch.zeros(1, *GRID, dtype=torch.long), torch.ones(1, *GRID, dtype=torch.bool)
        decode(lambda _, now, __, masked=masked: (masked.append(now.clone()), logits)[1], blank, mask, seeds(1), config)
        first[temperature] = masked[1].flatten()
    assert set((~first[0.0]).nonzero().flatten().tolist()) < set(range(5))
    assert not torch.equal(first[0.0], first[50.0])


def test_guidance_moves_away_from_the_unconditional_branch() -> None:
    torch.manual_seed(0)
    model = SpecMaskGIT(SpecMaskGITConfig(GRID, 16, 1, 2, condition_dim=4, codebook_size=CODES, dropout=0.0)).eval()
    tokens, mask = torch.zeros(2, *GRID, dtype=torch.long), torch.ones(2, *GRID, dtype=torch.bool)
    condition = torch.eye(4)[:2]
    with torch.no_grad():
        told, free = model(tokens, mask, condition), model(tokens, mask)
        for scale in (0.0, 1.0, 3.5):
            found = guided(model, condition, DecodeConfig(guidance_scale=scale))(tokens, mask, 0)
            torch.testing.assert_close(found, free + scale * (told - free))
        torch.testing.assert_close(guided(model, None, DecodeConfig())(tokens, mask, 0), free)


def test_linear_guidance_falls_to_one_with_the_mask() -> None:
    config = DecodeConfig(steps=8, guidance_scale=5.0, guidance="linear")
    scales = [config.guidance_at(step) for step in range(8)]
    assert scales[0] == 5.0
    assert all(later < earlier for earlier, later in itertools.pairwise(scales))
    assert scales[-1] > 1.0
    assert {DecodeConfig(guidance_scale=5.0).guidance_at(step) for step in range(8)} == {5.0}


def test_masks_cover_what_they_say() -> None:
    assert columns_mask((2, 4), 1, 3).tolist() == [[False, True, True, False]] * 2
    assert rows_mask((3, 2), 1).tolist() == [[False, False], [True, True], [True, True]]


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"temperature": -1.0}, {"guidance_scale": -0.5}])
def test_what_cannot_be_is_a_usage_error(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        DecodeConfig(**wrong)  # type: ignore[arg-type]
