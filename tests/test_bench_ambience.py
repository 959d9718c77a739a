"""The second engine's clock: what it prints, and what lower precisions may change."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from ambience_bundles import TAGS, VOCODER, load_composer, write_ambience

from foleygen.audio.vocos import VocosVocoder
from foleygen.cli import app
from foleygen.cli.bench import ambience as bench_ambience
from foleygen.engines.composer import Composer
from foleygen.evaluation.ambience import precision as ambience_precision
from foleygen.evaluation.ambience import speed as ambience_speed
from foleygen.evaluation.ambience.speed import PRECISIONS, PUBLISHED_MEL, System, converted, turn
from foleygen.models.specmaskgit import SpecMaskGIT, SpecMaskGITConfig
from foleygen.models.vqgan import VQGAN, VQGANConfig
from foleygen.sampling.parallel_decode import DecodeConfig, guided

SMALL = SpecMaskGITConfig((3, 6), 32, 2, 2, condition_dim=5, codebook_size=48, dropout=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ambience(tmp_path_factory.mktemp("bundles") / "noises").path


def lively(config: SpecMaskGITConfig = SMALL) -> SpecMaskGIT:
    """Random weights that every layer can be heard of."""
    torch.manual_seed(0)
    model = SpecMaskGIT(config).eval().requires_grad_(False)
    for value in model.parameters():
        if value.ndim > 1:
            value.copy_(torch.randn_like(value) / value.shape[-1] ** 0.5)
    return model


@pytest.mark.parametrize(("precision", "most"), [("bf16", 0.05), ("int8", 0.1)])
@torch.inference_mode()
def test_lower_precisions_stay_near_fp32(precision: ambience_speed.Precision, most: float) -> None:
    model = lively()
    changed = converted(copy.deepcopy(model), precision)
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(48, (2, 3, 6), generator=generator)
    mask = torch.rand(2, 3, 6, generator=generator) < 0.5
    condition = torch.rand(2, 5, generator=generator)
    exact, found = (each(tokens, mask, condition).float() for each in (model, changed))
    assert torch.isfinite(found).all()
    assert 0 < float((found - exact).square().mean().sqrt() / exact.std()) < most


def test_a_precision_agrees_with_itself_and_another_hardly_differs() -> None:
    model, config = lively(), DecodeConfig(steps=4)
    conditions = list(torch.eye(5)[:2, None])
    same = ambience_precision.forced(model, model, conditions, config, 0)
    assert (same.argmax_agreement, same.kl_nats, same.draws_differ) == (1, 0, 0)
    near = ambience_precision.forced(model, converted(copy.deepcopy(model), "bf16"), conditions, config, 0)
    assert near.argmax_agreement > 0.7
    assert 0 < near.kl_nats < 0.1
    torch.manual_seed(9)
    far = ambience_precision.forced(model, SpecMaskGIT(SMALL).eval(), conditions, config, 0)
    assert far.kl_nats > 10 * near.kl_nats
    assert far.draws_differ > near.draws_differ


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.inference_mode()
def test_both_branches_in_one_batch_are_what_two_calls_give(precision: ambience_speed.Precision) -> None:
    model = converted(lively(), precision)
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(48, (3, 3, 6), generator=generator)
    mask = torch.rand(3, 3, 6, generator=generator) < 0.5
    condition = torch.rand(3, 5, generator=generator)
    told, free = model(tokens, mask, condition).float(), model(tokens, mask).float()
    found = guided(model, condition, DecodeConfig(guidance_scale=2.5))(tokens, mask, 0)
    close = {"atol": 1e-4, "rtol": 1e-4} if precision == "fp32" else {"atol": 0.15, "rtol": 0.05}
    torch.testing.assert_close(found, free + 2.5 * (told - free), **close)


def test_the_composer_has_the_precision_it_is_told(folder: Path) -> None:
    bundle = load_composer(folder).bundle
    assert Composer.load(bundle, "cpu").precision == "fp32"  # a seed has to sound alike on unlike machines
    composers = {precision: Composer.load(bundle, "cpu", precision) for precision in ("fp32", "bf16")}  # type: ignore[arg-type]
    assert {each.transformer.token_embedding.weight.dtype for each in composers.values()} == {
        torch.float32,
        torch.bfloat16,
    }
    tokens = torch.zeros(1, 8, 6, dtype=torch.long)
    condition = torch.eye(len(TAGS))[:1]
    for composer in composers.values():
        rows = [torch.Generator().manual_seed(0)]
        found = composer.compose(tokens, torch.ones(1, 8, 6, dtype=torch.bool), rows, condition)
        assert found.shape == (1, 8, 6)
        assert 0 <= int(found.min()) <= int(found.max()) < 32


def test_a_published_window_is_as_long_as_in_the_paper() -> None:
    tokenizer = VQGAN(VQGANConfig(80, 848, "patch", 48, 4, widths=(8, 8, 8))).eval()
    grid = tokenizer.config.grid
    config = SpecMaskGITConfig(grid, 16, 1, 2, condition_dim=4, codebook_size=48)
    system = ambience_speed.published(config, tokenizer, VocosVocoder(PUBLISHED_MEL, **VOCODER).eval())
    assert grid == (5, 53)
    assert system.seconds == pytest.approx(217088 / 22050)
    spent = turn(system.transformer, system, 0, 3)
    assert len(spent.steps) == 3
    assert min(*spent.steps, spent.tokenizer, spent.vocoder) > 0


def test_a_size_without_a_bundle_has_the_geometry_of_its_recipe(folder: Path) -> None:
    system: System = ambience_speed.load_system(str(folder), "small")
    config = system.transformer.config
    assert (config.hidden_size, config.depth, config.grid) == (512, 12, (8, 53))
    assert config.codebook_size == 32  # so that the bundle's tokenizer knows its tokens
    assert system.weights == "random"


def test_the_command_tells_each_precision(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench-ambience", "--model", str(folder), "--sizes", "embedded", "--rounds", "1", "--steps", "3,2"]
    assert app.run([*arguments, "--json"]) == 0
    measured = json.loads(capfd.readouterr().out)
    assert [row["precision"] for row in measured["rows"]] == list(PRECISIONS)
    for row in measured["rows"]:
        assert [pace["steps"] for pace in row["paces"]] == [2, 3]
        for pace in row["paces"]:
            whole = pace["steps"] * row["step_s"] + row["tokenizer_s"] + row["vocoder_s"]
            assert pace["seconds"] == pytest.approx(whole)
            assert pace["real_time"] == pytest.approx(row["window_s"] / whole)
        assert row["peak_memory_bytes"] > 50e6
    assert [error["precision"] for error in measured["errors"]] == ["bf16", "int8"]
    assert all(0 <= error["draws_differ"] <= 1 and error["kl_nats"] > -1e-6 for error in measured["errors"])
    bench_ambience.show(measured)
    shown = capfd.readouterr().out
    assert "x REAL TIME" in shown
    assert shown.count("int8") == 2  # its speed, and its error


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--sizes", "huge"), "'huge' is not one of embedded, small, paper"),
        (("--precision", "fp32,fp8"), "'fp8' is not one of fp32, bf16, int8"),
        (("--steps", "8,0"), "'8,0' is not a list of whole numbers"),
    ],
)
def test_what_cannot_be_timed_is_explained(
    option: tuple[str, str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["bench-ambience", *option]) == 2
    assert says in capfd.readouterr().err


def test_the_sampler_is_timed_beside_the_release_s_order(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench-sampler", "--size", "T", "--steps", "1", "--rounds", "1"]
    assert app.run([*arguments, "--json"]) == 0
    measured = json.loads(capfd.readouterr().out)
    assert measured["config"] == {"size": "T", "grid": "release", "steps": 1, "repeats": 1, "seed": 0}
    assert measured["fp32_ratio"] == pytest.approx(measured["released_s"] / measured["fp32_s"])
    assert measured["released_difference"] < 1e-3
    assert app.run(arguments) == 0
    shown = capfd.readouterr().out
    assert "MDSGen-T, release grid, 1 steps" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:5]] == ["the", "fp32", "bf16"]
