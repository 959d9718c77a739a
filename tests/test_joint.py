"""Windows denoised as one agree where they overlap, group by group, whatever the model predicts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from standins import fill_module

from foleygen.models.diffusion import Condition
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling import joint
from foleygen.sampling.joint import Canvas, Tie, whole_columns
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig
from foleygen.sampling.solver import Solver

COLUMNS = 8
SHARED = 3


def model_of(**overrides: Any) -> MDSGen:
    geometry: dict[str, Any] = {
        "latent_shape": (2, 4, COLUMNS), "time_axis": 2, "hidden_size": 16, "depth": 2, "num_heads": 2,
        "decode_layers": 1, "frequency_embedding_size": 8, "feature_dim": 6, "num_features": 8,
    }  # fmt: skip
    model = MDSGen(TransformerConfig(**{**geometry, **overrides}))
    fill_module(model)
    return model


def windows_of(model: MDSGen, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    config = model.config
    features = torch.randn(count, config.num_features, config.feature_dim, generator=generator)
    return features, torch.randn(count, *config.latent_shape, generator=generator)


def config_of(prediction: Any = "v_prediction", guidance: float = 3.0) -> SamplerConfig:
    return SamplerConfig(4, guidance, schedule=ScheduleConfig(prediction_type=prediction))


VARIANTS = [
    pytest.param({}, "v_prediction", 3.0, id="reducer, v"),
    pytest.param({"conditioning": "aligned", "learn_sigma": False}, "v_prediction", 3.0, id="aligned, v"),
    pytest.param({}, "epsilon", 3.0, id="reducer, epsilon"),
    pytest.param({}, "epsilon", 1.0, id="unguided"),
    pytest.param({"latent_shape": (2, COLUMNS, 4), "time_axis": 1}, "v_prediction", 3.0, id="time first"),
]


@pytest.mark.parametrize(("geometry", "prediction", "guidance"), VARIANTS)
def test_windows_agree_where_they_overlap(geometry, prediction, guidance):
    model = model_of(**geometry)
    features, noise = windows_of(model, 3)
    latents, _ = joint.sample(model, Condition(features), noise, SHARED, config_of(prediction, guidance))
    assert latents.shape == noise.shape
    assert torch.isfinite(latents).all()
    columns = latents if model.config.time_axis == 2 else latents.transpose(2, 3)
    for before, after in pairwise(columns):
        assert torch.equal(before[..., -SHARED:], after[..., :SHARED])
    assert not torch.equal(columns[0, ..., :SHARED], columns[1, ..., :SHARED])


@pytest.mark.parametrize(("geometry", "prediction", "guidance"), VARIANTS)
def test_a_window_alone_is_sampled_as_ever(geometry, prediction, guidance):
    model = model_of(**geometry)
    features, noise = windows_of(model, 1)
    config = config_of(prediction, guidance)
    latents, _ = joint.sample(model, Condition(features), noise, SHARED, config)
    torch.testing.assert_close(latents, sample(model, Condition(features), noise, config), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shared", [1, 3, 6])
def test_the_next_group_begins_with_what_the_last_one_ended_in(shared):
    """Also where the overlap is more than half of a window, so that two windows begin in it."""
    model = model_of()
    features, noise = windows_of(model, 5)
    config = config_of()
    first, tie = joint.sample(model, Condition(features[:3]), noise[:3], shared, config)
    second, _ = joint.sample(model, Condition(features[3:]), noise[3:], shared, config, tie)
    assert torch.equal(first[-1, ..., -shared:], second[0, ..., :shared])
    free, _ = joint.sample(model, Condition(features[3:]), noise[3:], shared, config)
    assert not torch.equal(free[0, ..., shared:], second[0, ..., shared:])


def test_a_tie_holds_the_states_of_every_step():
    model = model_of()
    features, noise = windows_of(model, 2)
    latents, tie = joint.sample(model, Condition(features), noise, SHARED, config_of())
    assert tie.states.shape == (5, 2, 4, SHARED)
    torch.testing.assert_close(tie.states[0], noise[-1, ..., -SHARED:])
    torch.testing.assert_close(tie.states[-1], latents[-1, ..., -SHARED:])


def test_windows_without_overlap_are_strangers():
    model = model_of()
    features, noise = windows_of(model, 2)
    config = config_of()
    latents, tie = joint.sample(model, Condition(features), noise, 0, config)
    torch.testing.assert_close(latents, sample(model, Condition(features), noise, config), rtol=1e-3, atol=1e-3)
    again, _ = joint.sample(model, Condition(features), noise, 0, config, tie)
    assert torch.equal(latents, again)


def test_how_many_go_through_the_model_at_once_does_not_matter():
    model = model_of()
    features, noise = windows_of(model, 5)
    told: list[tuple[int, int]] = []
    whole, _ = joint.sample(model, Condition(features), noise, SHARED, config_of())
    parts, _ = joint.sample(
        model, Condition(features), noise, SHARED, config_of(), rows=2, on_step=lambda *step: told.append(step)
    )
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_mean_of_predictions_is_the_mean_of_clean_latents(prediction):
    """The solver's own conversion, on windows and on the canvas they were cut from."""
    canvas = Canvas(model_of(), 3, SHARED)
    generator = torch.Generator().manual_seed(2)
    state = torch.randn(2, 4, 3 * COLUMNS - 2 * SHARED, generator=generator)
    predicted = torch.randn(3, 2, 4, COLUMNS, generator=generator)
    solver = Solver(ScheduleConfig(prediction_type=prediction), 4)
    each = solver.clean(predicted, 0, canvas.windows(state))
    shared = solver.clean(canvas.mean(predicted), 0, state)
    torch.testing.assert_close(canvas.mean(each), shared, rtol=1e-4, atol=1e-3)


def test_noise_keeps_its_variance_and_is_the_same_for_both_windows():
    canvas = Canvas(model_of(), 4, SHARED)
    generator = torch.Generator().manual_seed(8)
    drawn = torch.stack([canvas.noise(torch.randn(4, 2, 4, COLUMNS, generator=generator)) for _ in range(4000)])
    torch.testing.assert_close(drawn.var(dim=(0, 1, 2)), torch.ones(drawn.shape[-1]), rtol=0.05, atol=0)


def test_weights_are_a_ramp_over_the_shared_columns():
    canvas = Canvas(model_of(), 2, 4)
    ones, zeros = torch.ones(1, 2, 4, COLUMNS), torch.zeros(1, 2, 4, COLUMNS)
    mean = canvas.mean(torch.cat([ones, zeros]))[0, 0]
    torch.testing.assert_close(mean[4:8], torch.tensor([7.0, 5.0, 3.0, 1.0]) / 8)
    assert mean[:4].eq(1).all()
    assert mean[8:].eq(0).all()


@given(st.integers(0, 10**6), st.integers(2, 204), st.integers(1, 4000))
def test_an_overlap_is_rounded_to_columns_and_never_a_window(overlap, columns, width):
    window = columns * width
    rounded = whole_columns(overlap, window, columns)
    assert rounded % width == 0
    assert 0 <= rounded < window
    assert (rounded == 0) == (overlap == 0)
    if width <= overlap <= window - width:
        assert abs(rounded - overlap) <= width / 2


def test_more_shared_columns_than_a_window_has_are_a_mistake():
    with pytest.raises(ValueError, match="cannot share 8"):
        Canvas(model_of(), 2, COLUMNS)


def test_a_tie_of_another_clip_is_not_changed_by_its_use():
    model = model_of()
    features, noise = windows_of(model, 4)
    _, tie = joint.sample(model, Condition(features[:2]), noise[:2], SHARED, config_of())
    copy = Tie(tie.states.clone())
    joint.sample(model, Condition(features[2:]), noise[2:], SHARED, config_of(), tie)
    assert torch.equal(copy.states, tie.states)
