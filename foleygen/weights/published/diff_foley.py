"""Diff-Foley's latent diffusion checkpoint and its alignment classifier: geometry, key names and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from foleygen.errors import BundleError
from foleygen.models.alignment import AlignmentClassifier, AlignmentConfig
from foleygen.models.diff_foley import LAYERS_PER_LEVEL, DiffFoley, DiffFoleyConfig
from foleygen.strict import plain
from foleygen.weights.published.checkpoint import Shapes, _checked, read_checkpoint, shapes_of

UNET, CONDITION, FIRST_STAGE = "model.diffusion_model.", "cond_stage_model.", "first_stage_model."
"""What the names of the U-Net, of its condition and of the mel autoencoder begin with in ``ldm_epoch240.ckpt``."""
CLASSIFIER, CLASSIFIER_CONDITION = "model.", "cond_model."
RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Parts of a residual block: diffusers' names and the published ones."""


def convert_unet(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """DiffFoleyConfig's fields, widths read off the shapes, and the weights of U-Net and condition under our names.

    The autoencoder, the schedule's tables, an optimiser and averaged weights are left alone.
    """
    state = {key: value for key, value in read_checkpoint(path).items() if key.startswith((UNET, CONDITION))}
    try:
        config = _config(state)
    except (BundleError, KeyError, ValueError, IndexError) as error:
        fact = f"is not Diff-Foley's latent diffusion checkpoint ({error})"
        raise BundleError(f"{path}: {fact}", "name ldm_epoch240.ckpt") from error
    names, shapes = published_names(config), shapes_of(lambda: DiffFoley(config))
    found = _checked(path, "Diff-Foley's U-Net", state, {names[key]: shape for key, shape in shapes.items()})
    return plain(config), {key: found[published] for key, published in names.items()}


def _config(state: Mapping[str, Tensor]) -> DiffFoleyConfig:
    """What the shapes say; the rest is as published, which is the defaults."""
    linear = state[f"{CONDITION}embedder.0.weight"]
    return DiffFoleyConfig(
        model_channels=state[f"{UNET}time_embed.0.weight"].shape[1],
        context_dim=linear.shape[0],
        feature_dim=linear.shape[1],
        max_features=state[f"{CONDITION}pos_emb.weight"].shape[0],
    )


def published_names(config: DiffFoleyConfig) -> dict[str, str]:
    """Our name of every weight of U-Net and condition, and the published one: 686 and 3."""
    blocks = dict(_blocks(len(config.channel_mult)))
    names = {}
    for key in shapes_of(lambda: DiffFoley(config)):
        part, _, name = key.partition(".")
        names[key] = f"{UNET}{_published(name, blocks)}" if part == "unet" else f"{CONDITION}{name}"
    return names


def _published(name: str, blocks: Mapping[str, str]) -> str:
    """The published name of a weight of diffusers' U-Net; inside a transformer the two are the same."""
    block = next(block for block in blocks if name.startswith(f"{block}."))
    inside = name.removeprefix(f"{block}.")
    if ".resnets." in block:
        part, _, last = inside.rpartition(".")
        inside = f"{RESIDUAL[part]}.{last}"
    return f"{blocks[block]}.{inside}"


def _blocks(levels: int) -> Iterator[tuple[str, str]]:
    """The blocks of the U-Net: diffusers' names and the published ones, which count all blocks of a way in one row."""
    yield "conv_in", "input_blocks.0.0"
    yield "time_embedding.linear_1", "time_embed.0"
    yield "time_embedding.linear_2", "time_embed.2"
    yield "mid_block.resnets.0", "middle_block.0"
    yield "mid_block.attentions.0", "middle_block.1"
    yield "mid_block.resnets.1", "middle_block.2"
    yield "conv_norm_out", "out.0"
    yield "conv_out", "out.2"
    for level in range(levels):
        first = 1 + level * (LAYERS_PER_LEVEL + 1)
        yield from _layers(f"down_blocks.{level}", "input_blocks", first, LAYERS_PER_LEVEL)
        yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{first + LAYERS_PER_LEVEL}.0.op"
        first = level * (LAYERS_PER_LEVEL + 1)
        yield from _layers(f"up_blocks.{level}", "output_blocks", first, LAYERS_PER_LEVEL + 1)
        part = 2 if level else 1  # of its level's last block; the coarsest level has no attention before it
        yield f"up_blocks.{level}.upsamplers.0.conv", f"output_blocks.{first + LAYERS_PER_LEVEL}.{part}.conv"


def _layers(block: str, way: str, first: int, count: int) -> Iterator[tuple[str, str]]:
    """A level's residual blocks and transformers, numbered from ``first`` in the published row."""
    for layer in range(count):
        yield f"{block}.resnets.{layer}", f"{way}.{first + layer}.0"
        yield f"{block}.attentions.{layer}", f"{way}.{first + layer}.1"


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
        narrow = state[f"{CLASSIFIER}time_embed.0.weight"].shape[1]
        config = AlignmentConfig(channels=narrow, feature_dim=context.shape[1])
        expected = classifier_shapes(config)
    except (KeyError, ValueError, IndexError) as error:
        fact = f"is not Diff-Foley's alignment classifier ({error})"
        raise BundleError(f"{path}: {fact}", "name double_guidance_classifier.ckpt") from error
    if not any(key.startswith(CLASSIFIER_CONDITION) for key in state):
        expected = {key: shape for key, shape in expected.items() if key.startswith(CLASSIFIER)}
    return plain(config), _checked(path, "Diff-Foley's alignment classifier", state, expected)


def classifier_shapes(config: AlignmentConfig) -> Shapes:
    """Keys and shapes of an alignment classifier: 146 of its network, 3 of its condition."""
    return shapes_of(lambda: AlignmentClassifier(config))
