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

    Among fetched files it is the one that the catalogue calls ``file``, or the folder so many levels ``above`` it.
    """

    name: str
    metavar: str
    help: str
    file: str
    above: int = 0

    def among(self, fetched: Mapping[str, Path]) -> Path:
        """Where it is, for files by their name in the catalogue."""
        path = fetched[self.file]
        return (path, *path.parents)[self.above]


@dataclass(frozen=True)
class Preset:
    """A published model. ``make`` turns ingredients, by name, into the bundle in a folder.

    Without ``make`` it is no bundle: its files are used as they are fetched.
    """

    name: str
    ingredients: tuple[Ingredient, ...] = ()
    make: Callable[[Mapping[str, Path], Path], Bundle] | None = None

    @property
    def published(self) -> CatalogueModel:
        """Its files, places and licences."""
        from foleygen.weights import catalogue

        return catalogue.model(self.name)


def _base(files: Mapping[str, Path], destination: Path) -> Bundle:
    from foleygen.weights.published import assembly

    return assembly.import_base(files["cavp"], files["mdsgen"], files["audioldm"], destination)


def _paper(files: Mapping[str, Path], destination: Path) -> Bundle:
    from foleygen.weights.published import assembly

    return assembly.import_paper(files["cavp"], files["mdsgen"], files["vae"], destination)


VIDEO_ENCODER = Ingredient("cavp", "FILE", "CAVP: cavp_epoch66.ckpt.", "cavp")
TRANSFORMER = Ingredient("mdsgen", "FILE", "The transformer: mdsgen_audioldm.pt.", "mdsgen")
AUDIOLDM = Ingredient("audioldm", "DIR", "AudioLDM's folder with vae/ and vocoder/.", "vae", above=2)
STABLE_DIFFUSION = Ingredient("vae", "PATH", "Stable Diffusion's vae/ folder or checkpoint.", "vae", above=1)

CLAP = Preset("clap")
"""Understands any words of a prompt."""

PRESETS = (
    Preset("base", (VIDEO_ENCODER, TRANSFORMER, AUDIOLDM), _base),
    Preset("paper", (VIDEO_ENCODER, TRANSFORMER, STABLE_DIFFUSION), _paper),
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
