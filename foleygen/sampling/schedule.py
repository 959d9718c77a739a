"""The noise schedule, and the times at which the reference solver evaluates the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.errors import BundleError

BetaSchedule = Literal["linear", "scaled_linear"]
"""``scaled_linear`` is linear in the square roots of the betas, as Stable Diffusion and Diff-Foley have it."""


@dataclass(frozen=True)
class ScheduleConfig:
    """The betas of the training, what the model predicts, and below how many steps the last one is of first order."""

    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    beta_schedule: BetaSchedule = "linear"
    beta_start: float = 1e-4
    beta_end: float = 0.02
    num_train_timesteps: int = 1000
    lower_order_below: int = 10

    @classmethod
    def preset(cls, betas: BetaSchedule, prediction_type: Literal["epsilon", "v_prediction"]) -> ScheduleConfig:
        """MDSGen's ``linear`` betas or Diff-Foley's ``scaled_linear`` ones, each with its solver's habit."""
        if betas == "scaled_linear":
            return cls(prediction_type, betas, 0.00085, 0.012, lower_order_below=15)
        return cls(prediction_type)

    def __post_init__(self) -> None:
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise BundleError(
                f"schedule: prediction_type {self.prediction_type!r} is unknown", "use epsilon or v_prediction"
            )
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise BundleError(
                f"schedule: betas from {self.beta_start} to {self.beta_end} do not rise within (0, 1)",
                "correct them in the bundle or training file",
            )


def alphas_cumprod(config: ScheduleConfig) -> Tensor:
    """The signal's share of the variance at times 0, 1, ...; (num_train_timesteps,) float64, falling."""
    power = 2 if config.beta_schedule == "scaled_linear" else 1
    ends = config.beta_start ** (1 / power), config.beta_end ** (1 / power)
    betas = torch.linspace(*ends, config.num_train_timesteps, dtype=torch.float64) ** power
    return torch.cumprod(1 - betas, dim=0)


def exact_times(config: ScheduleConfig, num_inference_steps: int) -> tuple[Tensor, Tensor]:
    """Fractional model times (steps,) and sigmas (steps + 1,), float32, uniform from the last to the first trained one.

    The last sigma belongs to time 0: there is no step to zero noise.
    """
    times = np.linspace(config.num_train_timesteps - 1, 0, num_inference_steps + 1)
    return torch.from_numpy(times[:-1]).float(), sigmas_at(config, times)


def sigmas_at(config: ScheduleConfig, times: NDArray[np.float64]) -> Tensor:
    """sqrt(1 - a^2) / a at fractional ``times``, float32.

    log a is linear between the trained times (DPM-Solver, ``time_uniform`` with a discrete schedule).
    """
    trained = np.arange(config.num_train_timesteps)
    log_alpha = np.interp(times, trained, 0.5 * np.log(alphas_cumprod(config).numpy()))
    return torch.from_numpy(np.sqrt(np.expm1(-2 * log_alpha))).float()
