"""Diff-Foley's denoiser, condition, solver and classifier guidance against the published code's numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diff_foley_files import reduced_shapes
from standins import fill
from torch import Tensor

from foleygen.errors import BundleError
from foleygen.models.alignment import AlignmentClassifier, AlignmentConfig
from foleygen.models.diff_foley import DiffFoley, DiffFoleyConfig
from foleygen.models.diffusion import Condition, Denoiser
from foleygen.sampling.classifier import (
    ClassifierGuided,
    Corrected,
    log_probability_gradient,
    noise_levels,
    times_of_equal_noise,
)
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig, alphas_cumprod, exact_times
from foleygen.weights.published.diff_foley import published_names

GOLDEN = Path(__file__).parent / "golden"
REDUCED = DiffFoleyConfig(model_channels=32, context_dim=96)
SCHEDULE = ScheduleConfig.preset("scaled_linear", "epsilon")


def arrays(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"difffoley_{name}.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


@pytest.fixture(scope="module")
def model() -> DiffFoley:
    filled = fill(reduced_shapes("ldm"), "cavp")
    found = DiffFoley(REDUCED)
    found.load_state_dict({ours: filled[name] for ours, name in published_names(REDUCED).items()})
    return found.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def classifier() -> AlignmentClassifier:
    found = AlignmentClassifier(AlignmentConfig(channels=32))
    found.load_state_dict(fill(reduced_shapes("classifier"), "cavp"))
    return found.eval().requires_grad_(False)


def test_the_standins_are_those_of_the_golden_arrays() -> None:
    entries = json.loads((GOLDEN / "difffoley_reduced_keys.json").read_text())
    for file in ("ldm", "classifier"):
        filled = fill(reduced_shapes(file), "cavp")
        for entry in entries:
            if entry["file"] == file:
                assert float(filled[entry["key"]].double().sum()) == pytest.approx(entry["sum"], abs=1e-6)


@torch.inference_mode()
def test_unet_and_condition_equal_the_published(model: DiffFoley) -> None:
    known = arrays("unet")
    eps = model(known["x"], known["t"], known["context"])
    torch.testing.assert_close(eps, known["eps"], rtol=0, atol=2e-5)
    null = model(known["x"], known["t"], torch.zeros_like(known["context"]))
    torch.testing.assert_close(null, known["eps_null"], rtol=0, atol=2e-5)
    torch.testing.assert_close(model.context(known["v"]), known["cond"], rtol=0, atol=1e-6)
    zeros = torch.zeros(1, 32, 512)
    torch.testing.assert_close(model.context(zeros), known["cond_of_zeros"], rtol=0, atol=1e-6)


def test_schedule_equals_the_published() -> None:
    known = arrays("sample")
    times, sigmas = exact_times(SCHEDULE, 10)
    np.testing.assert_allclose(times, known["model_t"], rtol=0, atol=1e-3)
    assert times[0] == 999
    np.testing.assert_allclose(sigmas.log(), -known["lambda_"], rtol=0, atol=1e-4)
    share = alphas_cumprod(SCHEDULE)
    assert float(share[0]) == pytest.approx(0.99915)
    assert float(share[500]) == pytest.approx(0.27633268, rel=1e-6)
    assert float(share[999]) == pytest.approx(0.0046601, abs=1e-7)
    log_alpha = -0.5 * torch.log1p(sigmas.double().square())
    np.testing.assert_allclose(log_alpha, known["log_alpha"], rtol=0, atol=1e-4)


@torch.inference_mode()
def test_prepared_predictions_are_those_of_the_two_contexts(model: DiffFoley) -> None:
    known = arrays("sample")
    features = Condition(known["v"][:, :32])
    conditional, unconditional = model.prepared(features, known["model_t"], guided=True)(known["z"], 0)
    torch.testing.assert_close(unconditional, known["eps0_uncond_cond"][0], rtol=0, atol=2e-5)
    torch.testing.assert_close(conditional, known["eps0_uncond_cond"][1], rtol=0, atol=2e-5)
    alone, nothing = model.prepared(features, known["model_t"], guided=False)(known["z"], 0)
    assert nothing is None
    torch.testing.assert_close(alone, conditional, rtol=0, atol=2e-5)


class Followed:
    """A model that is told 33 features, hands on the first 32 and keeps the states it is asked about."""

    latent_shape, time_axis, device = REDUCED.latent_shape, REDUCED.time_axis, torch.device("cpu")

    def __init__(self, model: DiffFoley) -> None:
        self.model = model
        self.states: list[Tensor] = []

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> Denoiser:
        inner = self.model.prepared(Condition(condition.features[:, :32]), times, guided)

        def call(latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
            self.states.append(latents.clone())
            return inner(latents, step)

        return call


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cfg", "guided"])
def test_every_step_equals_the_published_sampler(model: DiffFoley, classifier: AlignmentClassifier, name: str) -> None:
    known = arrays("sample")
    followed = Followed(model)
    config = SamplerConfig(10, guidance_scale=4.5, guidance_power=0.0, schedule=SCHEDULE)
    led = ClassifierGuided(followed, classifier, 50.0, SCHEDULE) if name == "guided" else followed
    latents = sample(led, Condition(known["v"]), known["z"], config)
    states = torch.stack([*followed.states, latents])
    torch.testing.assert_close(states, known[f"{name}_x_steps"], rtol=0, atol=5e-4)


def test_the_first_gradient_equals_the_published(model: DiffFoley, classifier: AlignmentClassifier) -> None:
    known = arrays("sample")
    led = ClassifierGuided(Followed(model), classifier, 50.0, SCHEDULE)
    corrected = led.prepared(Condition(known["v"]), known["model_t"], guided=True)
    assert isinstance(corrected, Corrected)
    torch.testing.assert_close(corrected.gradient(known["z"], 0), known["grad0"], rtol=0, atol=1e-7)
    probability = classifier.model(known["z"], known["model_t"][:1].expand(2), known["v"]).sigmoid()
    torch.testing.assert_close(probability, known["prob0"], rtol=0, atol=1e-6)


def test_noise_and_velocity_are_corrected_to_the_same_clean_latents(classifier: AlignmentClassifier) -> None:
    """Of one state and one clean guess, whatever the model calls it."""
    known = arrays("sample")
    generator = torch.Generator().manual_seed(0)
    clean, times = torch.randn(2, 4, 16, 64, generator=generator), torch.tensor([500.0])
    alpha, sigma = (float(level) for level in noise_levels(SCHEDULE, times))
    noise = (known["z"] - alpha * clean) / sigma
    found = []
    for kind, value in (("epsilon", noise), ("v_prediction", alpha * noise - sigma * clean)):
        schedule = ScheduleConfig.preset("scaled_linear", kind)
        led = ClassifierGuided(Fixed(value), classifier, 50.0, schedule)
        predicted, _ = led.prepared(Condition(known["v"]), times, guided=False)(known["z"], 0)
        by_noise = (known["z"] - sigma * predicted) / alpha
        found.append(by_noise if kind == "epsilon" else alpha * known["z"] - sigma * predicted)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-4)
    assert float((found[0] - clean).abs().max()) > 0.01


@dataclass(frozen=True)
class Fixed:
    """A model that always predicts the same."""

    value: Tensor
    latent_shape: tuple[int, int, int] = REDUCED.latent_shape
    time_axis: int = REDUCED.time_axis

    @property
    def device(self) -> torch.device:
        return self.value.device

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> Denoiser:
        return lambda latents, step: (self.value, self.value if guided else None)


def test_what_stands_for_no_condition(model: DiffFoley) -> None:
    features = arrays("sample")["v"][:, :32]
    assert not model.null_context(features).any()
    told = DiffFoley(replace(REDUCED, unconditional="embedded"))
    told.load_state_dict(model.state_dict())
    torch.testing.assert_close(told.null_context(features)[0], model.context(torch.zeros(1, 32, 512))[0])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"latent_shape": (4, 12, 64)}, "cannot be halved 3 times"),
        ({"model_channels": 48}, "no multiple of 32"),
        ({"num_heads": 7}, "num_heads 7 does not divide"),
        ({"num_features": 41}, "not within the 40"),
        ({"unconditional": "none"}, "neither"),
        ({"time_axis": 0}, "time_axis is 0"),
    ],
)
def test_geometries_that_cannot_be_are_explained(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        replace(REDUCED, **wrong)


def log_gradient(classifier: AlignmentClassifier, known: dict[str, Tensor], context: Tensor) -> Tensor:
    return log_probability_gradient(classifier, known["z"], known["t"], context)


def test_classifier_and_its_gradient_equal_the_published(classifier: AlignmentClassifier) -> None:
    known = arrays("classifier")
    raw, embedded = known["v"], classifier.cond_model(known["v"])
    torch.testing.assert_close(embedded, known["context_cond"], rtol=0, atol=1e-6)
    for context, name in ((raw, "raw"), (embedded, "cond")):
        probability = classifier.model(known["z"], known["t"], context).sigmoid()
        torch.testing.assert_close(probability, known[f"prob_{name}"], rtol=0, atol=1e-6)
        gradient = log_gradient(classifier, known, context)
        torch.testing.assert_close(gradient, known[f"grad_logprob_{name}"], rtol=0, atol=1e-7)


def test_the_gradient_is_found_in_inference_mode_and_row_by_row(classifier: AlignmentClassifier) -> None:
    known = arrays("classifier")
    plain = log_gradient(classifier, known, known["v"])
    with torch.inference_mode():
        inside = log_gradient(classifier, {name: value.clone() for name, value in known.items()}, known["v"].clone())
    assert torch.equal(inside, plain)
    row = {name: value[1:] for name, value in known.items()}
    torch.testing.assert_close(log_gradient(classifier, row, row["v"]), plain[1:], rtol=0, atol=1e-8)


def test_a_hopeless_sound_still_has_a_direction(classifier: AlignmentClassifier) -> None:
    known = arrays("classifier")
    before = classifier.model.classifier.bias.clone()
    with torch.no_grad():
        classifier.model.classifier.bias.fill_(-200)
        gradient = log_gradient(classifier, known, known["v"])
        classifier.model.classifier.bias.copy_(before)
    assert gradient.isfinite().all()
    assert float(gradient.abs().max()) > 0


def test_other_schedules_ask_the_classifier_at_equal_noise() -> None:
    times = torch.tensor([999.0, 700.5, 300.25, 20.0])
    assert torch.equal(times_of_equal_noise(SCHEDULE, times), times)
    linear = ScheduleConfig()
    asked = times_of_equal_noise(linear, times)
    assert float(asked[0]) == 999  # MDSGen begins with more noise than the classifier has seen
    torch.testing.assert_close(
        noise_levels(SCHEDULE, asked)[1][2:], noise_levels(linear, times)[1][2:], rtol=1e-5, atol=0
    )
