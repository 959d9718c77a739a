"""Published weights to bundles: container formats, then every key and shape against what ``published`` expects.

Pickles are opened with ``weights_only=True``.
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
from foleygen.weights.published import (
    HIFIGAN_OPTIONS,
    MDSGEN_GRIDS,
    PATCH,
    STABLE_DIFFUSION,
    cavp_shapes,
    kl_shapes,
    mdsgen_shapes,
    relative_position_index,
    to_diffusers_names,
    token_grid,
)

AUDIOLDM_LATENT_SCALE = 4.0
"""The release divides latents by diffusers' ``vae_scale_factor``, a spatial factor, and not by the VAE's own scale."""
STABLE_DIFFUSION_LATENT_SCALE = 0.18215


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


def convert_cavp(path: Path) -> dict[str, Tensor]:
    """CAVP's video side under its published names. The audio tower, the temperature and the optimiser are left out."""
    state = {
        re.sub(r"^backbone\.", "video_encoder.", key): value
        for key, value in read_checkpoint(path).items()
        if not key.startswith(("spec_encoder.", "spec_project_head.")) and key != "logit_scale"
    }
    return _checked(path, "CAVP", state, cavp_shapes())


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
    return config, _checked(file, "AutoencoderKL", renamed, kl_shapes(config))


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
