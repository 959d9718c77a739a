"""The finished clips of a batch in order, as a timeline for an editing program: ``.otio`` or ``.fcpxml``."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen import atomic
from foleygen.errors import SetupError, UsageError, printable
from foleygen.record.timeline import fcpxml
from foleygen.record.timeline.otio import _otio
from foleygen.record.timeline.shots import Shot, shot

if TYPE_CHECKING:
    pass

_MADE_BY = b"foleygen"
_HEAD_BYTES = 4096


def check(path: Path) -> None:
    """Before any work: raises UsageError for a file that ``write`` cannot or may not write, SetupError for a library.

    A timeline of an earlier run is written again; any other file stays.
    """
    if path.suffix.lower() not in _WRITERS:
        known = " or ".join(_WRITERS)
        raise UsageError(f"{printable(path)}: is no timeline that foleygen writes", f"name a file that ends in {known}")
    if path.suffix.lower() == ".otio" and importlib.util.find_spec("opentimelineio") is None:
        raise SetupError(
            f"{printable(path)}: needs OpenTimelineIO", "install it with: pip install 'foleygen[timeline]'"
        )
    if path.is_dir() or (path.exists() and _MADE_BY not in _head(path)):
        raise UsageError(f"{printable(path)}: exists and was not made by foleygen", "move it, or give another name")


def write(path: Path, outputs: Sequence[Path]) -> None:
    """Publish the finished clips ``outputs``, in this order, as the timeline ``path``.

    A picture track, and a Foley track of its own whose clips have their takes to choose from and markers where sounds
    begin. Raises as ``check`` does, and ClipError for a clip whose sidecar does not say what is needed.
    """
    check(path)
    text = _WRITERS[path.suffix.lower()]([shot(output) for output in outputs], path.stem)
    with atomic.publish(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        raise UsageError(f"{printable(path)}: cannot be read ({error.strerror})", "give another name") from error


_WRITERS: dict[str, Callable[[Sequence[Shot], str], str]] = {".otio": _otio, ".fcpxml": fcpxml.text}
