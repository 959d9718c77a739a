"""``foleygen library audition``: events one after the other, to be listened to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foleygen.cli.library.shared import INDEX, JSON, LIBRARY, PATH, is_sound, limit, opened
from foleygen.cli.parameters import Number
from foleygen.errors import ExitCode, NoClipsError, UsageError, printable

if TYPE_CHECKING:
    from foleygen.library.index import Index


@click.command(short_help="Write events one after the other, to listen to them.")
@click.argument("query", metavar="WORDS...|SOUND.wav", nargs=-1, required=True)
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE.wav", help="The file to write.")
@LIBRARY
@INDEX
@limit(12)
@click.option("--gap", type=Number(0, 10), default=0.4, show_default=True, metavar="S", help="Silence between them.")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
@JSON
def audition(
    query: tuple[str, ...],
    output: Path,
    root: Path | None,
    file: Path | None,
    limit: int,
    gap: float,
    overwrite: bool,
    as_json: bool,
) -> ExitCode:
    """Write the events that answer to WORDS, or sound like SOUND.wav, one after the other; their list goes to stdout.

    Of words, the first event of each recording comes first, then the second of each. The file is stereo, at 48 kHz and
    24 bits; levels are those of the recordings.

    \b
    Examples:
      foleygen library audition footsteps gravel -o steps.wav
      foleygen library audition hit.wav -o alike.wav --limit 20 --gap 1
    """
    from foleygen.cli.compose.shared import output_for
    from foleygen.cli.terminal.streams import write_json, write_note, write_table
    from foleygen.library import audition as module

    if output.suffix.lower() != ".wav":
        raise UsageError(f"{printable(output)}: what is written is a WAV file", "give it the suffix .wav")
    target = output_for(output, output, overwrite)
    index = opened(root, file)
    events = _chosen(index, query, limit)
    if not events:
        raise NoClipsError("nothing in the library answers to these words", "see 'foleygen library show'")
    heard, failed = module.audition(index, events, target, gap)
    for error in failed:
        write_note(f"error: {error}")
    rows = [(index.recordings[index.events[one.event].recording].file, index.events[one.event], one) for one in heard]
    if as_json:
        found = [{"at_s": round(one.at_s, 3), "file": name, "attack": event.attack} for name, event, one in rows]
        write_json({"output": str(target), "events": found})
    else:
        table = [(f"{one.at_s:.3f}", name, f"{event.level_db:.1f}") for name, event, one in rows]
        write_table([("AT S", "FILE", "LEVEL DB"), *table], right=(0, 2))
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _chosen(index: Index, query: tuple[str, ...], count: int) -> list[int]:
    import numpy as np

    from foleygen.library.searching import by_words, in_turn, like

    if is_sound(query):
        return [int(event) for event in index.nearest(like(Path(query[0])), np.arange(len(index.events)), count)]
    return in_turn(index, by_words(index, " ".join(query)), count)
