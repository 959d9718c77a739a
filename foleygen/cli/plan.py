"""``foleygen plan``: the frozen list that the machines of a farm share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import TALK, load_settings, settings_options
from foleygen.errors import ExitCode, NoClipsError, UsageError


@click.command(short_help="Write the sorted list of clips that shards share.")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("-0", "--null", is_flag=True, help="End each path with a NUL byte: for names with line breaks.")
@click.option("--seconds/--no-seconds", default=True, help="Tell each clip's length, as its header has it.")
@settings_options("from_file", "output", "max_pixels", *TALK)
@click.pass_obj
def plan(
    invocation: Invocation,
    /,
    inputs: tuple[Path, ...],
    null: bool,
    seconds: bool,
    config_file: Path | None,
    **values: Any,
) -> ExitCode:
    """Print the clips of INPUT..., sorted, one per line: the path, a tab, the seconds.

    add-sound takes the list with --from-file, and with --shard I/N the I-th of N parts of it. Paths are as they were
    typed, and a relative one is meant from the folder in which a command runs: give a full path if that will be
    another. A clip that cannot be read is listed without seconds, and add-sound reports it. The folder --output is
    left out. Words that a list has for a clip's sound (a tab and sound: WORDS at the end of its line) stay with it.

    \b
    Examples:
      foleygen plan clips/ > clips.txt
      foleygen plan "$PWD/clips" --no-seconds > clips.txt
      foleygen add-sound --from-file clips.txt -o finished/ --shard 1/8 --balance duration
    """
    from foleygen.batch.frozen import Frozen
    from foleygen.batch.shard import in_order, seconds_of
    from foleygen.cli.lists import clips_of, named
    from foleygen.cli.terminal.console import open_console
    from foleygen.cli.terminal.streams import write_bytes

    settings = load_settings(invocation, config_file, values)
    with open_console(settings) as console:
        clips = in_order(clips_of(inputs, settings, console.left_out, frozen=True))
        if not clips:
            raise NoClipsError(f"{named(inputs, settings)}: no clip found", "name a video file, or a folder with some")

        def length(number: int) -> float | None:
            if isinstance(clips, Frozen) and (told := clips.seconds_at(number)) is not None:
                return told
            return seconds_of(clips[number], settings.max_pixels, lambda error: console.warn(str(error)))

        def words(number: int) -> str | None:
            return clips.sounds.get(number) if isinstance(clips, Frozen) else clips[number].own.sound

        paths = clips.paths if isinstance(clips, Frozen) else [os.fsencode(clip.path) for clip in clips]
        write_bytes(
            _joined(_entry(path, null, length(n) if seconds else None, words(n)) for n, path in enumerate(paths))
        )
    return ExitCode.OK


def _joined(entries: Iterable[bytes]) -> bytes:
    """Put together piece by piece: a million at once would take three times the memory."""
    whole = bytearray()
    for entry in entries:
        whole += entry
    return bytes(whole)


def _entry(name: bytes, null: bool, seconds: float | None, sound: str | None = None) -> bytes:
    """One entry, written so that ``discover.listed`` reads the same path, seconds and words."""
    from foleygen.batch.discover import SOUND

    if not null and (b"\n" in name or b"\r" in name):
        raise UsageError(f"{os.fsdecode(name)!r}: its name holds a line break", "use --null")
    if name.startswith(b"#") or name != name.lstrip():
        name = b"./" + name
    length = b"" if seconds is None else b"%.3f" % seconds
    words = b"" if sound is None else b"\t%s %s" % (SOUND, os.fsencode(sound))
    tab = b"\t" if length or words or b"\t" in name else b""
    return name + tab + length + words + (b"\0" if null else b"\n")
