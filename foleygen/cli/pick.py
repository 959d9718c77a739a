"""``foleygen pick``."""

from __future__ import annotations

from pathlib import Path

import click

from foleygen.errors import printable


@click.command(short_help="Put another take in a finished clip.")
@click.argument("clip", type=click.Path(path_type=Path))
@click.argument("take", type=click.IntRange(min=1))
@click.option(
    "--timeline",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Bring this timeline of the batch up to date too; may be given again.",
)
def pick(clip: Path, take: int, timeline: tuple[Path, ...]) -> None:
    """Make take number TAKE the sound of CLIP, a finished clip or its source.

    Nothing is generated: the picture of the source and the wav of the take are written to the finished clip, with the
    --audio, --duck and --loudness of the run that made them. The path of the finished clip goes to stdout.

    \b
    Examples:
      foleygen takes shot.mov
      foleygen pick shot.mov 3
      foleygen pick shot.mov 3 --timeline reel.aaf
    """
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.record import takes
    from foleygen.record.timeline import timeline as timelines

    finished = takes.find(clip).output
    for path in timeline:
        timelines.stale(path, finished)
    output, warnings = takes.pick(clip, take)
    for path in timeline:
        timelines.refresh(path)
    for warning in warnings:
        write_note(f"warning: {printable(output)}: {printable(warning)}")
    write_result(str(output))
