"""The published autoencoders of Stable Diffusion and AudioLDM."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from foleygen.weights.published.checkpoint import Shapes, _checked, _read_json, _weights_in, read_checkpoint, shapes_of

AUDIOLDM_LATENT_SCALE = 4.0
"""The release divides latents by diffusers' ``vae_scale_factor``, a spatial factor, and not by the VAE's own scale."""
STABLE_DIFFUSION_LATENT_SCALE = 0.18215


def convert_kl(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """An autoencoder's geometry and its weights under the names of diffusers' AutoencoderKL.

    ``path`` is a diffusers folder (``config.json`` and weights), or one file with Stable Diffusion's geometry under
    CompVis or diffusers names, such as Diff-Foley's ``ldm_epoch240.ckpt``; its widths are read off the shapes.
    """
    config: dict[str, Any] = dict(STABLE_DIFFUSION)
    file = path
    if path.is_dir():
        stored = _read_json(path / "config.json")
        config.update({key: stored[key] for key in config if key in stored})
        file = _weights_in(path, ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"))
    state = read_checkpoint(file)
    prefix = "first_stage_model."
    if any(key.startswith(prefix) for key in state):
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    renamed = to_diffusers_names(state, levels=len(config["block_out_channels"]))
    if not path.is_dir():
        config["block_out_channels"] = _widths(renamed, config["block_out_channels"])
    return config, _checked(file, "AutoencoderKL", renamed, kl_shapes(config))


def _widths(state: Mapping[str, Tensor], published: list[int]) -> list[int]:
    """Channels of each level as the first convolutions have them; a level that has none is as ``published``."""
    firsts = [f"encoder.down_blocks.{level}.resnets.0.conv1.weight" for level in range(len(published))]
    return [
        len(state[name]) if name in state and state[name].ndim == 4 and len(state[name]) % GROUPS == 0 else width
        for name, width in zip(firsts, published, strict=True)
    ]


GROUPS = 32
STABLE_DIFFUSION = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "norm_num_groups": GROUPS,
}
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


def kl_shapes(config: Mapping[str, Any]) -> Shapes:
    """Keys and shapes of diffusers' AutoencoderKL of this geometry."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    levels = len(config["block_out_channels"])
    blocks = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
    }
    return shapes_of(lambda: AutoencoderKL(**config, **blocks))


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
