"""``foleygen library show``: what an index holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.library.shared import INDEX, JSON, LIBRARY, opened

if TYPE_CHECKING:
    from foleygen.library.index import Index

_WORDS = 20


@click.command(short_help="Print what a library holds.")
@LIBRARY
@INDEX
@JSON
def show(root: Path | None, file: Path | None, as_json: bool) -> None:
    """Print how many recordings and events a library has, of which sounds, and which of its words are not understood.

    \b
    Examples:
      foleygen library show
      foleygen library show --library ~/recordings --json
    """
    from foleygen.cli.terminal.streams import write_json, write_result, write_table

    found = opened(root, file)
    if as_json:
        write_json(_document(found))
        return
    write_table(_facts(found))
    write_result("")
    write_table([("FAMILY", "MATERIAL", "RECORDINGS", "EVENTS", "SECONDS"), *_rows(found)], right=(2, 3, 4))
    words = _unknown(found)
    if words:
        write_result("")
        write_table([("WORDS THAT NAME NO KNOWN SOUND", ", ".join(word for word, _ in words[:_WORDS]))])


def _facts(found: Index) -> list[tuple[str, str]]:
    from foleygen.cli.terminal.reading import clock_time

    rates = Counter(one.sample_rate for one in found.recordings)
    channels = Counter(one.channels for one in found.recordings)
    return [
        ("library", str(found.root)),
        ("recordings", f"{len(found.recordings)}, {clock_time(sum(one.seconds for one in found.recordings))} in all"),
        ("events", str(len(found.events))),
        ("rates", ", ".join(f"{rate} Hz ({count})" for rate, count in sorted(rates.items()))),
        ("channels", ", ".join(f"{number} ({count})" for number, count in sorted(channels.items()))),
        ("stereo", str(_stereo(found))),
        ("steady", clock_time(_steady_s(found))),
        ("digest", found.digest),
    ]


def _stereo(found: Index) -> int:
    """Recordings whose left and right differ."""
    return sum(one.is_stereo for one in found.recordings)


def _steady_s(found: Index) -> float:
    return sum((part.end - part.start) / one.sample_rate for one in found.recordings for part in one.steady)


def _groups(found: Index) -> list[tuple[str | None, str | None, int, int, float]]:
    """Family, material, recordings, events and seconds; the largest first."""
    events = Counter(int(number) for number in found.events.recording)
    kinds: dict[tuple[str | None, str | None], list[int]] = {}
    for number, one in enumerate(found.recordings):
        kinds.setdefault((one.family, one.material), []).append(number)
    rows = [
        (*kind, len(numbers), sum(events[n] for n in numbers), sum(found.recordings[n].seconds for n in numbers))
        for kind, numbers in kinds.items()
    ]
    return sorted(rows, key=lambda row: (-row[3], str(row[:2])))


def _rows(found: Index) -> list[tuple[str, ...]]:
    return [
        (family or "-", material or "-", str(recordings), str(events), f"{seconds:.1f}")
        for family, material, recordings, events, seconds in _groups(found)
    ]


def _unknown(found: Index) -> list[tuple[str, int]]:
    from foleygen.library.searching import unknown_words

    return unknown_words(found).most_common()


def _document(found: Index) -> dict[str, Any]:
    names = ("family", "material", "recordings", "events", "seconds")
    return {
        "library": str(found.root),
        "version": found.version,
        "digest": found.digest,
        "recordings": len(found.recordings),
        "events": len(found.events),
        "stereo": _stereo(found),
        "seconds": round(sum(one.seconds for one in found.recordings), 3),
        "steady_s": round(_steady_s(found), 3),
        "sounds": [dict(zip(names, (*row[:4], round(row[4], 3)), strict=True)) for row in _groups(found)],
        "unknown_words": dict(_unknown(found)),
    }
