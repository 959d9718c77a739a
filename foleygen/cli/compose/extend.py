"""``foleygen extend``: a sound file that goes on."""

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
    counted,
    explained,
    load_composer,
    named,
    output_for,
    same_suffix,
)
from foleygen.errors import UsageError

if TYPE_CHECKING:
    from foleygen.engines.composer import Precision

LONGEST_S = 3600.0


@click.command(short_help="Let a sound file go on after its end.")
@click.argument("source", metavar="IN.wav", type=PATH)
@click.option("--seconds", type=Clock(), required=True, metavar="S", help="How much longer it gets.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="The file to write; else IN.extended.wav.")
@composing_options
def extend(
    source: Path,
    seconds: float,
    output: Path | None,
    model: str,
    seed: int,
    steps: int | None,
    device: str,
    precision: Precision,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Let a sound go on for --seconds after its end, from what its last 4.8 s are like.

    The file stays as it is, to the bit, up to its last 50 ms, in which the new sound fades in. Format, rate, bits and
    channels are the input's; each channel goes on by itself.

    \b
    Examples:
      foleygen extend atmo.wav --seconds 20
      foleygen extend atmo.wav --seconds 1:30 --seed 2 -o longer.wav
    """
    from foleygen.cli.terminal.streams import write_result

    if not 0 < seconds <= LONGEST_S:
        raise UsageError(f"--seconds: {seconds:g} is not from 0 to {LONGEST_S:g}", "correct it")
    target = output_for(output, source.with_name(f"{source.stem}.extended{source.suffix}"), overwrite)
    same_suffix(source, target)
    explained(lambda: _extend(source, target, seconds, model, seed, steps, device, precision, quiet))
    write_result(str(target))


def _extend(
    source: Path,
    target: Path,
    seconds: float,
    model: str,
    seed: int,
    steps: int | None,
    device: str,
    precision: Precision,
    quiet: bool,
) -> None:
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.media.sound_file import extended, opened

    sound = opened(source)
    from foleygen.ambience import extend as module

    composer = load_composer(model, device, precision)
    end = named(source, lambda: module.plan(composer, sound.rate, sound.frames))
    samples = sound.read(end.begin, sound.frames)
    ask = asked(composer, (seed, content_key(samples)), steps)
    length = max(1, round(seconds * sound.rate))
    chunks = module.extend(composer, samples, sound.rate, end, length, ask)
    with open_steps("extending", quiet) as shown:
        extended(sound, target, sound.frames - end.fade, counted(chunks, sound.rate, length + end.fade, shown))
