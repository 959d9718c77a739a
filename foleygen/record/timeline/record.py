"""The line in each timeline by which foleygen knows its own, and can write it again."""

from __future__ import annotations

import json
import re
from pathlib import Path

MARK = "foleygen timeline "
_LINE = re.compile(rb"foleygen timeline (\{.*\})")
_MADE_BY = b"foleygen"
_HEAD_BYTES = 4096
MAX_BYTES = 256 * 2**20


def as_line(record: str) -> str:
    """The record as a line of text that may stand in a comment of XML."""
    return MARK + record.replace("--", "-\\u002d").replace(">", "\\u003e")


def in_text(path: Path) -> str | None:
    """The record of a file of lines; "" where only the name stands in its head, None where not even that."""
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES)
    found = _LINE.search(content)
    if found is not None:
        return found[1].decode("ascii", "replace")
    return "" if _MADE_BY in content[:_HEAD_BYTES] else None


def in_json(path: Path) -> str | None:
    """The record in the metadata of an OpenTimelineIO file."""
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES)
    try:
        facts = json.loads(content)["metadata"]["foleygen"]
        return str(facts.get("timeline", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "" if _MADE_BY in content[:_HEAD_BYTES] else None
