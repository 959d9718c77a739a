"""``NAME.foley.error.json`` where a finished clip would be: it failed, and why; gone once it is done."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from foleygen import __version__, atomic, regular
from foleygen.errors import FoleygenError
from foleygen.facts import MARK, stamp
from foleygen.record import sidecar

SCHEMA = 1
SUFFIX = ".error.json"

log = logging.getLogger(__name__)


def path_for(output: Path) -> Path:
    """Where the record of ``output`` is or goes.

    ``NAME.foley.error.json``, unless that is about another container's ``NAME.foley.*``; then
    ``NAME.foley.EXT.error.json``.
    """
    return _found(output)[0]


def read(output: Path) -> dict[str, Any] | None:
    """The record of ``output``; None where there is none, or none that can be read."""
    return _found(output)[1]


def reason(output: Path) -> str | None:
    """Why ``output`` is tried again; None if it has not failed."""
    document = read(output)
    return None if document is None else f"it failed before ({document.get('message')})"


def write(clip: Path, output: Path, error: FoleygenError) -> None:
    """Record why ``clip`` has no ``output``, in a folder that may be new.

    Where that cannot be written there is no record, and the report tells.
    """
    document = {
        "schema": SCHEMA,
        "output": output.name,
        "input": clip.name,
        "input_hash": stamp(clip),
        "version": __version__,
        "type": type(error).__name__,
        "message": error.message,
        "remedy": error.remedy,
    }
    if output.parent == clip.parent and not output.parent.is_dir():
        return  # the clip's own folder, which was misspelt
    path = path_for(output)
    if os.path.lexists(path) and load(path) is None:
        return  # it is nobody's record
    try:
        with atomic.publish(path) as temporary:
            temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except (FoleygenError, OSError) as unwritten:
        log.debug("%s: no record of its failure: %s", output, unwritten)


def clear(output: Path) -> None:
    """Forget that ``output`` failed, because it is there now."""
    path, document = _found(output)
    if document is not None:
        with suppress(OSError):
            path.unlink()


def _found(output: Path) -> tuple[Path, dict[str, Any] | None]:
    """Where the record of ``output`` is or goes, and what it says."""
    short = output.with_name(output.stem.removesuffix(MARK) + MARK + SUFFIX)
    full = output.with_name(output.name + SUFFIX)
    path = full if os.path.lexists(full) else short
    document = load(path)
    if document is not None and document.get("output") == output.name:
        return path, document
    return (full if os.path.lexists(path) else path), None


def load(path: Path) -> dict[str, Any] | None:
    """The record ``path``, unchecked; None where there is none, or none that can be read."""
    try:
        document = json.loads(regular.read(path, sidecar.MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
