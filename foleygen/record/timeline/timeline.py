"""The finished clips of a batch in order, as a timeline for an editing program; one row for each kind of file."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from foleygen import __version__, atomic
from foleygen.errors import SetupError, UsageError, printable
from foleygen.record.timeline import aaf, edl, fcp7, fcpxml, otio, record
from foleygen.record.timeline.reel import Paths, Reel, reel
from foleygen.record.timeline.shots import shot
from foleygen.settings import AafMedia, TimelinePaths


@dataclass(frozen=True)
class Options:
    """How a timeline is written."""

    paths: TimelinePaths = "absolute"
    aaf: AafMedia = "link"


@dataclass(frozen=True)
class Format:
    """A kind of timeline."""

    suffix: str
    write: Callable[[Reel, Path, AafMedia], None]
    """Into a new file."""
    read: Callable[[Path], str | None]
    """The record in a file of ours; "" where an older version left none, None for a file of another program."""
    needs: tuple[str, str] | None = None
    """A module that is imported late, and what it is called."""
    wants_wavs: bool = False
    """Sounds are wavs: a finished clip cannot stand in for them."""


FORMATS = {
    row.suffix: row
    for row in (
        Format(".otio", otio.write, record.in_json, needs=("opentimelineio", "OpenTimelineIO")),
        Format(".fcpxml", fcpxml.write, record.in_text),
        Format(".xml", fcp7.write, record.in_text),
        Format(".edl", edl.write, record.in_text),
        Format(".aaf", aaf.write, aaf.read_record, needs=("aaf2", "pyaaf2"), wants_wavs=True),
    )
}


def check(path: Path, has_wavs: bool = True) -> None:
    """Before any work: raises UsageError for a file that ``write`` cannot or may not write, SetupError for a library.

    A timeline of an earlier run is written again; any other file stays. ``has_wavs``: the clips have their takes as
    wavs.
    """
    kind = _format(path)
    if kind.needs is not None and importlib.util.find_spec(kind.needs[0]) is None:
        raise SetupError(
            f"{printable(path)}: needs {kind.needs[1]}", "install it with: pip install 'foleygen[timeline]'"
        )
    if kind.wants_wavs and not has_wavs:
        raise UsageError(f"{printable(path)}: an AAF holds wavs, and none are asked for", "add --stems")
    if path.exists() and (not path.is_file() or _record(path) is None):
        raise UsageError(f"{printable(path)}: exists and was not made by foleygen", "move it, or give another name")


def write(path: Path, outputs: Sequence[Path], options: Options | None = None) -> None:
    """Publish the finished clips ``outputs``, in this order, as the timeline ``path``.

    A picture track, and tracks of their own for the Foley, whose clips have their takes to choose from and markers
    where sounds begin, for the ambience and for the clips' own sound. Raises as ``check`` does, and ClipError for a
    clip whose sidecar does not say what is needed.
    """
    check(path)
    options = options or Options()
    shots = [shot(output) for output in outputs]
    made = reel(shots, path.stem, Paths(options.paths, path.parent), _recorded(path, outputs, options))
    with atomic.publish(path) as temporary:
        _format(path).write(made, temporary, options.aaf)


def stale(path: Path, picked: Path) -> None:
    """Before a take is picked: raises UsageError for a file that ``refresh`` cannot write, or without that clip."""
    outputs, _ = _content(path)
    if not any(_is_same(output, picked) for output in outputs):
        raise UsageError(f"{printable(path)}: {printable(picked)} is not in it", "name its own timeline")


def refresh(path: Path) -> None:
    """Write a timeline again, as it was written but with the takes that its clips have now.

    Raises UsageError for a file that is not ours, or does not say what is in it.
    """
    outputs, options = _content(path)
    write(path, outputs, options)


def _content(path: Path) -> tuple[list[Path], Options]:
    """The clips of a timeline, and how it was written."""
    check(path)
    if not path.exists():
        raise UsageError(f"{printable(path)}: there is no such timeline", "make it with add-sound --timeline")
    try:
        known = json.loads(_record(path) or "")
        outputs = [Path(os.path.normpath(path.parent / name)) for name in known["clips"]]
        return outputs, Options(known["paths"], known["aaf"])
    except (ValueError, TypeError, KeyError) as error:
        fact = f"{printable(path)}: does not say which clips are in it"
        raise UsageError(fact, "make it again with add-sound --timeline") from error


def _recorded(path: Path, outputs: Sequence[Path], options: Options) -> str:
    folder = os.path.abspath(path.parent)
    clips = [Path(os.path.relpath(os.path.abspath(output), folder)).as_posix() for output in outputs]
    facts = {"foleygen": __version__, "paths": options.paths, "aaf": options.aaf, "clips": clips}
    return json.dumps(facts)


def _record(path: Path) -> str | None:
    try:
        return _format(path).read(path)
    except OSError as error:
        raise UsageError(f"{printable(path)}: cannot be read ({error.strerror})", "give another name") from error


def _format(path: Path) -> Format:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(list(FORMATS)[:-1]) + f" or {list(FORMATS)[-1]}"
        raise UsageError(f"{printable(path)}: is no timeline that foleygen writes", f"name a file that ends in {known}")
    return kind


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
