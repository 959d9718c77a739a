"""Diff-Foley's latent diffusion checkpoint and its alignment classifier: geometry, key names and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foleygen.errors import BundleError
from foleygen.weights.published.checkpoint import Shapes, _checked, read_checkpoint

UNET, CONDITION, FIRST_STAGE = "model.diffusion_model.", "cond_stage_model.", "first_stage_model."
"""What the names of the U-Net, of its condition and of the mel autoencoder begin with in ``ldm_epoch240.ckpt``."""
CLASSIFIER, CLASSIFIER_CONDITION = "model.", "cond_model."
MAX_FEATURES = 40
"""Positions that the classifier's condition has learned: 10 s of CAVP."""
WIDTHS, LAYERS, HEADS = (1, 2, 4, 4), 2, 8
"""Of Stable Diffusion's U-Net: the levels' widths in those of the finest, residual blocks in each level (one more on
the way up), heads of every attention."""
LEVELS = len(WIDTHS)
RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Parts of a residual block: diffusers' names and the published ones."""


def unet_blocks() -> dict[str, str]:
    """The blocks of the U-Net that have parameters: diffusers' names and the published ones."""
    blocks = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    return {**blocks, **dict(_downwards()), **dict(_upwards())}


def _downwards() -> Iterator[tuple[str, str]]:
    """The published list counts every block of the way down, each level's strided convolution among them."""
    for level in range(LEVELS):
        first = 1 + level * (LAYERS + 1)
        for layer in range(LAYERS):
            yield f"down_blocks.{level}.resnets.{layer}", f"input_blocks.{first + layer}.0"
            yield f"down_blocks.{level}.attentions.{layer}", f"input_blocks.{first + layer}.1"
        yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{first + LAYERS}.0.op"


def _upwards() -> Iterator[tuple[str, str]]:
    """On the way up the enlarging convolution is the last part of its level's last block."""
    for level in range(LEVELS):
        first = level * (LAYERS + 1)
        for layer in range(LAYERS + 1):
            yield f"up_blocks.{level}.resnets.{layer}", f"output_blocks.{first + layer}.0"
            yield f"up_blocks.{level}.attentions.{layer}", f"output_blocks.{first + layer}.1"
        part = 2 if level else 1  # the coarsest level has no attention before it
        yield f"up_blocks.{level}.upsamplers.0.conv", f"output_blocks.{first + LAYERS}.{part}.conv"


def published_name(name: str, blocks: Mapping[str, str]) -> str:
    """The published name of a parameter of diffusers' U-Net, without its prefix."""
    block = next(block for block in blocks if name.startswith(f"{block}."))
    inside = name.removeprefix(f"{block}.")
    if ".resnets." in block:
        part, _, last = inside.rpartition(".")
        inside = f"{RESIDUAL[part]}.{last}"
    return f"{blocks[block]}.{inside}"


def unet_shapes(model_channels: int, context_dim: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By published name, without its prefix: diffusers' name, and the shape in a U-Net of these widths."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    attending = LEVELS - 1
    with torch.device("meta"):
        state = UNet2DConditionModel(
            in_channels=4,
            out_channels=4,
            down_block_types=("CrossAttnDownBlock2D",) * attending + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * attending,
            block_out_channels=tuple(model_channels * factor for factor in WIDTHS),
            layers_per_block=LAYERS,
            cross_attention_dim=context_dim,
            attention_head_dim=HEADS,  # diffusers' name for the number of heads
        ).state_dict()
    blocks = unet_blocks()
    return {published_name(name, blocks): (name, tuple(value.shape)) for name, value in state.items()}


def convert_unet(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """DiffFoleyConfig's fields, widths read off the shapes, and the weights of U-Net and condition under our names.

    The autoencoder, the schedule's tables, an optimiser and averaged weights are left alone.
    """
    state = {key: value for key, value in read_checkpoint(path).items() if key.startswith((UNET, CONDITION))}
    try:
        first, linear = state[f"{UNET}time_embed.0.weight"], state[f"{CONDITION}embedder.0.weight"]
        positions = state[f"{CONDITION}pos_emb.weight"]
        config = {
            "latent_shape": [4, 16, 64],
            "time_axis": 2,
            "model_channels": first.shape[1],
            "channel_mult": list(WIDTHS),
            "num_heads": HEADS,
            "context_dim": linear.shape[0],
            "feature_dim": linear.shape[1],
            "num_features": 32,
            "max_features": positions.shape[0],
            "unconditional": "zeros",
        }
        names = unet_shapes(first.shape[1], linear.shape[0])
    except (IndexError, KeyError, ValueError, ZeroDivisionError) as error:
        fact = f"is not Diff-Foley's latent diffusion checkpoint ({error})"
        raise BundleError(f"{path}: {fact}", "name ldm_epoch240.ckpt") from error
    condition = embedder_shapes(linear.shape[1], linear.shape[0], positions.shape[0])
    expected: Shapes = {f"{UNET}{key}": shape for key, (_, shape) in names.items()}
    expected |= {f"{CONDITION}{key}": shape for key, shape in condition.items()}
    found = _checked(path, "Diff-Foley's U-Net", state, expected)
    weights = {f"unet.{ours}": found[f"{UNET}{key}"] for key, (ours, _) in names.items()}
    return config, weights | {f"condition.{key}": found[f"{CONDITION}{key}"] for key in condition}


def convert_classifier(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """AlignmentConfig's fields and the weights, under their published names, of ``double_guidance_classifier.ckpt``.

    ``cond_model``, which the published sampler goes around, may be missing: some files do without it.
    """
    state = read_checkpoint(path)
    if any(key.startswith(FIRST_STAGE) for key in state):
        fact = "has an autoencoder beside its classifier, as eval_classifier.ckpt does, which knows no noise"
        raise BundleError(f"{path}: {fact}", "name double_guidance_classifier.ckpt")
    state = {key: value for key, value in state.items() if key.startswith((CLASSIFIER, CLASSIFIER_CONDITION))}
    try:
        context = state[f"{CLASSIFIER}input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight"]
        config = {
            "latent_channels": 4,
            "channels": state[f"{CLASSIFIER}time_embed.0.weight"].shape[1],
            "feature_dim": context.shape[1],
            "num_heads": HEADS,
            "max_features": MAX_FEATURES,
        }
        expected = classifier_shapes(config["channels"], context.shape[1])
    except (IndexError, KeyError, ValueError, ZeroDivisionError) as error:
        fact = f"is not Diff-Foley's alignment classifier ({error})"
        raise BundleError(f"{path}: {fact}", "name double_guidance_classifier.ckpt") from error
    if not any(key.startswith(CLASSIFIER_CONDITION) for key in state):
        expected = {key: shape for key, shape in expected.items() if key.startswith(CLASSIFIER)}
    return config, _checked(path, "Diff-Foley's alignment classifier", state, expected)


def classifier_shapes(channels: int, feature_dim: int) -> Shapes:
    """Keys and shapes of an alignment classifier: 146 of its network, 3 of its condition."""
    narrow, wide, time = channels, 2 * channels, 4 * channels
    network = {
        **_weighed("time_embed.0", time, narrow),
        **_weighed("time_embed.2", time, time),
        **_weighed("input_blocks.0.0", narrow, 4, 3, 3),
        **_residual_shapes("input_blocks.1.0", narrow, narrow, time),
        **_weighed("input_blocks.2.0.op", narrow, narrow, 3, 3),
        **_residual_shapes("input_blocks.3.0", narrow, wide, time),
        **_transformer_shapes("input_blocks.3.1", wide, feature_dim),
        **_weighed("input_blocks.4.0.op", wide, wide, 3, 3),
        **_residual_shapes("input_blocks.5.0", wide, wide, time),
        **_transformer_shapes("input_blocks.5.1", wide, feature_dim),
        **_residual_shapes("middle_block.0", wide, wide, time),
        **_transformer_shapes("middle_block.1", wide, feature_dim),
        **_residual_shapes("middle_block.2", wide, wide, time),
        **_weighed("out.0", wide),
        **_weighed("out.2", narrow, wide, 3, 3),
        **_weighed("classifier", 1, narrow),
    }
    condition = embedder_shapes(feature_dim, feature_dim, MAX_FEATURES)
    return {f"{CLASSIFIER}{key}": shape for key, shape in network.items()} | {
        f"{CLASSIFIER_CONDITION}{key}": shape for key, shape in condition.items()
    }


def embedder_shapes(feature_dim: int, context_dim: int, max_features: int) -> Shapes:
    """Of what makes context of video features, in U-Net and classifier alike."""
    return {**_weighed("embedder.0", context_dim, feature_dim), "pos_emb.weight": (max_features, context_dim)}


def _weighed(name: str, *weight: int) -> Shapes:
    """A weight of this shape and its bias."""
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _residual_shapes(name: str, inputs: int, outputs: int, time: int) -> Shapes:
    skip = {} if inputs == outputs else _weighed(f"{name}.skip_connection", outputs, inputs, 1, 1)
    return {
        **_weighed(f"{name}.in_layers.0", inputs),
        **_weighed(f"{name}.in_layers.2", outputs, inputs, 3, 3),
        **_weighed(f"{name}.emb_layers.1", outputs, time),
        **_weighed(f"{name}.out_layers.0", outputs),
        **_weighed(f"{name}.out_layers.3", outputs, outputs, 3, 3),
        **skip,
    }


def _transformer_shapes(name: str, width: int, context_dim: int) -> Shapes:
    block = f"{name}.transformer_blocks.0"
    shapes = _weighed(f"{name}.norm", width) | _weighed(f"{name}.proj_in", width, width, 1, 1)
    for attention, inputs in (("attn1", width), ("attn2", context_dim)):
        shapes[f"{block}.{attention}.to_q.weight"] = (width, width)
        shapes[f"{block}.{attention}.to_k.weight"] = (width, inputs)
        shapes[f"{block}.{attention}.to_v.weight"] = (width, inputs)
        shapes |= _weighed(f"{block}.{attention}.to_out.0", width, width)
    for norm in ("norm1", "norm2", "norm3"):
        shapes |= _weighed(f"{block}.{norm}", width)
    shapes |= _weighed(f"{block}.ff.net.0.proj", 8 * width, width) | _weighed(f"{block}.ff.net.2", width, 4 * width)
    return shapes | _weighed(f"{name}.proj_out", width, width, 1, 1)
