"""Who made the recordings that a training learnt from, as Markdown for the bundle's README.md.

The manifest is the ``manifest.tsv`` of a folder of recordings: tab-separated, with the columns of CREDITED.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from foleygen.errors import UsageError
from foleygen.strict import shown
from foleygen.training.data.recordings import Line, listed

CREDITED = ("file", "seconds", "licence", "author", "source", "repository")
"""What credits need; other columns are passed over."""
SHARED = 8
"""Names with fewer letters in common are written out."""
UNKNOWN = ("", "?")
"""How a manifest writes that a name is not known."""


@dataclass(frozen=True)
class Recording:
    """One recorded sound and whom it is owed to; ``seconds`` is its length, ``source`` where it was published."""

    file: str
    seconds: float
    licence: str
    author: str
    source: str
    repository: str


def read_manifest(manifest: Path, fold: str = "train") -> list[Recording]:
    """The recordings of one fold, in the manifest's order. Raises UsageError."""
    return [_recording(manifest, line) for line in listed(manifest, fold, CREDITED)]


def markdown(recordings: Sequence[Recording]) -> str:
    """A section that names every recording by its page or file, with its author: a heading per collection.

    Collections and authors are sorted, so that the same recordings give the same text.
    """
    minutes = sum(recording.seconds for recording in recordings) / 60
    licences = ", ".join(sorted({_named(recording.licence, "no licence named") for recording in recordings}))
    lines = [
        "## Recordings",
        "",
        f"The weights learnt from {len(recordings)} recordings, {minutes:.1f} minutes in all ({licences}). "
        "Thanks to those who made and gave them:",
    ]
    for (repository, licence), members in sorted(_by_collection(recordings).items()):
        lines += ["", f"### {_escaped(repository)} ({_escaped(licence)})", ""]
        by_author: defaultdict[str, list[Recording]] = defaultdict(list)
        for recording in members:
            by_author[_named(recording.author, "author not known")].append(recording)
        for author in sorted(by_author, key=lambda name: (name.casefold(), name)):
            lines.append(f"- {_escaped(author)}: {_files(by_author[author])}")
    return "\n".join(lines) + "\n"


def credits_of(manifest: Path, fold: str = "train") -> str:
    """``markdown`` of the recordings of one fold of a manifest. Raises UsageError as ``read_manifest`` does."""
    return markdown(read_manifest(manifest, fold))


def _recording(manifest: Path, line: Line) -> Recording:
    values = {name: line.cells[name] for name in CREDITED}
    try:
        seconds = float(values["seconds"])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{manifest}: line {line.number} has seconds {shown(values['seconds'])}", "write a number")
    return Recording(
        values["file"], seconds, values["licence"], values["author"], values["source"], values["repository"]
    )


def _by_collection(recordings: Sequence[Recording]) -> dict[tuple[str, str], list[Recording]]:
    collections: defaultdict[tuple[str, str], list[Recording]] = defaultdict(list)
    for recording in recordings:
        repository = _named(recording.repository, "other recordings")
        collections[repository, _named(recording.licence, "no licence named")].append(recording)
    return collections


def _files(recordings: Sequence[Recording]) -> str:
    """What an author made, sorted by place: a page on the web stands for its recordings, other places for none."""
    by_source: defaultdict[str, list[str]] = defaultdict(list)
    for recording in recordings:
        by_source[recording.source].append(recording.file)
    parts = []
    for source in sorted(by_source):
        files = sorted(by_source[source])
        if _is_address(source):
            parts.append(f"<{source}>" + (f" ({len(files)} sounds)" if len(files) > 1 else ""))
        elif source in UNKNOWN:
            parts.append(braced(files))
        else:
            parts.append(f"{braced(files)} ({_escaped(source)})")
    return "; ".join(parts)


def braced(files: Sequence[str]) -> str:
    """Names as a shell would expand them: what all begin and end with once, the rest in braces."""
    start = _common(files)
    end = _common([file[len(start) :][::-1] for file in files])[::-1]
    if len(files) < 2 or len(start) + len(end) < SHARED:
        return ", ".join(f"`{file}`" for file in files)
    middles = ",".join(file[len(start) : len(file) - len(end)] for file in files)
    return f"`{start}{{{middles}}}{end}`"


def _common(names: Sequence[str]) -> str:
    """What all names begin with."""
    return "".join(marks[0] for marks in takewhile(lambda marks: len(set(marks)) == 1, zip(*names, strict=False)))


def _is_address(source: str) -> bool:
    return re.fullmatch(r"https?://[^\s<>]+", source) is not None


def _named(name: str, unknown: str) -> str:
    return unknown if name in UNKNOWN else name


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)
