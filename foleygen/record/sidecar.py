"""``NAME.foley.json`` beside each finished clip: where it is, what it says, and how it is written.

The fields are documented in docs/batches.md, their types in docs/sidecar.schema.json. The sidecar is written after the
clip, so that a clip without one was interrupted. Whatever it says is checked before it is used: it may come from a
stranger.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foleygen import atomic, regular
from foleygen.errors import ClipError, printable
from foleygen.facts import MARK, bed_file, take_file
from foleygen.record.schema import SCHEMA, Sidecar
from foleygen.strict import Reader

MAX_BYTES = 16 * 2**20

_FILE_KEYS = ("schema", "output", "output_bytes", "output_sha256", "output_stamp")
"""Written by ``write``, whatever the document."""
_HEAD = re.compile(rb'\s*\{\s*(?:"schema"\s*:\s*[0-9]+\s*,\s*)?"output"\s*:\s*("(?:[^"\\]|\\.)*")')
_HEAD_BYTES = 4096
_AGAIN = "run 'foleygen add-sound' again"


def path_for(output: Path) -> Path:
    """Where the sidecar of ``output`` is or goes.

    ``NAME.foley.json``, unless that is the sidecar of another container's ``NAME.foley.*`` (or no sidecar at all);
    then ``NAME.foley.EXT.json``.
    """
    short = output.with_name(output.stem.removesuffix(MARK) + f"{MARK}.json")
    full = output.with_name(f"{output.name}.json")
    # Path.exists raises for names that are too long.
    if os.path.lexists(full):
        return full
    try:
        taken = os.path.lexists(short) and _output_in(short) != output.name
    except (OSError, ValueError):
        taken = True  # what cannot be read, or is nothing of ours, stays as it is
    return full if taken else short


def read(output: Path) -> dict[str, Any] | None:
    """The sidecar of ``output``, unchecked; None where there is none, or none that can be read."""
    try:
        document = _raw(path_for(output))
    except (OSError, ValueError):
        return None
    return document if document.get("output") == output.name else None


def read_at(path: Path) -> tuple[Path, dict[str, Any]] | None:
    """The finished clip that the sidecar ``path`` is about, and what it says, unchecked; None if it is no sidecar."""
    try:
        document = _raw(path)
        output = path.with_name(document["output"])
        return (output, document) if path_for(output) == path else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def load(output: Path) -> Sidecar:
    """The sidecar of ``output``, checked. Raises ClipError."""
    return checked(output, read(output))


def checked(output: Path, document: Mapping[str, Any] | None) -> Sidecar:
    """What ``read`` has found beside ``output``, as a record that can be relied on. Raises ClipError."""
    if document is None:
        fact = f"{printable(output)}: has no sidecar that says how it was made"
        raise ClipError(fact, "make it with 'foleygen add-sound'")
    if document.get("schema") != SCHEMA:
        raise ClipError(f"{printable(output)}: its sidecar has another schema", _AGAIN)
    content = {key: value for key, value in document.items() if key not in _FILE_KEYS}
    where = printable(path_for(output))
    found = Reader(ClipError).section(Sidecar, content, where)
    if [take.number for take in found.takes] != list(range(1, len(found.takes) + 1)):
        raise ClipError(f"{where}: its takes are not numbered from 1", _AGAIN)
    if not 1 <= found.picked <= len(found.takes):
        raise ClipError(f"{where}: its take {found.picked} is none of its takes", _AGAIN)
    if any(take.file not in (None, take_file(output, take.number).name) for take in found.takes):
        raise ClipError(f"{where}: names a wav that is not the clip's", _AGAIN)
    if found.bed is not None and found.bed.file not in (None, bed_file(output).name):
        raise ClipError(f"{where}: names a wav that is not the clip's", _AGAIN)
    return found


def write(output: Path, document: Mapping[str, Any], seal: regular.Seal | None = None) -> Path:
    """Publish ``document`` as the sidecar of the finished ``output``; returns its path.

    ``seal`` is that of the output as it was written, which another program may have moved away or replaced since.
    """
    path, seal = path_for(output), seal or regular.seal(output)
    own = {
        "schema": SCHEMA,
        "output": output.name,
        "output_bytes": seal.bytes,
        "output_sha256": seal.sha256,
        "output_stamp": seal.stamp,
    }
    with atomic.publish(path) as temporary:
        temporary.write_text(_text({**own, **document}), encoding="utf-8")
    return path


def _text(document: Mapping[str, Any]) -> str:
    """JSON with a line per key, and one per window and take."""
    lines = []
    for key, value in document.items():
        rows = [json.dumps(entry, allow_nan=False) for entry in value] if isinstance(value, list) else []
        text = "[\n    " + ",\n    ".join(rows) + "\n  ]" if rows else json.dumps(value, allow_nan=False)
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _output_in(path: Path) -> object:
    """The name of the finished clip that the sidecar ``path`` is about.

    It stands in the first lines, so that a folder of finished clips is walked without reading all that is known of
    them. Raises as ``_raw`` does.
    """
    with regular.opened(path) as file:
        head = _HEAD.match(file.read(_HEAD_BYTES))
    return json.loads(head[1]) if head else _raw(path).get("output")


def _raw(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``; raises ValueError for anything else, OSError for what cannot be read."""
    try:
        document = json.loads(regular.read(path, MAX_BYTES))
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: not an object")
    return document
