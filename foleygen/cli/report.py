"""``foleygen report``: what the shards of a batch come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.terminal.reading import clock_time
from foleygen.errors import ExitCode, printable

if TYPE_CHECKING:
    from foleygen.batch.summary import Merged, Summary


@click.command(short_help="Merge the summaries of shards.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", "as_html", is_flag=True, help="Write DIR/report.html too: all shards and all their clips.")
def report(folder: Path, as_json: bool, as_html: bool) -> ExitCode:
    """Print how the shards of a batch ended, and leave with the exit code of the whole.

    DIR holds the run-I-of-N.json that add-sound --shard writes: its --output, or the folder that holds all its
    clips. A shard without one has not ended; while there are such shards, or interrupted ones, the exit code is 75.

    \b
    Examples:
      foleygen report finished/
      foleygen report finished/ --json
      foleygen report finished/ --html
    """
    from foleygen.batch.summary import Merged, read
    from foleygen.cli.terminal.streams import write_json, write_note

    merged = Merged(read(folder))
    if as_json:
        write_json(_document(merged))
    else:
        _print(merged)
        for failure in merged.failed:
            write_note(f"error: {printable(failure.message)}; {printable(failure.remedy)}")
        for number in merged.missing:
            write_note(f"missing: shard {number}/{merged.summaries[0].shards}")
    if as_html:
        write_note(f"page: {printable(_write_page(folder, merged))}")
    return merged.exit_code


def _write_page(folder: Path, merged: Merged) -> Path:
    """The page of a review, without pictures, with the table of the shards."""
    from foleygen.review import page, shards

    path = folder / "report.html"
    found = page.Page(folder, shards=tuple(_rows(merged)[1:]))
    page.write(path, page.text(found, shards.clips(merged.summaries, folder)))
    return path


def _row(name: str, summaries: list[Summary], ended: str) -> tuple[str, ...]:
    counts = [sum(len(getattr(summary, field)) for summary in summaries) for field in ("done", "skipped", "failed")]
    sound = sum(summary.clip_seconds for summary in summaries)
    taken = sum(summary.wall_seconds for summary in summaries)
    total = sum(summary.total for summary in summaries)
    return (name, str(total), *map(str, counts), clock_time(sound), clock_time(taken), ended)


def _print(merged: Merged) -> None:
    from foleygen.cli.terminal.streams import write_table

    write_table(_rows(merged), right=range(7))


def _rows(merged: Merged) -> list[tuple[str, ...]]:
    """The table: a header, a row for each shard, and one for all."""
    by_number = {summary.shard: summary for summary in merged.summaries}
    rows: list[tuple[str, ...]] = [("SHARD", "CLIPS", "DONE", "SKIPPED", "FAILED", "SOUND", "TIME", "EXIT")]
    for number in range(1, merged.summaries[0].shards + 1):
        found = by_number.get(number)
        if found is not None:
            rows.append(_row(str(number), [found], "stopped" if found.interrupted else str(found.exit_code)))
        else:
            rows.append((str(number), *["-"] * 6, "missing"))
    rows.append(_row("all", list(merged.summaries), str(int(merged.exit_code))))
    return rows


def _document(merged: Merged) -> dict[str, Any]:
    from foleygen.strict import plain

    found = merged.summaries
    counts = {field: sum(len(getattr(summary, field)) for summary in found) for field in ("done", "skipped", "failed")}
    return {
        "shards": found[0].shards,
        "missing": merged.missing,
        "interrupted": [summary.shard for summary in found if summary.interrupted],
        "found": found[0].found,
        "total": sum(summary.total for summary in found),
        **counts,
        "clip_seconds": round(sum(summary.clip_seconds for summary in found), 3),
        "wall_seconds": round(sum(summary.wall_seconds for summary in found), 3),
        "non_commercial": next((summary.non_commercial for summary in found if summary.non_commercial), None),
        "failures": plain(merged.failed),
        "exit_code": int(merged.exit_code),
    }
