"""Published files to bundles: each file is converted on its own, then joined by the settings they were made with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from foleygen.weights import catalogue
from foleygen.weights.bundle import Bundle, save
from foleygen.weights.files import halved, sha256
from foleygen.weights.published.cavp import _cavp_spec, convert_cavp
from foleygen.weights.published.diff_foley import convert_classifier, convert_unet
from foleygen.weights.published.hifigan import convert_vocoder
from foleygen.weights.published.kl import AUDIOLDM_LATENT_SCALE, STABLE_DIFFUSION_LATENT_SCALE, convert_kl
from foleygen.weights.published.mdsgen import convert_mdsgen
from foleygen.weights.spec import (
    AutoencoderSpec,
    BundleSpec,
    ClassifierSpec,
    MelSpec,
    SamplingSpec,
    Source,
    VocoderSpec,
)


def import_base(cavp: Path, mdsgen: Path, audioldm: Path, destination: Path, half: bool = False) -> Bundle:
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
    return _saved(destination, spec, parts, model, half)


def import_paper(
    cavp: Path, mdsgen: Path, vae: Path, destination: Path, half: bool = False, classifier: Path | None = None
) -> Bundle:
    """A transformer of the paper's geometry (any size) with CAVP, Stable Diffusion's autoencoder and Griffin-Lim.

    ``vae`` is Diff-Foley's latent diffusion checkpoint, or Stable Diffusion v1's ``vae/`` folder. A ``classifier`` is
    Diff-Foley's, which knows the same latents; the paper's own results are led by it.
    """
    transformer, transformer_weights = convert_mdsgen(mdsgen, "paper")
    geometry, autoencoder_weights = convert_kl(vae)
    led, classifier_weights = _classifier(classifier, scale=2.0)
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
        classifier=led,
        sources=_sources(cavp, mdsgen, vae, *([classifier] if classifier else [])),
    )
    parts = {
        "encoder": convert_cavp(cavp),
        "transformer": transformer_weights,
        "autoencoder": autoencoder_weights,
        **classifier_weights,
    }
    return _saved(destination, spec, parts, model, half)


def import_diff_foley(
    cavp: Path,
    ldm: Path,
    destination: Path,
    half: bool = False,
    classifier: Path | None = None,
    as_published: bool = False,
) -> Bundle:
    """Diff-Foley as a bundle: CAVP, ``ldm_epoch240.ckpt``, and maybe ``double_guidance_classifier.ckpt``.

    ``as_published``: the mels are inverted as if they were of 22050 Hz, which the published demo does.
    """
    config, transformer_weights = convert_unet(ldm)
    geometry, autoencoder_weights = convert_kl(ldm)
    led, classifier_weights = _classifier(classifier, scale=50.0)
    model = catalogue.model("diff-foley")
    spec = BundleSpec(
        name=model.name,
        licence=model.licence,
        commercial=model.commercial,
        sample_rate=16000,
        window_samples=131072,
        mel=MelSpec(n_fft=1024, hop_length=256, num_mels=128, f_min=125.0, f_max=7600.0),
        encoder=_cavp_spec(config),
        transformer={"kind": "diff_foley", **config},
        autoencoder=AutoencoderSpec(
            kind="kl",
            config={**geometry, "time_first": False},
            latent_scale=STABLE_DIFFUSION_LATENT_SCALE,
            channel="R",
        ),
        vocoder=VocoderSpec(kind="griffin_lim", options={"basis_rate": 22050} if as_published else {}),
        sampling=SamplingSpec(
            prediction_type="epsilon",
            num_inference_steps=25,
            guidance_scale=4.5,
            guidance_power=0.0,
            schedule="scaled_linear",
        ),
        classifier=led,
        sources=_sources(cavp, ldm, *([classifier] if classifier else [])),
    )
    parts = {
        "encoder": convert_cavp(cavp),
        "transformer": transformer_weights,
        "autoencoder": autoencoder_weights,
        **classifier_weights,
    }
    return _saved(destination, spec, parts, model, half)


def _classifier(path: Path | None, scale: float) -> tuple[ClassifierSpec | None, dict[str, dict[str, Tensor]]]:
    """The section and the part of a classifier, where there is one."""
    if path is None:
        return None, {}
    config, weights = convert_classifier(path)
    return ClassifierSpec(config=config, scale=scale), {"classifier": weights}


def _saved(
    destination: Path,
    spec: BundleSpec,
    parts: Mapping[str, dict[str, Tensor]],
    model: catalogue.CatalogueModel,
    half: bool,
) -> Bundle:
    """The bundle; in half precision except for weights that are too large for it."""
    if half:
        parts = {name: _fitting(state) for name, state in parts.items()}
    return save(destination, spec, parts, licence_text=model.notice(), model_card=_card(spec, model))


def _fitting(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value if value.isfinite().all() else state[name] for name, value in halved(state).items()}


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
