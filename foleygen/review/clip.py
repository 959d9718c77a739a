"""One clip of a folder as the page tells of it: from its sidecar, or from what it left when it failed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from foleygen.errors import FoleygenError, printable
from foleygen.media import timecode as smpte
from foleygen.record import finding, sidecar
from foleygen.record.finding import Finished
from foleygen.record.schema import Sidecar
from foleygen.review.sheet import NO_CUES, Sheet, sheet_of
from foleygen.review.tag import digest

State = Literal["done", "failed", "stale"]


@dataclass(frozen=True)
class TakeFacts:
    """One version of the sound; levels are those that it has in the finished clip."""

    number: int
    file: bool
    """Whether its wav is there."""
    lufs: float | None
    peak: float | None
    gain: float
    """What the finished clip adds to the wav's level."""
    onsets: tuple[float, ...]
    peaks: tuple[float, ...]


@dataclass(frozen=True)
class Facts:
    """What the page knows of a clip; times in seconds after the first picture."""

    id: str
    """Of 16 hexadecimal digits, made of the path within the folder."""
    name: str
    folder: str
    """Within the folder that is reviewed; empty for that one itself."""
    path: str
    """Of the finished clip within the folder, quoted for a URL."""
    output: str
    """The same for people and for files that name it."""
    state: State
    reason: str = ""
    """Why it is not done."""
    remedy: str = ""
    hash: str = ""
    """Of its sidecar: another one, another clip."""
    takes: tuple[TakeFacts, ...] = ()
    picked: int = 0
    seconds: float | None = None
    rate: tuple[int, int] = (25, 1)
    first: int = 0
    """Pictures from midnight to the first one."""
    drop: bool = False
    width: int = 16
    height: int = 9
    model: str = ""
    licence: str = ""
    commercial: bool = True
    lufs: float | None = None
    peak: float | None = None
    channels: int = 1
    """Of the new sound."""
    warnings: tuple[str, ...] = ()
    own: str = ""
    """The clip that it was made from, quoted for a URL from the folder, if that has sound."""
    sheet: Sheet = NO_CUES
    shard: int | None = None
    seen: bool = False


def identity(output: Path, folder: Path) -> str:
    """The same for the same path within the folder, whatever its letters."""
    return hashlib.sha256(os.fsencode(os.path.relpath(output, folder))).hexdigest()[:16]


def url(path: Path, folder: Path) -> str:
    """How ``path`` is written in a page that lies in ``folder``."""
    return quote(os.fsencode(os.path.relpath(path, folder)))


def failed(output: Path, folder: Path, message: str, remedy: str) -> Facts:
    """A clip that has no finished one."""
    return Facts(**_place(output, folder), state="failed", reason=printable(message), remedy=printable(remedy))


def lost(output: Path, folder: Path) -> Facts:
    """A clip that was finished and has no sidecar any more."""
    return Facts(
        **_place(output, folder),
        state="stale",
        reason="its sidecar is not there",
        remedy="run 'foleygen add-sound' again",
    )


def finished(output: Path, folder: Path, document: dict[str, Any]) -> Facts:
    """A clip that was finished, or what its sidecar lets know of it."""
    try:
        found = finding.finished(output, document)
    except FoleygenError:
        reason = "its sidecar is of another version of foleygen, or damaged"
        return Facts(**_place(output, folder), state="stale", reason=reason, remedy="run 'foleygen add-sound' again")
    return _of_record(found, folder)


def source_of(output: Path, record: Sidecar) -> Path:
    """The clip that ``output`` was made from, whether it is there or not."""
    return Path(os.path.normpath(os.path.realpath(output.parent) / Path(record.source)))


def _place(output: Path, folder: Path) -> dict[str, Any]:
    within = Path(os.path.relpath(output, folder))
    parent = "" if within.parent == Path() else printable(within.parent)
    return {
        "id": identity(output, folder),
        "name": printable(output.name),
        "folder": parent,
        "path": url(output, folder),
        "output": printable(within.as_posix()),
    }


def _of_record(found: Finished, folder: Path) -> Facts:
    record = found.sidecar
    source = source_of(found.output, record)
    sheet = sheet_of(found.output, record, source)
    reason, remedy = _stale(found, source, sheet)
    start = None if record.timecode is None else smpte.frame_number(record.timecode, record.frame_rate)
    rate = smpte.nominal_rate(record.frame_rate)
    takes = tuple(_take(found, take.number) for take in record.takes)
    heard = takes[record.picked - 1]
    return Facts(
        **_place(found.output, folder),
        state="stale" if reason else "done",
        reason=reason,
        remedy=remedy,
        hash=digest(sidecar.path_for(found.output)),
        takes=takes,
        picked=record.picked,
        seconds=record.duration_s,
        rate=(rate.numerator, rate.denominator),
        first=start or 0,
        drop=start is not None and record.timecode is not None and smpte.is_drop_frame(record.timecode),
        width=record.width,
        height=record.height,
        model=printable(record.model),
        licence=printable(record.licence),
        commercial=record.commercial,
        lufs=heard.lufs,
        peak=heard.peak,
        channels=record.settings.channels,
        warnings=tuple(map(printable, record.warnings)),
        own=url(source, folder) if _sounds(source) else "",
        sheet=sheet,
    )


def _take(found: Finished, number: int) -> TakeFacts:
    take = found.sidecar.takes[number - 1]
    lufs, peak = take.loudness_lufs, take.true_peak_dbtp
    return TakeFacts(
        number,
        found.wav(number) is not None,
        None if lufs is None else round(lufs + take.gain_db, 2),
        None if peak is None else round(peak + take.gain_db, 2),
        take.gain_db,
        take.onsets_s,
        tuple(round(value, 4) for value in take.peaks),
    )


def _stale(found: Finished, source: Path, sheet: Sheet) -> tuple[str, str]:
    """Why the finished clip is not what its sidecar tells, and what to do; empty where it is."""
    again = "run 'foleygen add-sound' again"
    try:
        size = found.output.stat().st_size
    except OSError:
        return "the finished clip is not there", again
    if found.seal is not None and size != found.seal.bytes:
        return "the finished clip was changed since it was made", again
    if not source.is_file():
        return "its source is not where it was", f"put {printable(source.name)} back"
    if sheet.problem:
        return sheet.problem, "correct the file with its cues"
    if sheet.is_newer:
        return "its cues are newer than its sound", "render it, or run 'foleygen add-sound' again"
    return "", ""


def _sounds(source: Path) -> bool:
    """Whether the source has sound of its own; only its header is read."""
    from foleygen.media.own_sound import channels

    try:
        return source.is_file() and channels(source) > 0
    except (FoleygenError, OSError):
        return False
