"""``NAME.foley.json`` beside each finished clip: what it was made of, and whether that still holds.

The fields are documented in docs/batches.md. The sidecar is written after the clip, so that a clip without one was
interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foleygen import atomic

SCHEMA = 1
MARK = ".foley"
MAX_BYTES = 16 * 2**20

IDENTITY = {
    "content_id": "the picture is another one",
    "bundle": "the model is another one",
    "settings": "the settings are other ones",
    "version": "it was made by another version of foleygen",
}
"""What must be equal for a finished clip to stay, and what is said when it is not."""


def path_for(output: Path) -> Path:
    """Where the sidecar of ``output`` is or goes.

    ``NAME.foley.json``, unless that is the sidecar of another container's ``NAME.foley.*`` (or no sidecar at all);
    then ``NAME.foley.EXT.json``.
    """
    short = output.with_name(output.stem.removesuffix(MARK) + f"{MARK}.json")
    full = output.with_name(f"{output.name}.json")
    if full.exists():
        return full
    try:
        taken = short.exists() and _load(short).get("output") != output.name
    except ValueError:
        taken = False
    return full if taken else short


def read(output: Path) -> dict[str, Any] | None:
    """The sidecar of ``output``; None where there is none, or none that can be read."""
    path = path_for(output)
    try:
        document = _load(path)
    except (OSError, ValueError):
        return None
    return document if document.get("output") == output.name else None


def write(output: Path, document: Mapping[str, Any]) -> Path:
    """Publish ``document`` as the sidecar of the finished ``output``; returns its path."""
    path = path_for(output)
    whole = {"schema": SCHEMA, "output": output.name, "output_bytes": output.stat().st_size, **document}
    with atomic.publish(path) as temporary:
        temporary.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return path


def difference(output: Path, expected: Mapping[str, Any]) -> str | None:
    """Why the finished ``output`` does not fit ``expected`` (the keys of IDENTITY); None if it does."""
    document = read(output)
    if document is None:
        return "it has no sidecar, so it was interrupted"
    if document.get("schema") != SCHEMA:
        return "its sidecar has another schema"
    for key, reason in IDENTITY.items():
        if document.get(key) != expected[key]:
            return _detail(document.get(key), expected[key], reason)
    if document.get("output_bytes") != output.stat().st_size:
        return "it changed since it was made"
    return None


def _detail(old: object, new: object, reason: str) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        changed = [f"{key} {old.get(key)} -> {new[key]}" for key in new if old.get(key) != new[key]]
        return f"{reason} ({', '.join(changed)})"
    return reason


def _load(path: Path) -> dict[str, Any]:
    """Raises ValueError for what is not a JSON object, OSError for what cannot be read."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: too large for a sidecar")
    try:
        document = json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: not an object")
    return document
