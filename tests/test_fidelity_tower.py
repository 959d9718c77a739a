"""FID, IS and KL from a tower of our own, and retrieval with towers of contrast."""

from __future__ import annotations

import json
import math
from pathlib import Path

import judging
import numpy as np
import pytest
import tiny_training
import torch
from torch.nn import functional as F

from foleygen import scenes
from foleygen.audio.mel import MelConfig, MelSpectrogram
from foleygen.cli import app
from foleygen.errors import BundleError, UsageError
from foleygen.evaluation import fidelity, retrieval
from foleygen.models.sound_tower import SoundTower, SoundTowerConfig
from foleygen.training.cavp import cavp_loop
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.judges.recipes import TowerRecipe
from foleygen.training.judges.sound_tower import make_draw, tower_loop, trained_tower
from foleygen.training.loop import LoopConfig

SMALL = SoundTowerConfig(num_mels=32, widths=(8, 8), dim=6)


@pytest.fixture(scope="module")
def tower() -> SoundTower:
    torch.manual_seed(0)
    return SoundTower(SMALL, 4, 3).eval()


def bars(count: int, seed: int, level: float = 0.6) -> tuple[torch.Tensor, list[int]]:
    """Mels (N, 32, 64) with one bright band, and its number, which is the family."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(4, (count,), generator=generator)
    mels = 0.2 * torch.rand(count, 32, 64, generator=generator)
    for row, kind in enumerate(kinds.tolist()):
        mels[row, 8 * kind : 8 * kind + 4] += level
    return mels, kinds.tolist()


def learnt(tower: SoundTower) -> SoundTower:
    optimiser = torch.optim.AdamW(tower.parameters(), 5e-3)
    for step in range(60):
        mels, kinds = bars(24, step)
        loss = F.cross_entropy(tower(mels).families, torch.tensor(kinds))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return tower.eval()


def test_predictions_do_not_depend_on_the_batch(tower: SoundTower) -> None:
    mels, _ = bars(7, 0)
    whole = fidelity.predict(tower, mels, list("abcdefg"))
    assert whole.features.shape == (7, 12)
    assert whole.logits.shape == (7, 4)
    np.testing.assert_allclose(fidelity.predict(tower, mels, list("abcdefg"), 2).features, whole.features, atol=1e-5)
    bias = tower.families.bias.detach().double().numpy()
    np.testing.assert_allclose(whole.logits - whole.unbiased_logits, np.tile(bias, (7, 1)), atol=1e-6)


def test_scores_put_true_first_and_nothing_of_the_kind_last() -> None:
    torch.manual_seed(1)
    tower = learnt(SoundTower(SMALL, 4, 3))
    true, families = bars(48, 100)
    softer = (true - 0.05).clamp(0, 1)
    report = fidelity.compare(tower, true, softer, families, torch.full_like(true, 0.5), "test tower")
    assert report.named > 0.9 > report.chance
    kinds = report.kinds
    assert kinds["true"].fid == pytest.approx(0, abs=1e-6)
    assert kinds["true"].kl == pytest.approx(0, abs=1e-4)
    assert kinds["true"].fid_halves > 0
    assert kinds["true"].fid < kinds["made"].fid < kinds["white noise"].fid
    assert kinds["made"].kl < kinds["made"].kl_other_clip
    assert kinds["silence"].kl == pytest.approx(kinds["silence"].kl_other_clip, rel=1e-6)
    assert kinds["silence"].inception_score == pytest.approx(1, abs=1e-4)
    assert kinds["silence"].inception_score < kinds["true"].inception_score <= 4
    assert "test tower, 48 clips" in report.table()


def test_too_few_sounds_and_odd_shapes_are_explained(tower: SoundTower) -> None:
    mels, families = bars(3, 0)
    with pytest.raises(UsageError, match="3 sounds of 3 clips"):
        fidelity.compare(tower, mels, mels, families, mels, "tower")
    with pytest.raises(BundleError, match="30 mels"):
        SoundTowerConfig(num_mels=30)
    with pytest.raises(UsageError, match="crop is 100"):
        TowerRecipe(kind="tower", loop=LoopConfig(steps=1), crop=100)


def test_noise_is_the_same_for_the_same_seed() -> None:
    mel = MelSpectrogram(MelConfig())
    first, again = (fidelity.noise_mels(mel, 2, 16384) for _ in range(2))
    assert first.shape == (2, 128, 64)
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])
    assert 0.1 < float(first.mean()) < 0.9


def recipe() -> TowerRecipe:
    loop = LoopConfig(steps=4, batch_size=4, log_every=2, save_every=2)
    return TowerRecipe(kind="tower", loop=loop, model=SoundTowerConfig(widths=(8, 8), dim=4), crop=32)


def test_training_draws_labelled_crops_and_refuses_test_seeds(tmp_path: Path) -> None:
    data = judging.write_scenes(tmp_path / "data")
    mels, labels = make_draw([SceneDataset(data)], recipe())(torch.Generator().manual_seed(0), 32)
    assert mels.shape == (32, 128, 32)
    assert {scenes.FAMILIES[index] for index in labels[:, 0].tolist()} == set(judging.FAMILIES)
    assert {scenes.MATERIALS[index] for index in labels[:, 1].tolist()} == {"wood"}
    held_out = judging.write_scenes(tmp_path / "held-out", scenes.TEST_SEEDS.start)
    with pytest.raises(UsageError, match="kept for tests"):
        tower_loop(recipe(), [held_out], tmp_path / "run", "cpu")
    tower_loop(recipe(), [data], tmp_path / "run", "cpu").run()
    trained = trained_tower(tmp_path / "run")
    assert trained(mels).families.shape == (32, len(scenes.FAMILIES))


def test_the_command_hears_scenes_or_reads_files(
    tmp_path: Path, random_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = judging.write_scenes(tmp_path / "data"), tmp_path / "tower"
    tower_loop(recipe(), [data], run, "cpu").run()
    command = ["evaluate", "fidelity", "--tower", str(run), "--data", str(data), "--model", str(random_bundle)]
    assert app.run([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["fidelity"]
    assert report["source"] == "sound tower tower"
    assert report["clips"] == 6
    assert set(report["kinds"]) >= {"made", "true", "white noise", "silence"}
    assert all(math.isfinite(value) for row in report["kinds"].values() for value in row.values())
    arrays = {"ids": np.arange(8).astype(str), "features": np.random.default_rng(0).random((8, 3)), "logits": np.eye(8)}
    for name in ("true", "made"):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    files = [str(tmp_path / "true.npz"), str(tmp_path / "made.npz")]
    assert app.run(["evaluate", "fidelity", *files, "--source", "Melception", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fidelity"]["source"] == "Melception"
    for wrong in ([], files[:1], [*files, "--tower", str(run)]):
        assert app.run(["evaluate", "fidelity", *wrong]) == 2
        assert "two files or a tower" in capsys.readouterr().err


class TestRetrieval:
    def test_nearest_counts_by_hand(self) -> None:
        video = F.normalize(torch.eye(6) + 0.1, dim=1).view(2, 3, 6)
        assert retrieval.nearest(video, video) == (1.0, 1.0)
        swapped = video[:, [1, 0, 2]]  # two of three are taken for each other
        assert retrieval.nearest(video, swapped) == pytest.approx((1 / 3, 1 / 3))
        foreign = video.flip(0)  # the right place within a video cannot be told: all cosines are equal or another's
        assert retrieval.nearest(video, foreign)[0] == 0

    def test_a_run_is_measured_on_other_videos(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = tiny_training.write_dataset(tmp_path / "data")
        cavp_loop(tiny_training.cavp(), [data], tmp_path / "run", "cpu").run()
        command = ["evaluate", "retrieval", str(tmp_path / "run"), "--data", str(data), "--json"]
        assert app.run([*command, "--batch-size", "2"]) == 0
        first = json.loads(capsys.readouterr().out)["retrieval"]
        assert (first["videos"], first["batch"], first["clips_per_video"]) == (4, 2, 3)
        assert first["semantic_chance"] == pytest.approx(1 / 6)
        assert first["temporal_chance"] == pytest.approx(1 / 3)
        assert 0 <= first["semantic"] <= first["temporal"] <= 1
        assert app.run([*command, "--batch-size", "2"]) == 0
        assert json.loads(capsys.readouterr().out)["retrieval"] == first
        assert app.run(command) == 2
        assert "8 are compared at a time" in capsys.readouterr().err
