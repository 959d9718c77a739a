"""``foleygen deliver``: finished clips anew from the takes that are there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import TALK, load_settings, settings_options
from foleygen.errors import ExitCode, UsageError, printable

if TYPE_CHECKING:
    from foleygen.record.finding import Finished
    from foleygen.record.schema import SoundSettings
    from foleygen.settings import Settings

_DELIVERY = ("audio", "duck", "loudness", "true_peak", "ambience_level", "container", "markers")


@click.command(short_help="Deliver finished clips anew, without the models.")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=click.Path(path_type=Path))
@settings_options("output", "from_file", *_DELIVERY, *TALK)
@click.pass_obj
def deliver(invocation: Invocation, /, inputs: tuple[Path, ...], config_file: Path | None, **values: Any) -> ExitCode:
    """Write INPUT, a finished clip, its source or a folder, anew from the takes that are beside it.

    Nothing is generated, and no model is loaded: what is typed here of level, own sound, container and markers takes
    the place of what the run had, everything else stays, the picked take too. The clip needs the wavs of --takes or
    --stems. add-sound does the same by itself where nothing else has changed. Paths go to stdout.

    \b
    Examples:
      foleygen deliver finished/ --loudness ebu
      foleygen deliver clips/ -o finished/ --audio mix --duck 9
      foleygen deliver shot.mov --container mkv --markers csv
    """
    from foleygen.cli.finished import each_of, finished_of

    settings = load_settings(invocation, config_file, values)
    typed = {name for name in _DELIVERY if values[name] is not None}
    if not typed:
        raise UsageError("nothing to deliver anew", f"give one of --{', --'.join(_DELIVERY).replace('_', '-')}")
    return each_of(finished_of(inputs, settings), lambda finished: _deliver(finished, settings, typed))


def _deliver(finished: Finished, settings: Settings, typed: set[str]) -> None:
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.record import markers
    from foleygen.record.remaking import remake

    wanted = _wanted(finished.sidecar.settings, settings, typed)
    suffix = f".{settings.container}" if settings.container != "auto" else finished.output.suffix
    made = remake(finished, finished.sidecar.picked, wanted, finished.output.with_suffix(suffix))
    for form in settings.markers or () if "markers" in typed else ():
        markers.of_record(made.output, made.sidecar, form)
    markers.refresh(made.output, finished.sidecar, made.sidecar)
    for warning in made.warnings:
        write_note(f"warning: {printable(made.output)}: {printable(warning)}")
    write_result(str(made.output))


def _wanted(was: SoundSettings, settings: Settings, typed: set[str]) -> SoundSettings:
    """What the run had, with what was typed in its place."""
    from foleygen.audio.level import target

    found = was
    if "audio" in typed:
        found = replace(found, audio=settings.audio)
    if {"audio", "duck"} & typed:
        duck = settings.duck if "duck" in typed or was.duck_db is None else was.duck_db
        found = replace(found, duck_db=duck if found.audio == "mix" else None)
    if "loudness" in typed:
        level = target(settings.loudness, settings.true_peak if "true_peak" in typed else None)
        lufs, peak = (None, None) if level is None else (level.lufs, level.true_peak_dbtp)
        found = replace(found, loudness_lufs=lufs, true_peak_dbtp=peak)
    elif "true_peak" in typed and was.loudness_lufs is not None:
        found = replace(found, true_peak_dbtp=settings.true_peak)
    if "ambience_level" in typed and was.ambience is not None:
        found = replace(found, ambience_level_db=settings.ambience_level)
    return found
