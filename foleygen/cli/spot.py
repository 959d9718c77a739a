"""``foleygen spot``: the moments at which something seems to sound, as cues to correct."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import TALK, load_settings, settings_options
from foleygen.cli.parameters import Number
from foleygen.errors import ExitCode, FoleygenError, NoClipsError, printable

if TYPE_CHECKING:
    from foleygen.batch.discover import Clip
    from foleygen.cli.terminal.console import Console
    from foleygen.engines.foley import Engine
    from foleygen.facts import CueSheet
    from foleygen.features.cache import FeatureCache
    from foleygen.media.probe import ClipInfo
    from foleygen.pipeline.sight import Sight
    from foleygen.settings import Settings

ADVICE = "put cues where it should sound, by hand or in your editing program, and give them to add-sound with --cues"


@click.command(short_help="Find where clips seem to sound, as cues to correct.")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--threshold", type=Number(0, 1), metavar="X", help="How sure a cue must be.  [default: 0.5]")
@click.option("--max-rate", type=Number(min=1), metavar="N", help="At most N cues in any second.")
@settings_options(
    "output", "model", "device", "audio_delay", "overlap", "cuts", "cache", "from_file", "max_pixels", "overwrite",
    "json", *TALK,
)  # fmt: skip
@click.pass_obj
def spot(
    invocation: Invocation,
    /,
    inputs: tuple[Path, ...],
    threshold: float | None,
    max_rate: float | None,
    config_file: Path | None,
    **values: Any,
) -> ExitCode:
    """Look at the pictures of each clip and write NAME.cues.csv beside it, or to --output.

    A row is a moment at which something seems to sound: seconds, timecode, strength, confidence and sound. Strength
    and sound are left for you to fill in, rows are yours to move, add and remove; add-sound finds the file beside the
    clip and sounds what is in it. What was seen before is not decoded again. A clip in which nothing is seen gets no
    file. Cues that are there stay, and are no error; --overwrite replaces them. --audio-delay moves all cues.

    \b
    Examples:
      foleygen spot clips/
      foleygen spot shot.mov --threshold 0.7 --max-rate 4
      foleygen spot clips/ -o cues/ --json
      foleygen add-sound clips/ --cues cues/
    """
    from foleygen.cli.lists import clips_of, named
    from foleygen.cli.terminal.console import open_console

    settings = load_settings(invocation, config_file, values)
    with open_console(settings) as console:
        clips = clips_of(inputs, settings, console.left_out)
        if not clips:
            raise NoClipsError(f"{named(inputs, settings)}: no clip found", "name a video file, or a folder with some")
        return _spot(clips, settings, threshold, max_rate, console)


def _spot(
    clips: Sequence[Clip], settings: Settings, threshold: float | None, max_rate: float | None, console: Console
) -> ExitCode:
    from foleygen.batch.worker import feature_cache, load_bundle, load_engine
    from foleygen.pipeline.hits import THRESHOLD

    wanted = [clip for clip in clips if not _stays(clip, settings)]
    if not wanted:
        return ExitCode.OK
    engine, cache = load_engine(settings, load_bundle(settings)), feature_cache(settings)
    failures: list[FoleygenError] = []
    for clip in wanted:
        try:
            _one(clip, settings, engine, cache, THRESHOLD if threshold is None else threshold, max_rate, console)
        except FoleygenError as error:
            failures.append(error)
            console.fail(str(error))
    if not failures:
        return ExitCode.OK
    return ExitCode.SOME_FAILED if len(failures) < len(clips) else failures[0].exit_code


def _one(
    clip: Clip,
    settings: Settings,
    engine: Engine,
    cache: FeatureCache | None,
    threshold: float,
    max_rate: float | None,
    console: Console,
) -> None:
    """Look at one clip; write its cues, draw them, say where they are."""
    from foleygen.cli.terminal.streams import draw, write_json, write_result
    from foleygen.cues import files
    from foleygen.cues.clock import ClipClock
    from foleygen.cues.formats import table
    from foleygen.media.probe import probe
    from foleygen.pipeline.sight import cues_in, look

    path = _path(clip, settings)
    info = probe(clip.path, settings.max_pixels)
    seen = look(info, engine, settings.render_settings(1), cache)
    found = cues_in(info.duration, seen, settings.audio_delay, threshold, max_rate)
    if found.cues:
        files.publish(path, table.write(found, ClipClock.of(info)))
    if settings.json:
        write_json(_document(clip, path, found, info))
        return
    if not settings.quiet:
        draw(settings, lambda width: _drawing(info, seen, found, width))
    if found.cues:
        write_result(str(path))
    else:
        console.warn(f"{printable(clip.path)}: nothing is seen in it that would sound; {ADVICE}")


def _path(clip: Clip, settings: Settings) -> Path:
    """Where the cues of a clip go."""
    from foleygen.cues import files

    return files.path_for(clip.path, None if settings.output is None else settings.output / clip.mirror)


def _stays(clip: Clip, settings: Settings) -> bool:
    """Whether the cues of a clip are there and stay as they are, which is said."""
    from foleygen.cli.terminal.streams import write_json, write_note

    path = _path(clip, settings)
    if settings.overwrite or not os.path.lexists(path):
        return False
    if settings.json:
        write_json({"clip": str(clip.path), "file": str(path), "skipped": "is there already"})
    elif not settings.quiet:
        write_note(f"skipped: {printable(path)}: is there already; --overwrite replaces it")
    return True


def _document(clip: Clip, path: Path, found: CueSheet, info: ClipInfo) -> dict[str, Any]:
    from foleygen.strict import plain

    return {
        "clip": str(clip.path),
        "file": str(path) if found.cues else None,
        "duration_s": float(info.duration),
        "cues": [{"seconds": cue.seconds, "confidence": plain(cue.confidence)} for cue in found.cues],
    }


def _drawing(info: ClipInfo, seen: Sight, found: CueSheet, width: int) -> list[str]:
    from foleygen.cli.terminal.plots import spotting_rows

    name = printable(info.path.name)
    count = len(found.cues)
    return [
        f"{name}: {count} {'cue' if count == 1 else 'cues'} in {float(info.duration):.1f} s",
        *spotting_rows(seen.motion, [cue.seconds for cue in found.cues], float(info.duration), width),
    ]
