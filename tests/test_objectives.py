"""The paper's loss, against the published code's numbers and against independent forms of its formulas."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from standins import fill_module
from torch import Tensor, nn

from foleygen.errors import UsageError
from foleygen.models.masking import MaskedTokens, mask_groups
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.training import objectives
from foleygen.training.objectives import DiffusionConfig

GOLDEN = Path(__file__).parent / "golden"
PUBLISHED = DiffusionConfig(snr_gamma=5.0)


def seeded(seed: int, *shape: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape).astype(np.float32)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def release_tiny() -> nn.Module:
    return fill_module(MDSGen(TransformerConfig.preset("T", "release", mask_ratio=0.3)))


@pytest.mark.parametrize("name", ["full", "masked"])
@torch.no_grad()
def test_each_term_equals_the_published_losses(release_tiny: MDSGen, name: str) -> None:
    golden = np.load(GOLDEN / "release_T_train_losses.npz")
    latents = torch.from_numpy(seeded(4004, 3, 8, 204, 16) * np.float32(0.9))
    noise = torch.from_numpy(seeded(5005, 3, 8, 204, 16))
    video = seeded(2002, 3, 32, 512)
    video /= np.linalg.norm(video, axis=-1, keepdims=True)
    video[1] = np.load(GOLDEN / "cavp_real_32x512.npy")
    mask = None
    if name == "masked":
        mask_noise = torch.from_numpy(np.random.Generator(np.random.PCG64(3003)).random((3, 102)))
        groups = objectives.token_groups(PUBLISHED, release_tiny.config)
        assert groups is not None
        mask = mask_groups(mask_noise, groups, PUBLISHED.mask_ratio)
    losses = objectives.forward_losses(
        release_tiny, latents, torch.from_numpy(video), torch.from_numpy(golden["t"]), noise, PUBLISHED, mask=mask
    )
    for key in ("mse", "vb", "loss"):
        np.testing.assert_allclose(losses[key].numpy(), golden[f"MSE_{name}_{key}"], rtol=1e-5)


def test_forward_process_and_velocity_equal_those_of_diffusers() -> None:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    scheduler = DDPMScheduler(1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
    latents, noise, t = normal(5, 4, 8, 8), normal(5, 4, 8, 8, seed=1), torch.tensor([0, 1, 500, 998, 999])
    config = DiffusionConfig(prediction_type="v_prediction", learned_sigma=False, mask=None)
    noisy = objectives.add_noise(latents, noise, t, config)
    torch.testing.assert_close(noisy, scheduler.add_noise(latents, noise, t), rtol=1e-5, atol=1e-5)
    velocity = scheduler.get_velocity(latents, noise, t)
    losses = objectives.losses_of(velocity, latents, noisy, noise, t, config)
    assert losses.keys() == {"loss", "mse"}
    assert float(losses["loss"].max()) < 1e-9


@settings(max_examples=25, deadline=None)
@given(t=st.integers(0, 999), seed=st.integers(0, 1000))
def test_noise_and_velocity_predictions_of_one_model_have_one_min_snr_loss(t: int, seed: int) -> None:
    latents, noise, error = (normal(2, 4, 4, 8, seed=seed + i).double() for i in range(3))
    steps = torch.full((2,), t)
    epsilon = DiffusionConfig(snr_gamma=5.0, learned_sigma=False, mask=None)
    velocity = DiffusionConfig(prediction_type="v_prediction", snr_gamma=5.0, learned_sigma=False, mask=None)
    cumulative = objectives.schedule(epsilon).alphas_cumprod[t]
    noisy = objectives.add_noise(latents, noise, steps, epsilon)
    predicted = noise + error
    start = (noisy - (1 - cumulative).sqrt() * predicted) / cumulative.sqrt()
    predicted_velocity = cumulative.sqrt() * predicted - (1 - cumulative).sqrt() * start
    one = objectives.losses_of(predicted, latents, noisy, noise, steps, epsilon)
    other = objectives.losses_of(predicted_velocity, latents, noisy, noise, steps, velocity)
    torch.testing.assert_close(one["loss"], other["loss"], rtol=1e-6, atol=1e-9)


def test_min_snr_bounds_the_easy_steps_only() -> None:
    weight = objectives.snr_weight(PUBLISHED)
    cumulative = objectives.schedule(PUBLISHED).alphas_cumprod
    hard = cumulative / (1 - cumulative) <= 5
    assert 0 < int(hard.sum()) < 1000
    assert torch.equal(weight[hard], torch.ones(int(hard.sum()), dtype=torch.float64))
    assert bool((weight[~hard] < 1).all())
    assert bool((objectives.snr_weight(DiffusionConfig()) == 1).all())


@settings(max_examples=25, deadline=None)
@given(t=st.integers(1, 999), seed=st.integers(0, 1000))
def test_bound_is_the_divergence_of_two_gaussians(t: int, seed: int) -> None:
    latents, noise, start = (normal(3, 2, 4, 4, seed=seed + i).double() for i in range(3))
    variance = 2 * torch.rand(3, 2, 4, 4, generator=generator(seed), dtype=torch.float64) - 1
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    kept = (1 - betas).cumprod(0)
    posterior_variance = betas[t] * (1 - kept[t - 1]) / (1 - kept[t])
    noisy = kept[t].sqrt() * latents + (1 - kept[t]).sqrt() * noise

    def posterior_mean(x0: Tensor) -> Tensor:
        """Mean of q(x_{t-1} | x_t, x_0), by precision weighting of its two sources."""
        alpha = 1 - betas[t]
        precision = alpha / betas[t] + 1 / (1 - kept[t - 1])
        return (alpha.sqrt() * noisy / betas[t] + kept[t - 1].sqrt() * x0 / (1 - kept[t - 1])) / precision

    share = (variance + 1) / 2
    log_variance = share * betas[t].log() + (1 - share) * posterior_variance.log()
    divergence = torch.distributions.kl_divergence(
        torch.distributions.Normal(posterior_mean(latents), posterior_variance.sqrt()),
        torch.distributions.Normal(posterior_mean(start), (0.5 * log_variance).exp()),
    )
    expected = divergence.flatten(1).mean(1) / math.log(2)
    bound = objectives.variational_bound(start, variance, latents, noisy, torch.full((3,), t), DiffusionConfig())
    torch.testing.assert_close(bound, expected, rtol=1e-7, atol=1e-9)


def test_bound_teaches_the_variance_and_not_the_mean() -> None:
    latents, noise, t = normal(3, 4, 4, 8), normal(3, 4, 4, 8, seed=1), torch.tensor([999, 20, 0])
    noisy = objectives.add_noise(latents, noise, t, DiffusionConfig())
    output = normal(3, 8, 4, 8, seed=2).requires_grad_()
    objectives.losses_of(output, latents, noisy, noise, t, DiffusionConfig())["vb"].sum().backward()
    assert output.grad is not None
    assert float(output.grad[:, :4].abs().max()) == 0
    assert bool((output.grad[:, 4:].flatten(1).abs().amax(1) > 0).all())


@settings(max_examples=25, deadline=None)
@given(mean=st.floats(-1, 1), log_scale=st.floats(-4, 1))
def test_discretised_likelihood_sums_to_one_over_the_bins(mean: float, log_scale: float) -> None:
    bins = torch.linspace(-1, 1, 256, dtype=torch.float64)
    log_probability = objectives.discretised_log_likelihood(
        bins, torch.full_like(bins, mean), torch.full_like(bins, log_scale)
    )
    assert float(log_probability.exp().sum()) == pytest.approx(1, abs=1e-6)


class Recorder(nn.Module):
    """Answers with a fixed map of its input and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Tensor, Tensor, Tensor | None, MaskedTokens | None]] = []

    def forward(
        self, latents: Tensor, t: Tensor, features: Tensor, dropped: Tensor | None, mask: MaskedTokens | None
    ) -> Tensor:
        self.asked.append((latents, t, dropped, mask))
        return torch.cat([0.5 * latents, latents.tanh()], dim=1)


def test_the_two_terms_share_clip_and_time_and_draw_the_rest_independently() -> None:
    config = DiffusionConfig(condition_dropout=0.5, mask_weight=2.0)
    groups = objectives.token_groups(config, TransformerConfig.preset("T"))
    latents, features, t = normal(64, 4, 16, 64), normal(64, 32, 512), torch.arange(64) * 15
    model = Recorder()
    losses = objectives.training_losses(model, latents, features, t, config, generator(3), groups)
    (plain, plain_t, plain_dropped, no_mask), (masked, masked_t, masked_dropped, mask) = model.asked
    assert torch.equal(plain_t, masked_t)
    assert no_mask is None
    assert mask is not None
    sigma = (1 - objectives.schedule(config).alphas_cumprod[t]).sqrt()
    noises = [((x - objectives.add_noise(latents, 0 * latents, t, config)).double()) for x in (plain, masked)]
    first, second = (n / sigma.view(-1, 1, 1, 1) for n in noises)
    assert abs(float((first[1:] * second[1:]).mean())) < 0.01
    assert plain_dropped is not None
    assert masked_dropped is not None
    assert 0 < int(plain_dropped.sum()) < 64
    assert not torch.equal(plain_dropped, masked_dropped)
    total = losses["mse"] + losses["vb"] + 2 * (losses["masked_mse"] + losses["masked_vb"])
    torch.testing.assert_close(losses["loss"], total)
    again = objectives.training_losses(Recorder(), latents, features, t, config, generator(3), groups)
    assert all(torch.equal(losses[key], again[key]) for key in losses)


@pytest.mark.parametrize(("grid", "time_axis", "masked_times"), [("paper", 1, 10), ("release", 0, 31)])
def test_temporal_masking_hides_whole_times(grid: str, time_axis: int, masked_times: int) -> None:
    config = DiffusionConfig()
    transformer = TransformerConfig.preset("T", grid)  # type: ignore[arg-type]
    groups = objectives.token_groups(config, transformer)
    model = Recorder()
    latents = normal(2, *transformer.latent_shape)
    t = torch.tensor([10, 20])
    objectives.training_losses(model, latents, normal(2, 32, 512), t, config, generator(), groups)
    mask = model.asked[1][3]
    assert mask is not None
    hidden = mask.mask.view(2, *transformer.grid).movedim(1 + time_axis, 1)  # N times rest
    assert torch.equal(hidden.amin(2), hidden.amax(2))
    assert hidden.amax(2).sum(1).tolist() == [masked_times, masked_times]


def test_without_a_mask_there_is_one_forward() -> None:
    config = DiffusionConfig(mask=None)
    assert objectives.token_groups(config, TransformerConfig.preset("T")) is None
    model = Recorder()
    t = objectives.draw_timesteps(2, config, generator())
    losses = objectives.training_losses(model, normal(2, 4, 16, 64), normal(2, 32, 512), t, config, generator())
    assert len(model.asked) == 1
    assert losses.keys() == {"loss", "mse", "vb"}


def test_conditions_drop_at_the_configured_rate() -> None:
    model = Recorder()
    config = DiffusionConfig(mask=None)
    t = objectives.draw_timesteps(4000, config, generator(1))
    assert (int(t.min()), int(t.max())) == (0, 999)
    objectives.training_losses(model, normal(4000, 1, 2, 2), normal(4000, 1, 1), t, config, generator(2))
    dropped = model.asked[0][2]
    assert dropped is not None
    assert 0.08 < float(dropped.float().mean()) < 0.12


@pytest.mark.parametrize("conditioning", ["reducer", "aligned"])
def test_every_trainable_parameter_of_a_model_gets_a_gradient(conditioning: str) -> None:
    transformer = TransformerConfig(
        (4, 8, 16),
        2,
        hidden_size=32,
        depth=3,
        num_heads=2,
        decode_layers=1,
        feature_dim=8,
        num_features=8,
        conditioning=conditioning,
        mask_ratio=0.3,  # type: ignore[arg-type]
    )
    config = DiffusionConfig()
    model = fill_module(MDSGen(transformer)).train()
    groups = objectives.token_groups(config, transformer)
    latents, features, t = normal(3, 4, 8, 16), normal(3, 8, 8), torch.tensor([0, 400, 999])
    losses = objectives.training_losses(model, latents, features, t, config, generator(), groups)
    losses["loss"].mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name


@pytest.mark.parametrize(
    "wrong",
    [
        {"prediction_type": "sample"},
        {"mask": "time"},
        {"mask_ratio": 1.0},
        {"condition_dropout": -0.1},
        {"snr_gamma": 0.0},
    ],
)
def test_a_wrong_configuration_is_explained(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        DiffusionConfig(**wrong)  # type: ignore[arg-type]
