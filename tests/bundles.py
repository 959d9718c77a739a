"""Bundles of tiny's kind with random weights: a window of 1.024 s takes a few hundredths of a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from standins import fill_module

from foleygen.engines.foley import Engine
from foleygen.models.motion import MotionEncoder, MotionEncoderConfig
from foleygen.models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.training.export import Trained, export
from foleygen.training.mdsgen import Pairs
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle
from foleygen.weights.spec import SamplingSpec, VocoderSpec

SAMPLE_RATE = 16000
WINDOW = 16384
"""Samples: 32 frames at 31.25 per second."""

ENCODER = MotionEncoderConfig(num_frames=32, feature_dim=16, pixel_widths=(4, 8, 8), place_width=4, flow_width=4)
AUTOENCODER = PatchAutoencoderConfig(widths=(4, 8, 8), encoder_depths=(1, 1, 1), decoder_depths=(1, 1, 1), groups=4)
TRANSFORMER = TransformerConfig(
    latent_shape=(4, 16, 8),
    time_axis=2,
    hidden_size=32,
    depth=2,
    num_heads=2,
    decode_layers=1,
    feature_dim=16,
    num_features=16,
    conditioning="aligned",
    learn_sigma=False,
)


def write_bundle(folder: Path, seed: int = 0) -> Bundle:
    """The bundle as a training would export it. The transformer's weights do not start at zero, so features count."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder, autoencoder = MotionEncoder(ENCODER), PatchAutoencoder(AUTOENCODER)
    with torch.no_grad():
        autoencoder.decoder[-2].weight.mul_(0.3)  # mels about 0.5 +- 0.1: neither silence nor overload
    pairs = Pairs(
        features=np.zeros((1, 1, 16, 16), np.float16),
        latents=np.zeros((1, *TRANSFORMER.latent_shape), np.float16),
        latent_mean=np.array([0.1, -0.2, 0.0, 0.3], np.float32),
        latent_std=np.array([1.0, 0.5, 2.0, 1.5], np.float32),
    )
    trained = Trained(
        encoder_config=ENCODER,
        encoder=encoder.state_dict(),
        autoencoder_config=AUTOENCODER,
        autoencoder=autoencoder.state_dict(),
        transformer_config=TRANSFORMER,
        transformer=fill_module(MDSGen(TRANSFORMER)).state_dict(),
        pairs=pairs,
    )
    return export(
        folder,
        trained,
        SamplingSpec(prediction_type="v_prediction", num_inference_steps=2, guidance_scale=2.0, guidance_power=1.0),
        VocoderSpec(kind="griffin_lim", options={"iterations": 4}),
        name=folder.name,
        licence="CC0-1.0",
        commercial=True,
        licence_text="Test weights.\n",
        model_card="Random numbers.\n",
    )


def load_engine(folder: Path) -> Engine:
    return Engine.load(bundles.load(folder), "cpu", "fp32")
