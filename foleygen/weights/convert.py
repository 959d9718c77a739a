"""Published weights to bundles: container formats, key names and shapes, each checked one by one.

CAVP and the latent diffusion autoencoder are Diff-Foley's (NeurIPS 2023), the transformer is MDSGen's (ICLR 2025),
the other autoencoder and the vocoder are AudioLDM's. Pickles are opened with ``weights_only=True``.
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foleygen.errors import BundleError, SetupError
from foleygen.weights import catalogue
from foleygen.weights.bundle import (
    AutoencoderSpec,
    Bundle,
    BundleSpec,
    EncoderSpec,
    MelSpec,
    SamplingSpec,
    Source,
    VocoderSpec,
    save,
    sha256,
)

Shapes = dict[str, tuple[int, ...]]

MDSGEN_GRIDS: dict[str, dict[str, Any]] = {
    "release": {"latent_shape": [8, 204, 16], "time_axis": 1},
    "paper": {"latent_shape": [4, 16, 64], "time_axis": 2},
}
PATCH = 2
CAVP_LAYERS = ((3, 64, 1), (4, 128, 1), (6, 256, 3), (3, 512, 3))
"""SlowOnly ResNet3D-50: blocks, planes and temporal kernel of each stage."""
AUDIOLDM_LATENT_SCALE = 4.0
"""The release divides latents by diffusers' ``vae_scale_factor``, a spatial factor, and not by the VAE's own scale."""
STABLE_DIFFUSION = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "norm_num_groups": 32,
}
STABLE_DIFFUSION_LATENT_SCALE = 0.18215
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


@dataclass(frozen=True)
class KeyReport:
    """How a state dict differs from what a model needs."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        named = {"missing": self.missing, "unexpected": self.unexpected, "of another shape": self.mismatched}
        return "; ".join(f"{len(keys)} {what}: {', '.join(keys)}" for what, keys in named.items() if keys)


def compare(found: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> KeyReport:
    """Every key and every shape of ``found`` against ``expected``."""
    shared = [key for key in expected if key in found and tuple(found[key].shape) != tuple(expected[key])]
    return KeyReport(
        missing=tuple(key for key in expected if key not in found),
        unexpected=tuple(key for key in found if key not in expected),
        mismatched=tuple(f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key])}" for key in shared),
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a PyTorch pickle, flat or under ``state_dict``.

    ``module.`` (data parallel training) is stripped from the names. Raises BundleError.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise BundleError(f"{path}: does not exist", "name the downloaded file")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            mapped = zipfile.is_zipfile(path)  # so that an optimiser's moments are never read
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        fact = "is no checkpoint of tensors alone, and other Python objects are not loaded"
        raise BundleError(f"{path}: {fact}", "download it again or use a .safetensors file") from error
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, SafetensorError) as error:
        reason = str(error).split("\n")[0]
        raise BundleError(f"{path}: is not a readable checkpoint ({reason})", "download it again") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not any(isinstance(value, Tensor) for value in content.values()):
        raise BundleError(f"{path}: holds no named tensors", "name the file with the weights")
    return {key.replace("module.", ""): value for key, value in content.items() if isinstance(value, Tensor)}


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


def convert_cavp(path: Path) -> dict[str, Tensor]:
    """CAVP's video side under its published names. The audio tower, the temperature and the optimiser are left out."""
    state = {
        re.sub(r"^backbone\.", "video_encoder.", key): value
        for key, value in read_checkpoint(path).items()
        if not key.startswith(("spec_encoder.", "spec_project_head.")) and key != "logit_scale"
    }
    return _checked(path, "CAVP", state, cavp_shapes())


def mdsgen_shapes(config: Mapping[str, Any]) -> Shapes:
    """Keys and shapes of an MDSGen transformer with TransformerConfig's fields, without index buffers."""
    width, heads = int(config["hidden_size"]), int(config["num_heads"])
    channels = config["latent_shape"][0]
    rows, columns = _grid(config)
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
    index = _relative_position_index(*_grid(config))
    for key in [key for key in state if key.endswith(".relative_position_index")]:
        buffer = state.pop(key)
        if buffer.shape != index.shape or not torch.equal(buffer.long(), index):
            fact = f"{key} {tuple(buffer.shape)} is not that of the {grid} grid"
            raise BundleError(f"{path}: {fact}", "import it with the geometry it was trained with")
    return config, _checked(path, "MDSGen", state, mdsgen_shapes(config))


def convert_kl(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """An autoencoder's geometry and its weights under the names of diffusers' AutoencoderKL.

    ``path`` is a diffusers folder (``config.json`` and weights), or one file with Stable Diffusion's geometry under
    CompVis or diffusers names, such as Diff-Foley's ``ldm_epoch240.ckpt``.
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
    return config, _checked(file, "AutoencoderKL", renamed, _kl_shapes(config))


def to_diffusers_names(state: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """CompVis latent diffusion or older diffusers names to today's; 1x1 convolutions of attention become matrices."""
    renamed = {}
    for key, value in state.items():
        if not key.startswith("loss."):
            name = _diffusers_name(key, levels)
            pointwise = value.ndim == 4 and ".attentions." in name
            renamed[name] = value[:, :, 0, 0] if pointwise else value
    return renamed


def convert_vocoder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A ``vocoder/`` folder of AudioLDM: HiFiGANConfig's fields and the weights under their published names."""
    try:
        from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
    except ImportError as error:
        raise SetupError("the vocoder needs the package transformers", "pip install 'foleygen[base]'") from error
    stored = _read_json(path / "config.json")
    if stored.get("normalize_before", True):
        fact = "asks for normalised input, which AudioLDM's vocoder does not"
        raise BundleError(f"{path / 'config.json'}: {fact}", "name the vocoder/ folder of AudioLDM")
    defaults = SpeechT5HifiGanConfig().to_dict()
    options = {name: stored.get(name, defaults[name]) for name in HIFIGAN_OPTIONS}
    with torch.device("meta"):
        expected = SpeechT5HifiGan(SpeechT5HifiGanConfig(**options, normalize_before=False)).state_dict()
    file = _weights_in(path, ("model.safetensors", "pytorch_model.bin"))
    bands = options["model_in_dim"]
    # without normalisation these two are never read, and not every file has them
    state = {"mean": torch.zeros(bands), "scale": torch.ones(bands), **read_checkpoint(file)}
    weights = _checked(file, "HiFi-GAN", state, {key: tuple(value.shape) for key, value in expected.items()})
    return {ours: options[theirs] for theirs, ours in HIFIGAN_OPTIONS.items()}, weights


def import_base(cavp: Path, mdsgen: Path, audioldm: Path, destination: Path) -> Bundle:
    """The released MDSGen as a bundle: CAVP, ``mdsgen_audioldm.pt``, and a folder with AudioLDM's vae/ and vocoder/.

    Raises BundleError with every key that is missing, extra or of another shape.
    """
    transformer, transformer_weights = convert_mdsgen(mdsgen, "release")
    geometry, autoencoder_weights = convert_kl(audioldm / "vae")
    options, vocoder_weights = convert_vocoder(audioldm / "vocoder")
    model = catalogue.model("base")
    spec = BundleSpec(
        name=model.name,
        licence=model.licence,
        commercial=model.commercial,
        sample_rate=16000,
        window_samples=130560,
        mel=MelSpec(n_fft=1024, hop_length=160, num_mels=64, f_min=0.0, f_max=8000.0, scaling="log"),
        encoder=_cavp_spec(transformer),
        transformer=transformer,
        autoencoder=AutoencoderSpec(
            kind="kl", config={**geometry, "time_first": True}, latent_scale=AUDIOLDM_LATENT_SCALE
        ),
        vocoder=VocoderSpec(kind="hifigan", options=options),
        sampling=SamplingSpec(
            prediction_type="epsilon", num_inference_steps=50, guidance_scale=5.0, guidance_power=0.01
        ),
        sources=_sources(cavp, mdsgen, audioldm / "vae", audioldm / "vocoder"),
    )
    parts = {
        "encoder": convert_cavp(cavp),
        "transformer": transformer_weights,
        "autoencoder": autoencoder_weights,
        "vocoder": vocoder_weights,
    }
    return save(destination, spec, parts, licence_text=model.notice(), model_card=_card(spec, model))


def import_paper(cavp: Path, mdsgen: Path, vae: Path, destination: Path) -> Bundle:
    """A transformer of the paper's geometry (any size) with CAVP, Stable Diffusion's autoencoder and Griffin-Lim.

    ``vae`` is Diff-Foley's latent diffusion checkpoint, or Stable Diffusion v1's ``vae/`` folder.
    """
    transformer, transformer_weights = convert_mdsgen(mdsgen, "paper")
    geometry, autoencoder_weights = convert_kl(vae)
    model = catalogue.model("paper")
    spec = BundleSpec(
        name=model.name,
        licence=model.licence,
        commercial=model.commercial,
        sample_rate=16000,
        window_samples=131072,
        mel=MelSpec(n_fft=1024, hop_length=256, num_mels=128, f_min=125.0, f_max=7600.0),
        encoder=_cavp_spec(transformer),
        transformer=transformer,
        autoencoder=AutoencoderSpec(
            kind="kl", config={**geometry, "time_first": False}, latent_scale=STABLE_DIFFUSION_LATENT_SCALE
        ),
        vocoder=VocoderSpec(kind="griffin_lim"),
        sampling=SamplingSpec(
            prediction_type="epsilon", num_inference_steps=25, guidance_scale=5.0, guidance_power=0.01
        ),
        sources=_sources(cavp, mdsgen, vae),
    )
    parts = {
        "encoder": convert_cavp(cavp),
        "transformer": transformer_weights,
        "autoencoder": autoencoder_weights,
    }
    return save(destination, spec, parts, licence_text=model.notice(), model_card=_card(spec, model))


def _checked(
    path: Path, what: str, state: dict[str, Tensor], expected: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    report = compare(state, expected)
    if not report.ok:
        raise BundleError(f"{path}: does not fit {what} ({report})", "import the published file")
    return {key: state[key] for key in expected}


def _grid(config: Mapping[str, Any]) -> tuple[int, int]:
    _, height, width = config["latent_shape"]
    return height // PATCH, width // PATCH


def _relative_position_index(rows: int, columns: int) -> Tensor:
    """(L, L): the row of the bias table that query i and key j read."""
    row, column = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    by_row = row[:, None] - row[None, :] + rows - 1
    by_column = column[:, None] - column[None, :] + columns - 1
    return by_row * (2 * columns - 1) + by_column


def _diffusers_name(key: str, levels: int) -> str:
    up = re.match(r"^decoder\.up\.(\d+)\.(?:block\.(\d+)|upsample)\.", key)
    if up:  # CompVis counts the decoder's levels from the finest, diffusers from the coarsest
        block = f"resnets.{up[2]}" if up[2] else "upsamplers.0"
        key = f"decoder.up_blocks.{levels - 1 - int(up[1])}.{block}.{key[up.end() :]}"
    for pattern, replacement in KL_RENAMES:
        key = re.sub(pattern, replacement, key)
    return key


def _kl_shapes(config: Mapping[str, Any]) -> Shapes:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    levels = len(config["block_out_channels"])
    with torch.device("meta"):
        model = AutoencoderKL(
            **config,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
        )
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def _cavp_spec(transformer: Mapping[str, Any]) -> EncoderSpec:
    count = int(transformer["num_features"])
    return EncoderSpec(
        kind="cavp",
        frame_rate=Fraction(4),
        frame_size=224,
        frame_rule="fps_filter",
        num_frames=count,
        num_features=count,
        feature_dim=int(transformer["feature_dim"]),
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read ({error})", "download the folder again") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path}: is not a configuration", "download the folder again")
    return content


def _weights_in(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise BundleError(f"{folder}: holds none of {', '.join(names)}", "download the folder again")


def _sources(*paths: Path) -> tuple[Source, ...]:
    """Name and SHA-256 of every file, also of those inside folders; no local folder is recorded."""
    sources = []
    for path in paths:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        for file in files:
            name = f"{path.name}/{file.name}" if path.is_dir() else file.name
            digest = sha256(file)
            sources.append(Source(file=name, sha256=digest, place=catalogue.place_of(digest)))
    return tuple(sources)


def _card(spec: BundleSpec, model: catalogue.CatalogueModel) -> str:
    rows = "\n".join(f"| {source.file} | {source.sha256} |" for source in spec.sources)
    return f"# {spec.name}\n\n{model.summary}\n\n{model.notice()}\n\n| file | SHA-256 |\n| --- | --- |\n{rows}\n"
