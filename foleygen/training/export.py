"""Finished trainings become a bundle that ``--model`` takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from foleygen.audio.mel import MelConfig
from foleygen.audio.vocos import VocosVocoder
from foleygen.engines.building import mel_config
from foleygen.errors import BundleError
from foleygen.models.motion import MotionEncoderConfig
from foleygen.models.patch_autoencoder import PatchAutoencoderConfig
from foleygen.models.transformer import TransformerConfig
from foleygen.strict import file_text
from foleygen.training.mdsgen import Pairs
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import halved, tensors
from foleygen.weights.rounded import rounded
from foleygen.weights.spec import (
    AutoencoderSpec,
    BundleSpec,
    CueSpec,
    EncoderSpec,
    LevelSpec,
    MelSpec,
    SamplingSpec,
    StudentSpec,
    VocoderSpec,
)

FRAME_RATE = Fraction(125, 4)
"""Frames per second of the small encoder: 256 in a window of 8.192 s."""


@dataclass(frozen=True)
class Trained:
    """The parts of tiny: configurations and averaged weights."""

    encoder_config: MotionEncoderConfig
    encoder: dict[str, Tensor]
    autoencoder_config: PatchAutoencoderConfig
    autoencoder: dict[str, Tensor]
    transformer_config: TransformerConfig
    transformer: dict[str, Tensor]
    pairs: Pairs


def export(
    folder: Path,
    trained: Trained,
    sampling: SamplingSpec,
    vocoder: VocoderSpec,
    *,
    name: str,
    licence: str,
    commercial: bool,
    licence_text: str,
    model_card: str,
) -> Bundle:
    """Write the bundle in half precision; its normalisation of latents is that of the training pairs."""
    mel = MelConfig()
    encoder = trained.encoder_config
    transformer = asdict(trained.transformer_config)
    spec = BundleSpec(
        name=name,
        licence=licence,
        commercial=commercial,
        sample_rate=mel.sample_rate,
        window_samples=round(encoder.num_frames / FRAME_RATE * mel.sample_rate),
        mel=MelSpec(
            n_fft=mel.n_fft, hop_length=mel.hop_length, num_mels=mel.num_mels, f_min=mel.f_min, f_max=mel.f_max
        ),
        encoder=EncoderSpec(
            kind="motion",
            frame_rate=FRAME_RATE,
            frame_size=encoder.frame_size,
            frame_rule="linear",
            num_frames=encoder.num_frames,
            num_features=encoder.num_features,
            feature_dim=encoder.feature_dim,
            options=asdict(encoder),
        ),
        transformer={**transformer, "latent_shape": list(transformer["latent_shape"])},
        autoencoder=AutoencoderSpec(
            kind="patch",
            config=asdict(trained.autoencoder_config),
            latent_mean=tuple(float(value) for value in trained.pairs.latent_mean),
            latent_std=tuple(float(value) for value in trained.pairs.latent_std),
        ),
        vocoder=vocoder,
        sampling=sampling,
    )
    parts = {
        part: halved(weights)
        for part, weights in (
            ("encoder", trained.encoder),
            ("transformer", _without_side_block(trained.transformer)),
            ("autoencoder", trained.autoencoder),
        )
    }
    return bundles.save(folder, spec, parts, licence_text=licence_text, model_card=model_card)


def _without_side_block(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Sampling never runs the side interpolator."""
    return {name: value for name, value in weights.items() if not name.startswith("sideblocks.")}


def export_transformer(
    folder: Path,
    base: Bundle,
    config: TransformerConfig,
    weights: dict[str, Tensor],
    sampling: SamplingSpec,
    *,
    name: str,
    model_card: str,
) -> Bundle:
    """Write a bundle with a new transformer and everything else of ``base``, its licence included.

    An adapter of cues, a student and a head of levels are left out: they were trained beside the old transformer.

    Raises BundleError when the transformer does not fit the features and latents of ``base``.
    """
    wanted = base.encoder.num_features, base.encoder.feature_dim, tuple(base.transformer["latent_shape"])
    found = config.num_features, config.feature_dim, config.latent_shape
    if found != wanted:
        raise BundleError(
            f"{base.path}: its features and latents are {wanted}, the transformer's {found}",
            "name the bundle that prepared the training data",
        )
    transformer = asdict(config)
    transformer["latent_shape"] = list(config.latent_shape)
    spec = replace(_spec(base), name=name, transformer=transformer, sampling=sampling)
    spec = replace(spec, cues=None, student=None, level=None)
    part = {"transformer": halved(_without_side_block(weights))}
    return _with_part(folder, base, spec, part, model_card, left_out=("cues", "student", "level"))


def export_vocoder(folder: Path, base: Bundle, vocoder: VocosVocoder, *, name: str, model_card: str) -> Bundle:
    """Write a bundle with a neural vocoder and everything else of ``base``, its licence included.

    Raises BundleError when the vocoder is for another mel than that of ``base``.
    """
    if mel_config(base) != vocoder.config:
        fact = f"{base.path}: its mel is not the vocoder's"
        raise BundleError(fact, "train the vocoder with a recipe for this mel")
    size = vocoder.network.config
    options = {
        "hidden_size": size.hidden_size,
        "depth": size.depth,
        "expansion": size.expansion,
        "corrections": vocoder.corrections,
    }
    spec = replace(_spec(base), name=name, vocoder=VocoderSpec(kind="vocos", options=options))
    return _with_part(folder, base, spec, {"vocoder": halved(vocoder.network.state_dict())}, model_card)


def export_cues(
    folder: Path, base: Bundle, cues: CueSpec, weights: dict[str, Tensor], *, name: str, model_card: str
) -> Bundle:
    """Write a bundle with an adapter of cues and everything else of ``base``, its licence included.

    A head of levels is left out: it listened to the old adapter.
    """
    spec = replace(_spec(base), name=name, cues=cues, level=None)
    return _with_part(folder, base, spec, {"cues": halved(weights)}, model_card, left_out=("level",))


def export_student(
    folder: Path, base: Bundle, student: StudentSpec, weights: dict[str, Tensor], *, name: str, model_card: str
) -> Bundle:
    """Write a bundle with a student of its transformer, a byte a weight, and everything else of ``base``."""
    return _with_part(
        folder, base, replace(_spec(base), name=name, student=student), {"student": rounded(weights)}, model_card
    )


def export_level(
    folder: Path, base: Bundle, level: LevelSpec, weights: dict[str, Tensor], *, name: str, model_card: str
) -> Bundle:
    """Write a bundle with a head of levels and everything else of ``base``, its licence included."""
    return _with_part(folder, base, replace(_spec(base), name=name, level=level), {"level": weights}, model_card)


def _spec(base: Bundle) -> BundleSpec:
    """What ``base`` says of its parts, without the files."""
    return BundleSpec(**{item.name: getattr(base, item.name) for item in fields(BundleSpec)})


def _with_part(
    folder: Path,
    base: Bundle,
    spec: BundleSpec,
    part: dict[str, dict[str, Tensor]],
    model_card: str,
    left_out: tuple[str, ...] = (),
) -> Bundle:
    """Write a bundle of ``spec`` with a new ``part``, and all of ``base`` but what is ``left_out``; its licence too."""
    kept = [name for name in base.parts if name not in left_out]
    parts = {name: part[name] if name in part else tensors(base, name) for name in kept} | part
    licence_text = file_text(base.path / "LICENSE", BundleError, "fetch or export the bundle again")
    return bundles.save(folder, spec, parts, licence_text=licence_text, model_card=model_card)
