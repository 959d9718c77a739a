"""A bundle's parts as modules with their weights: the workshop that both engines share.

What a ``kind`` in bundle.yaml stands for is a row of a table here: ENCODERS, FAMILIES (of the transformer),
AUTOENCODERS, VOCODERS.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from foleygen.audio.griffin_lim import GriffinLim
from foleygen.audio.hifigan import HiFiGAN, HiFiGANConfig
from foleygen.audio.mel import MelConfig
from foleygen.audio.vocoder import Vocoder
from foleygen.audio.vocos import VocosVocoder
from foleygen.engines.device import out_of_memory
from foleygen.errors import BundleError
from foleygen.models.alignment import AlignmentClassifier, AlignmentConfig
from foleygen.models.autoencoder import KLAutoencoder, load_kl
from foleygen.models.blank import Blank
from foleygen.models.cue_layout import CueLayout
from foleygen.models.cues import CueAdapter, CueAdapterConfig
from foleygen.models.diff_foley import DiffFoley, DiffFoleyConfig
from foleygen.models.diffusion import DiffusionModel
from foleygen.models.level import LevelHead
from foleygen.models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from foleygen.models.student import Student, StudentAdapter, StudentConfig
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.strict import Reader, did_you_mean
from foleygen.weights.ambience import AmbienceBundle
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import MANIFEST, tensors
from foleygen.weights.rounded import restored
from foleygen.weights.spec import VocoderSpec

Weights = Callable[[], dict[str, Tensor]]
"""Read only by those who need them."""
SIDE_BLOCK = "sideblocks"
MANY_WEIGHTS = 2**22
"""Numbers that a model may have without weights for them, as the side block does."""
Made = TypeVar("Made")
Model = TypeVar("Model", bound=nn.Module)


def encoder_of(spec: Bundle, device: str = "cpu") -> nn.Module:
    """The video encoder with its weights: uint8 (1, T, S, S, 3) -> (1, F, C), both on ``device``."""
    return ENCODERS[spec.encoder.kind](spec, tensors(spec, "encoder")).to(device)


def _motion(spec: Bundle, weights: dict[str, Tensor]) -> nn.Module:
    from foleygen.models.motion import MotionEncoder, MotionEncoderConfig

    config = _config(MotionEncoderConfig, spec.path, "encoder", spec.encoder.options)
    return _filled(_sized(MotionEncoder, spec.path, weights, config), weights, spec.path)


def _cavp(spec: Bundle, weights: dict[str, Tensor]) -> nn.Module:
    from foleygen.models.cavp import CAVP

    return _filled(CAVP(), weights, spec.path)


ENCODERS: Mapping[str, Callable[[Bundle, dict[str, Tensor]], nn.Module]] = {"motion": _motion, "cavp": _cavp}


@dataclass(frozen=True)
class Family:
    """A kind of transformer: its settings and its model, which is a ``DiffusionModel``.

    ``spare`` names a list of its modules that only training runs, which may be left out of the weights. A ``mapped``
    one is so large that its weights stay in the file, which memory is mapped to, and are not copied.
    """

    config: type[Any]
    model: type[nn.Module]
    spare: str | None = None
    mapped: bool = False


FAMILIES: dict[str, Family] = {
    "mdsgen": Family(TransformerConfig, MDSGen, spare=SIDE_BLOCK),
    "diff_foley": Family(DiffFoleyConfig, DiffFoley, mapped=True),
}


def diffusion_of(spec: Bundle, device: str = "cpu", dtype: torch.dtype = torch.float32) -> DiffusionModel:
    """The transformer with its weights, of whichever family, for the sampler; with its adapter of cues, if any."""
    model: Any = _transformer(spec)
    if spec.cues is not None:
        model.cues = cue_adapter_of(spec)
    made: DiffusionModel = model.to(device, dtype)
    return made


def student_of(spec: Bundle, base: DiffusionModel, dtype: torch.dtype = torch.float32) -> Student | None:
    """The student of ``base``, the transformer of a bundle, with weights of its own; None if the bundle has none."""
    if spec.student is None:
        return None
    if not isinstance(base, MDSGen):
        fact = f"{spec.path}: its transformer is of the kind {spec.transformer_kind!r}, which has no students"
        raise BundleError(fact, "remove the section student and its part")
    weights = restored(tensors(spec, "student"))
    sizes = StudentConfig(rank=spec.student.rank, hidden_size=spec.student.hidden_size)
    adapter = _filled(_sized(StudentAdapter, spec.path, weights, base, sizes), weights, spec.path)
    model = copy.deepcopy(base, {id(base.cues): base.cues})
    adapter.merge(model)
    return Student(model.to(dtype), adapter.lead.to(dtype))


def level_head_of(spec: Bundle) -> LevelHead | None:
    """The head of levels with its weights; None if the bundle has none."""
    if spec.level is None or spec.cues is None:
        return None
    config = _config(TransformerConfig, spec.path, "transformer", spec.transformer_options)
    weights = tensors(spec, "level")
    layout = CueLayout(spec.cues.sub_steps)
    return _filled(_sized(LevelHead, spec.path, weights, config.hidden_size, layout), weights, spec.path)


def transformer_of(spec: Bundle) -> MDSGen:
    """The transformer with its weights where it is an MDSGen, for trainings. Raises BundleError where it is not."""
    model = _transformer(spec)
    if not isinstance(model, MDSGen):
        fact = f"{spec.path}: its transformer is of the kind {spec.transformer_kind!r}"
        raise BundleError(fact, "name a bundle with an MDSGen, such as tiny")
    return model


def _transformer(spec: Bundle) -> nn.Module:
    family = FAMILIES.get(spec.transformer_kind)
    if family is None:
        fact = f"{spec.path / MANIFEST}: transformer.kind is {spec.transformer_kind!r}"
        raise BundleError(fact, did_you_mean(spec.transformer_kind, FAMILIES))
    weights = tensors(spec, "transformer")
    config = _config(family.config, spec.path, "transformer", spec.transformer_options)
    model = _sized(family.model, spec.path, weights, config, mapped=family.mapped)
    if family.spare is not None and not any(name.startswith(f"{family.spare}.") for name in weights):
        setattr(model, family.spare, nn.ModuleList())
    return _filled(model, weights, spec.path)


def cue_adapter_of(spec: Bundle) -> CueAdapter | None:
    """The adapter of cues and words with its weights; None if the bundle has none."""
    if spec.cues is None:
        return None
    config = _config(TransformerConfig, spec.path, "transformer", spec.transformer_options)
    if spec.transformer_kind != "mdsgen" or config.conditioning != "aligned":
        raise BundleError(f"{spec.path}: its transformer hears one vector a window", "remove the section cues")
    sizes = CueAdapterConfig(
        families=len(spec.cues.families),
        materials=len(spec.cues.materials),
        condition_size=config.hidden_size,
        columns=config.columns,
        frames_per_column=config.num_features // config.columns,
        sub_steps=spec.cues.sub_steps,
        hidden_size=spec.cues.hidden_size,
        blend_size=spec.cues.blend_size,
    )
    weights = tensors(spec, "cues")
    return _filled(_sized(CueAdapter, spec.path, weights, sizes), weights, spec.path)


def autoencoder_of(spec: Bundle) -> PatchAutoencoder | KLAutoencoder:
    """The mel autoencoder with its weights."""
    return AUTOENCODERS[spec.autoencoder.kind](spec, tensors(spec, "autoencoder"))


def _patch(spec: Bundle, weights: dict[str, Tensor]) -> PatchAutoencoder:
    config = _config(PatchAutoencoderConfig, spec.path, "autoencoder", spec.autoencoder.config)
    return _filled(_sized(PatchAutoencoder, spec.path, weights, config), weights, spec.path)


def _kl(spec: Bundle, weights: dict[str, Tensor]) -> KLAutoencoder:
    told = spec.autoencoder
    return load_kl(told.config, weights, latent_scale=told.latent_scale, channel=told.channel)


AUTOENCODERS: Mapping[str, Callable[[Bundle, dict[str, Tensor]], PatchAutoencoder | KLAutoencoder]] = {
    "patch": _patch,
    "kl": _kl,
}


def classifier_of(spec: Bundle) -> AlignmentClassifier | None:
    """The alignment classifier with its weights, where the bundle has one; its own embedding may be missing."""
    if spec.classifier is None:
        return None
    weights = tensors(spec, "classifier")
    config = _config(AlignmentConfig, spec.path, "classifier", spec.classifier.config)
    model = _sized(AlignmentClassifier, spec.path, weights, config)
    if not any(name.startswith("cond_model.") for name in weights):
        if spec.classifier.features == "embedded":
            fact = f"{spec.path}: its classifier came without what embeds features"
            raise BundleError(fact, "set classifier.features to raw in its bundle.yaml")
        model.cond_model = nn.Identity()
    return _filled(model, weights, spec.path).requires_grad_(False)


def vocoder_of(bundle: Bundle | AmbienceBundle, device: str = "cpu") -> Vocoder:
    """The mel inversion of a bundle of either kind."""
    return made_vocoder(bundle.vocoder, mel_config(bundle), lambda: tensors(bundle, "vocoder"), bundle.path, device)


def made_vocoder(spec: VocoderSpec, mel: MelConfig, weights: Weights, where: Path, device: str = "cpu") -> Vocoder:
    """The vocoder that ``spec`` says for ``mel``. Raises BundleError, which begins with ``where`` it came from."""
    return VOCODERS[spec.kind](spec.options, mel, weights, where).to(device)


def _griffin_lim(options: Mapping[str, Any], mel: MelConfig, weights: Weights, where: Path) -> GriffinLim:
    return _made(GriffinLim, where, mel, **options)


def _vocos(options: Mapping[str, Any], mel: MelConfig, weights: Weights, where: Path) -> VocosVocoder:
    neural = _made(VocosVocoder, where, mel, **options)
    _filled(neural.network, weights(), where)
    return neural.eval()


def _hifigan(options: Mapping[str, Any], mel: MelConfig, weights: Weights, where: Path) -> HiFiGAN:
    state = weights()
    vocoder = _sized(HiFiGAN, where, state, _config(HiFiGANConfig, where, "vocoder", options))
    _filled(vocoder.generator, state, where)
    return vocoder


VOCODERS: Mapping[str, Callable[[Mapping[str, Any], MelConfig, Weights, Path], GriffinLim | VocosVocoder | HiFiGAN]] = {
    "griffin_lim": _griffin_lim,
    "vocos": _vocos,
    "hifigan": _hifigan,
}


def mel_config(bundle: Bundle | AmbienceBundle) -> MelConfig:
    """The mel of a bundle of either kind. Raises BundleError where its numbers do not fit each other."""
    return _made(MelConfig, bundle.path, sample_rate=bundle.sample_rate, **vars(bundle.mel))


def _config(kind: type[Made], where: Path, part: str, options: Mapping[str, Any]) -> Made:
    """The dataclass ``kind`` from the options of bundle.yaml, each of the type that it has there."""

    def read() -> Made:
        return Reader(BundleError).section(kind, options, f"{where}: {part}")

    read.__name__ = kind.__name__
    return _made(read, where)


def _made(kind: Callable[..., Made], where: Path, *parts: Any, **options: Any) -> Made:
    """``kind`` from its parts and the options of bundle.yaml, which may not fit it."""
    try:
        return kind(*parts, **{name: _tuples(value) for name, value in options.items()})
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        reason = " ".join(str(error).split())
        name = getattr(kind, "__name__", "it")
        raise BundleError(f"{where}: its settings do not fit {name} ({reason})", "export it again") from error


def _sized(
    kind: Callable[..., Model], where: Path, weights: dict[str, Tensor], *parts: Any, mapped: bool = False
) -> Model:
    """The model, which is allocated only if ``weights`` are about as many as it has; not at all if ``mapped``."""
    with torch.device("meta"), Blank():
        hollow = _made(kind, where, *parts)
    wanted = sum(value.numel() for value in hollow.state_dict().values())
    held = sum(value.numel() for value in weights.values())
    if wanted > 2 * held + MANY_WEIGHTS:
        fact = f"{where}: its settings make a model of {wanted} numbers and its weights have {held}"
        raise BundleError(fact, "export it again")
    with Blank():
        return hollow if mapped else _made(kind, where, *parts)


def _tuples(value: Any) -> Any:
    """YAML's lists as the tuples of frozen dataclasses."""
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list | tuple) else value


def _filled(model: Model, weights: dict[str, Tensor], where: Path) -> Model:
    """The model in eval mode; it takes the ``weights`` themselves, nothing is copied."""
    try:
        model.load_state_dict({name: value.float() for name, value in weights.items()}, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{where}: its weights do not fit its settings ({reason})", "export it again") from error
    return model.eval()
