"""A bundle of weights: a folder with ``bundle.yaml``, one safetensors file per part, LICENSE and README.md.

``bundle.yaml`` is read strictly: an unknown or missing key is a BundleError that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.strict import plain
from foleygen.weights import limits
from foleygen.weights.files import FORMAT, MANIFEST, READER, digest, opened, written
from foleygen.weights.spec import BundleSpec, Part

if TYPE_CHECKING:
    from torch import Tensor

PARTS = ("encoder", "transformer", "autoencoder", "vocoder")


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


def load(path: Path, verify: bool = True) -> Bundle:
    """Read the bundle in folder ``path``; ``verify`` compares every part's SHA-256. Raises BundleError."""
    manifest = path / MANIFEST
    content, parts = opened(path, None, PARTS, verify)
    spec = READER.section(BundleSpec, content, str(manifest))
    limits.check(spec, str(manifest))
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


def _manifest(spec: BundleSpec, parts: Mapping[str, Part]) -> dict[str, Any]:
    content = {item.name: plain(getattr(spec, item.name)) for item in fields(BundleSpec)}
    return {"format": FORMAT, **content, "parts": plain(parts)}
