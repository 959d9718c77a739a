"""A bundle of weights: a folder with ``bundle.yaml``, one safetensors file per part, LICENSE and README.md.

``bundle.yaml`` is read strictly: an unknown or missing key is a BundleError that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.errors import BundleError, UsageError
from foleygen.strict import plain
from foleygen.weights import limits
from foleygen.weights.files import FORMAT, MANIFEST, READER, digest, opened, written
from foleygen.weights.spec import BundleSpec, Part

if TYPE_CHECKING:
    from torch import Tensor

MOST_CONTRAST = 4.0
PARTS = ("encoder", "transformer", "autoencoder", "vocoder", "classifier", "cues", "student", "level")


@dataclass(frozen=True, kw_only=True)
class Bundle(BundleSpec):
    """A bundle on disk. ``hash`` changes with any setting and any weight."""

    path: Path
    parts: Mapping[str, Part]
    hash: str

    @property
    def encoder_hash(self) -> str:
        """16 hex digits that change with the encoder's settings and weights only (for the feature cache)."""
        weights = self.parts["encoder"].sha256 if "encoder" in self.parts else ""
        return digest({"encoder": plain(self.encoder), "weights": weights})

    @property
    def autoencoder_hash(self) -> str:
        """16 hex digits that change with the autoencoder's settings and weights and with the mel (for latents)."""
        weights = self.parts["autoencoder"].sha256 if "autoencoder" in self.parts else ""
        settings = {"mel": plain(self.mel), "autoencoder": plain(self.autoencoder), "sample_rate": self.sample_rate}
        return digest({**settings, "weights": weights})

    def classifier_scale(self, asked: float | None = None) -> float:
        """Strength of the guidance by the classifier: as ``asked``, else what suits it, 0 where there is none.

        Raises UsageError where a bundle without a classifier is asked for it.
        """
        if self.classifier is None and asked:
            fact = f"the model {self.name!r} has no classifier that could guide it"
            raise UsageError(fact, "leave out --classifier-guidance, or import a classifier with the model")
        suits = 0.0 if self.classifier is None else self.classifier.scale
        return suits if asked is None else asked

    def student_times(
        self, steps: int | None, guidance: float | None = None, classifier: float | None = None, told: bool = False
    ) -> tuple[float, ...] | None:
        """The times at which the student evaluates windows; None where the transformer makes them.

        ``steps``, ``guidance`` and ``classifier`` guidance as asked for, None for what suits; windows are ``told``
        something or not. Led by a classifier only the transformer is.
        """
        if self.student is None or self.classifier_scale(classifier):
            return None
        return self.student.evaluates(steps, self.guidance(told) if guidance is None else guidance)

    def guidance(self, told: bool = False) -> float:
        """The guidance that suits windows, which are ``told`` something or not."""
        return self.cues.guidance_scale if told and self.cues is not None else self.sampling.guidance_scale


def load(path: Path, verify: bool = True) -> Bundle:
    """Read the bundle in folder ``path``; ``verify`` compares every part's SHA-256. Raises BundleError."""
    manifest = path / MANIFEST
    content, parts = opened(path, None, PARTS, verify)
    spec = READER.section(BundleSpec, content, str(manifest))
    limits.check(spec, str(manifest))
    _check_classifier(spec, parts, str(manifest))
    _check_student(spec, parts, str(manifest))
    _check_level(spec, parts, str(manifest))
    values = {item.name: getattr(spec, item.name) for item in fields(spec)}
    return Bundle(**values, path=path, parts=parts, hash=digest(_manifest(spec, parts)))


def save(
    folder: Path, spec: BundleSpec, tensors: Mapping[str, Mapping[str, Tensor]], *, licence_text: str, model_card: str
) -> Bundle:
    """Write a bundle to ``folder``: it appears whole, and replaces an older bundle there.

    ``tensors`` maps a part of PARTS to its state dict; dtypes are kept. Raises BundleError when ``folder``
    holds something that is not a bundle.
    """
    for name in tensors:
        if name not in PARTS:
            raise ValueError(f"unknown part {name!r}")
    written(folder, lambda parts: _manifest(spec, parts), tensors, licence_text=licence_text, model_card=model_card)
    return load(folder)


def _check_classifier(spec: BundleSpec, parts: Mapping[str, Part], where: str) -> None:
    if (spec.classifier is None) != ("classifier" not in parts):
        fact = "has a classifier among its parts and no section of that name, or the other way round"
        raise BundleError(f"{where}: {fact}", "import it again")
    if spec.classifier is not None and spec.autoencoder.latent_mean is not None:
        fact = "its classifier knows no standardised latents, which its transformer has"
        raise BundleError(f"{where}: {fact}", "leave the classifier out")


def _check_student(spec: BundleSpec, parts: Mapping[str, Part], where: str) -> None:
    if (spec.student is None) != ("student" not in parts):
        fact = "has a student among its parts and no section of that name, or the other way round"
        raise BundleError(f"{where}: {fact}", "export it again")
    if spec.student is None:
        return
    counts = [len(times) for times in spec.student.times]
    falling = all(before > after > 0 for times in spec.student.times for before, after in pairwise((1000.0, *times)))
    if 0 in counts or counts != sorted({*counts}) or not falling:
        fact = "the rows of student.times do not rise in length, or their times do not fall from below 1000"
        raise BundleError(f"{where}: {fact}", "export it again")
    least, most = spec.student.guidance
    if not (spec.student.times and 0 < least <= most and spec.student.emphasis > 0):
        fact = "student has no times, its guidance does not rise from above 0, or its emphasis is not above 0"
        raise BundleError(f"{where}: {fact}", "export it again")


def _check_level(spec: BundleSpec, parts: Mapping[str, Part], where: str) -> None:
    if (spec.level is None) != ("level" not in parts):
        fact = "has a head of levels among its parts and no section level, or the other way round"
        raise BundleError(f"{where}: {fact}", "export it again")
    if spec.level is not None and (spec.cues is None or spec.mel.scaling != "decibel"):
        fact = "its head of levels needs an adapter of cues and a mel in decibels, and one of them is missing"
        raise BundleError(f"{where}: {fact}", "leave the head of levels out")
    if spec.cues is not None and not 0 < spec.cues.contrast <= MOST_CONTRAST:
        fact = f"cues.contrast is {spec.cues.contrast:g}"
        raise BundleError(f"{where}: {fact}", f"give a factor above 0, up to {MOST_CONTRAST:g}")


def _manifest(spec: BundleSpec, parts: Mapping[str, Part]) -> dict[str, Any]:
    """What goes without saying is not said, so that bundles from before it could be said keep their hash."""
    content = {item.name: plain(getattr(spec, item.name)) for item in fields(BundleSpec)}
    for optional in ("classifier", "cues", "student", "level"):
        if content[optional] is None:
            del content[optional]
    if spec.cues is not None and spec.cues.contrast == 1:
        del content["cues"]["contrast"]
    if spec.sampling.schedule == "linear":
        del content["sampling"]["schedule"]
    return {"format": FORMAT, **content, "parts": plain(parts)}
