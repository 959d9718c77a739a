"""The published MDSGen transformers (ICLR 2025)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foleygen.errors import BundleError
from foleygen.models.transformer import GRIDS, MDSGen, TransformerConfig
from foleygen.strict import plain
from foleygen.weights.published.checkpoint import _checked, read_checkpoint, shapes_of


def relative_position_index(rows: int, columns: int) -> Tensor:
    """(L, L): the row of the bias table that query i and key j read."""
    row, column = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    by_row = row[:, None] - row[None, :] + rows - 1
    by_column = column[:, None] - column[None, :] + columns - 1
    return by_row * (2 * columns - 1) + by_column


def convert_mdsgen(path: Path, grid: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """TransformerConfig's fields, read off the shapes, and the weights under their published names.

    ``grid`` is a name of GRIDS. The relative position indices are checked and left out: they follow from the grid.
    """
    state = read_checkpoint(path)
    try:
        config = _config(state, grid)
    except (KeyError, ValueError, IndexError) as error:
        raise BundleError(f"{path}: is not an MDSGen checkpoint (no {error})", "name the right file") from error
    index = relative_position_index(*config.grid)
    for key in [key for key in state if key.endswith(".relative_position_index")]:
        buffer = state.pop(key)
        if buffer.shape != index.shape or not torch.equal(buffer.long(), index):
            fact = f"{key} {tuple(buffer.shape)} is not that of the {grid} grid"
            raise BundleError(f"{path}: {fact}", "import it with the geometry it was trained with")
    settings = {name: value for name, value in plain(config).items() if value is not None}
    return settings, _checked(path, "MDSGen", state, shapes_of(lambda: MDSGen(config)))


def _config(state: dict[str, Tensor], grid: str) -> TransformerConfig:
    """What the shapes say; the rest is as for all published ones, which is the defaults."""
    read: dict[str, Any] = {
        "hidden_size": state["mask_token"].shape[-1],
        "depth": 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks.")),
        "num_heads": state["blocks.0.attn.rel_pos_bias.relative_position_bias_table"].shape[-1],
        "frequency_embedding_size": state["t_embedder.mlp.0.weight"].shape[-1],
    }
    return TransformerConfig(**{**GRIDS[grid], **read})
