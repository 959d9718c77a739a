"""The published models by their tensors: geometry, key names and shapes, and where two libraries differ in them.

CAVP and the latent diffusion autoencoder are Diff-Foley's (NeurIPS 2023), the transformer is MDSGen's (ICLR 2025), the
other autoencoder and the vocoder are AudioLDM's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]

MDSGEN_GRIDS: dict[str, dict[str, Any]] = {
    "release": {"latent_shape": [8, 204, 16], "time_axis": 1},
    "paper": {"latent_shape": [4, 16, 64], "time_axis": 2},
}
PATCH = 2
CAVP_LAYERS = ((3, 64, 1), (4, 128, 1), (6, 256, 3), (3, 512, 3))
"""SlowOnly ResNet3D-50: blocks, planes and temporal kernel of each stage."""
STABLE_DIFFUSION = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "norm_num_groups": 32,
}
HIFIGAN_OPTIONS = {
    "model_in_dim": "num_mels",
    "sampling_rate": "sample_rate",
    "upsample_initial_channel": "upsample_initial_channel",
    "upsample_rates": "upsample_rates",
    "upsample_kernel_sizes": "upsample_kernel_sizes",
    "resblock_kernel_sizes": "resblock_kernel_sizes",
    "resblock_dilation_sizes": "resblock_dilation_sizes",
    "leaky_relu_slope": "leaky_relu_slope",
}
"""transformers' names of the vocoder's options, and those of HiFiGANConfig."""
KL_RENAMES = (
    (r"^encoder\.down\.(\d+)\.block\.(\d+)\.", r"encoder.down_blocks.\1.resnets.\2."),
    (r"^encoder\.down\.(\d+)\.downsample\.conv\.", r"encoder.down_blocks.\1.downsamplers.0.conv."),
    (r"\.mid\.block_1\.", r".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", r".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.", r".mid_block.attentions.0."),
    (r"(attentions\.0)\.norm\.", r"\1.group_norm."),
    (r"(attentions\.0)\.(?:q|query)\.", r"\1.to_q."),
    (r"(attentions\.0)\.(?:k|key)\.", r"\1.to_k."),
    (r"(attentions\.0)\.(?:v|value)\.", r"\1.to_v."),
    (r"(attentions\.0)\.(?:proj_out|proj_attn)\.", r"\1.to_out.0."),
    (r"^(encoder|decoder)\.norm_out\.", r"\1.conv_norm_out."),
    (r"\.nin_shortcut\.", r".conv_shortcut."),
)
"""CompVis latent diffusion and diffusers before 0.17, to the names of diffusers today."""


def cavp_shapes() -> Shapes:
    """Keys and shapes of CAVP's video side: the SlowOnly-R50 and its projection, 320 in all."""
    shapes: Shapes = {}

    def unit(name: str, *weight: int) -> None:
        shapes[f"{name}.conv.weight"] = weight
        for statistic in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{statistic}"] = weight[:1]
        shapes[f"{name}.bn.num_batches_tracked"] = ()

    unit("video_encoder.conv1", 64, 3, 1, 7, 7)
    width = 64
    for stage, (blocks, planes, kernel) in enumerate(CAVP_LAYERS, start=1):
        for block in range(blocks):
            name = f"video_encoder.layer{stage}.{block}"
            unit(f"{name}.conv1", planes, width, kernel, 1, 1)
            unit(f"{name}.conv2", planes, planes, 1, 3, 3)
            unit(f"{name}.conv3", 4 * planes, planes, 1, 1, 1)
            if block == 0:
                unit(f"{name}.downsample", 4 * planes, width, 1, 1, 1)
            width = 4 * planes
    shapes["video_project_head.weight"] = (512, width)
    shapes["video_project_head.bias"] = (512,)
    return shapes


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


def kl_shapes(config: Mapping[str, Any]) -> Shapes:
    """Keys and shapes of diffusers' AutoencoderKL of this geometry."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    levels = len(config["block_out_channels"])
    with torch.device("meta"):
        model = AutoencoderKL(
            **config,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
        )
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


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


def to_diffusers_names(state: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """CompVis latent diffusion or older diffusers names to today's; 1x1 convolutions of attention become matrices."""
    renamed = {}
    for key, value in state.items():
        if not key.startswith("loss."):
            name = _diffusers_name(key, levels)
            pointwise = value.ndim == 4 and ".attentions." in name
            renamed[name] = value[:, :, 0, 0] if pointwise else value
    return renamed


def _diffusers_name(key: str, levels: int) -> str:
    up = re.match(r"^decoder\.up\.(\d+)\.(?:block\.(\d+)|upsample)\.", key)
    if up:  # CompVis counts the decoder's levels from the finest, diffusers from the coarsest
        block = f"resnets.{up[2]}" if up[2] else "upsamplers.0"
        key = f"decoder.up_blocks.{levels - 1 - int(up[1])}.{block}.{key[up.end() :]}"
    for pattern, replacement in KL_RENAMES:
        key = re.sub(pattern, replacement, key)
    return key
