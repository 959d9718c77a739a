"""``review.json`` in a folder that is reviewed: which of its clips somebody has looked at."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from foleygen import atomic, regular
from foleygen.review.clip import Facts

NAME = "review.json"
SCHEMA = 1
_MOST_BYTES = 2**24


class Seen:
    """What was looked at; a file that cannot be read counts as none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._ids = _read(self._path)

    def marked(self, clips: Iterable[Facts]) -> list[Facts]:
        """``clips`` as they are, each with whether it was seen."""
        return [replace(clip, seen=clip.id in self._ids) for clip in clips]

    def note(self, clip: str) -> None:
        """Remember that the clip with that id was seen. Raises ClipError where the folder cannot be written."""
        ids = _read(self._path) | {clip}
        if clip not in self._ids:
            self._ids = ids
            with atomic.publish(self._path) as temporary:
                document = {"schema": SCHEMA, "seen": sorted(ids)}
                temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _read(path: Path) -> frozenset[str]:
    try:
        found = json.loads(regular.read(path, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    ids = found.get("seen") if isinstance(found, dict) and found.get("schema") == SCHEMA else None
    return frozenset(name for name in ids if isinstance(name, str)) if isinstance(ids, list) else frozenset()
