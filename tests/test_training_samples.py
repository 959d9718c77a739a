"""Sounds that a training of the transformer writes while it learns."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import bundles
import numpy as np
import pytest
import soundfile
import tiny_training
import torch
import yaml

from foleygen.cli import app
from foleygen.strict import plain
from foleygen.training.loop import CHECKPOINT, CURVE, load_checkpoint
from foleygen.training.mdsgen import Pairs
from foleygen.training.objectives import DiffusionConfig
from foleygen.training.recipe import SamplingRecipe

OBJECTIVE = DiffusionConfig(prediction_type="v_prediction", learned_sigma=False)


def given(folder: Path) -> list[str]:
    """The command that trains a transformer of the small bundle's kind on six pairs, with that bundle to listen."""
    rng = np.random.default_rng(0)
    Pairs(
        features=rng.standard_normal((1, 6, 16, 16)).astype(np.float16),
        latents=rng.standard_normal((6, *bundles.TRANSFORMER.latent_shape)).astype(np.float16),
        latent_mean=np.zeros(4, np.float32),
        latent_std=np.ones(4, np.float32),
    ).save(folder / "pairs")
    recipe = replace(
        tiny_training.mdsgen(OBJECTIVE, aligned=True, steps=3),
        transformer=bundles.TRANSFORMER,
        sampling=SamplingRecipe(num_inference_steps=2),
    )
    (folder / "recipe.yaml").write_text(yaml.safe_dump(plain(recipe)))
    return ["train", "mdsgen", "--data", str(folder / "pairs"), "--recipe", str(folder / "recipe.yaml"), "-q"]


def test_held_out_rows_are_heard_and_no_step_changes(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    bundle = bundles.write_bundle(tmp_path / "small")
    command = [*given(tmp_path), "--validation", "0.4"]
    heard = ["--sample-every", "2", "--sample-with", str(bundle.path)]
    assert app.run([*command, *heard, "-o", str(tmp_path / "heard")]) == 0
    assert app.run([*command, "-o", str(tmp_path / "silent")]) == 0
    names = sorted(path.name for path in (tmp_path / "heard" / "samples").iterdir())
    rows = len(names) // 3
    assert names == sorted(
        f"{name}-row-{row}.wav" for name in ("true", "step-0000002", "step-0000003") for row in range(1, rows + 1)
    )
    for name in names:
        samples, rate = soundfile.read(tmp_path / "heard" / "samples" / name)
        assert (len(samples), rate) == (bundles.WINDOW, bundles.SAMPLE_RATE)
        assert np.abs(samples).max() > 0
    first, second = (load_checkpoint(tmp_path / run / CHECKPOINT)["model"] for run in ("heard", "silent"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert (tmp_path / "heard" / CURVE).read_bytes() == (tmp_path / "silent" / CURVE).read_bytes()
    with open(tmp_path / "heard" / CURVE, newline="", encoding="utf-8") as handle:
        assert "validation" in next(csv.reader(handle))
    assert (tmp_path / "heard" / "loss.png").is_file()


def test_sounds_that_cannot_be_made_are_refused_in_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [*given(tmp_path), "-o", str(tmp_path / "run")]
    for words, fact in (
        (["--sample-every", "1"], "nothing is held out"),
        (["--sample-with", "tiny"], "no sounds are asked for"),
        (["--sample-every", "1", "--validation", "0.4"], "its latents are"),
    ):
        assert app.run([*command, *words]) == 2
        assert fact in capfd.readouterr().err
        assert not (tmp_path / "run").exists()
