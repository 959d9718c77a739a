"""Four clips learnt by heart: what a small transformer generates has its onsets where the pictures' events are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from foleygen.audio import onsets
from foleygen.models.diffusion import Condition
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig
from foleygen.training import mdsgen
from foleygen.training.loop import Loop, LoopConfig
from foleygen.training.objectives import DiffusionConfig

FRAME_RATE = 62.5
BANDS, COLUMNS = 128, 512
CLIPS = 4
TRANSFORMER = TransformerConfig(
    latent_shape=(4, 16, 64),
    time_axis=2,
    hidden_size=64,
    depth=4,
    num_heads=2,
    decode_layers=2,
    feature_dim=4,
    num_features=128,
    conditioning="aligned",
    learn_sigma=False,
)
OBJECTIVE = DiffusionConfig(prediction_type="v_prediction", learned_sigma=False, mask=None)


def events() -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(5)
    return [np.cumsum(rng.uniform(0.5, 1.3, 7)) for _ in range(CLIPS)]


def mel_of(times: NDArray[np.float64]) -> NDArray[np.float32]:
    """Hits with a decay of 0.15 s: a mel (BANDS, COLUMNS) in [0, 1]."""
    age = (np.arange(COLUMNS)[None] - np.round(times[:, None] * FRAME_RATE)) / FRAME_RATE
    level = np.where(age >= 0, np.exp(-np.maximum(age, 0) / 0.15), 0).max(axis=0)
    return (0.9 * level * np.linspace(1, 0.6, BANDS)[:, None]).astype(np.float32)


def encode(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """A teacher without weights: channel k is the mean of 8 bands and columns 2k, 2k + 1 of 8, (4, 16, 64)."""
    blocks = mel.reshape(16, 8, 64, 4, 2).mean(axis=(1, 4))
    return np.moveaxis(blocks, 2, 0)


def decode(latents: NDArray[np.float32]) -> NDArray[np.float32]:
    columns = np.moveaxis(latents, 0, 2).reshape(16, 256)
    return columns.repeat(8, axis=0).repeat(2, axis=1).clip(0, 1)


def features_of(times: NDArray[np.float64]) -> NDArray[np.float16]:
    """What a perfect encoder would see, (128, 4): bumps at the events, four to a feature."""
    centres = (np.arange(COLUMNS) + 0.5) / FRAME_RATE
    bumps = np.exp(-0.5 * ((centres[None] - times[:, None]) * FRAME_RATE) ** 2).max(axis=0)
    return bumps.reshape(128, 4).astype(np.float16)


def test_the_teacher_keeps_the_onsets() -> None:
    for times in events():
        found = onsets.detect(decode(encode(mel_of(times))), FRAME_RATE)
        assert onsets.f1(found, times, 0.1) == 1.0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_four_clips_are_learnt_by_heart(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    clips = events()
    features = np.stack([features_of(times) for times in clips])[None]
    pairs = mdsgen.standardised(features, np.stack([encode(mel_of(times)) for times in clips]))
    model = MDSGen(TRANSFORMER)
    config = LoopConfig(
        steps=400, batch_size=4, learning_rate=3e-3, schedule="decay", warmup=20, ema_decay=0.98, save_every=1000
    )
    loop = Loop(model, mdsgen.make_loss(OBJECTIVE), mdsgen.make_draw(pairs), config, tmp_path)
    loop.run()
    model.load_state_dict(loop.averaged())
    sampler = SamplerConfig(
        num_inference_steps=12,
        guidance_scale=1.0,
        guidance_power=0.01,
        schedule=ScheduleConfig(prediction_type="v_prediction"),
    )
    noise = torch.randn(CLIPS, 4, 16, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        latents = sample(model.eval(), Condition(torch.from_numpy(features[0]).float()), noise, sampler).numpy()
    latents = latents * pairs.latent_std[:, None, None] + pairs.latent_mean[:, None, None]
    scores = [
        onsets.f1(onsets.detect(decode(made), FRAME_RATE), times, 0.1)
        for made, times in zip(latents, clips, strict=True)
    ]
    assert scores == [1.0] * CLIPS
