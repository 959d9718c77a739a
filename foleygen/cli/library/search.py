"""``foleygen library search``: recordings by words, events by their sound."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.library.shared import INDEX, JSON, LIBRARY, is_sound, limit, opened
from foleygen.errors import ExitCode

if TYPE_CHECKING:
    from foleygen.library.index import Index


@click.command(short_help="Find recordings by words, or events like a sound.")
@click.argument("query", metavar="WORDS...|SOUND.wav", nargs=-1, required=True)
@LIBRARY
@INDEX
@limit(20)
@JSON
def search(query: tuple[str, ...], root: Path | None, file: Path | None, limit: int, as_json: bool) -> ExitCode:
    """List the recordings that answer to WORDS, or the events that sound most like SOUND.wav.

    Words are sought in all that files say of themselves: names, folders, tags, the manifest. A word that names a known
    sound ("mug") finds all recordings of that sound. A sound is compared by its spectrum in the first 200 ms of its
    loudest event, whatever its level.

    \b
    Examples:
      foleygen library search glass bottle
      foleygen library search hit.wav --limit 5 --json
    """
    from foleygen.cli.terminal.streams import write_json, write_note, write_table

    index = opened(root, file)
    rows = _like(index, Path(query[0]), limit) if is_sound(query) else _named(index, " ".join(query), limit)
    if as_json:
        write_json(rows)
    elif rows:
        write_table(
            [[name.upper().replace("_", " ") for name in rows[0]], *(list(map(_cell, row.values())) for row in rows)]
        )
    else:
        write_note("nothing in the library answers to these words; 'foleygen library show' lists what is there")
    return ExitCode.OK if rows else ExitCode.NO_CLIPS


def _named(index: Index, text: str, count: int) -> list[dict[str, Any]]:
    from foleygen.library.searching import by_words

    events = Counter(int(number) for number in index.events.recording)
    wanted = ("file", "family", "material", "catid", "licence", "source")
    return [
        {
            **{name: asdict(index.recordings[number])[name] for name in wanted},
            "events": events[number],
            "seconds": round(index.recordings[number].seconds, 3),
        }
        for number in by_words(index, text)[:count]
    ]


def _like(index: Index, path: Path, count: int) -> list[dict[str, Any]]:
    import numpy as np

    from foleygen.library.searching import like

    vector = like(path)
    nearest = index.nearest(vector, np.arange(len(index.events)), count)
    rows = []
    for number, distance in zip(nearest, index.distances(vector, nearest), strict=True):
        event = index.events[int(number)]
        one = index.recordings[event.recording]
        facts = {"file": one.file, "at_s": round(event.attack / one.sample_rate, 4), "distance_db": round(distance, 2)}
        rows.append({**facts, "level_db": round(event.level_db, 1), "family": one.family, "material": one.material})
    return rows


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
