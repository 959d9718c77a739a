"""The finished clips of a batch in order, as a timeline for an editing program: one row of FORMATS for each kind."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from foleygen import atomic
from foleygen.errors import SetupError, UsageError, printable
from foleygen.record.timeline import fcpxml, otio
from foleygen.record.timeline.shots import Shot, shot

_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Library:
    """What a format needs besides foleygen."""

    name: str
    module: str
    extra: str


@dataclass(frozen=True)
class Format:
    """A kind of timeline."""

    text: Callable[[Sequence[Shot], str], str]
    """The whole file, from the clips and its name."""
    made_by: bytes
    """What only foleygen's own files hold in their first _HEAD_BYTES."""
    library: Library | None = None


FORMATS = {
    ".otio": Format(otio.text, b"foleygen", Library("OpenTimelineIO", "opentimelineio", "timeline")),
    ".fcpxml": Format(fcpxml.text, b"foleygen"),
}
"""By suffix."""


def check(path: Path) -> None:
    """Before any work: raises UsageError for a file that ``write`` cannot or may not write, SetupError for a library.

    A timeline of an earlier run is written again; any other file stays.
    """
    kind = _format(path)
    library = kind.library
    if library is not None and importlib.util.find_spec(library.module) is None:
        raise SetupError(
            f"{printable(path)}: needs {library.name}", f"install it with: pip install 'foleygen[{library.extra}]'"
        )
    if path.is_dir() or (path.exists() and kind.made_by not in _head(path)):
        raise UsageError(f"{printable(path)}: exists and was not made by foleygen", "move it, or give another name")


def write(path: Path, outputs: Sequence[Path]) -> None:
    """Publish the finished clips ``outputs``, in this order, as the timeline ``path``.

    A picture track, and a Foley track of its own whose clips have their takes to choose from and markers where sounds
    begin. Raises as ``check`` does, and ClipError for a clip whose sidecar does not say what is needed.
    """
    check(path)
    text = _format(path).text([shot(output) for output in outputs], path.stem)
    with atomic.publish(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _format(path: Path) -> Format:
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        known = " or ".join(FORMATS)
        raise UsageError(f"{printable(path)}: is no timeline that foleygen writes", f"name a file that ends in {known}")
    return found


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        raise UsageError(f"{printable(path)}: cannot be read ({error.strerror})", "give another name") from error
