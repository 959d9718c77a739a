"""A bundle's parts as modules with their weights: the workshop that both engines share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from foleygen.audio.griffin_lim import GriffinLim
from foleygen.audio.mel import MelConfig
from foleygen.audio.vocoder import Vocoder
from foleygen.engines.device import out_of_memory
from foleygen.errors import BundleError
from foleygen.models.autoencoder import KLAutoencoder, load_kl
from foleygen.models.blank import Blank
from foleygen.models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.strict import Reader
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import tensors
from foleygen.weights.spec import BundleSpec

Encoder = Callable[[Tensor], Tensor]
SIDE_BLOCK = "sideblocks."
MANY_WEIGHTS = 2**22
"""Numbers that a model may have without weights for them, as the side block does."""
Made = TypeVar("Made")
Model = TypeVar("Model", bound=nn.Module)


def encoder_of(spec: Bundle, device: str) -> Encoder:
    """The video encoder with its weights: uint8 (1, T, S, S, 3) -> (1, F, C), both on ``device``."""
    weights = tensors(spec, "encoder")
    if spec.encoder.kind == "motion":
        from foleygen.models.motion import MotionEncoder, MotionEncoderConfig

        config = _config(MotionEncoderConfig, spec, "encoder", spec.encoder.options)
        return _filled(_sized(MotionEncoder, spec, weights, config), weights, spec).to(device)
    from foleygen.models.cavp import CAVP

    cavp = _filled(CAVP(), weights, spec).to(device)
    return lambda frames: cavp.encode_video(frames.permute(0, 1, 4, 2, 3).float() / 255)


def transformer_of(spec: Bundle) -> MDSGen:
    """The transformer with its weights; the side block, which only masked training runs, may be left out of them."""
    weights = tensors(spec, "transformer")
    model = _sized(MDSGen, spec, weights, _config(TransformerConfig, spec, "transformer", spec.transformer))
    if not any(name.startswith(SIDE_BLOCK) for name in weights):
        model.sideblocks = nn.ModuleList()
    return _filled(model, weights, spec)


def autoencoder_of(spec: Bundle) -> PatchAutoencoder | KLAutoencoder:
    """The mel autoencoder with its weights."""
    weights = tensors(spec, "autoencoder")
    if spec.autoencoder.kind == "patch":
        config = _config(PatchAutoencoderConfig, spec, "autoencoder", spec.autoencoder.config)
        return _filled(_sized(PatchAutoencoder, spec, weights, config), weights, spec)
    return load_kl(
        spec.autoencoder.config,
        weights,
        latent_scale=spec.autoencoder.latent_scale,
        channel=spec.autoencoder.channel,
    )


def vocoder_of(spec: Bundle) -> Vocoder:
    """The mel inversion."""
    if spec.vocoder.kind == "griffin_lim":
        return _made(GriffinLim, spec, _made(mel_config, spec, spec), **spec.vocoder.options)
    if spec.vocoder.kind == "vocos":
        from foleygen.audio.vocos import VocosVocoder

        neural = _made(VocosVocoder, spec, _made(mel_config, spec, spec), **spec.vocoder.options)
        _filled(neural.network, tensors(spec, "vocoder"), spec)
        return neural
    from foleygen.audio.hifigan import HiFiGAN, HiFiGANConfig

    weights = tensors(spec, "vocoder")
    vocoder = _sized(HiFiGAN, spec, weights, _config(HiFiGANConfig, spec, "vocoder", spec.vocoder.options))
    _filled(vocoder.generator, weights, spec)
    return vocoder


def mel_config(spec: BundleSpec) -> MelConfig:
    """The mel of a bundle."""
    mel = spec.mel
    return MelConfig(spec.sample_rate, mel.n_fft, mel.hop_length, mel.num_mels, mel.f_min, mel.f_max, mel.scaling)


def _config(kind: type[Made], spec: Bundle, part: str, options: Mapping[str, Any]) -> Made:
    """The dataclass ``kind`` from the options of bundle.yaml, each of the type that it has there."""

    def read() -> Made:
        return Reader(BundleError).section(kind, options, f"{spec.path}: {part}")

    read.__name__ = kind.__name__
    return _made(read, spec)


def _made(kind: Callable[..., Made], spec: Bundle, *parts: Any, **options: Any) -> Made:
    """``kind`` from its parts and the options of bundle.yaml, which may not fit it."""
    try:
        return kind(*parts, **{name: _tuples(value) for name, value in options.items()})
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        reason = " ".join(str(error).split())
        name = getattr(kind, "__name__", "it")
        raise BundleError(f"{spec.path}: its settings do not fit {name} ({reason})", "export it again") from error


def _sized(kind: Callable[..., Model], spec: Bundle, weights: dict[str, Tensor], *parts: Any) -> Model:
    """The model, which is allocated only if ``weights`` are about as many as it has."""
    with torch.device("meta"), Blank():
        wanted = sum(value.numel() for value in _made(kind, spec, *parts).state_dict().values())
    held = sum(value.numel() for value in weights.values())
    if wanted > 2 * held + MANY_WEIGHTS:
        fact = f"{spec.path}: its settings make a model of {wanted} numbers and its weights have {held}"
        raise BundleError(fact, "export it again")
    with Blank():
        return _made(kind, spec, *parts)


def _tuples(value: Any) -> Any:
    """YAML's lists as the tuples of frozen dataclasses."""
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list | tuple) else value


def _filled(model: Model, weights: dict[str, Tensor], spec: Bundle) -> Model:
    try:
        model.load_state_dict({name: value.float() for name, value in weights.items()}, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{spec.path}: its weights do not fit its settings ({reason})", "export it again") from error
    return model.eval()
