"""The published models by their tensors: geometry, key names and shapes, and where two libraries differ in them.

CAVP and the latent diffusion autoencoder are Diff-Foley's (NeurIPS 2023), the transformer is MDSGen's (ICLR 2025), the
other autoencoder and the vocoder are AudioLDM's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foleygen.errors import BundleError
from foleygen.weights.published.checkpoint import Shapes, _checked, read_checkpoint

MDSGEN_GRIDS: dict[str, dict[str, Any]] = {
    "release": {"latent_shape": [8, 204, 16], "time_axis": 1},
    "paper": {"latent_shape": [4, 16, 64], "time_axis": 2},
}
PATCH = 2


def mdsgen_shapes(config: Mapping[str, Any]) -> Shapes:
    """Keys and shapes of an MDSGen transformer with TransformerConfig's fields, without index buffers."""
    width, heads = int(config["hidden_size"]), int(config["num_heads"])
    channels = config["latent_shape"][0]
    rows, columns = token_grid(config)
    shapes: Shapes = {
        "pos_embed": (1, rows * columns, width),
        "decoder_pos_embed": (1, rows * columns, width),
        "mask_token": (1, 1, width),
        "x_embedder.proj.weight": (width, channels, PATCH, PATCH),
        "x_embedder.proj.bias": (width,),
        "conv1d_feat.0.weight": (1, int(config["num_features"]), 1),
        "conv1d_feat.0.bias": (1,),
    }

    def linear(name: str, outputs: int, inputs: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs)
        shapes[f"{name}.bias"] = (outputs,)

    linear("t_embedder.mlp.0", width, int(config["frequency_embedding_size"]))
    linear("t_embedder.mlp.2", width, width)
    linear("mlp_feat.0", width, int(config["feature_dim"]))
    for norm in ("mlp_feat.2", "conv1d_feat.2"):
        shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (width,)
    for block in [f"blocks.{index}" for index in range(int(config["depth"]))] + ["sideblocks.0"]:
        linear(f"{block}.attn.qkv", 3 * width, width)
        linear(f"{block}.attn.proj", width, width)
        table = f"{block}.attn.rel_pos_bias.relative_position_bias_table"
        shapes[table] = ((2 * rows - 1) * (2 * columns - 1) + 3, heads)
        linear(f"{block}.mlp.fc1", 4 * width, width)
        linear(f"{block}.mlp.fc2", width, 4 * width)
        linear(f"{block}.adaLN_modulation.1", 6 * width, width)
    linear("final_layer.linear", PATCH * PATCH * 2 * channels, width)
    linear("final_layer.adaLN_modulation.1", 2 * width, width)
    return shapes


def relative_position_index(rows: int, columns: int) -> Tensor:
    """(L, L): the row of the bias table that query i and key j read."""
    row, column = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    by_row = row[:, None] - row[None, :] + rows - 1
    by_column = column[:, None] - column[None, :] + columns - 1
    return by_row * (2 * columns - 1) + by_column


def token_grid(config: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of tokens of a transformer with TransformerConfig's fields."""
    _, height, width = config["latent_shape"]
    return height // PATCH, width // PATCH


def convert_mdsgen(path: Path, grid: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """TransformerConfig's fields, read off the shapes, and the weights under their published names.

    ``grid`` is a name of MDSGEN_GRIDS. The relative position indices are checked and left out: they follow from
    the grid.
    """
    state = read_checkpoint(path)
    try:
        config: dict[str, Any] = {
            **MDSGEN_GRIDS[grid],
            "hidden_size": state["mask_token"].shape[-1],
            "depth": 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks.")),
            "num_heads": state["blocks.0.attn.rel_pos_bias.relative_position_bias_table"].shape[-1],
            "patch_size": PATCH,
            "decode_layers": 4,
            "frequency_embedding_size": state["t_embedder.mlp.0.weight"].shape[-1],
            "feature_dim": 512,
            "num_features": 32,
            "conditioning": "reducer",
            "learn_sigma": True,
        }
    except (KeyError, ValueError) as error:
        raise BundleError(f"{path}: is not an MDSGen checkpoint (no {error})", "name the right file") from error
    index = relative_position_index(*token_grid(config))
    for key in [key for key in state if key.endswith(".relative_position_index")]:
        buffer = state.pop(key)
        if buffer.shape != index.shape or not torch.equal(buffer.long(), index):
            fact = f"{key} {tuple(buffer.shape)} is not that of the {grid} grid"
            raise BundleError(f"{path}: {fact}", "import it with the geometry it was trained with")
    return config, _checked(path, "MDSGen", state, mdsgen_shapes(config))
