"""``foleygen lock`` and ``foleygen unlock``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import TALK, load_settings, settings_options
from foleygen.errors import ExitCode


@click.command(short_help="Keep finished clips as they are.")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=click.Path(path_type=Path))
@settings_options("output", "from_file", *TALK)
@click.pass_obj
def lock(invocation: Invocation, /, inputs: tuple[Path, ...], config_file: Path | None, **values: Any) -> ExitCode:
    """Lock INPUT, a finished clip, its source or a folder: no run and no pick writes it any more.

    The lock is in the sidecar. add-sound keeps a locked clip also with --overwrite, and names it in its summary.

    \b
    Examples:
      foleygen lock shot.mov
      foleygen lock clips/ -o finished/
    """
    return _set(invocation, inputs, config_file, values, locked=True)


@click.command(short_help="Free finished clips that were locked.")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=click.Path(path_type=Path))
@settings_options("output", "from_file", *TALK)
@click.pass_obj
def unlock(invocation: Invocation, /, inputs: tuple[Path, ...], config_file: Path | None, **values: Any) -> ExitCode:
    """Free INPUT, a finished clip, its source or a folder, that 'foleygen lock' has locked.

    \b
    Examples:
      foleygen unlock shot.mov
    """
    return _set(invocation, inputs, config_file, values, locked=False)


def _set(
    invocation: Invocation, inputs: tuple[Path, ...], config_file: Path | None, values: dict[str, Any], locked: bool
) -> ExitCode:
    from foleygen.cli.finished import each_of, finished_of
    from foleygen.cli.terminal.streams import write_result
    from foleygen.record import takes

    looks = finished_of(inputs, load_settings(invocation, config_file, values))
    return each_of(looks, lambda finished: write_result(str(takes.lock(finished, locked))))
