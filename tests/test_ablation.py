"""Ablations: every variant trains and differs from the base in one thing; finished runs are judged, not repeated."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from bundles import load_engine, write_bundle
from judging import write_scenes

from foleygen.errors import UsageError
from foleygen.evaluation import ablation
from foleygen.evaluation.ablation import VARIANTS, Judge, Variant
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.loop import LoopConfig
from foleygen.training.mdsgen import Pairs

LOOP = LoopConfig(steps=2, batch_size=2, ema_decay=0.5)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder = tmp_path_factory.mktemp("ablation")
    write_bundle(folder / "bundle")
    engine = load_engine(folder / "bundle")
    return Judge.of(engine, SceneDataset(write_scenes(folder / "scenes")), count=4)


@pytest.fixture
def pairs() -> Pairs:
    rng = np.random.default_rng(0)
    return Pairs(
        features=rng.standard_normal((1, 6, 16, 16)).astype(np.float16),
        latents=rng.standard_normal((6, 4, 16, 8)).astype(np.float16),
        latent_mean=np.zeros(4, np.float32),
        latent_std=np.ones(4, np.float32),
    )


def test_each_variant_changes_one_thing_of_the_base() -> None:
    base, *others = VARIANTS
    for variant in others:
        changed = {f.name for f in fields(Variant) if getattr(variant, f.name) != getattr(base, f.name)}
        assert changed - {"table", "name", "slow", "learned_sigma"} <= {"conditioning", "mask", "prediction_type"}
        assert len(changed & {"conditioning", "mask", "prediction_type"}) <= 1


def test_every_variant_trains_and_is_scored_over_its_seeds(judge: Judge, pairs: Pairs, tmp_path: Path) -> None:
    report = ablation.variants(pairs, judge, tmp_path, LOOP, seeds=2)
    assert [row.name for row in report.scores] == [variant.name for variant in VARIANTS]
    for row in report.scores:
        assert row.seeds == 2
        assert 0 <= row.mean["F1@50"] <= row.mean["F1@100"] <= 1
        assert row.mean["spectrum L1"] > 0
    assert all(row.name in report.table() for row in report.scores)
    assert len(list(tmp_path.glob("*/*/checkpoint.pt"))) == 2 * len(VARIANTS)


def test_a_finished_run_is_not_trained_again(judge: Judge, pairs: Pairs, tmp_path: Path) -> None:
    first = ablation.variants(pairs, judge, tmp_path, LOOP, 1, VARIANTS[:1])
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoint.pt")}
    assert ablation.variants(pairs, judge, tmp_path, LOOP, 1, VARIANTS[:1]) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoint.pt")} == stamps


def test_sweeps_cover_guidance_and_steps(judge: Judge) -> None:
    report = ablation.sweeps(judge, seeds=1)
    tables = [row.table for row in report.scores]
    assert tables == ["guidance"] * len(ablation.GUIDANCE) + ["steps"] * len(ablation.STEPS)
    defaults = judge.engine.defaults
    by_name = {(row.table, row.name): row.mean for row in report.scores}
    if defaults.guidance_scale in ablation.GUIDANCE and defaults.num_inference_steps in ablation.STEPS:
        same = by_name["guidance", f"{defaults.guidance_scale:g}"], by_name["steps", str(defaults.num_inference_steps)]
        assert same[0] == same[1]


def test_a_dataset_without_pictures_is_refused(judge: Judge, tmp_path: Path) -> None:
    dataset = SceneDataset(write_scenes(tmp_path / "scenes"))
    dataset.frames = None
    with pytest.raises(UsageError, match="no pictures"):
        Judge.of(judge.engine, dataset, 2)
