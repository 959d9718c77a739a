"""The bundle that makes ambience: tokenizer, transformer and vocoder of one full-band mel, in the format of ``bundle``.

Its ``bundle.yaml`` has ``kind: specmaskgit``; everything else holds as for the bundles that make sound from pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from foleygen.errors import BundleError
from foleygen.strict import plain
from foleygen.weights import limits
from foleygen.weights.files import FORMAT, MANIFEST, READER, digest, opened, written
from foleygen.weights.spec import MelSpec, Part, VocoderSpec

if TYPE_CHECKING:
    from torch import Tensor

KIND = "specmaskgit"
PARTS = ("tokenizer", "transformer", "vocoder")


@dataclass(frozen=True, kw_only=True)
class DecodingSpec:
    """How the masked tokens are found; the fields of ``sampling.parallel_decode.DecodeConfig``."""

    steps: int
    schedule: Literal["cosine", "linear"]
    temperature: float
    guidance_scale: float
    guidance: Literal["constant", "linear"]


@dataclass(frozen=True, kw_only=True)
class AmbienceSpec:
    """What ``bundle.yaml`` says, except for the files.

    ``tokenizer`` and ``transformer`` hold the fields of VQGANConfig and SpecMaskGITConfig. ``tags`` are the words of
    the condition in their order; under "clap" there are none, and any words will do.
    """

    name: str
    licence: str
    commercial: bool
    sample_rate: int
    mel: MelSpec
    tokenizer: Mapping[str, Any]
    transformer: Mapping[str, Any]
    conditioning: Literal["tags", "clap"]
    tags: tuple[str, ...]
    vocoder: VocoderSpec
    decoding: DecodingSpec


@dataclass(frozen=True, kw_only=True)
class AmbienceBundle(AmbienceSpec):
    """A bundle on disk. ``hash`` changes with any setting and any weight."""

    path: Path
    parts: Mapping[str, Part]
    hash: str


def load(path: Path, verify: bool = True) -> AmbienceBundle:
    """Read the bundle in folder ``path``; ``verify`` compares every part's SHA-256. Raises BundleError."""
    manifest = path / MANIFEST
    content, parts = opened(path, KIND, PARTS, verify)
    spec = READER.section(AmbienceSpec, content, str(manifest))
    settings = {name: plain(getattr(spec, name)) for name in ("mel", "tokenizer", "transformer", "vocoder", "decoding")}
    limits.check_numbers(settings, str(manifest))
    if spec.sample_rate > limits.MAX_RATE:
        fact = f"{manifest}: sample_rate is beyond {limits.MAX_RATE}"
        raise BundleError(fact, "correct it or get another bundle")
    if spec.conditioning == "tags" and not spec.tags:
        raise BundleError(f"{manifest}: knows no tags", "correct it or get another bundle")
    values = {item.name: getattr(spec, item.name) for item in fields(spec)}
    return AmbienceBundle(**values, path=path, parts=parts, hash=digest(_manifest(spec, parts)))


def save(
    folder: Path,
    spec: AmbienceSpec,
    tensors: Mapping[str, Mapping[str, Tensor]],
    *,
    licence_text: str,
    model_card: str,
) -> AmbienceBundle:
    """Write a bundle to ``folder``, whole or not at all; ``tensors`` maps a part of PARTS to its state dict."""
    if set(tensors) != set(PARTS):
        raise ValueError(f"parts are {sorted(tensors)}, not {sorted(PARTS)}")
    written(folder, lambda parts: _manifest(spec, parts), tensors, licence_text=licence_text, model_card=model_card)
    return load(folder)


def _manifest(spec: AmbienceSpec, parts: Mapping[str, Part]) -> dict[str, Any]:
    content = {item.name: plain(getattr(spec, item.name)) for item in fields(AmbienceSpec)}
    return {"format": FORMAT, "kind": KIND, **content, "parts": plain(parts)}
