"""What is there already of a clip's output -> what a run does about it: leave it, make it again, or refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foleygen.errors import ClipError, printable
from foleygen.record import claims, fit, remaking
from foleygen.record.finding import Finished
from foleygen.record.schema import SoundSettings
from foleygen.settings import Settings


@dataclass(frozen=True)
class Standing:
    """What becomes of a clip whose output may be there."""

    reason: str | None = None
    """Why it is made again; None the first time."""
    stays: str | None = None
    """Why the finished clip stays as it is; None if it is made."""
    is_kept: bool = False
    """It stays for its editor's sake, and would have been made again."""
    overwrites: tuple[Path, ...] = ()
    """Files that making it replaces."""
    stale: tuple[Path, ...] = ()
    """Wavs of the run before, as it wrote them: they go if this one has no such takes."""
    ready: tuple[Finished, SoundSettings] | None = None
    """What it is remade from without the models, and how."""


DONE = Standing(stays="done already, with the same settings")


def standing(
    output: Path, document: Mapping[str, Any] | None, identity: Mapping[str, Any], content_id: str, settings: Settings
) -> Standing:
    """What a run that makes ``identity`` (see ``fit.identity``) for a picture finds; its sidecar says ``document``.

    Raises ClipError for a stranger's file.
    """
    reason = _reason(output, document, identity, content_id, settings)
    if reason is None and output.exists():
        return DONE
    ready = (
        None
        if settings.overwrite or claims.is_locked(document)
        else remaking.ready(output, document, identity, content_id)
    )
    stays = None if ready is not None else kept(output, document, settings, reason)
    if stays is not None:
        return stays
    paths = claims.wanted(output, settings)
    strange = None if settings.overwrite else claims.stranger(paths, document, output)
    if strange is not None:
        raise not_ours(strange)
    there = tuple(path for path in (output, *paths) if path.exists())
    return Standing(reason, overwrites=there, stale=tuple(claims.untouched(output, document)), ready=ready)


def kept(output: Path, document: Mapping[str, Any] | None, settings: Settings, reason: str | None) -> Standing | None:
    """The finished ``output`` as it stays for its editor's sake, though there is a ``reason`` against; else None."""
    held = claims.held(output, document) if output.exists() else None
    if held is None or (settings.overwrite and not claims.is_locked(document)):
        return None
    how = "'foleygen unlock' frees it" if claims.is_locked(document) else "--overwrite makes it again"
    return Standing(stays=f"{held}, so it stays; {how} ({reason})", is_kept=True)


def _reason(
    output: Path, document: Mapping[str, Any] | None, identity: Mapping[str, Any], content_id: str, settings: Settings
) -> str | None:
    """Why the finished ``output`` is redone; None if it stays, or is not there. Raises ClipError for a stranger."""
    if not output.exists():
        return None
    if settings.overwrite:
        return "--overwrite was given"
    found = fit.fit_of(output, document, identity)
    if not found.is_own or not output.is_file():
        raise not_ours(output)
    return found.reason_for(content_id)


def not_ours(path: Path) -> ClipError:
    """The error of a file in the way."""
    fact = f"{printable(path)}: exists and was not made by foleygen"
    return ClipError(fact, "move it, or allow it to be lost with --overwrite")
