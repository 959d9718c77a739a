"""``foleygen ambience``: a bed of sound from words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foleygen.cli.compose.shared import PATH, Clock, composing_options, counted, explained, load_composer, output_for
from foleygen.cli.parameters import Number
from foleygen.errors import UsageError

if TYPE_CHECKING:
    from foleygen.engines.composer import Precision
    from foleygen.weights.ambience import AmbienceBundle

LONGEST_S = 6 * 3600.0
SHORTEST_S = 0.1


@click.command(short_help="Make a bed of ambience from words.")
@click.argument("prompt", required=False)
@click.option("--seconds", type=Clock(), default=30.0, show_default=True, metavar="S", help="How long, to the sample.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="The wav file to write.")
@click.option(
    "--guidance",
    type=Number(0, 100),
    metavar="X",
    help="How strongly the words steer the sound; else the bundle's.",
)
@click.option("--list", "listing", is_flag=True, help="Print the tags that the bundle knows, with their words.")
@composing_options
def ambience(
    prompt: str | None,
    seconds: float,
    output: Path | None,
    listing: bool,
    model: str,
    seed: int,
    steps: int | None,
    guidance: float | None,
    device: str,
    precision: Precision,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Make ambience as PROMPT says, and write it as a mono 48 kHz 24-bit wav.

    The bundle in the package knows a list of tags, and says on stderr which of them it took from the words; words
    that name none are an error. A bundle that hears with CLAP takes any words. What is longer than a window of 9.8 s
    goes on from the last 3 s of the window before.

    \b
    Examples:
      foleygen ambience "rain on a tin roof" --seconds 30 -o bed.wav
      foleygen ambience "wind, birds" --seconds 2:00 --seed 4 -o meadow.wav
      foleygen ambience --list
    """
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.engines.words import understand
    from foleygen.weights import store
    from foleygen.weights.ambience import AmbienceBundle

    bundle = store.load(model, AmbienceBundle)
    if listing:
        _list(bundle)
        return
    if prompt is None:
        raise UsageError("no prompt was given", "say what is to be heard, or see 'foleygen ambience --list'")
    words = understand(prompt, bundle)
    if output is None:
        raise UsageError("-o/--output: not given", "name the wav file to write")
    if output.suffix.lower() != ".wav":
        raise UsageError(f"{output}: is not the name of a wav file", "give it the suffix .wav")
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise UsageError(f"--seconds: {seconds:g} is not from {SHORTEST_S:g} to {LONGEST_S:g}", "correct it")
    target = output_for(output, output, overwrite)
    if not quiet:
        write_note(f"heard {words}")
        if not bundle.commercial:
            write_note(f"these weights are for non-commercial use only ({bundle.licence}), and so is this sound")
    explained(
        lambda: _write(target, prompt, words.prompt, seconds, model, seed, steps, guidance, device, precision, quiet)
    )
    write_result(str(target))


def _write(
    target: Path,
    prompt: str,
    title: str,
    seconds: float,
    model: str,
    seed: int,
    steps: int | None,
    guidance: float | None,
    device: str,
    precision: Precision,
    quiet: bool,
) -> None:
    from foleygen import __version__
    from foleygen.ambience.bed import bed
    from foleygen.ambience.inpaint import Ask
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.engines.words import understand
    from foleygen.facts import SAMPLE_RATE
    from foleygen.media import bwf
    from foleygen.media.spool import Spool

    composer = load_composer(model, device, precision)
    words = understand(prompt, composer.bundle)
    ask = Ask((seed, title), composer.condition(words), composer.decoding(steps, guidance), 1)
    rate = composer.sample_rate
    total = max(1, round(seconds * rate))
    facts = [f"foleygen {__version__}", f"model {composer.bundle.name}", f"seed {seed}"]
    if not composer.bundle.commercial:
        facts.append(f"not for commercial use ({composer.bundle.licence})")
    with open_steps("ambience", quiet) as shown, Spool(counted(bed(composer, ask, total), rate, total, shown)) as made:
        sound, loudness = bwf.filed(made, rate, max(1, round(seconds * SAMPLE_RATE)))
        bwf.write(
            target,
            sound,
            time_reference=0,
            originator="foleygen",
            description=f"Ambience: {title}",
            coding_history=bwf.history(*facts, *bwf.told(sound, loudness)),
            loudness=loudness,
        )


def _list(bundle: AmbienceBundle) -> None:
    from foleygen.cli.terminal.streams import write_note, write_table
    from foleygen.weights import tags

    if bundle.conditioning == "clap":
        write_note(f"{bundle.name} hears with CLAP: it takes any words")
        return
    known = tags.table()
    rows = [(tag, ", ".join(word for word in known[tag].words if word != tag) if tag in known else "")
            for tag in bundle.tags]  # fmt: skip
    write_table([("TAG", "ALSO CALLED"), *rows])
