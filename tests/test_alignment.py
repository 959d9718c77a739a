"""The alignment classifier against the published code's numbers, and the metric made with it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from standins import fill_module

from foleygen.errors import UsageError
from foleygen.evaluation import alignment
from foleygen.evaluation.report import to_json
from foleygen.models.alignment import AlignmentClassifier, AlignmentConfig

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
