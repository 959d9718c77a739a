"""Guidance that keeps the spread of the clean latents, and with it the level."""

from __future__ import annotations

import pytest
import torch

from foleygen.sampling.guidance import rescaled
from foleygen.sampling.schedule import ScheduleConfig, alphas_cumprod


@pytest.mark.parametrize("kind", ["v_prediction", "epsilon"])
def test_the_clean_latents_get_the_spread_of_the_plain_prediction(kind: str) -> None:
    schedule = ScheduleConfig(prediction_type=kind)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    start, noise = torch.randn(2, 3, 4, 8, 8, generator=generator)
    cumulative = float(alphas_cumprod(schedule)[400])
    signal, sigma = cumulative**0.5, (1 - cumulative) ** 0.5
    state = signal * start + sigma * noise

    def predicted(clean: torch.Tensor) -> torch.Tensor:
        return (signal * state - clean) / sigma if kind == "v_prediction" else (state - signal * clean) / sigma

    def spread(prediction: torch.Tensor) -> torch.Tensor:
        clean = signal * state - sigma * prediction
        clean = clean if kind == "v_prediction" else (state - sigma * prediction) / signal
        return clean.std(dim=(1, 2, 3))

    plain, led = predicted(start), predicted(3 * start)
    kept = [spread(rescaled(led, plain, state, 400.0, schedule, share)) for share in (0.0, 0.5, 1.0)]
    assert torch.allclose(kept[0], 3 * spread(plain), rtol=1e-3)
    assert torch.allclose(kept[1], 2 * spread(plain), rtol=1e-3)
    assert torch.allclose(kept[2], spread(plain), rtol=1e-3)
