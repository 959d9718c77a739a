"""The solver, guidance and sampler: against published numbers, an own solver, and an exactly solvable case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from standins import fill_module

from foleygen.errors import BundleError, UsageError
from foleygen.models.diffusion import Condition
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling.guidance import power_cosine
from foleygen.sampling.noise import WindowKey, derived, generator
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig, alphas_cumprod, exact_times
from foleygen.sampling.solver import Solver

GOLDEN = Path(__file__).parent / "golden"

NoiseModel = Callable[[np.ndarray, float, float], np.ndarray]
"""(state, alpha, sigma) -> noise, float64."""


def filled(**overrides: Any) -> MDSGen:
    geometry: dict[str, Any] = {
        "latent_shape": (2, 4, 8), "time_axis": 2, "hidden_size": 16, "depth": 3, "num_heads": 2,
        "decode_layers": 1, "frequency_embedding_size": 8, "feature_dim": 6, "num_features": 8,
    }  # fmt: skip
    model = MDSGen(TransformerConfig(**{**geometry, **overrides}))
    fill_module(model)
    return model


def window(model: MDSGen, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and noise."""
    generator = torch.Generator().manual_seed(9)
    config = model.config
    features = torch.randn(batch, config.num_features, config.feature_dim, generator=generator)
    return features, torch.randn(batch, *config.latent_shape, generator=generator)


def solve(start: np.ndarray, steps: int, model: NoiseModel, prediction: str = "epsilon") -> np.ndarray:
    """Our scheduler under a model of the noise."""
    config = ScheduleConfig(prediction_type=prediction)  # type: ignore[arg-type]
    solver, ratios = Solver(config, steps), exact_times(config, steps)[1].double()
    state = torch.from_numpy(start)
    for step, sigma_ratio in enumerate(ratios[:-1]):
        alpha = (1 + sigma_ratio**2).rsqrt().item()
        sigma = alpha * sigma_ratio.item()
        noise = model(state.numpy(), alpha, sigma)
        clean = (state.numpy() - sigma * noise) / alpha
        output = noise if prediction == "epsilon" else alpha * noise - sigma * clean
        state = solver.step(torch.from_numpy(output), step, state)
    return state.double().numpy()


def reference_solve(start: np.ndarray, steps: int, model: NoiseModel) -> np.ndarray:
    """DPM-Solver++(2M) in float64; the last step drops to first order below 10 steps."""
    log_alphas = 0.5 * np.cumsum(np.log1p(-np.linspace(1e-4, 0.02, 1000)))
    log_alpha = np.interp(np.linspace(999, 0, steps + 1), np.arange(1000), log_alphas)
    alpha, sigma = np.exp(log_alpha), np.sqrt(-np.expm1(2 * log_alpha))
    lam = np.log(alpha / sigma)
    state, previous = start.astype(np.float64), None
    for i in range(steps):
        clean = (state - sigma[i] * model(state, alpha[i], sigma[i])) / alpha[i]
        h = lam[i + 1] - lam[i]
        direction = clean
        if previous is not None and not (i == steps - 1 and steps < 10):
            direction = clean + 0.5 * (clean - previous) * h / (lam[i] - lam[i - 1])
        state = sigma[i + 1] / sigma[i] * state - alpha[i + 1] * np.expm1(-h) * direction
        previous = clean
    return state


def saturating(state: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """A noise model without a closed solution, sensitive to the solver's order."""
    return sigma * np.tanh(1.5 * state + 0.5 * np.sin(3 * state) * alpha)


@pytest.mark.parametrize("steps", [1, 2, 5, 9, 10, 12, 14, 15, 25, 50])
def test_solver_equals_an_own_one(steps: int) -> None:
    start = np.random.default_rng(1).standard_normal(500)
    expected = reference_solve(start, steps, saturating)
    np.testing.assert_allclose(solve(start, steps, saturating), expected, rtol=0, atol=2e-4 * expected.std())


@pytest.mark.parametrize("config", [ScheduleConfig(), ScheduleConfig.preset("scaled_linear", "v_prediction")])
@pytest.mark.parametrize("steps", [1, 2, 5, 9, 10, 12, 15, 25])
def test_solver_equals_that_of_diffusers(steps: int, config: ScheduleConfig) -> None:
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    other = DPMSolverMultistepScheduler(
        num_train_timesteps=config.num_train_timesteps,
        beta_start=config.beta_start,
        beta_end=config.beta_end,
        beta_schedule=config.beta_schedule,
        prediction_type=config.prediction_type,
        solver_order=2,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        timestep_spacing="linspace",
        final_sigmas_type="sigma_min",
        lower_order_final=steps < config.lower_order_below,
        euler_at_final=False,
    )
    other.set_timesteps(steps)
    # It rounds times to integers, up to half a time off.
    other.timesteps, other.sigmas = exact_times(config, steps)
    other.set_begin_index(0)
    own = Solver(config, steps)
    ours = theirs = torch.randn(4, 16, 64, generator=torch.Generator().manual_seed(3))
    for step, t in enumerate(other.timesteps):
        ours = own.step(torch.tanh(1.5 * ours), step, ours)
        theirs = other.step(torch.tanh(1.5 * theirs), t, theirs, return_dict=False)[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5 * float(theirs.std()))


@pytest.mark.parametrize("steps", [8, 12, 25])
def test_velocity_and_noise_predictions_take_the_same_path(steps: int) -> None:
    start = np.random.default_rng(2).standard_normal(200)
    by_noise = solve(start, steps, saturating)
    by_velocity = solve(start, steps, saturating, "v_prediction")
    np.testing.assert_allclose(by_velocity, by_noise, rtol=0, atol=1e-4 * by_noise.std())


def test_solver_is_of_second_order_where_the_solution_is_known() -> None:
    """For normal data of deviation s the state scales with sqrt(alpha^2 s^2 + sigma^2) along its path."""
    spread = 0.5

    def normal_data(state: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
        return sigma * state / (alpha**2 * spread**2 + sigma**2)

    share = alphas_cumprod(ScheduleConfig()).numpy()
    variance = share * spread**2 + (1 - share)
    exact = np.sqrt(variance[0] / variance[-1])
    start = np.ones(1)
    errors = [abs(solve(start, steps, normal_data)[0] / exact - 1) for steps in (50, 100, 200)]
    assert errors[0] < 0.06
    assert errors[1] < errors[0] / 3.5
    assert errors[2] < errors[1] / 3.5


@pytest.mark.parametrize("steps", [25, 50])
def test_times_and_sigmas_equal_the_reference_solver(steps: int) -> None:
    known = np.load(GOLDEN / "dpm_times.npz")
    times, sigmas = exact_times(ScheduleConfig(), steps)
    np.testing.assert_allclose(times, known[f"tin{steps}"][:-1], rtol=0, atol=1e-4)
    np.testing.assert_allclose(sigmas, known[f"sigma{steps}"] / known[f"alpha{steps}"], rtol=1e-4)


def test_alphas_cumprod_is_the_linear_schedule() -> None:
    share = alphas_cumprod(ScheduleConfig())
    assert share.shape == (1000,)
    assert share.dtype == torch.float64
    assert share[0].item() == pytest.approx(0.9999)
    assert share[-1].item() == pytest.approx(4.0358e-5, rel=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("grid", ["paper", "release"])
def test_guided_prediction_equals_the_published_one(grid: Any) -> None:
    known = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN / f"{grid}_T_forward.npz").items()}
    model = MDSGen(TransformerConfig.preset("T", grid=grid))
    fill_module(model)
    for row, t in enumerate(known["t"]):
        denoiser = model.prepared(Condition(known["video"][row : row + 1]), t[None], guided=True)
        conditional, unconditional = denoiser(known["x"][row : row + 1], 0)
        assert unconditional is not None
        guided = torch.lerp(unconditional, conditional, power_cosine(t.item(), 5, 0.01))
        torch.testing.assert_close(guided[0], known["cfg5_pow001"][row], rtol=0, atol=2e-4)


@pytest.mark.slow
def test_sample_equals_the_published_sampler() -> None:
    known = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN / "release_T_sample.npz").items()}
    model = MDSGen(TransformerConfig.preset("T", grid="release"))
    fill_module(model)
    latents = sample(model, Condition(known["video"]), known["z"], SamplerConfig(25, 5.0))
    reference = known["sample25"]
    torch.testing.assert_close(latents, reference, rtol=0, atol=1e-4 * reference.std().item())


@torch.inference_mode()
@pytest.mark.parametrize("conditioning", ["reducer", "aligned"])
@pytest.mark.parametrize("time_axis", [1, 2])
@pytest.mark.parametrize("learn_sigma", [True, False])
def test_denoiser_is_the_forward_pass(conditioning: str, time_axis: int, learn_sigma: bool) -> None:
    model = filled(conditioning=conditioning, time_axis=time_axis, learn_sigma=learn_sigma)
    features, latents = window(model, 3)
    times = torch.tensor([999.0, 500.5, 20.25])
    for guided in (True, False):
        denoiser = model.prepared(Condition(features), times, guided)
        for step, t in enumerate(times):
            conditional, unconditional = denoiser(latents, step)
            whole = model(latents, t.expand(3), features)[:, :2]
            torch.testing.assert_close(conditional, whole, rtol=1e-4, atol=1e-5)
            if unconditional is None:
                assert not guided
                continue
            bare = model(latents, t.expand(3), features, dropped=torch.ones(3, dtype=torch.bool))[:, :2]
            torch.testing.assert_close(unconditional, bare, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_window_sounds_the_same_whatever_lies_beside_it(scale: float) -> None:
    model = filled(conditioning="aligned")
    features, noise = window(model, 3)
    config = SamplerConfig(6, scale)
    together = sample(model, Condition(features), noise, config)
    for row in range(3):
        alone = sample(model, Condition(features[row : row + 1]), noise[row : row + 1], config)
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=1e-4 * alone.std().item())
    features[0], noise[0] = 0, 1
    assert torch.equal(sample(model, Condition(features), noise, config)[1:], together[1:])


def test_guidance_moves_the_sample_and_a_scale_of_one_does_not() -> None:
    model = filled()
    features, noise = window(model, 2)
    plain = sample(model, Condition(features), noise, SamplerConfig(5, 1.0))
    nearly = sample(model, Condition(features), noise, SamplerConfig(5, 1.0 + 1e-6))
    torch.testing.assert_close(nearly, plain, rtol=1e-3, atol=1e-3 * plain.std().item())
    assert not torch.allclose(sample(model, Condition(features), noise, SamplerConfig(5, 3.0)), plain, rtol=0.05)


def test_a_bfloat16_model_keeps_a_float32_state_near_the_exact_one() -> None:
    model = filled(conditioning="aligned")
    features, noise = window(model, 2)
    config = SamplerConfig(5, 2.0, schedule=ScheduleConfig(prediction_type="v_prediction"))
    exact = sample(model, Condition(features), noise, config)
    rough = sample(model.to(torch.bfloat16), Condition(features), noise, config)
    assert rough.dtype == torch.float32
    assert (rough - exact).square().mean().sqrt() < 0.05 * exact.std()
    assert not torch.equal(rough, rough.bfloat16().float())


def test_each_step_is_reported_and_the_arguments_stay_as_they_were() -> None:
    model = filled()
    features, noise = window(model, 1)
    before = noise.clone()
    seen: list[tuple[int, int]] = []
    sample(model, Condition(features), noise, SamplerConfig(4), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert torch.equal(noise, before)


def test_power_cosine_equals_the_published_values() -> None:
    assert power_cosine(999, 5, 0.01) == pytest.approx(4.956, abs=1e-3)
    assert power_cosine(500, 5, 0.01) == pytest.approx(4.99953, abs=1e-5)
    assert power_cosine(20, 5, 0.01) == pytest.approx(4.9999995, abs=1e-7)
    assert power_cosine(1000, 5, 0.01) == 1


@given(scale=st.floats(1, 10), power=st.floats(0.01, 4), times=st.tuples(st.floats(0, 999), st.floats(0, 999)))
def test_guidance_grows_towards_the_end(scale: float, power: float, times: tuple[float, float]) -> None:
    early, late = power_cosine(max(times), scale, power), power_cosine(min(times), scale, power)
    assert 1 - 1e-9 <= early <= late + 1e-9 <= scale + 2e-9


@settings(deadline=None)
@given(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "a\n1"]), st.integers(0, 3), st.integers(0, 3)))
def test_noise_differs_with_each_thing_that_names_a_window(name: tuple[int, str, int, int]) -> None:
    noise = WindowKey(*name).noise((2, 8))
    assert torch.equal(noise, WindowKey(*name).noise((2, 8)))
    seed, content, start, take = name
    others = [(seed + 1, content, start, take), (seed, content + "1", start, take)]
    others += [(seed, content, start + 1, take), (seed, content, start, take + 1)]
    for other in others:
        assert not torch.equal(noise, WindowKey(*other).noise((2, 8)))


def test_noise_is_standard_normal_and_stays_what_it_was() -> None:
    noise = WindowKey(1, "clip", 0, 0).noise((4, 16, 64))
    assert abs(noise.mean().item()) < 0.05
    assert noise.std().item() == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(noise.flatten()[:3], torch.tensor([-0.6581, -0.0683, 0.5665]), rtol=0, atol=1e-4)


def test_a_seed_stays_the_number_that_it_was() -> None:
    """What is written in sidecars, and what both engines draw from."""
    key = WindowKey(1, "clip", 65536, 2)
    assert key.noise_seed == derived(1, "clip", 65536, 2) == 1513040263429410958
    assert key.phase().initial_seed() == 7146729894007028783
    assert generator("bed", 3, "x").initial_seed() == derived("bed", 3, "x") == 3030819462131344691
    assert torch.equal(key.noise((3,)), torch.randn(3, generator=generator(1, "clip", 65536, 2)))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="0 sampling steps"):
        SamplerConfig(num_inference_steps=0)
    with pytest.raises(BundleError, match="'x0'"):
        ScheduleConfig(prediction_type="x0")  # type: ignore[arg-type]
    with pytest.raises(BundleError, match=r"0\.02 to 0\.01"):
        ScheduleConfig(beta_start=0.02, beta_end=0.01)
