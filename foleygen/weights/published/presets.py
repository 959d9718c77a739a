"""The published models, a row each: what it is made from, and how. Its files and licences are in ``catalogue.yaml``.

``models fetch``, ``models import``, ``models list`` and ``doctor`` read this table; help shows it, so nothing heavy is
imported before something is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.errors import UsageError
from foleygen.strict import did_you_mean

if TYPE_CHECKING:
    from foleygen.weights.bundle import Bundle
    from foleygen.weights.catalogue import CatalogueModel


@dataclass(frozen=True)
class Ingredient:
    """A file or folder that presets are made from, and so an option of ``models import``.

    Among fetched files it is the one that the catalogue calls ``file``, or the folder so many levels ``above`` it. What
    is ``optional`` need not be among the files that are imported.
    """

    name: str
    metavar: str
    help: str
    file: str
    above: int = 0
    optional: bool = False

    def among(self, fetched: Mapping[str, Path]) -> Path:
        """Where it is, for files by their name in the catalogue."""
        path = fetched[self.file]
        return (path, *path.parents)[self.above]


@dataclass(frozen=True)
class Making:
    """How a bundle is made of published files.

    ``half`` keeps its weights in half precision. ``as_published`` makes a sound's error too: Diff-Foley's demo inverts
    its mels as if they were of 22050 Hz.
    """

    half: bool = False
    as_published: bool = False


AS_USUAL = Making()


@dataclass(frozen=True)
class Preset:
    """A published model. ``make`` turns ingredients, by name, into the bundle in a folder.

    Without ``make`` it is no bundle: its files are used as they are fetched.
    """

    name: str
    ingredients: tuple[Ingredient, ...] = ()
    make: Callable[[Mapping[str, Path], Path, Making], Bundle] | None = None
    erring: bool = False
    """Whether something of it is published with an error that can be had."""

    @property
    def published(self) -> CatalogueModel:
        """Its files, places and licences."""
        from foleygen.weights import catalogue

        return catalogue.model(self.name)

    def made(self, files: Mapping[str, Path], destination: Path, how: Making = AS_USUAL) -> Bundle:
        """The bundle in ``destination``. Raises UsageError for an error that was never published, and BundleError."""
        assert self.make is not None
        if how.as_published and not self.erring:
            raise UsageError(f"the preset {self.name!r} has no error of its publication", "leave out --as-published")
        return self.make(files, destination, how)


def _base(files: Mapping[str, Path], destination: Path, how: Making) -> Bundle:
    from foleygen.weights.published import assembly

    return assembly.import_base(files["cavp"], files["mdsgen"], files["audioldm"], destination, how.half)


def _paper(files: Mapping[str, Path], destination: Path, how: Making) -> Bundle:
    from foleygen.weights.published import assembly

    parts = files["cavp"], files["mdsgen"], files["vae"]
    return assembly.import_paper(*parts, destination, how.half, files.get("classifier"))


def _diff_foley(files: Mapping[str, Path], destination: Path, how: Making) -> Bundle:
    from foleygen.weights.published import assembly

    parts = files["cavp"], files["ldm"]
    return assembly.import_diff_foley(*parts, destination, how.half, files.get("classifier"), how.as_published)


VIDEO_ENCODER = Ingredient("cavp", "FILE", "CAVP: cavp_epoch66.ckpt.", "cavp")
TRANSFORMER = Ingredient("mdsgen", "FILE", "The transformer: mdsgen_audioldm.pt.", "mdsgen")
AUDIOLDM = Ingredient("audioldm", "DIR", "AudioLDM's folder with vae/ and vocoder/.", "vae", above=2)
STABLE_DIFFUSION = Ingredient("vae", "PATH", "Stable Diffusion's vae/ folder or checkpoint.", "vae", above=1)

LATENT_DIFFUSION = Ingredient("ldm", "FILE", "U-Net and autoencoder: ldm_epoch240.ckpt.", "ldm")
JUDGE = Ingredient(
    "classifier", "FILE", "What can guide it, optional: double_guidance_classifier.ckpt.", "classifier", optional=True
)

CLAP = Preset("clap")
"""Understands any words of a prompt."""

PRESETS = (
    Preset("base", (VIDEO_ENCODER, TRANSFORMER, AUDIOLDM), _base),
    Preset("diff-foley", (VIDEO_ENCODER, LATENT_DIFFUSION, JUDGE), _diff_foley, erring=True),
    Preset("paper", (VIDEO_ENCODER, TRANSFORMER, STABLE_DIFFUSION, JUDGE), _paper),
    CLAP,
)


def preset(name: str) -> Preset:
    """The row called ``name``. Raises UsageError."""
    for row in PRESETS:
        if row.name == name:
            return row
    raise UsageError(f"no model {name!r} can be fetched", did_you_mean(name, [row.name for row in PRESETS]))


def ingredients() -> dict[Ingredient, tuple[str, ...]]:
    """Everything that presets are made from, with the names of those that are."""
    found: dict[Ingredient, tuple[str, ...]] = {}
    for row in PRESETS:
        for item in row.ingredients:
            found[item] = (*found.get(item, ()), row.name)
    return found
