"""Classifier guidance: at every step the sound moves to where a classifier finds picture and sound more in time.

Diff-Foley's double guidance (NeurIPS 2023): eps <- eps - scale * sigma * grad log p(aligned | latents, t, features),
beside the guidance by the condition and not multiplied by its scale. N windows, T features, F their size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from foleygen.models.diffusion import Around, Condition, Denoiser, DiffusionModel
from foleygen.sampling.schedule import ScheduleConfig, alphas_cumprod


class Classifier(Protocol):
    """What is asked of an alignment classifier; frozen, float32."""

    @property
    def model(self) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """The logit (N, 1) of latents (N, C, H, W), times (N,) and context (N, T, F)."""
        ...

    @property
    def cond_model(self) -> Callable[[Tensor], Tensor]:
        """The context of features (N, T, F) as it was in training."""
        ...


TRAINED = ScheduleConfig.preset("scaled_linear", "epsilon")
"""The noise that the published classifier was shown in training: Diff-Foley's."""


@dataclass(frozen=True)
class ClassifierGuided(Around[DiffusionModel]):
    """A model whose predictions the classifier corrects; a ``DiffusionModel`` itself, so that every sampler takes it.

    Its ``schedule`` is the one that it is sampled by. ``embedded``: the classifier sees the features through its own
    linear map and positions, as in its training, and not as they are, as in the published sampler.
    """

    model: DiffusionModel
    classifier: Classifier
    scale: float
    schedule: ScheduleConfig
    embedded: bool = False

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> Denoiser:
        """The model's own predictions, both moved alike: what guidance makes of the two then moves by as much."""
        features = condition.features.to(self.device, torch.float32)
        alpha, sigma = noise_levels(self.schedule, times)
        weight = self.scale * sigma
        if self.schedule.prediction_type == "v_prediction":
            weight = weight / alpha  # noise that is e less is a velocity that is e / alpha less, at the same state
        return Corrected(
            self.model.prepared(condition, times, guided),
            self.classifier,
            self.classifier.cond_model(features) if self.embedded else features,
            times_of_equal_noise(self.schedule, times).to(self.device),
            weight.tolist(),
        )


@dataclass(frozen=True)
class Corrected:
    """A prepared model and what its classifier needs: context (N, T, F), its times (steps,) and a weight a step."""

    denoiser: Denoiser
    classifier: Classifier
    context: Tensor
    times: Tensor
    weights: Sequence[float]

    def __call__(self, latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
        """Both predictions for latents (N, C, H, W) at time ``step``, less the weighted gradient."""
        conditional, unconditional = self.denoiser(latents, step)
        moved = self.weights[step] * self.gradient(latents, step)
        return conditional - moved, None if unconditional is None else unconditional - moved

    def gradient(self, latents: Tensor, step: int) -> Tensor:
        """The gradient (N, C, H, W) of log p(aligned) at time ``step``."""
        t = self.times[step].expand(len(latents))
        return log_probability_gradient(self.classifier, latents, t, self.context)


def log_probability_gradient(classifier: Classifier, latents: Tensor, t: Tensor, context: Tensor) -> Tensor:
    """Gradient (N, C, H, W) of log p(aligned) by the ``latents`` (N, C, H, W) of each row, float32.

    t (N,) of the classifier's schedule; context (N, T, F) as its attention sees it. Rows do not see each other.
    """
    # A gradient cannot be taken of tensors that were made in inference mode, so the row's own copies are used.
    with torch.inference_mode(False), torch.enable_grad():
        state = latents.detach().float().clone().requires_grad_()
        logit = classifier.model(state, t.float().clone(), context.clone())
        # The logarithm of a sigmoid that underflowed would be -inf.
        (gradient,) = torch.autograd.grad(F.logsigmoid(logit).sum(), state)
    return gradient


def noise_levels(config: ScheduleConfig, times: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma, float64 (steps,), of a schedule at fractional ``times``; log alpha is linear between times."""
    trained = np.arange(config.num_train_timesteps)
    log_alpha = np.interp(times.double().cpu().numpy(), trained, 0.5 * np.log(alphas_cumprod(config).numpy()))
    return torch.from_numpy(np.exp(log_alpha)), torch.from_numpy(np.sqrt(-np.expm1(2 * log_alpha)))


def times_of_equal_noise(config: ScheduleConfig, times: Tensor, trained: ScheduleConfig = TRAINED) -> Tensor:
    """Times (steps,) of the ``trained`` schedule, float32, with as much noise as ``config`` has at ``times``.

    More noise than the classifier has ever seen is its last time.
    """
    if (config.beta_schedule, config.beta_start, config.beta_end) == (
        trained.beta_schedule,
        trained.beta_start,
        trained.beta_end,
    ):
        return times.float()
    known = 0.5 * np.log(alphas_cumprod(trained).numpy())
    wanted = noise_levels(config, times)[0].log().numpy()
    found = np.interp(-wanted, -known, np.arange(trained.num_train_timesteps))
    return torch.from_numpy(found).float()
