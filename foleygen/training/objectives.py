"""What MDSGen minimises: the two-term diffusion loss of the paper, and the variants that training may name.

Shapes: N batch, (C, H, W) latent. Every loss is per sample, (N,), so that callers can weight or log by timestep.
Sources: MDSGen (ICLR 2025) section 3; improved DDPM (Nichol & Dhariwal, 2021) for the learned-range variance and its
variational bound; Hang et al. (2023) for min-SNR.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from foleygen.errors import UsageError
from foleygen.models.masking import MaskedTokens, mask_groups, single_groups, time_groups
from foleygen.models.transformer import TransformerConfig


@dataclass(frozen=True)
class DiffusionConfig:
    """The objective; the defaults are the paper's.

    ``snr_gamma`` is min-SNR's bound (5.0 in MDT and in the released code; the paper has no such weight).
    ``mask`` names the groups that the second term hides: TAM whole times, SAM single tokens, None no second term.
    """

    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    learned_sigma: bool = True
    snr_gamma: float | None = None
    mask: Literal["TAM", "SAM"] | None = "TAM"
    mask_ratio: float = 0.3
    mask_weight: float = 1.0
    condition_dropout: float = 0.1
    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02

    def __post_init__(self) -> None:
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise UsageError(f"prediction_type is {self.prediction_type!r}", "use epsilon or v_prediction")
        if self.mask not in ("TAM", "SAM", None):
            raise UsageError(f"mask is {self.mask!r}", "use TAM, SAM or null")
        if not 0 <= self.condition_dropout <= 1:
            raise UsageError(f"condition_dropout is {self.condition_dropout}", "use a probability from 0 to 1")
        if self.mask is not None and not 0 < self.mask_ratio < 1:
            raise UsageError(f"mask_ratio is {self.mask_ratio}", "use a share between 0 and 1, or mask null")
        if self.snr_gamma is not None and self.snr_gamma <= 0:
            raise UsageError(f"snr_gamma is {self.snr_gamma}", "use a positive bound such as 5, or null")


@dataclass(frozen=True)
class NoiseSchedule:
    """Constants of the forward process and its posterior, float64, (num_train_timesteps,) each.

    ``posterior_mean_start`` and ``posterior_mean_noisy`` weigh x_0 and x_t in the mean of q(x_{t-1} | x_t, x_0);
    ``posterior_log_variance`` is its log variance, whose zero at t = 0 is replaced by the value at t = 1.
    """

    alphas_cumprod: Tensor
    log_betas: Tensor
    posterior_log_variance: Tensor
    posterior_mean_start: Tensor
    posterior_mean_noisy: Tensor

    @staticmethod
    @lru_cache(maxsize=8)
    def linear(beta_start: float, beta_end: float, steps: int) -> NoiseSchedule:
        """Betas equally spaced from ``beta_start`` to ``beta_end`` (both included)."""
        betas = torch.linspace(beta_start, beta_end, steps, dtype=torch.float64)
        alphas = 1 - betas
        cumulative = torch.cumprod(alphas, dim=0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), cumulative[:-1]])
        variance = betas * (1 - before) / (1 - cumulative)
        return NoiseSchedule(
            alphas_cumprod=cumulative,
            log_betas=betas.log(),
            posterior_log_variance=torch.cat([variance[1:2], variance[1:]]).log(),
            posterior_mean_start=betas * before.sqrt() / (1 - cumulative),
            posterior_mean_noisy=(1 - before) * alphas.sqrt() / (1 - cumulative),
        )


def schedule(config: DiffusionConfig) -> NoiseSchedule:
    """The schedule of a configuration, made once."""
    return NoiseSchedule.linear(config.beta_start, config.beta_end, config.num_train_timesteps)


def draw_timesteps(batch: int, config: DiffusionConfig, generator: torch.Generator) -> Tensor:
    """Uniform timesteps 0..num_train_timesteps-1, (batch,) int64, on the generator's device."""
    return torch.randint(config.num_train_timesteps, (batch,), generator=generator, device=generator.device)


def add_noise(latents: Tensor, noise: Tensor, t: Tensor, config: DiffusionConfig) -> Tensor:
    """x_t of the forward process, (N, C, H, W)."""
    cumulative = schedule(config).alphas_cumprod
    return _at(cumulative.sqrt(), t, latents) * latents + _at((1 - cumulative).sqrt(), t, latents) * noise


def token_groups(config: DiffusionConfig, transformer: TransformerConfig) -> Tensor | None:
    """Groups (G, S) int64 of the tokens that the configured mask hides together, None without a mask."""
    if config.mask is None:
        return None
    if config.mask == "SAM":
        return single_groups(transformer.grid)
    return time_groups(transformer.grid, transformer.time_axis)


def training_losses(
    model: nn.Module,
    latents: Tensor,
    features: Tensor,
    t: Tensor,
    config: DiffusionConfig,
    generator: torch.Generator,
    groups: Tensor | None = None,
    noise: Tensor | None = None,
) -> dict[str, Tensor]:
    """Per-sample losses of one batch: the plain term plus ``mask_weight`` times the masked term.

    Both terms share latents (N, C, H, W) and t (N,) int64 and draw noise, dropped conditions and masked tokens
    independently; ``noise`` fixes the plain term's. All draws come from ``generator`` (on its own device), in the order
    noise, drop, noise, drop, mask. ``groups`` are those of ``token_groups``; without them there is no masked term.
    Returns ``loss`` (the total), ``mse``, with a learned variance ``vb``, and with groups ``masked_mse``,
    ``masked_vb``.
    """
    assert (groups is None) == (config.mask is None)
    noise = _noise_like(latents, generator) if noise is None else noise
    dropped = _draw_dropped(len(latents), config, generator).to(latents.device)
    terms = forward_losses(model, latents, features, t, noise, config, dropped)
    if groups is None:
        return terms
    noise = _noise_like(latents, generator)
    dropped = _draw_dropped(len(latents), config, generator).to(latents.device)
    mask = mask_groups(_uniform((len(latents), len(groups)), generator).to(latents.device), groups, config.mask_ratio)
    masked = forward_losses(model, latents, features, t, noise, config, dropped, mask)
    total = terms.pop("loss") + config.mask_weight * masked.pop("loss")
    return {"loss": total, **terms, **{f"masked_{name}": value for name, value in masked.items()}}


def forward_losses(
    model: nn.Module,
    latents: Tensor,
    features: Tensor,
    t: Tensor,
    noise: Tensor,
    config: DiffusionConfig,
    dropped: Tensor | None = None,
    mask: MaskedTokens | None = None,
) -> dict[str, Tensor]:
    """One term: a forward of the model on x_t and its losses ``loss``, ``mse`` and, if learned, ``vb``; (N,) each.

    ``mse`` carries the min-SNR weight; ``vb`` is in bits per dimension.
    """
    noisy = add_noise(latents, noise, t, config)
    output = model(noisy, t.float(), features, dropped=dropped, mask=mask).float()
    return losses_of(output, latents.float(), noisy.float(), noise.float(), t, config)


def losses_of(
    output: Tensor, latents: Tensor, noisy: Tensor, noise: Tensor, t: Tensor, config: DiffusionConfig
) -> dict[str, Tensor]:
    """Losses of a model's ``output``: (N, C, H, W), or (N, 2C, H, W) with the variance channels after the others."""
    cumulative = schedule(config).alphas_cumprod
    channels = latents.shape[1]
    prediction, variance = output[:, :channels], output[:, channels:]
    signal, sigma = _at(cumulative.sqrt(), t, latents), _at((1 - cumulative).sqrt(), t, latents)
    target = noise if config.prediction_type == "epsilon" else signal * noise - sigma * latents
    mse = _mean(_at(snr_weight(config), t, latents) * torch.square(target - prediction))
    if not config.learned_sigma:
        return {"loss": mse, "mse": mse}
    fixed = prediction.detach()
    start = (noisy - sigma * fixed) / signal if config.prediction_type == "epsilon" else signal * noisy - sigma * fixed
    vb = variational_bound(start, variance, latents, noisy, t, config)
    return {"loss": mse + vb, "mse": mse, "vb": vb}


def snr_weight(config: DiffusionConfig) -> Tensor:
    """Weight of the squared error at every timestep, float64 (T,): 1, or min-SNR's for the predicted quantity."""
    cumulative = schedule(config).alphas_cumprod
    if config.snr_gamma is None:
        return torch.ones_like(cumulative)
    snr = cumulative / (1 - cumulative)
    bounded = snr.clamp(max=config.snr_gamma)
    return bounded / snr if config.prediction_type == "epsilon" else bounded / (snr + 1)


def variational_bound(
    start: Tensor, variance: Tensor, latents: Tensor, noisy: Tensor, t: Tensor, config: DiffusionConfig
) -> Tensor:
    """The bound's term of step t in bits per dimension, (N,): KL(q(x_{t-1} | x_t, x_0) || p), at t = 0 the NLL of x_0.

    ``start`` is the model's x_0. ``variance`` in [-1, 1] interpolates the log variance between the posterior's and
    beta_t's (improved DDPM, equation 15).
    """
    constants = schedule(config)
    floor, ceiling = (_at(row, t, latents) for row in (constants.posterior_log_variance, constants.log_betas))
    share = (variance + 1) / 2
    log_variance = share * ceiling + (1 - share) * floor
    from_start, from_noisy = (
        _at(row, t, latents) for row in (constants.posterior_mean_start, constants.posterior_mean_noisy)
    )
    mean = from_start * start + from_noisy * noisy
    divergence = 0.5 * (
        log_variance
        - floor
        - 1
        + torch.exp(floor - log_variance)
        + torch.square(from_start * (latents - start)) * torch.exp(-log_variance)
    )
    likelihood = discretised_log_likelihood(latents, mean, 0.5 * log_variance)
    return torch.where(t == 0, -_mean(likelihood), _mean(divergence)) / math.log(2)


def discretised_log_likelihood(value: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log probability of bins 2/255 wide under a Gaussian, elementwise; the bins beyond -1 and 1 are open.

    The bins are 8-bit pictures'; the published objective applies them to latents unchanged. The normal
    distribution's integral is the tanh approximation, which the published losses contain.
    """
    centred, inverse = value - mean, torch.exp(-log_scale)
    below, above = (_normal_integral(inverse * (centred + edge)) for edge in (-1 / 255, 1 / 255))
    probability = torch.where(value < -0.999, above, torch.where(value > 0.999, 1 - below, above - below))
    return probability.clamp(min=1e-12).log()


def _normal_integral(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _at(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """Entries of a (T,) table at t (N,), shaped to multiply ``like`` (N, ...), in its precision."""
    entries = table.to(like.dtype).to(like.device)[t]  # two steps: MPS has no float64
    return entries.view(-1, *[1] * (like.ndim - 1))


def _mean(values: Tensor) -> Tensor:
    return values.flatten(1).mean(dim=1)


def _noise_like(latents: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(latents.shape, generator=generator, device=generator.device).to(latents)


def _draw_dropped(batch: int, config: DiffusionConfig, generator: torch.Generator) -> Tensor:
    return _uniform((batch,), generator) < config.condition_dropout


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)
