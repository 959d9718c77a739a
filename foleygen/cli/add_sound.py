"""``foleygen add-sound``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from foleygen import config
from foleygen.cli.app import Invocation
from foleygen.cli.options import load_settings, settings_options
from foleygen.errors import ExitCode, NoClipsError


@click.command("add-sound")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@settings_options(*config.specs())
@click.pass_obj
def add_sound(invocation: Invocation, /, inputs: tuple[Path, ...], config_file: Path | None, **values: Any) -> ExitCode:
    """Give each clip a soundtrack made from its pictures.

    INPUT is a clip, a folder (walked in sorted order) or - for a list of paths on stdin. Each finished clip
    NAME.foley.EXT has a sidecar NAME.foley.json. Run again, the command skips what is done and still fits, and
    redoes what does not.

    The paths of the finished clips go to stdout, everything else to stderr. Each option can also be set as
    FOLEYGEN_OPTION in the environment or as a line of foleygen.yaml.

    \b
    Examples:
      foleygen add-sound clips/
      foleygen add-sound clips/ -o finished/ --seed 7
      foleygen add-sound shot.mov --audio replace --name "{stem}_s{seed}"
      find . -name "*.mp4" -newer last | foleygen add-sound - --json
    """
    from foleygen.batch import run
    from foleygen.batch.discover import discover
    from foleygen.cli.console import open_console

    settings = load_settings(invocation, config_file, values)
    listing = sys.stdin.buffer if any(str(given) == "-" for given in inputs) else ()
    with open_console(settings) as console:
        clips = discover(inputs, listing, settings.output, console.left_out)
        if not clips:
            named = ", ".join(map(str, inputs))
            raise NoClipsError(f"{named}: no clip found", "name a video file, or a folder with some")
        return run.run(clips, settings, console.listen).exit_code
