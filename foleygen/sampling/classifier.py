"""Classifier guidance: at every step the sound moves to where a classifier finds picture and sound more in time.

Diff-Foley's double guidance (NeurIPS 2023): eps <- eps - scale * sigma * grad log p(aligned | latents, t, features),
beside the guidance by the condition and not multiplied by its scale. N windows, T features, F their size.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from foleygen.models.alignment import AlignmentClassifier
from foleygen.sampling.schedule import ScheduleConfig, alphas_cumprod

TRAINED = ScheduleConfig.preset("scaled_linear", "epsilon")
"""The noise that the published classifier was shown in training: Diff-Foley's."""


def log_probability_gradient(classifier: AlignmentClassifier, latents: Tensor, t: Tensor, context: Tensor) -> Tensor:
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
