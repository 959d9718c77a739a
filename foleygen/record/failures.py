"""``NAME.foley.error.json`` where a finished clip would be: it failed, and why; gone once it is done."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from foleygen import __version__, atomic
from foleygen.errors import FoleygenError
from foleygen.facts import MARK
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
    """Record why ``clip`` has no ``output``; where the folder cannot be written there is none, and the report tells."""
    document = {
        "schema": SCHEMA,
        "output": output.name,
        "input": clip.name,
        "input_hash": _input_hash(clip),
        "version": __version__,
        "type": type(error).__name__,
        "message": error.message,
        "remedy": error.remedy,
    }
    if not output.parent.is_dir():
        return
    try:
        with atomic.publish(path_for(output)) as temporary:
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
    path = full if os.path.exists(full) else short
    document = load(path)
    if document is None or document.get("output") == output.name:
        return path, document
    return full, None


def _input_hash(clip: Path) -> str | None:
    """Tells one version of a file from another without reading it: a hash of its size and change time."""
    try:
        status = clip.stat()
    except (OSError, ValueError):
        return None
    return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()


def load(path: Path) -> dict[str, Any] | None:
    """The record ``path``, unchecked; None where there is none, or none that can be read."""
    try:
        if path.stat().st_size > sidecar.MAX_BYTES:
            return None
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
