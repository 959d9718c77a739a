"""``foleygen evaluate ambience``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.compose.shared import PATH, load_composer
from foleygen.cli.evaluate.shared import counter, show
from foleygen.cli.parameters import Several
from foleygen.errors import UsageError
from foleygen.settings import DEVICES, MAX_SEED, Settings

if TYPE_CHECKING:
    from foleygen.engines.composer import Composer
    from foleygen.evaluation.ambience.sounds import Sound
    from foleygen.sampling.parallel_decode import DecodeConfig

MEASURES = ("roundtrip", "bandwidth", "fill", "tags")


@click.command()
@click.option("--recordings", type=PATH, metavar="DIR", help="Recordings, with a manifest.tsv; those of the fold test.")
@click.option(
    "--model", default=Settings.ambience_model, show_default=True, metavar="NAME|DIR", help="Bundle for ambience."
)
@click.option("--tagger", type=PATH, metavar="RUN|PART", help="A run of train tagger, or an exported one, for tags.")
@click.option("--count", type=click.IntRange(1), default=24, show_default=True, help="Sounds; scenes, or recordings.")
@click.option("--per-tag", type=click.IntRange(1), default=2, show_default=True, help="Windows composed of each tag.")
@click.option(
    "--what",
    type=Several(MEASURES),
    metavar="LIST",
    help=f"Some of {','.join(MEASURES)}; else all, tags only with --tagger.",
)
@click.option("--candidates", type=click.IntRange(1, 64), help="Ways to fill a hole that are tried; else as in fill.")
@click.option("--steps", type=click.IntRange(1, 1000), help="Steps in which a window is found; else the bundle's.")
@click.option(
    "--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True, help="Seed of what is composed."
)
@click.option(
    "--device", type=click.Choice(DEVICES), default=Settings.device, show_default=True, help="Where to compute."
)
@click.option("--plot", type=PATH, metavar="PNG", help="Draw the distances in the holes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ambience(
    recordings: Path | None,
    model: str,
    tagger: Path | None,
    count: int,
    per_tag: int,
    what: tuple[str, ...] | None,
    candidates: int | None,
    steps: int | None,
    seed: int,
    device: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """What the second engine is worth: round trip, bandwidth, holes and tags, each beside its nulls and its ceiling.

    On recordings of the fold test, or on sounds of scenes from seeds that no training has seen.

    \b
    Examples:
      foleygen evaluate ambience --recordings sounds/ --tagger runs/tagger
      foleygen evaluate ambience --model mine/ --what bandwidth,fill --count 6 --json
    """
    chosen = _chosen(what, tagger)
    from foleygen.evaluation.ambience import sounds as measure

    composer = load_composer(model, device)
    decoding = composer.decoding(steps)
    reports: dict[str, Any] = {}
    if "tags" in chosen and tagger is not None:
        from foleygen.evaluation.ambience import tags

        listener = tags.open_listener(tagger, composer)
        true = list(tags.true_sounds(composer, listener.tags, count, recordings))
        told = counter("tags")
        reports["tags"] = tags.evaluate(composer, listener, per_tag, true, seed, decoding, told)
    if chosen & {"roundtrip", "bandwidth", "fill"}:
        sounds = measure.held_out(composer.sample_rate, count, recordings, counter("drawing"))
        if "roundtrip" in chosen:
            reports["round trip"] = measure.round_trip(composer, sounds, counter("round trip"))
        if "bandwidth" in chosen:
            from foleygen.evaluation.ambience import bandwidth

            told = counter("bandwidth")
            reports["bandwidth"] = bandwidth.evaluate(composer, sounds, seed, decoding, told)
        if "fill" in chosen:
            reports |= _holes(composer, sounds, seed, decoding, candidates, plot)
    show(as_json, reports)


def _chosen(what: tuple[str, ...] | None, tagger: Path | None) -> set[str]:
    """The measures that were asked for. Raises UsageError for tags without a tagger."""
    if what is None:
        return set(MEASURES if tagger is not None else MEASURES[:-1])
    if "tags" in what and tagger is None:
        raise UsageError("tags are named by a tagger, and there is none", "give --tagger, a run of train tagger")
    return set(what)


def _holes(
    composer: Composer,
    sounds: list[Sound],
    seed: int,
    decoding: DecodeConfig,
    candidates: int | None,
    plot: Path | None,
) -> dict[str, Any]:
    """A report for each length of hole."""
    from foleygen.ambience.fill import CANDIDATES
    from foleygen.evaluation.ambience import fill

    found = {}
    for gap in fill.GAPS_S:
        name = f"holes of {gap:g} s"
        told = counter(name)
        found[name] = fill.evaluate(composer, sounds, gap, seed, decoding, candidates or CANDIDATES, told)
    if plot is not None:
        fill.plot(list(found.values()), plot)
    return found
