"""Scenes and runs for the networks that judge sounds: windows of 1.024 s, as the random bundles have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from foleygen.training.mdsgen import Pairs

CLIPS, FRAMES, SIDE, MELS, COLUMNS = 6, 32, 64, 128, 64
FEATURES, FEATURE_DIM = 16, 16
FAMILIES = ("hammer", "drum", "rain", "chop", "knock", "wind")


def write_scenes(folder: Path, first_seed: int = 0) -> Path:
    """A square that jumps when the mel rises; rain and wind have no events."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(first_seed)
    frames = np.memmap(folder / "frames.u8", np.uint8, "w+", shape=(CLIPS, FRAMES, SIDE, SIDE, 3))
    mels = np.memmap(folder / "mels.f2", np.float16, "w+", shape=(CLIPS, MELS, COLUMNS))
    lines = []
    for row, family in enumerate(FAMILIES):
        times = [] if family in ("rain", "wind") else sorted(rng.uniform(0.1, 0.9, 2).tolist())
        for frame in range(FRAMES):
            place = 8 + 8 * sum(time < frame / 31.25 for time in times)
            frames[row, frame] = 60
            frames[row, frame, place : place + 12, 20:40] = 220
        mels[row] = 0.3 * rng.random((MELS, COLUMNS))
        for time in times:
            mels[row, 20 * row :, int(time * 62.5)] = 0.9
        record = {"row": row, "seed": first_seed + row, "family": family, "material": "wood", "source_rate": 25.0}
        extras = {"times": times, "strengths": [1.0] * len(times), "intensity": []}
        lines.append(json.dumps({**record, **extras}) + "\n")
    config = {"count": CLIPS, "num_frames": FRAMES, "frame_size": SIDE, "frame_rate": 31.25, "pictures": True}
    (folder / "dataset.json").write_text(json.dumps({"config": config, "mel_shape": [MELS, COLUMNS], "scenes": 1}))
    (folder / "clips.jsonl").write_text("".join(lines))
    return folder


def write_pairs(folder: Path, clips: int = CLIPS) -> Path:
    """Two views of each clip: features that look like an encoder's, and latents that nobody reads."""
    rng = np.random.default_rng(2)
    Pairs(
        features=rng.standard_normal((2, clips, FEATURES, FEATURE_DIM)).astype(np.float16),
        latents=np.zeros((clips, 4, 16, 8), np.float16),
        latent_mean=np.zeros(4, np.float32),
        latent_std=np.ones(4, np.float32),
    ).save(folder)
    return folder
