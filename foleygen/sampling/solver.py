"""DPM-Solver++(2M): from the noise to the data in a few evaluations of the model.

Lu et al., DPM-Solver++ (arXiv 2211.01095), algorithm 2 with the midpoint rule, at the times of ``schedule``. diffusers
has the same solver, which the tests hold this one against; importing it takes longer than a short clip takes to sound.
Letters: a and s are the signal's and the noise's share of the state.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from foleygen.sampling.schedule import ScheduleConfig, exact_times, sigmas_at


class Solver:
    """One run of ``num_inference_steps`` evaluations at ``times`` (steps,); ``step`` is called once for each, in order.

    With ``times`` it evaluates at these, falling, and not at equal distances. There is no step to zero noise, and the
    last step of a short run is of first order, as in the reference solvers. The state may have any shape and stays
    float32; what a row becomes depends on that row alone.
    """

    def __init__(self, config: ScheduleConfig, num_inference_steps: int, times: Sequence[float] = ()) -> None:
        if times:
            self.times, ratios = torch.tensor(times), sigmas_at(config, np.array([*times, 0.0]))
        else:
            self.times, ratios = exact_times(config, num_inference_steps)  # (steps,), (steps + 1,)
        self._config, self._steps = config, len(self.times)
        ratios = ratios.double()
        self._signal = (1 + ratios.square()).rsqrt()  # a
        self._noise = ratios * self._signal  # s
        self._log_ratio = -ratios.log()
        self._previous: Tensor | None = None

    def step(self, predicted: Tensor, step: int, state: Tensor) -> Tensor:
        """The state at the next time, from the model's prediction at ``times[step]``."""
        clean = self.clean(predicted, step, state)
        direction = clean
        if self._previous is not None and not self._is_lowered(step):
            before, now, after = self._log_ratio[step - 1 : step + 2].tolist()
            stretch = (after - now) / (now - before)
            direction = torch.lerp(self._previous, clean, 1 + stretch / 2)
        self._previous = clean
        keep = float(self._noise[step + 1] / self._noise[step])
        move = float(self._signal[step + 1] * -torch.expm1(self._log_ratio[step] - self._log_ratio[step + 1]))
        return keep * state + move * direction

    def clean(self, predicted: Tensor, step: int, state: Tensor) -> Tensor:
        """The data that ``predicted`` at ``times[step]`` amounts to."""
        a, s = float(self._signal[step]), float(self._noise[step])
        if self._config.prediction_type == "epsilon":
            return (state - s * predicted) / a
        return a * state - s * predicted

    def signal(self, step: int) -> float:
        """The signal's share of the state before evaluation ``step``, or at the end."""
        return float(self._signal[step])

    def _is_lowered(self, step: int) -> bool:
        return self._steps < self._config.lower_order_below and step == self._steps - 1
