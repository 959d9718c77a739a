"""Where bundles are on this machine: inside the package, in the user's data folder, or at a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import overload

from foleygen.errors import BundleError
from foleygen.strict import did_you_mean
from foleygen.weights import ambience, bundle, catalogue
from foleygen.weights.ambience import AmbienceBundle
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import MANIFEST, kind_of
from foleygen.weights.published.presets import Preset

EMBEDDED = Path(__file__).with_name("embedded")


def data_root() -> Path:
    """``$FOLEYGEN_DATA_DIR``, or the platform's data folder for the user."""
    chosen = os.environ.get("FOLEYGEN_DATA_DIR")
    if chosen:
        return Path(os.path.expanduser(chosen))
    from platformdirs import user_data_path

    return user_data_path("foleygen")


def models_root() -> Path:
    """The folder whose subfolders are the user's installed bundles."""
    return data_root() / "models"


def downloads_root() -> Path:
    """Where fetched files are kept before they become a bundle."""
    return data_root() / "downloads"


def resolve(model: str) -> Path:
    """The bundle's folder for the name of a preset or installed bundle, or for a path. Raises BundleError."""
    for folder in _named(model):
        if (folder / MANIFEST).is_file():
            return folder
    path = Path(os.path.expanduser(model))
    if (path / MANIFEST).is_file():
        return path
    fetchable = [entry.name for entry in catalogue.load()]
    if model in fetchable:
        remedy = f"run 'foleygen models fetch {model}', or 'foleygen models import' with files that you have"
        raise BundleError(f"the model {model!r} is not installed", remedy)
    if path.exists():
        raise BundleError(f"{path}: is not a bundle, it has no {MANIFEST}", "name a bundle's folder")
    known = {item.name for item in installed()} | set(fetchable)
    raise BundleError(f"{model}: no such model or folder", did_you_mean(model, known))


def installed() -> list[Path]:
    """Folders of the embedded bundles and of those in the user's data folder, by name."""
    found = {}
    for root in (models_root(), EMBEDDED):
        if root.is_dir():
            found.update({path.name: path for path in root.iterdir() if (path / MANIFEST).is_file()})
    return [found[name] for name in sorted(found)]


@overload
def load(model: str | Path, *, verify: bool = True) -> Bundle | AmbienceBundle: ...


@overload
def load(model: str | Path, kind: type[Bundle], *, verify: bool = True) -> Bundle: ...


@overload
def load(model: str | Path, kind: type[AmbienceBundle], *, verify: bool = True) -> AmbienceBundle: ...


def load(
    model: str | Path, kind: type[Bundle] | type[AmbienceBundle] | None = None, *, verify: bool = True
) -> Bundle | AmbienceBundle:
    """The bundle that a name or folder stands for: one of the ``kind``, if given, else of whichever it is.

    A Path is a folder, a text what ``resolve`` takes. ``verify`` compares every checksum. Raises BundleError.
    """
    folder = model if isinstance(model, Path) else resolve(model)
    if kind is None:
        kind = AmbienceBundle if kind_of(folder) == ambience.KIND else Bundle
    return ambience.load(folder, verify) if kind is AmbienceBundle else bundle.load(folder, verify)


def folder_of(preset: Preset) -> Path:
    """Where a published model is, once it is fetched or imported."""
    return models_root() / preset.name


def _named(model: str) -> tuple[Path, ...]:
    """Candidates for a bare name; a text with a separator is a path."""
    if model in ("", ".", "..") or Path(model).name != model:
        return ()
    return EMBEDDED / model, models_root() / model
