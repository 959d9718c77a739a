"""What can be fetched: files, places, licences and checksums, from ``catalogue.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from foleygen.errors import BundleError, UsageError
from foleygen.strict import did_you_mean
from foleygen.weights.files import READER

CATALOGUE = Path(__file__).with_name("catalogue.yaml")


@dataclass(frozen=True, kw_only=True)
class CatalogueFile:
    """One published file. It is on the Hugging Face Hub (``repo``), on Google Drive (``drive_id``), at ``url``,
    or, with none of these, where its authors send you. ``sha256`` and ``bytes`` are None when not known."""

    name: str
    folder: str
    file: str
    licence: str
    commercial: bool
    repo: str | None = None
    revision: str | None = None
    drive_id: str | None = None
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    note: str = ""

    @property
    def place(self) -> str:
        """Where it comes from, for people."""
        if self.repo:
            return f"huggingface.co/{self.repo} at {self.revision}"
        if self.drive_id:
            return f"Google Drive, {self.drive_id}"
        return self.url or "no public place known"


@dataclass(frozen=True, kw_only=True)
class CatalogueModel:
    """A preset and the files that it is made from."""

    name: str
    summary: str
    licence: str
    commercial: bool
    files: tuple[CatalogueFile, ...]

    def notice(self) -> str:
        """Names, places and licences, with the use that they allow; shown before anything is fetched."""
        use = "may be used commercially" if self.commercial else "is for NON-COMMERCIAL use only"
        lines = [f"The model {self.name!r} {use}. It is made from files of others, each under its own licence:"]
        for item in self.files:
            size = f"{item.bytes / 1e6:.0f} MB" if item.bytes else "size unknown"
            checksum = f"SHA-256 {item.sha256}" if item.sha256 else "SHA-256 unknown, recorded on first fetch"
            lines.append(f"- {item.folder}/{item.file} ({size}): {item.licence}; {item.place}; {checksum}")
            if item.note:
                lines.append(f"  {item.note}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class _Catalogue:
    version: int
    models: tuple[CatalogueModel, ...]


@cache
def load(path: Path = CATALOGUE) -> tuple[CatalogueModel, ...]:
    """Every model of the catalogue. Raises BundleError for an unknown key or a wrong value."""
    content = READER.section(_Catalogue, READER.mapping(path), str(path))
    if content.version != 1:
        raise BundleError(f"{path}: has version {content.version}", "update foleygen")
    return content.models


def model(name: str) -> CatalogueModel:
    """The model called ``name``. Raises UsageError."""
    known = {item.name: item for item in load()}
    if name not in known:
        raise UsageError(f"no model {name!r} can be fetched", did_you_mean(name, known))
    return known[name]


def place_of(sha256: str) -> str:
    """Where a file with this SHA-256 was published, or an empty text."""
    places = (item.place for entry in load() for item in entry.files if item.sha256 == sha256)
    return next(places, "")
