"""``foleygen pick``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import TALK, load_settings, settings_options
from foleygen.errors import ExitCode, UsageError, printable
from foleygen.settings import spec, specs

if TYPE_CHECKING:
    from foleygen.record.finding import Finished


@click.command(short_help="Put another take in finished clips.")
@click.argument("inputs", metavar="[INPUT]... [TAKE]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--loudest", is_flag=True, help="Pick the loudest take of each clip, instead of TAKE.")
@click.option(
    "--from", "picks", type=click.Path(path_type=Path), metavar="FILE", help="Pick what this list says (JSON)."
)
@click.option(
    "--timeline",
    "timelines",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Bring this timeline of the batch up to date too; may be given again.",
)
@settings_options("output", "from_file", *TALK)
@click.pass_obj
def pick(
    invocation: Invocation,
    /,
    inputs: tuple[Path, ...],
    loudest: bool,
    picks: Path | None,
    timelines: tuple[Path, ...],
    config_file: Path | None,
    **values: Any,
) -> ExitCode:
    """Make take number TAKE the sound of INPUT: a finished clip, its source, or a folder.

    Nothing is generated: the picture of the source and the wav of the take are written to the finished clip, with the
    --audio, --duck and --loudness of the run that made them. A clip that was finished elsewhere is found by its sidecar
    below -o. The list of --from is {"picks": [{"output": "NAME.foley.mp4", "take": 2}, ...]}, with paths as seen from
    its own folder. A picked take stays until another is picked, or add-sound --overwrite makes the clip again. The
    paths of the finished clips go to stdout.

    \b
    Examples:
      foleygen takes shot.mov
      foleygen pick shot.mov 3
      foleygen pick clips/ -o finished/ --loudest
      foleygen pick --from picks.json
      foleygen pick shot.mov 3 --timeline reel.aaf
    """
    from foleygen.cli.finished import each_of, finished_of
    from foleygen.record import takes
    from foleygen.record.timeline import timeline

    settings = load_settings(invocation, config_file, values)
    if picks is not None:
        if inputs or loudest:
            raise UsageError("--from says which clips and takes", "give no others")
        work = [partial(_chosen, _finder(path), number) for path, number in takes.picks(picks)]
    else:
        clips, take = (inputs, None) if loudest else _split(inputs)
        work = [partial(_chosen, look, take) for look in finished_of(clips, settings)]
    for path in timelines if len(work) == 1 else ():
        timeline.stale(path, work[0]()[0].output)
    code = each_of(work, _put)
    for path in timelines:
        timeline.refresh(path)
    return code


def _chosen(look: Callable[[], Finished], number: int | None) -> tuple[Finished, int]:
    """A finished clip and the take that it gets."""
    from foleygen.record import takes

    finished = look()
    return finished, takes.loudest(finished) if number is None else number


def _put(chosen: tuple[Finished, int]) -> None:
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.record import takes

    output, warnings = takes.pick(*chosen)
    for warning in warnings:
        write_note(f"warning: {printable(output)}: {printable(warning)}")
    write_result(str(output))


def _split(inputs: tuple[Path, ...]) -> tuple[tuple[Path, ...], int]:
    """The clips, and the take behind them. Raises UsageError."""
    last = str(inputs[-1]) if inputs else ""
    number = int(last[:20]) if last.isascii() and last.isdecimal() else None
    most = spec(specs()["takes"]).maximum or math.inf
    if number is not None and 0 < number <= most:
        return inputs[:-1], number
    if number is not None and not os.path.lexists(last):
        raise UsageError(f"there is no take {printable(last)}", f"takes are numbered from 1, to {most:g} at most")
    fact = "the number of a take is missing" if inputs else "no input given"
    raise UsageError(fact, "name the take last, or --loudest")


def _finder(path: Path) -> Callable[[], Finished]:
    from foleygen.record import finding

    return lambda: finding.find(path)
