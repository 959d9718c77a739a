"""``foleygen pick``."""

from __future__ import annotations

from pathlib import Path

import click

from foleygen.errors import printable


@click.command(short_help="Put another take in a finished clip.")
@click.argument("clip", type=click.Path(path_type=Path))
@click.argument("take", type=click.IntRange(min=1))
def pick(clip: Path, take: int) -> None:
    """Make take number TAKE the sound of CLIP, a finished clip or its source.

    Nothing is generated: the picture of the source and the wav of the take are written to the finished clip, with the
    --audio, --duck and --loudness of the run that made them. The path of the finished clip goes to stdout.

    \b
    Examples:
      foleygen takes shot.mov
      foleygen pick shot.mov 3
    """
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.record import takes

    output, warnings = takes.pick(clip, take)
    for warning in warnings:
        write_note(f"warning: {printable(output)}: {printable(warning)}")
    write_result(str(output))
