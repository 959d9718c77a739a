"""Whose the files of a finished clip are: an earlier run's, the editor's who worked on them, or a stranger's."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.errors import ClipError
from foleygen.facts import SIDES, bed_file, side_file, take_file
from foleygen.record import fit, markers, sidecar
from foleygen.record.schema import SCHEMA
from foleygen.settings import MARKERS

if TYPE_CHECKING:
    from foleygen.record.schema import Sidecar
    from foleygen.settings import Settings

ORIGINATOR = "foleygen"
"""What the wavs of takes and beds say of who made them."""
_MOST_TAKES = 99


def held(output: Path, document: Mapping[str, Any] | None) -> str | None:
    """Why the finished ``output``, of which its sidecar says ``document``, is its editor's; None if it is not.

    A take was picked, its wav has other samples than were written, or it is locked.
    """
    if document is None:
        return None
    if document.get("locked") is True:
        return "it is locked"
    picked = document.get("picked")
    if isinstance(picked, int) and picked > 1:
        return f"take {picked} was picked"
    edited = next(_edited(output, document), None)
    return None if edited is None else f"take {edited} was edited"


def is_locked(document: Mapping[str, Any] | None) -> bool:
    """Whether the editor has locked the clip."""
    return document is not None and document.get("locked") is True


def wanted(output: Path, settings: Settings) -> list[Path]:
    """The files that a run with ``settings`` writes beside ``output``."""
    wavs = [take_file(output, number) for number in range(1, settings.takes + 1)] if settings.has_wavs else []
    beds = [bed_file(output)] if settings.has_wavs and settings.ambience is not None else []
    marks = [markers.path_for(output, form) for form in settings.markers or ()]
    return [sidecar.path_for(output), *wavs, *beds, *marks]


def stranger(paths: list[Path], document: Mapping[str, Any] | None, output: Path) -> Path | None:
    """The first of ``paths`` that is there and was not made by foleygen; ``document`` is what the sidecar says."""
    own = {path.name for path in _named(output, document)}
    for path in paths:
        if os.path.lexists(path) and path.name not in own and not _is_ours(path, document, output):
            return path
    return None


def untouched(output: Path, document: Mapping[str, Any] | None) -> list[Path]:
    """The wavs of the run that ``document`` tells of, without those that an editor has changed."""
    edited = {take_file(output, number) for number in _edited(output, document or {})}
    return [path for path in _named(output, document) if path not in edited]


def clear(output: Path, stale: Collection[Path], record: Sidecar) -> None:
    """Remove those of the wavs that the new ``record`` does not name, and the sides of all of them."""
    new = {take.file for take in record.takes} | ({record.bed.file} if record.bed is not None else set())
    for path in stale:
        if path.name not in new:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    for path in {*stale, *(output.with_name(name) for name in new if name is not None)}:
        for side in (side_file(path, side) for side in SIDES):
            with suppress(OSError):
                if _is_ours(side, None, output):
                    side.unlink()


def _named(output: Path, document: Mapping[str, Any] | None) -> Iterator[Path]:
    """The wavs of takes and bed that a sidecar names, which may be anybody's text."""
    if document is None:
        return
    for number, take in _takes(document):
        path = take_file(output, number)
        if take.get("file") == path.name:
            yield path
    bed = document.get("bed")
    if isinstance(bed, Mapping) and bed.get("file") == bed_file(output).name:
        yield bed_file(output)


def _takes(document: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    listed = document.get("takes")
    for number, take in enumerate(listed[:_MOST_TAKES] if isinstance(listed, list) else (), start=1):
        if isinstance(take, Mapping):
            yield number, take


def _edited(output: Path, document: Mapping[str, Any]) -> Iterator[int]:
    """The takes whose wavs have other samples than were written.

    Where the clip is not the one that the sidecar tells of, another run was at work, and nothing is known of its wavs.
    """
    from foleygen.media.wav_chunks import sound_sha256

    with suppress(OSError):
        if not fit.is_sealed(output, document):
            return
    for number, take in _takes(document):
        path, sha256 = take_file(output, number), take.get("sound_sha256")
        with suppress(OSError):
            if take.get("file") == path.name and isinstance(sha256, str) and sound_sha256(path) != sha256:
                yield number


def _is_ours(path: Path, document: Mapping[str, Any] | None, output: Path) -> bool:
    from foleygen.media.wav_chunks import is_by

    if not path.is_file():
        return False
    with suppress(OSError):
        if path.suffix == ".wav":
            return is_by(path, ORIGINATOR)
        if path == sidecar.path_for(output):
            return document is not None
    if document is None:
        return False
    if document.get("schema") != SCHEMA:
        return True  # markers of another version's record are not known by their content
    try:
        record = sidecar.checked(output, document)
    except ClipError:
        return False
    return any(markers.path_for(output, form) == path and markers.is_ours(output, record, form) for form in MARKERS)
