"""The versions of a finished clip's sound: another one for the clip, and a lock on the one that is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from foleygen.errors import UsageError, printable
from foleygen.facts import take_file
from foleygen.record import markers, sidecar
from foleygen.record.finding import Finished, find
from foleygen.record.remaking import remake
from foleygen.record.schema import TakeRecord
from foleygen.strict import Reader, json_document

_PICKS = Reader(UsageError, least=1)


@dataclass(frozen=True)
class Pick:
    """One line of a list of picks."""

    output: str
    """The finished clip, as seen from the list's folder."""
    take: int


@dataclass(frozen=True)
class _Picks:
    picks: tuple[Pick, ...]


def pick(clip: Path | Finished, number: int) -> tuple[Path, tuple[str, ...]]:
    """Make take ``number`` the sound of the finished ``clip``; its path, and what to warn of.

    Nothing is generated: the source's picture and the take's wav are written anew, with the settings of the run that
    made them. Raises UsageError for a take that there is not, ClipError for files that are not what they were and for
    a clip that is locked.
    """
    found = find(clip) if isinstance(clip, Path) else clip
    count = len(found.sidecar.takes)
    if not 1 <= number <= count:
        have = "one take" if count == 1 else f"takes 1 to {count}"
        raise UsageError(
            f"{printable(found.output)}: has no take {number}, only {have}",
            "make more with 'foleygen add-sound --takes N'",
        )
    remade = remake(found, number, found.sidecar.settings)
    markers.refresh(remade.output, found.sidecar, remade.sidecar)
    _circle(remade.output, number, count)
    return remade.output, remade.warnings


def loudest(found: Finished) -> int:
    """Number of the take with the highest integrated loudness; of those that cannot be measured, with the peak."""

    def level(take: TakeRecord) -> tuple[float, float, int]:
        levels = (take.loudness_lufs, take.true_peak_dbtp)
        known = [-inf if one is None else one for one in levels]
        return known[0], known[1], -take.number

    return max(found.sidecar.takes, key=level).number


def picks(path: Path) -> Iterator[tuple[Path, int]]:
    """The finished clips and takes of a list, ``{"picks": [{"output": "NAME.foley.mp4", "take": 2}, ...]}``.

    Raises UsageError.
    """
    document = json_document(path, UsageError, "check --from", 64 * 2**20)
    for each in _PICKS.section(_Picks, document, str(path)).picks:
        yield path.parent / each.output, each.take


def lock(clip: Path | Finished, locked: bool) -> Path:
    """Lock the finished ``clip``, so that no run and no ``pick`` writes it, or free it. Raises ClipError."""
    found = find(clip) if isinstance(clip, Path) else clip
    sidecar.write(found.output, replace(found.sidecar, locked=locked).document(), found.seal)
    return found.output


def _circle(output: Path, number: int, count: int) -> None:
    """Say in the wavs of the takes which of them the clip has."""
    from foleygen.media import ixml

    for each in range(1, count + 1):
        path = take_file(output, each)
        if path.is_file():
            ixml.circle(path, each == number)
