"""``foleygen add-sound``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import load_settings, settings_options
from foleygen.errors import ExitCode, NoClipsError
from foleygen.settings import specs

if TYPE_CHECKING:
    from foleygen.batch.run import Work
    from foleygen.settings import Settings


@click.command("add-sound")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@settings_options(*specs())
@click.pass_obj
def add_sound(invocation: Invocation, /, inputs: tuple[Path, ...], config_file: Path | None, **values: Any) -> ExitCode:
    """Give each clip a soundtrack made from its pictures.

    INPUT is a clip, a folder (walked in sorted order) or - for a list of paths on stdin. Each finished clip
    NAME.foley.EXT has a sidecar NAME.foley.json, a failed one NAME.foley.error.json. Run again, the command skips
    what is done and still fits, and does the rest.

    The clips are worked on in a process of its own, so that a damaged file that crashes a codec does not end the
    batch. The paths of the finished clips go to stdout, everything else to stderr. Each option can also be set as
    FOLEYGEN_OPTION in the environment or as a line of foleygen.yaml.

    \b
    Examples:
      foleygen add-sound clips/
      foleygen add-sound clips/ -o finished/ --seed 7
      foleygen add-sound shot.mov --audio replace --name "{stem}_s{seed}"
      find . -name "*.mp4" -newer last | foleygen add-sound - --json
      foleygen add-sound --from-file clips.txt -o finished/ --shard 3/64
    """
    from foleygen.batch import run
    from foleygen.cli.lists import clips_of, named
    from foleygen.cli.terminal.console import open_console

    settings = load_settings(invocation, config_file, values)
    invocation.tells_of_files = True
    with open_console(settings) as console:
        clips = clips_of(inputs, settings, console.left_out, frozen=settings.shard is not None)
        if not clips:
            raise NoClipsError(f"{named(inputs, settings)}: no clip found", "name a video file, or a folder with some")
        return run.run(clips, settings, console.listen, _work(settings)).exit_code


def _work(settings: Settings) -> Work:
    """Where the clips are worked on."""
    if settings.ray is None:
        from foleygen.batch import isolate

        return isolate.work
    from foleygen.farm import ray_pool

    return ray_pool.work
