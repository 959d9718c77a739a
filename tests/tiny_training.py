"""Datasets, pairs and recipes small enough to train on in a test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from foleygen.models.motion import MotionEncoderConfig
from foleygen.models.patch_autoencoder import PatchAutoencoderConfig
from foleygen.models.transformer import TransformerConfig
from foleygen.training.contrast import ContrastConfig
from foleygen.training.loop import LoopConfig
from foleygen.training.mdsgen import Pairs
from foleygen.training.objectives import DiffusionConfig
from foleygen.training.recipe import CavpRecipe, EncoderRecipe, MdsgenRecipe, VaeRecipe

CLIPS, FRAMES, SIDE, RATE = 4, 64, 64, 31.25
MELS, COLUMNS = 128, 128
FAMILIES = ("hammer", "drum", "knock", "chop")

MOTION = MotionEncoderConfig(
    num_frames=FRAMES, feature_dim=16, pixel_widths=(4, 8, 8), place_width=4, flow_width=4, num_bands=4
)


def write_dataset(folder: Path) -> Path:
    """Four clips of 2.048 s: a square that jumps at the events, and a mel that rises there."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    frames = np.memmap(folder / "frames.u8", np.uint8, "w+", shape=(CLIPS, FRAMES, SIDE, SIDE, 3))
    mels = np.memmap(folder / "mels.f2", np.float16, "w+", shape=(CLIPS, MELS, COLUMNS))
    lines = []
    for row in range(CLIPS):
        times = np.sort(rng.uniform(0.2, 1.8, 3))
        for frame in range(FRAMES):
            place = 8 + 8 * int((times < frame / RATE).sum())
            frames[row, frame] = 60
            frames[row, frame, place : place + 12, 20 : 20 + 4 * row + 8] = 220
        age = np.arange(COLUMNS)[None] / 62.5 - times[:, None]
        level = np.where(age >= 0, np.exp(-age / 0.1), 0).max(axis=0)
        mels[row] = 0.8 * level * np.linspace(1, 0.3, MELS)[:, None] + 0.02 * rng.random((MELS, COLUMNS))
        line = {"row": row, "seed": row, "family": FAMILIES[row], "material": "wood", "source_rate": 25.0}
        lines.append(json.dumps({**line, "times": times.tolist(), "strengths": [1.0] * 3, "intensity": []}) + "\n")
    config = {"count": CLIPS, "num_frames": FRAMES, "frame_size": SIDE, "frame_rate": RATE, "pictures": True}
    (folder / "dataset.json").write_text(json.dumps({"config": config, "mel_shape": [MELS, COLUMNS], "scenes": 1}))
    (folder / "clips.jsonl").write_text("".join(lines))
    return folder


def write_pairs(folder: Path) -> Path:
    """Two views of six clips: features (4, 8), latents (4, 4, 8) of unit variance."""
    rng = np.random.default_rng(1)
    Pairs(
        features=rng.standard_normal((2, 6, 8, 8)).astype(np.float16),
        latents=rng.standard_normal((6, 4, 4, 16)).astype(np.float16),
        latent_mean=np.zeros(4, np.float32),
        latent_std=np.ones(4, np.float32),
    ).save(folder)
    return folder


def loop(steps: int = 2, **changes: object) -> LoopConfig:
    values = {"steps": steps, "batch_size": 4, "learning_rate": 1e-3, "log_every": 1, "save_every": 2, **changes}
    return LoopConfig(**values)  # type: ignore[arg-type]


def vae(**changes: object) -> VaeRecipe:
    model = PatchAutoencoderConfig(widths=(4, 8, 8), encoder_depths=(1, 1, 1), decoder_depths=(1, 1, 1), groups=4)
    return VaeRecipe(kind="vae", loop=loop(**changes), model=model)  # type: ignore[arg-type]


def encoder(**changes: object) -> EncoderRecipe:
    return EncoderRecipe(kind="encoder", loop=loop(**changes), model=MOTION)  # type: ignore[arg-type]


def mdsgen(objective: DiffusionConfig | None = None, aligned: bool = False, **changes: object) -> MdsgenRecipe:
    objective = objective or DiffusionConfig()
    transformer = TransformerConfig(
        latent_shape=(4, 4, 16),
        time_axis=2,
        hidden_size=32,
        depth=4,
        num_heads=2,
        decode_layers=2,
        feature_dim=8,
        num_features=8,
        conditioning="aligned" if aligned else "reducer",
        learn_sigma=objective.learned_sigma,
    )
    return MdsgenRecipe(
        kind="mdsgen",
        loop=loop(**changes),
        transformer=transformer,
        objective=objective,  # type: ignore[arg-type]
    )


def cavp(**changes: object) -> CavpRecipe:
    return CavpRecipe(
        kind="cavp",
        loop=loop(**changes),  # type: ignore[arg-type]
        tower="motion",
        model=MOTION,
        contrast=ContrastConfig(clips_per_video=3),
        frame_rate=RATE,
        clip_frames=16,
        least_shift=16,
        mel_hop=256,
        event_weight=1.0,
        augmented=True,
    )
