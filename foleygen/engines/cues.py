"""What a bundle can be told: the grid of its tracks, its words, and tracks as the transformer takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from foleygen.errors import BundleError
from foleygen.features.cues import CueGrid, CueTrack, Words, pack
from foleygen.models.cue_layout import SUB_STEPS
from foleygen.models.transformer import TransformerConfig
from foleygen.weights.bundle import Bundle
from foleygen.weights.spec import BundleSpec


def grid_of(spec: BundleSpec) -> CueGrid:
    """The frames of a bundle's windows: as many as its encoder has features."""
    frames = spec.encoder.num_features
    shape = tuple(spec.transformer["latent_shape"])
    patch = int(spec.transformer.get("patch_size", TransformerConfig.patch_size))
    columns = shape[int(spec.transformer["time_axis"])] // patch
    sub_steps = SUB_STEPS if spec.cues is None else spec.cues.sub_steps
    seconds = spec.window_samples / spec.sample_rate
    return CueGrid(frames, seconds / frames, frames // columns, sub_steps)


def words_of(spec: BundleSpec) -> Words | None:
    """The words of a bundle; None if it cannot be told anything."""
    return None if spec.cues is None else Words(spec.cues.families, spec.cues.materials)


def behind(bundle: Bundle, tracks: Sequence[CueTrack]) -> Tensor:
    """Tracks as the transformer takes them, (N, F, X) float32.

    Raises BundleError for a bundle that cannot be told anything, and ValueError for tracks of another grid.
    """
    if bundle.cues is None:
        raise BundleError(f"{bundle.name}: cannot be told when or what", "use --model tiny, or give no cues and words")
    grid = grid_of(bundle)
    for track in tracks:
        if track.presence.shape != (grid.frames, grid.sub_steps):
            raise ValueError(f"a track of {track.presence.shape} for a grid of {grid.frames} x {grid.sub_steps}")
    return torch.from_numpy(np.stack([pack(track) for track in tracks]))
