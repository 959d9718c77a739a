"""Finished clips -> what their sidecars say of them; a source leads to its finished clip, wherever that is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foleygen.errors import ClipError, UsageError, printable
from foleygen.facts import MARK, take_file
from foleygen.record import sidecar
from foleygen.record.schema import Sidecar
from foleygen.regular import Seal

Found = tuple[Path, Mapping[str, Any]]
"""A finished clip, and what its sidecar says, unchecked."""


@dataclass(frozen=True)
class Finished:
    """A finished clip, and what its sidecar says."""

    output: Path
    sidecar: Sidecar
    seal: Seal | None
    """Of the clip as it was made; None where the sidecar does not tell."""

    def wav(self, number: int) -> Path | None:
        """The wav of a take, if it is there."""
        path = take_file(self.output, number)
        return path if self.sidecar.takes[number - 1].file is not None and path.is_file() else None


def find(clip: Path, folder: Path | None = None) -> Finished:
    """The finished ``clip``, or that of the source ``clip``: in its own folder, or below ``folder``.

    Raises ClipError where there is none, UsageError where there are several.
    """
    if not clip.is_file():
        raise ClipError(f"{printable(clip)}: no such file", "check the path")
    document = sidecar.read(clip)
    if document is not None or clip.stem.endswith(MARK):
        return finished(clip, document)
    outputs = dict(_from_source(_beside(clip.parent), clip))
    if not outputs and folder is not None:
        outputs = dict(_from_source(below(folder), clip))
    if not outputs:
        where = "its folder" if folder is None else f"its folder or {printable(folder)}"
        remedy = "name the finished clip or, with -o, its folder, or make one with 'foleygen add-sound'"
        raise ClipError(f"{printable(clip)}: no finished clip of it is in {where}", remedy)
    if len(outputs) > 1:
        raise UsageError(
            f"{printable(clip)}: has {len(outputs)} finished clips", f"name one: {', '.join(map(printable, outputs))}"
        )
    return finished(*outputs.popitem())


def below(folder: Path) -> Iterator[Found]:
    """The finished clips in ``folder`` and its folders, in sorted order; hidden folders are left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from _listed(Path(place), names)


def of_sources(folder: Path, output: Path) -> Iterator[Found]:
    """The finished clips below ``output`` whose sources are below ``folder``."""
    inside = os.path.realpath(folder)
    for found in below(output):
        source = source_of(found[0], found[1].get("source"))
        if source is not None and os.path.realpath(source).startswith(os.path.join(inside, "")):
            yield found


def source_of(output: Path, named: object) -> Path | None:
    """The clip that the sidecar of ``output`` names; None where it names nothing that can be one."""
    if not isinstance(named, str) or not named or "\0" in named:
        return None
    return Path(os.path.normpath(os.path.realpath(output.parent) / Path(named)))


def finished(output: Path, document: Mapping[str, Any] | None) -> Finished:
    """``output`` with what its sidecar says, checked. Raises ClipError."""
    record = sidecar.checked(output, document)
    size, sha256 = (document or {}).get("output_bytes"), (document or {}).get("output_sha256")
    known = (document or {}).get("output_stamp")
    if not isinstance(size, int) or not isinstance(sha256, str):
        return Finished(output, record, None)
    return Finished(output, record, Seal(size, sha256, known if isinstance(known, str) else None))


def _beside(folder: Path) -> Iterator[Found]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    yield from _listed(folder, names)


def _listed(folder: Path, names: list[str]) -> Iterator[Found]:
    for name in sorted(name for name in names if name.endswith(".json") and not name.startswith(".")):
        found = sidecar.read_at(folder / name)
        if found is not None and found[0].is_file():
            yield found


def _from_source(listed: Iterator[Found], source: Path) -> Iterator[Found]:
    for output, document in listed:
        named = source_of(output, document.get("source"))
        try:
            if named is not None and os.path.samefile(named, source):
                yield output, document
        except (OSError, ValueError):
            continue
