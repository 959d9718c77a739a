"""``foleygen takes``: the versions of a clip's sound."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import TALK, load_settings, settings_options
from foleygen.errors import ExitCode, printable

if TYPE_CHECKING:
    from foleygen.record.finding import Finished

BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = " .:-=+*#@"
"""For streams that cannot show the others."""
WAVEFORM_COLUMNS = 32
_HEADER = ("take", "loudness", "true peak", "sounds", "waveform", "file")


@click.command(short_help="List the takes of clips.")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object per clip on stdout, instead of the table.")
@settings_options("output", "from_file", *TALK)
@click.pass_obj
def takes(
    invocation: Invocation,
    /,
    inputs: tuple[Path, ...],
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> ExitCode:
    """List the versions of the sound of INPUT: a finished clip, its source, or a folder.

    A clip that was finished elsewhere is found by its sidecar below -o. The take in the finished clip is marked with
    *, a clip that is locked says so. Levels are those of the take's wav; the waveforms share one
    scale. 'foleygen pick' puts another take in the clip.

    \b
    Examples:
      foleygen add-sound shot.mov --takes 3
      foleygen takes shot.mov
      foleygen takes clips/ -o finished/
      foleygen takes finished/shot.foley.mov --json
    """
    from foleygen.cli.finished import each_of, finished_of

    looks = finished_of(inputs, load_settings(invocation, config_file, values))
    return each_of(looks, lambda finished: _print(finished, as_json, with_name=len(looks) > 1))


def _print(finished: Finished, as_json: bool, with_name: bool) -> None:
    from foleygen.cli.terminal.streams import write_json, write_result, write_table

    if as_json:
        write_json(_document(finished))
        return
    lock = " (locked)" if finished.sidecar.locked else ""
    if with_name or lock:
        write_result(f"{printable(finished.output)}{lock}")
    write_table([_HEADER, *_rows(finished)], right=(0, 1, 2, 3))


def _rows(finished: Finished) -> list[tuple[str, ...]]:

    found = finished.sidecar
    loudest = max((peak for take in found.takes for peak in take.peaks), default=0.0)
    rows: list[tuple[str, ...]] = []
    for take in found.takes:
        path = finished.wav(take.number)
        file = "-" if take.file is None else "missing" if path is None else printable(path.name)
        mark = "*" if take.number == found.picked else " "
        levels = (_decibels(take.loudness_lufs, "LUFS"), _decibels(take.true_peak_dbtp, "dBTP"))
        shape = waveform(take.peaks, loudest, _blocks())
        rows.append((f"{mark}{take.number}", *levels, str(len(take.onsets_s)), shape, file))
    return rows


def waveform(peaks: Sequence[float], loudest: float, blocks: str = BLOCKS) -> str:
    """``peaks`` (0..1) as WAVEFORM_COLUMNS characters, ``loudest`` being the tallest; silence is blank."""
    columns = min(WAVEFORM_COLUMNS, len(peaks))
    edges = [round(column * len(peaks) / columns) for column in range(columns + 1)] if columns else []
    heights = [max(peaks[first:last]) for first, last in pairwise(edges)]
    most = len(blocks) - 1
    return "".join(blocks[min(most, -int(-height * most // (loudest or 1.0)))] for height in heights)


def _blocks() -> str:
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
        BLOCKS.encode(sys.getfilesystemencoding())
    except UnicodeEncodeError:
        return PLAIN_BLOCKS
    return BLOCKS


def _decibels(level: float | None, unit: str) -> str:
    return "-" if level is None else f"{level:.1f} {unit}"


def _document(finished: Finished) -> dict[str, Any]:
    from foleygen.strict import plain

    found = finished.sidecar
    listed = [
        {**plain(take), "picked": take.number == found.picked, "file": _place(finished, take.number)}
        for take in found.takes
    ]
    return {"output": str(finished.output), "picked": found.picked, "locked": found.locked, "takes": listed}


def _place(finished: Finished, number: int) -> str | None:
    path = finished.wav(number)
    return None if path is None else str(path)
