"""The alignment classifier against the published code's numbers, the metric made with it, and one of our own."""

import json
from pathlib import Path

import judging
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standins import fill_module

from foleygen.cli import app
from foleygen.errors import BundleError, UsageError
from foleygen.evaluation import alignment
from foleygen.evaluation.alignment import Judge
from foleygen.evaluation.report import to_json
from foleygen.models.alignment import AlignmentClassifier, AlignmentConfig, MelAlignment, MelAlignmentConfig
from foleygen.training.contrast import alignment_loss
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.judges.alignment import PairedSounds, Stretch, alignment_loop, make_draw, trained_alignment
from foleygen.training.judges.recipes import AlignmentRecipe, PairDraw
from foleygen.training.loop import LoopConfig

GOLDEN = Path(__file__).parent / "golden"
SMALL = AlignmentConfig(channels=32, feature_dim=8, num_heads=2, max_features=40)


@pytest.fixture(scope="module")
def classifier() -> torch.nn.Module:
    return fill_module(AlignmentClassifier(), "cavp")


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / "alignment_classifier_golden.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def test_state_dict_has_the_published_names_and_shapes(classifier: AlignmentClassifier) -> None:
    published = json.loads((GOLDEN / "alignment_classifier_keys.json").read_text())
    ours = {name: list(value.shape) for name, value in classifier.state_dict().items()}
    assert ours == {entry["key"]: entry["shape"] for entry in published}


def test_probability_and_gradient_equal_the_published(
    classifier: AlignmentClassifier, golden: dict[str, torch.Tensor]
) -> None:
    latents = golden["z"].clone().requires_grad_()
    probability = classifier(latents, golden["v"], golden["t"])
    torch.testing.assert_close(probability, golden["prob"], rtol=0, atol=1e-6)
    probability.log().sum().backward()
    torch.testing.assert_close(latents.grad, golden["grad_logprob"], rtol=0, atol=1e-7)
    bypassed = torch.sigmoid(classifier.model(golden["z"], golden["t"], golden["v"]))
    torch.testing.assert_close(bypassed, golden["prob_without_cond_model"], rtol=0, atol=1e-6)


def test_time_defaults_to_clean(classifier: AlignmentClassifier, golden: dict[str, torch.Tensor]) -> None:
    given = alignment.probabilities(classifier, golden["z"], golden["v"])
    assert float(given[0]) == pytest.approx(float(golden["prob"][0]), abs=1e-6)


def test_accuracy_rounds_like_the_published_metric() -> None:
    assert alignment.accuracy(torch.tensor([[0.5], [0.51], [0.99], [0.2]])) == 0.5


def test_batches_and_rows_do_not_matter() -> None:
    model = fill_module(AlignmentClassifier(SMALL), "cavp")
    generator = torch.Generator().manual_seed(0)
    latents, features = (torch.randn(5, *shape, generator=generator) for shape in ((4, 16, 64), (32, 8)))
    whole = alignment.probabilities(model, latents, features)
    torch.testing.assert_close(alignment.probabilities(model, latents, features, batch_size=2), whole)


class Correlator(AlignmentClassifier):
    """Judges by the correlation of the latent's level with the first feature, over time."""

    def forward(self, latents: torch.Tensor, features: torch.Tensor, t: torch.Tensor | None = None) -> torch.Tensor:
        level, shown = latents.mean(dim=(1, 2)), features[..., 0]
        both = zip(level, shown, strict=True)
        return torch.stack([torch.sigmoid(8 * torch.corrcoef(torch.stack(pair))[:1, 1] - 4) for pair in both])


def test_report_sets_foreign_and_shifted_pictures_beside_the_accuracy() -> None:
    starts = torch.tensor([0, 8, 16, 24, 0, 8, 16, 24])
    latents, features = torch.zeros(8, 4, 8, 32), torch.zeros(8, 40, 8)
    for row, start in enumerate(starts.tolist()):
        latents[row, :, :, start : start + 8] = 1
        features[row, start : start + 8, 0] = 1
    report = alignment.evaluate(Correlator(SMALL), latents, features)
    assert (report.accuracy, report.shifted, report.other_clip) == (1, 0, 0)
    assert report.mean_probability == pytest.approx(float(torch.sigmoid(torch.tensor(4.0))), abs=1e-4)
    assert json.loads(json.dumps(to_json(report)))["clips"] == 8
    assert "accuracy" in report.table()
    assert alignment.evaluate(Correlator(SMALL), latents[:1], features[:1]).other_clip is None


def test_missing_clips_and_short_features_are_explained() -> None:
    model = AlignmentClassifier(SMALL)
    with pytest.raises(UsageError, match="0 sounds"):
        alignment.evaluate(model, torch.zeros(0, 4, 16, 64), torch.zeros(0, 32, 8))
    with pytest.raises(UsageError, match="20 video features"):
        alignment.evaluate(model, torch.zeros(1, 4, 16, 64), torch.zeros(1, 20, 8))


OWN = MelAlignmentConfig(num_mels=16, feature_dim=4, width=16, dilations=(1, 2))


def test_our_own_classifier_is_small_and_its_rows_do_not_matter() -> None:
    assert sum(value.numel() for value in MelAlignment().parameters()) < 1_000_000
    torch.manual_seed(0)
    model = MelAlignment(OWN).eval()
    mels, features = torch.rand(5, 16, 64), torch.randn(5, 16, 4)
    with torch.inference_mode():
        whole = model(mels, features)
        rows = torch.cat([model(mels[i : i + 1], features[i : i + 1]) for i in range(5)])
        slower = model(mels, features[:, ::2])
    assert whole.shape == slower.shape == (5,)
    torch.testing.assert_close(rows, whole, rtol=1e-4, atol=1e-5)
    with pytest.raises(BundleError, match="20 mels"):
        MelAlignmentConfig(num_mels=20)


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0.1, 0.9), features=st.integers(2, 128), per_feature=st.sampled_from([1, 2, 4, 8, 16]))
def test_stretches_are_whole_on_both_sides(share: float, features: int, per_feature: int) -> None:
    try:
        stretch = Stretch.of(share, features, features * per_feature, 0.016)
    except UsageError:
        assert features * per_feature < 8 or features <= 4 // per_feature
        return
    assert 0 < stretch.features < features
    assert stretch.columns == stretch.features * per_feature
    assert stretch.columns % 4 == 0
    assert abs(stretch.features - share * features) <= max(1.0, 4 / per_feature)


def coded(folder: Path) -> PairedSounds:
    """Clips whose mels and features tell their own number and time."""
    dataset = SceneDataset(judging.write_scenes(folder))
    mels = np.memmap(folder / "mels.f2", np.float16, "r+", shape=dataset.mels.shape)
    features = np.zeros((1, judging.CLIPS, judging.FEATURES, 2), np.float16)
    for row in range(judging.CLIPS):
        mels[row, 0] = row / 8
        mels[row, 1] = np.arange(judging.COLUMNS) / 128
        features[0, row, :, 0] = row
        features[0, row, :, 1] = np.arange(judging.FEATURES)
    mels.flush()
    return PairedSounds([SceneDataset(folder)], features)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000))
def test_true_pairs_are_in_time_and_false_ones_are_not(sounds: PairedSounds, seed: int) -> None:
    pairs = PairDraw(stretch=0.5, shifted=0.5, least_shift_s=0.1, gain=0.0, noise=0.0)
    draw = make_draw(sounds, pairs)
    mels, features, labels = draw(torch.Generator().manual_seed(seed), 16)
    assert mels.shape == (16, judging.MELS, 32)
    assert features.shape == (16, 8, 2)
    for mel, shown, label in zip(mels, features, labels, strict=True):
        same = round(float(mel[0, 0]) * 8) == round(float(shown[0, 0]))
        shift = round(float(mel[1, 0]) * 128) - 4 * round(float(shown[0, 1]))
        assert bool(label) == (same and shift == 0)
        assert same or shift == 0
        assert shift == 0 or 6 <= abs(shift) <= 32


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> PairedSounds:
    return coded(tmp_path_factory.mktemp("coded") / "data")


def test_half_of_the_pairs_are_true_and_a_quarter_shifted(sounds: PairedSounds) -> None:
    draw = make_draw(sounds, PairDraw(stretch=0.5, gain=0.0, noise=0.0))
    mels, features, labels = draw(torch.Generator().manual_seed(0), 1200)
    same = (mels[:, 0, 0] * 8).round() == features[:, 0, 0]
    assert float(labels.mean()) == pytest.approx(0.5, abs=0.05)
    assert float((~same).float().mean()) == pytest.approx(0.25, abs=0.05)


def test_pairs_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    dataset = SceneDataset(judging.write_scenes(tmp_path / "data"))
    with pytest.raises(UsageError, match="6 clips, and features of 5"):
        PairedSounds([dataset], np.zeros((1, 5, 16, 4), np.float16))
    whole = PairedSounds([dataset], np.zeros((1, 6, 16, 4), np.float16))
    with pytest.raises(UsageError, match="least_shift_s is 2"):
        make_draw(whole, PairDraw(least_shift_s=2.0))
    with pytest.raises(UsageError, match="stretch is 1"):
        PairDraw(stretch=1.0)


def clicks(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mels (N, 16, 128) with a few clicks each, and features (N, 32, 4) that show them."""
    generator = torch.Generator().manual_seed(seed)
    steps = (torch.rand(count, 32, generator=generator) < 0.15).float()
    mels = 0.1 * torch.rand(count, 16, 128, generator=generator)
    mels[:, :, ::4] += 0.7 * steps[:, None]
    return mels, torch.stack([steps, 1 - steps, torch.zeros_like(steps), torch.ones_like(steps)], dim=2)


def test_it_learns_to_notice_shifts_and_foreign_sounds() -> None:
    torch.manual_seed(0)
    model = MelAlignment(OWN)
    optimiser = torch.optim.AdamW(model.parameters(), 4e-3)
    stretch = Stretch.of(0.75, 32, 128, 0.016)
    mels, features = clicks(256, 0)
    generator = torch.Generator().manual_seed(1)
    for _ in range(120):
        rows = torch.randint(256, (32,), generator=generator)
        labels = (torch.rand(32, generator=generator) < 0.5).float()
        moved = torch.where(labels > 0, 0, 2 * torch.randint(3, 16, (32,), generator=generator))
        heard = torch.stack([mels[row, :, move : move + 96] for row, move in zip(rows, moved.tolist(), strict=True)])
        loss = alignment_loss(model(heard, features[rows, :24])[:, None], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    judge = Judge(model.eval(), stretch)
    report = judge.report(*clicks(64, 2), ["drum", "drum", "chop", "clap", *["knock"] * 60])
    assert report.own > 0.9
    assert report.other_clip is not None
    assert report.other_clip < 0.2
    assert report.same_family is not None
    assert report.same_family < 0.2
    assert judge.report(*clicks(8, 3), [f"kind {row}" for row in range(8)]).same_family is None
    assert [item.seconds for item in report.shifts] == [0.1, 0.2]
    assert all(item.taken < 0.3 and item.worse > 0.9 for item in report.shifts)
    assert report.silence < 0.5
    assert "another clip's sound" in report.table()
    assert json.loads(json.dumps(to_json(report)))["shifts"][0]["seconds"] == 0.1


def test_commands_train_it_and_judge_a_bundle(
    tmp_path: Path, random_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, pairs = judging.write_scenes(tmp_path / "data"), judging.write_pairs(tmp_path / "pairs")
    recipe = tmp_path / "small.yaml"
    recipe.write_text(
        "kind: alignment\nloop: {steps: 4, batch_size: 4, log_every: 2, save_every: 2}\n"
        "model: {feature_dim: 16, width: 8, dilations: [1]}\npairs: {stretch: 0.5}\n"
    )
    run = tmp_path / "run"
    command = ["train", "alignment", "--data", str(data), "--pairs", str(pairs), "--device", "cpu", "-q"]
    assert app.run([*command, "--recipe", str(recipe), "-o", str(run)]) == 0
    capsys.readouterr()
    held_out = judging.write_scenes(tmp_path / "held-out", 1_000_000)
    measured = ["evaluate", "alignment", str(run), "--data", str(held_out), "--model", str(random_bundle)]
    assert app.run([*measured, "--device", "cpu", "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)
    assert set(reports) == {"made", "true", "made, with events", "true, with events", "scope"}
    assert reports["true"]["same_family"] is None
    assert reports["true"]["clips"] == 6
    assert reports["true, with events"]["clips"] == 4
    assert [item["seconds"] for item in reports["made"]["shifts"]] == [0.1, 0.2]
    assert app.run([*command, "-o", str(tmp_path / "other")]) == 2
    assert "the recipe wants 128 and 128" in capsys.readouterr().err


def test_a_run_on_the_same_seed_learns_the_same(tmp_path: Path) -> None:
    recipe = AlignmentRecipe(
        kind="alignment",
        loop=LoopConfig(steps=2, batch_size=4, log_every=1, save_every=2),
        model=MelAlignmentConfig(feature_dim=16, width=8, dilations=(1,)),
        pairs=PairDraw(stretch=0.5),
    )
    data, pairs = judging.write_scenes(tmp_path / "data"), judging.write_pairs(tmp_path / "pairs")
    found = []
    for name in ("first", "second"):
        alignment_loop(recipe, [data], pairs, tmp_path / name, "cpu").run()
        found.append(trained_alignment(tmp_path / name)[0].state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    torch.manual_seed(recipe.loop.seed)
    untrained = MelAlignment(recipe.model).state_dict()
    assert any(not torch.equal(value, untrained[name]) for name, value in found[0].items())
