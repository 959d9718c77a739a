"""``foleygen library index``: what is in a folder of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.library.shared import INDEX, PATH
from foleygen.errors import ExitCode, NoClipsError, printable

if TYPE_CHECKING:
    from foleygen.cli.terminal.steps import Steps
    from foleygen.library.indexing import Failed, Indexed, LeftOut, Listed, Tally

_SHOWN = 40


@click.command(short_help="Cut a folder of recordings into events, and remember them.")
@click.argument("root", metavar="DIR", type=PATH)
@INDEX
@click.option("-q", "--quiet", is_flag=True, help="Errors only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each recording on stdout.")
def index(root: Path, file: Path | None, quiet: bool, as_json: bool) -> ExitCode:
    """Find every sound in the recordings below DIR: wav, BWF, flac, aiff, ogg and mp3, of any rate and channels.

    A recording of thirty footsteps is thirty events. What is in the index already is not measured again, what is gone
    is dropped, and a run that was stopped goes on where it was. A file that cannot be read is named, and the rest goes
    on. A manifest.tsv in the folder is read for words, licences and sources.

    \b
    Examples:
      foleygen library index ~/recordings
      foleygen library index /mnt/effects --index effects.sqlite
    """
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_json
    from foleygen.library import indexing

    with open_steps("recordings", quiet or as_json) as steps:
        tally = indexing.index(root, file, _Teller(root, steps, as_json).tell)
    if as_json:
        write_json(_summary(tally, root, file))
    elif not quiet:
        _say(tally, root)
    if not tally.recordings and not tally.failed:
        raise NoClipsError(f"{printable(root)}: no recording found", "name a folder with wav, flac, aiff or ogg files")
    return tally.exit_code


class _Teller:
    """Shows what is told, and counts it."""

    def __init__(self, root: Path, steps: Steps, as_json: bool) -> None:
        self._root, self._steps, self._as_json = root, steps, as_json
        self._done = self._total = 0

    def tell(self, event: Listed | Indexed | Failed | LeftOut) -> None:
        from foleygen.cli.terminal.streams import write_json, write_note
        from foleygen.library import indexing

        if isinstance(event, indexing.Listed):
            self._total = event.total
        elif isinstance(event, indexing.LeftOut):
            self._steps.message(f"{printable(event.path)}: {event.reason}")
        else:
            self._done += 1
            self._steps.advance(self._done, self._total, _short(printable(event.file)))
        if isinstance(event, indexing.Failed) and not self._as_json:
            write_note(f"error: {event.error}")
        if isinstance(event, indexing.Indexed) and event.lack is not None and event.lack.remedy is not None:
            path = printable(self._root / event.file)
            self._steps.message(f"warning: {path}: {event.lack.fact}; {event.lack.remedy}")
        if self._as_json:
            write_json(_document(event, self._root))


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN else f"...{name[3 - _SHOWN :]}"


def _document(event: Listed | Indexed | Failed | LeftOut, root: Path) -> dict[str, Any]:
    from foleygen.library import indexing

    if isinstance(event, indexing.Listed):
        return {"event": "start", "library": str(root), "total": event.total}
    if isinstance(event, indexing.LeftOut):
        return {"event": "left_out", "path": str(event.path), "reason": event.reason}
    if isinstance(event, indexing.Failed):
        error = event.error
        return {"event": "error", "file": event.file, "message": error.message, "remedy": error.remedy}
    why = None if event.lack is None else event.lack.fact
    facts = {"events": event.events, "seconds": round(event.seconds, 3), "new": event.is_new, "lack": why}
    return {"event": "recording", "file": event.file, **facts}


def _summary(tally: Tally, root: Path, file: Path | None) -> dict[str, Any]:
    from foleygen.library.store import file_of

    return {
        "event": "summary",
        "library": str(root),
        "index": str(file or file_of(root)),
        "recordings": tally.recordings,
        "events": tally.events,
        "measured": tally.measured,
        "measured_s": round(tally.measured_s, 3),
        "lacking": tally.lacking,
        "failed": len(tally.failed),
        "dropped": tally.dropped,
        "remade": tally.is_remade,
        "wall_seconds": round(tally.seconds, 3),
        "exit_code": int(tally.exit_code),
    }


def _say(tally: Tally, root: Path) -> None:
    from foleygen.cli.terminal.reading import clock_time, real_time
    from foleygen.cli.terminal.streams import write_note

    if tally.is_remade:
        write_note("the index was made by another version of foleygen, and was made anew")
    parts = [f"{tally.events} events in {tally.recordings} recordings"]
    if tally.measured:
        rate = real_time(tally.measured_s, tally.seconds)
        parts.append(f"{tally.measured} measured in {clock_time(tally.seconds)} ({rate})")
    rest = ((tally.lacking, "of which nothing can be played"), (tally.dropped, "gone"), (len(tally.failed), "failed"))
    parts += [f"{count} {what}" for count, what in rest if count]
    write_note(f"{printable(root)}: {', '.join(parts)}")
