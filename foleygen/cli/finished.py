"""Inputs as typed -> the finished clips they lead to, for the commands that work on takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foleygen.errors import ExitCode, FoleygenError, NoClipsError, UsageError, printable

if TYPE_CHECKING:
    from foleygen.record.finding import Finished
    from foleygen.settings import Settings

Look = Callable[[], "Finished"]
Found = TypeVar("Found")


def finished_of(inputs: Sequence[Path], settings: Settings) -> list[Look]:
    """One look for each finished clip of INPUT... and ``--from-file``; each may raise what is wrong with its clip.

    A file is a finished clip, or a source whose finished clip is beside it or below ``--output``. A folder has those
    below it, and those of the sources below it. Raises NoClipsError, and UsageError for a list that cannot be read.
    """
    looks = [look for each in (*inputs, *_listed(settings)) for look in _looks(each, settings.output)]
    if not looks:
        if not inputs and settings.from_file is None:
            raise UsageError("no input given", "name a finished clip, its source or a folder")
        raise NoClipsError(f"{', '.join(map(printable, inputs))}: no finished clip found", "give their folder with -o")
    return looks


def each_of(looks: Sequence[Callable[[], Found]], work: Callable[[Found], None]) -> ExitCode:
    """Do ``work`` on each; one that fails is told and the others go on. A single one raises its error."""
    from foleygen.cli.terminal.streams import write_note

    if len(looks) == 1:
        work(looks[0]())
        return ExitCode.OK
    failed = 0
    for look in looks:
        try:
            work(look())
        except FoleygenError as error:
            failed += 1
            write_note(f"error: {printable(str(error))}")
    if not failed:
        return ExitCode.OK
    return ExitCode.SOME_FAILED if failed < len(looks) else ExitCode.ALL_FAILED


def _listed(settings: Settings) -> Iterator[Path]:
    if settings.from_file is None:
        return
    from foleygen.batch.discover import listed
    from foleygen.cli.lists import content

    for clip in listed(content(settings.from_file)):
        yield clip.path


def _looks(given: Path, output: Path | None) -> Iterator[Look]:
    from foleygen.record import finding

    if not given.is_dir():
        yield lambda: finding.find(given, output)
        return
    seen = set()
    for found in (*finding.below(given), *(() if output is None else finding.of_sources(given, output))):
        place = found[0].resolve()
        if place not in seen:
            seen.add(place)
            yield lambda found=found: finding.finished(*found)  # type: ignore[misc]
