"""``foleygen fill``: a hole in a sound file, composed anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foleygen.cli.compose.shared import (
    PATH,
    Clock,
    asked,
    composing_options,
    content_key,
    explained,
    load_composer,
    named,
    output_for,
    same_suffix,
)
from foleygen.errors import UsageError

if TYPE_CHECKING:
    from foleygen.engines.composer import Precision


@click.command(short_help="Compose a hole in a sound file anew.")
@click.argument("source", metavar="IN.wav", type=PATH)
@click.option("--from", "start", type=Clock(), required=True, metavar="S", help="Where the hole begins.")
@click.option("--to", "stop", type=Clock(), required=True, metavar="S", help="Where it ends; at most 6.8 s later.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="The file to write; else IN.filled.wav.")
@click.option("--candidates", type=click.IntRange(1, 64), default=4, show_default=True, metavar="N",
              help="Ways to fill it that are tried; the one whose edges stand out least is taken.")  # fmt: skip
@composing_options
def fill(
    source: Path,
    start: float,
    stop: float,
    output: Path | None,
    candidates: int,
    model: str,
    seed: int,
    steps: int | None,
    device: str,
    precision: Precision,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Replace what is from --from to --to by sound that fits what is on both sides.

    Everything outside the hole stays as it is, to the bit; a WAV file keeps what it says about itself too. Within the
    hole the new sound is faded, in 50 ms, to what is beside it: of what was there nothing is heard. Each channel is
    filled by itself, and channels that are alike stay alike. Format, rate, bits and channels are the input's.

    \b
    Examples:
      foleygen fill atmo.wav --from 12.40 --to 13.10
      foleygen fill atmo.wav --from 1:02 --to 1:03.5 --seed 3 -o clean.wav
    """
    from foleygen.cli.terminal.streams import write_note, write_result

    target = output_for(output, source.with_name(f"{source.stem}.filled{source.suffix}"), overwrite)
    same_suffix(source, target)
    prominence = explained(
        lambda: _fill(source, target, (start, stop), candidates, model, seed, steps, device, precision)
    )
    if not quiet:
        write_note(f"filled {stop - start:.2f} s; its edges stand out by {prominence:.1f} dB")
    write_result(str(target))


def _fill(
    source: Path,
    target: Path,
    hole_s: tuple[float, float],
    candidates: int,
    model: str,
    seed: int,
    steps: int | None,
    device: str,
    precision: Precision,
) -> float:
    """How much the edges of what was filled stand out, dB."""
    from foleygen.media.sound_file import opened, replaced

    sound = opened(source)
    first, last = (round(time * sound.rate) for time in hole_s)
    if last <= first:
        raise UsageError(f"the hole ends at {hole_s[1]:g} s, not after it begins at {hole_s[0]:g} s", "correct --to")
    if last > sound.frames:
        fact = f"{source}: lasts {sound.seconds:.2f} s, and the hole ends at {hole_s[1]:g} s"
        raise UsageError(fact, "correct --to")
    from foleygen.ambience import fill as module

    composer = load_composer(model, device, precision)
    hole = named(source, lambda: module.plan(composer, sound.rate, sound.frames, first, last))
    samples = sound.read(hole.begin, min(hole.end, sound.frames))
    ask = asked(composer, (seed, content_key(samples), first, last), steps, candidates)
    filled = module.fill(composer, samples, sound.rate, hole, ask)
    replaced(sound, target, first, filled.samples)
    return filled.prominence_db
