"""The kinds of files that cues come from and markers go to, and which of them a file is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from foleygen import atomic
from foleygen.cues.clock import ClipClock
from foleygen.cues.formats import audacity, avid, fcp7, fcpxml, midi, otio, reaper, resolve, table, wav
from foleygen.cues.marker import Marker, Markers, turned
from foleygen.cues.reading import CueFile
from foleygen.errors import UsageError, printable
from foleygen.facts import CueSheet
from foleygen.strict import did_you_mean

Writer = Callable[[CueSheet, ClipClock], bytes]

MARK = ".cues"
"""What stands between the name of a clip and the suffix of its cues."""


@dataclass(frozen=True)
class Format:
    """One kind of file."""

    program: str
    """Who writes it, for people."""
    suffixes: tuple[str, ...]
    """Of files that may be of this kind."""
    recognises: Callable[[str], bool]
    """Whether such a file that begins with that text is of this kind."""
    read: Callable[[CueFile], list[Marker]]
    write: Writer | None = None
    suffix: str = ""
    """Of what is written beside a finished clip."""
    of_many: bool = False
    """Whether one file may have the markers of several clips."""


FORMATS: Mapping[str, Format] = {
    "reaper": Format("Reaper", (".csv",), reaper.recognises, reaper.read, reaper.write, ".markers.reaper.csv"),
    "csv": Format("foleygen", (".csv",), table.recognises, table.read, table.write_markers, ".markers.csv"),
    "resolve": Format("DaVinci Resolve", (".edl",), resolve.recognises, resolve.read, resolve.write, ".markers.edl"),
    "avid": Format("Avid", (".txt",), avid.recognises, avid.read, avid.write, ".markers.avid.txt"),
    "audacity": Format(
        "Audacity", (".txt",), audacity.recognises, audacity.read, audacity.write, ".markers.audacity.txt"
    ),
    "midi": Format("MIDI", (".mid", ".midi"), midi.recognises, midi.read, midi.write, ".markers.mid"),
    "wav": Format("cue points", (".wav",), wav.recognises, wav.read),
    "otio": Format("OpenTimelineIO", (".otio",), otio.recognises, otio.read, of_many=True),
    "fcpxml": Format("Final Cut Pro", (".fcpxml", ".xml"), fcpxml.recognises, fcpxml.read, of_many=True),
    "fcp7": Format("Final Cut Pro 7, Premiere", (".xml",), fcp7.recognises, fcp7.read, of_many=True),
}
WRITTEN = tuple(name for name, kind in FORMATS.items() if kind.write is not None)
"""What markers can be written as."""
SUFFIXES = tuple(dict.fromkeys(suffix for kind in FORMATS.values() for suffix in kind.suffixes))


def read(path: Path, clip: str = "", sounds: Mapping[int, str] | None = None) -> Markers:
    """The markers in ``path``, for the clip with that file name; ``sounds`` are what MIDI notes stand for.

    Raises UsageError for whatever is wrong with the file, SetupError for a library that is missing.
    """
    file = CueFile(path, clip, sounds or {})
    head = file.head()
    markers = tuple(_format(file, head).read(file))
    for one in markers:
        if (wrong := turned(one)) is not None:
            raise file.error(f"{one.where}: {wrong[0]}", wrong[1])
    return Markers(path, markers)


def speaks_of_many(path: Path) -> bool:
    """Whether one file of this kind may have the markers of several clips."""
    return any(path.suffix.lower() in kind.suffixes for kind in FORMATS.values() if kind.of_many)


def written(name: str, sheet: CueSheet, clock: ClipClock) -> bytes:
    """``sheet`` as a file of the kind ``name``. Raises UsageError."""
    write = FORMATS[name].write if name in FORMATS else None
    if write is None:
        raise UsageError(f"markers cannot be written as {printable(name)!r}", did_you_mean(name, WRITTEN))
    return write(sheet, clock)


def publish(path: Path, content: bytes) -> None:
    """``content`` as the file ``path``, whole or not at all."""
    with atomic.publish(path) as temporary:
        temporary.write_bytes(content)


def path_for(clip: Path, folder: Path | None = None) -> Path:
    """Where the cues of ``clip`` are or go: ``NAME.cues.csv`` beside it, or in ``folder``."""
    return (folder or clip.parent) / f"{clip.stem}{MARK}.csv"


def beside(clip: Path, folder: Path | None = None) -> Path | None:
    """The cues of ``clip``, ``NAME.cues.*``, in its own folder or another; None without. Raises UsageError for two.

    A folder, a pipe or a link that leads nowhere counts: what reads it says so, and nobody's cues are passed over.
    """
    place = folder or clip.parent
    found = [path for path in (place / f"{clip.stem}{MARK}{suffix}" for suffix in SUFFIXES) if os.path.lexists(path)]
    if len(found) > 1:
        names = " and ".join(printable(path.name) for path in found)
        raise UsageError(f"{printable(clip)}: has two files with cues ({names})", "keep one of them")
    return found[0] if found else None


def _format(file: CueFile, head: str) -> Format:
    """By the suffix and, where several kinds share it, by what the file begins with."""
    suffix = file.path.suffix.lower()
    kinds = [kind for kind in FORMATS.values() if suffix in kind.suffixes]
    if not kinds:
        raise file.error("is no kind of file that cues are read from", f"give one that ends in {', '.join(SUFFIXES)}")
    recognised = next((kind for kind in kinds if kind.recognises(head)), None)
    if recognised is not None or len(kinds) == 1:
        return recognised or kinds[0]
    if not head.strip() and suffix == ".txt":
        return kinds[0]
    programs = " or ".join(kind.program for kind in kinds)
    raise file.error(f"is not what {programs} writes", "export the markers again, or write a CSV")
