"""A folder -> the clips in it, finished and failed, in the order of their paths."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

from foleygen.errors import NoClipsError, UsageError, printable
from foleygen.record import failures, sidecar
from foleygen.record.failures import SUFFIX
from foleygen.review import clip
from foleygen.review.clip import Facts


def outputs(folder: Path) -> list[Path]:
    """The finished clips below ``folder`` and those that failed, sorted, each once.

    Raises UsageError for what is no folder, NoClipsError where neither sidecar nor error record is in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{printable(folder)}: is no folder", "name the folder of the finished clips")
    found = dict.fromkeys(_outputs(folder))
    if not found:
        fact = f"{printable(folder)}: holds no sidecar of a finished clip and no record of a failed one"
        raise NoClipsError(fact, "make some with 'foleygen add-sound', or name the folder that was its --output")
    return sorted(found, key=lambda path: os.fsencode(path))


def path_of(facts: Facts, folder: Path) -> Path:
    """Where the finished clip is or would be."""
    return folder / os.fsdecode(unquote_to_bytes(facts.path))


def facts_of(output: Path, folder: Path) -> Facts | None:
    """What is known of one clip now; None where neither sidecar nor error record is left."""
    document, record = sidecar.read(output), failures.read(output)
    found = None if document is None else clip.finished(output, folder, document)
    if record is None:
        return found
    failed = clip.failed(output, folder, str(record.get("message", "")), str(record.get("remedy", "")))
    return failed if found is None else replace(found, state="failed", reason=failed.reason, remedy=failed.remedy)


def _outputs(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            path = Path(place, name)
            if name.startswith(".") or path.suffix != ".json":
                continue
            output = _failed(path) if name.endswith(SUFFIX) else _finished(path)
            if output is not None:
                yield output


def _finished(path: Path) -> Path | None:
    found = sidecar.read_at(path)
    return None if found is None else found[0]


def _failed(path: Path) -> Path | None:
    """The output that the error record ``path`` is about."""
    document = failures.load(path)
    name = None if document is None else document.get("output")
    if not isinstance(name, str) or Path(name).name != name:
        return None
    output = path.with_name(name)
    return output if failures.path_for(output) == path else None
