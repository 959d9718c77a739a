"""Recipes: the packaged ones say what they should, and a slip in a file is one clear sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from foleygen.errors import UsageError
from foleygen.models.transformer import TransformerConfig
from foleygen.strict import plain
from foleygen.training import recipe
from foleygen.training.recipe import CavpRecipe, EncoderRecipe, MdsgenRecipe, VaeRecipe


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


SMALL = """
kind: vae
loop: {steps: 10, batch_size: 2}
"""


@pytest.mark.parametrize("name", recipe.names())
def test_packaged_recipes_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    first = recipe.read(recipe.FOLDER / f"{name}.yaml")
    assert recipe.read(written(tmp_path, yaml.safe_dump(plain(first)))) == first


def test_the_packaged_recipes_by_kind() -> None:
    assert recipe.names("mdsgen") == ["paper-B", "paper-L", "paper-S", "paper-T", "release-B", "tiny-mdsgen"]
    assert recipe.names("cavp") == ["cavp", "cavp-small"]


@pytest.mark.parametrize("size", ["T", "S", "B", "L"])
def test_paper_recipes_are_the_papers(size: str) -> None:
    found = recipe.load(f"paper-{size}", MdsgenRecipe)
    assert found.transformer == TransformerConfig.preset(size, mask_ratio=0.3)
    assert found.transformer.decode_layers == 4
    objective = found.objective
    assert (objective.prediction_type, objective.learned_sigma, objective.snr_gamma) == ("epsilon", True, None)
    assert (objective.mask, objective.mask_ratio, objective.mask_weight) == ("TAM", 0.3, 1.0)
    assert objective.condition_dropout == 0.1
    loop = found.loop
    assert (loop.optimiser, loop.learning_rate, loop.weight_decay, loop.schedule) == ("adan", 5e-4, 0.0, "constant")
    assert (loop.batch_size, loop.steps, loop.ema_decay) == (64, 500_000, 0.9999)


def test_the_release_recipe_is_the_papers_on_the_released_grid() -> None:
    found, paper = recipe.load("release-B", MdsgenRecipe), recipe.load("paper-B", MdsgenRecipe)
    assert found.transformer == TransformerConfig.preset("B", "release", mask_ratio=0.3)
    assert (found.objective, found.loop) == (paper.objective, paper.loop)
    assert found.sampling.num_inference_steps == 50


def test_tiny_and_cavp_recipes_have_their_geometry() -> None:
    tiny = recipe.load("tiny-mdsgen", MdsgenRecipe)
    eyes = recipe.load("tiny-encoder", EncoderRecipe).model
    assert (tiny.transformer.num_features, tiny.transformer.feature_dim) == (eyes.num_features, eyes.feature_dim)
    assert (tiny.transformer.conditioning, tiny.objective.prediction_type) == ("aligned", "v_prediction")
    cavp = recipe.load("cavp", CavpRecipe)
    assert (cavp.clip_frames, cavp.least_shift, cavp.mel_hop, cavp.contrast.clips_per_video) == (16, 8, 250, 3)
    assert (cavp.loop.weight_decay, cavp.loop.betas) == (0.2, (0.9, 0.999))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + "modle: {}\n", "unknown key 'modle'; did you mean 'model'"),
        (SMALL.replace("batch_size", "batchsize"), "loop: has an unknown key 'batchsize'; did you mean 'batch_size'"),
        (SMALL.replace("kind: vae", "kind: vea"), "kind is 'vea'; did you mean 'vae'"),
        (SMALL.replace("loop: {steps: 10, batch_size: 2}", ""), "the key 'loop' is missing"),
        (SMALL.replace("10", "ten"), "loop: steps is 'ten', not a whole number"),
        (SMALL.replace("10", "0"), "steps and batch_size must be at least 1"),
        (SMALL + "model: {widths: [8, 8]}\n", "widths has 2 entries instead of 3"),
        (SMALL + "kl_weight: much\n", "kl_weight is 'much', not a number"),
        ("- vae\n", "is not a mapping"),
        ("kind: [vae\n", "is not valid YAML at line 2"),
    ],
)
def test_slips_are_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        recipe.read(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_geometry_that_cannot_be_is_a_usage_error(tmp_path: Path) -> None:
    content = plain(recipe.load("tiny-mdsgen", MdsgenRecipe))
    content["transformer"]["hidden_size"] = 190
    path = written(tmp_path, yaml.safe_dump(content))
    with pytest.raises(UsageError, match="hidden_size 190") as caught:
        recipe.read(path)
    assert str(path) in str(caught.value)


def test_a_variance_must_be_learned_by_both_or_none(tmp_path: Path) -> None:
    content = plain(recipe.load("paper-T", MdsgenRecipe))
    content["objective"]["learned_sigma"] = False
    with pytest.raises(UsageError, match="learn_sigma"):
        recipe.read(written(tmp_path, yaml.safe_dump(content)))


def test_the_mask_token_is_trained_only_where_there_is_a_mask(tmp_path: Path) -> None:
    content = plain(recipe.load("tiny-mdsgen", MdsgenRecipe))
    content["objective"]["mask"] = None
    found = recipe.read(written(tmp_path, yaml.safe_dump(content)))
    assert isinstance(found, MdsgenRecipe)
    assert found.transformer.mask_ratio is None


def test_names_that_are_not_there_get_a_hint() -> None:
    with pytest.raises(UsageError, match="did you mean 'tiny-mdsgen'"):
        recipe.load("tiny-mdsgn", MdsgenRecipe)
    with pytest.raises(UsageError, match=r"does not exist.*choose from alignment, cavp"):
        recipe.load("nowhere/mine.yaml", MdsgenRecipe)
    with pytest.raises(UsageError, match="a recipe for mdsgen; choose from tiny-vae"):
        recipe.load("paper-T", VaeRecipe)


def test_changes_leave_the_rest_alone() -> None:
    vae = recipe.load("tiny-vae", VaeRecipe)
    changed = recipe.with_loop(vae, steps=7, seed=None)
    assert changed.loop.steps == 7
    assert recipe.with_loop(changed, steps=vae.loop.steps) == vae
