"""The transformer of tokens: published sizes, the conditional mask, parts of windows; and CLAP's adapter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from clap_files import save_clap
from torch import Tensor

from foleygen.errors import BundleError, UsageError
from foleygen.models.clap import SAMPLE_RATE, Clap, load_clap
from foleygen.models.specmaskgit import SpecMaskGIT, SpecMaskGITConfig, load_specmaskgit
from foleygen.weights import tags

SMALL = SpecMaskGITConfig((3, 6), 16, 2, 2, condition_dim=5, codebook_size=12, positions="axes")


@pytest.fixture(scope="module")
def model() -> SpecMaskGIT:
    torch.manual_seed(0)
    return load_specmaskgit(SMALL)


def example(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(12, (2, 3, 6), generator=generator)
    mask = torch.rand(2, 3, 6, generator=generator) < 0.5
    return tokens, mask, torch.rand(2, 5, generator=generator)


@pytest.mark.parametrize(
    ("size", "grid", "million"),
    [
        ("paper", "published", 171.5),
        ("small", "published", 38.8),
        ("narrow", "published", 22.0),
        ("embedded", "full_band", 5.1),
    ],
)
def test_sizes_are_as_published_or_promised(size: str, grid: str, million: float) -> None:
    with torch.device("meta"):
        model = SpecMaskGIT(SpecMaskGITConfig.preset(size, grid))
    assert sum(value.numel() for value in model.parameters()) / 1e6 == pytest.approx(million, abs=0.15)


def test_published_geometry() -> None:
    config = SpecMaskGITConfig.preset("paper")
    assert (config.grid, config.depth, config.hidden_size, config.num_heads) == ((5, 53), 24, 768, 8)
    assert (config.num_tokens, config.codebook_size, config.condition_dim) == (265, 1024, 512)


@torch.no_grad()
def test_masked_tokens_are_not_looked_at(model: SpecMaskGIT) -> None:
    tokens, mask, condition = example()
    other = torch.where(mask, (tokens + 5) % 12, tokens)
    assert torch.equal(model(tokens, mask, condition), model(other, mask, condition))
    changed = torch.where(mask, tokens, (tokens + 5) % 12)
    assert not torch.allclose(model(tokens, mask, condition), model(changed, mask, condition))


@torch.no_grad()
def test_the_condition_stands_at_masked_places_alone(model: SpecMaskGIT) -> None:
    tokens, mask, condition = example()
    assert not torch.allclose(model(tokens, mask, condition), model(tokens, mask, condition.flip(1)))
    known = torch.zeros_like(mask)
    assert torch.equal(model(tokens, known, condition), model(tokens, known, condition.flip(1)))
    assert torch.equal(model(tokens, known, condition), model(tokens, known))


@torch.no_grad()
def test_rows_without_a_condition_take_the_plain_mask(model: SpecMaskGIT) -> None:
    tokens, mask, condition = example()
    mixed = model(tokens, mask, condition, given=torch.tensor([True, False]))
    torch.testing.assert_close(mixed[0], model(tokens, mask, condition)[0])
    torch.testing.assert_close(mixed[1], model(tokens, mask)[1])


@torch.no_grad()
@pytest.mark.parametrize("positions", ["axes", "tokens"])
def test_a_part_of_a_window_knows_where_it_begins(positions: str) -> None:
    torch.manual_seed(0)
    config = SpecMaskGITConfig((3, 6), 16, 2, 2, condition_dim=5, codebook_size=12, positions=positions)  # type: ignore[arg-type]
    model = SpecMaskGIT(config).eval()
    tokens, mask, condition = (value[:, :, :4] if value.ndim == 3 else value for value in example())
    early, late = (model(tokens, mask, condition, first=first) for first in (0, 2))
    assert early.shape == (2, 12, 12)
    assert not torch.allclose(early, late)


@torch.no_grad()
def test_training_and_use_compute_the_same(model: SpecMaskGIT) -> None:
    tokens, mask, condition = example()
    with torch.enable_grad():
        written_out = model(tokens, mask, condition)
    torch.testing.assert_close(model(tokens, mask, condition), written_out.detach(), atol=1e-5, rtol=1e-4)


def test_every_weight_learns() -> None:
    torch.manual_seed(0)
    model = SpecMaskGIT(SMALL)
    tokens, mask, condition = example()
    model(tokens, mask, condition, given=torch.tensor([True, False])).square().mean().backward()
    assert not [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]


def test_what_does_not_fit_is_explained(model: SpecMaskGIT) -> None:
    with pytest.raises(BundleError, match="hidden_size 10 is no multiple"):
        SpecMaskGITConfig(hidden_size=10, num_heads=4)
    with pytest.raises(BundleError, match="unknown key 'width'"):
        load_specmaskgit({"width": 3})
    with pytest.raises(BundleError, match="do not fit"):
        load_specmaskgit(SMALL, {"norm.weight": torch.zeros(3)})


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Clap:
    """The real classes at a small size, with random weights and an alphabet for a vocabulary."""
    return load_clap(save_clap(tmp_path_factory.mktemp("clap")))


def test_clap_gives_unit_vectors_that_depend_on_the_words(clap: Clap) -> None:
    found = clap.text(["rain", "wind in the trees"])
    assert found.shape == (2, 512)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    assert not torch.allclose(found[0], found[1])
    torch.testing.assert_close(clap.text(["rain"])[0], found[0], atol=1e-5, rtol=0)


def test_clap_hears_the_same_twice_even_a_long_sound(clap: Clap) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 11 * SAMPLE_RATE).astype(np.float32)
    first, second = clap.audio(noise), clap.audio(noise)
    assert first.shape == (1, 512)
    assert torch.equal(first, second)
    assert not torch.allclose(first, clap.audio(0.1 * np.roll(noise, 5)[:SAMPLE_RATE]))


def test_clap_refuses_what_says_nothing(clap: Clap, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the prompt is empty"):
        clap.text(["rain", "  "])
    with pytest.raises(BundleError, match="holds no CLAP model"):
        load_clap(tmp_path)


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("rain on a tin roof", ("rain",)),
        ("Wind, and RAIN!", ("wind", "rain")),
        ("a church bell; bells", ("bells",)),
        ("chain saw", ("chainsaw",)),
        ("hand saw", ("sawing",)),
        ("dishes", ("crockery",)),
        ("waves", ("waves",)),
        ("brainstorm", ()),
        ("zebra", ()),
        ("", ()),
    ],
)
def test_prompts_name_tags(prompt: str, found: tuple[str, ...]) -> None:
    assert tags.find(prompt) == found


def test_a_bundle_knows_only_its_tags() -> None:
    assert tags.find("rain and wind", ("wind",)) == ("wind",)


def test_every_word_means_one_tag() -> None:
    table = tags.table()
    assert 20 <= len(table) <= 60
    for name, tag in table.items():
        for word in (name, *tag.words):
            assert tags.find(word) == (name,), word
