"""``foleygen train``: every model of a bundle, from scenes or from clips of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from foleygen.cli import train_ambience, train_judges
from foleygen.cli.reading import readable
from foleygen.cli.training import (
    DEVICE,
    OUTPUT,
    PATH,
    QUIET,
    changed,
    computing,
    data_option,
    run_loop,
    run_options,
    text_of,
)
from foleygen.errors import ExitCode, NoClipsError, UsageError

if TYPE_CHECKING:
    from foleygen.training.prepare import Prepared
    from foleygen.weights.bundle import Bundle

STYLES = ("train", "clean", "foreign")


@click.group()
def train() -> None:
    """Train the models of a bundle, from made-up scenes or from clips with sound.

    A run's folder holds its recipe, its checkpoint and its loss curves (loss.csv, loss.png). The same command again
    goes on where the last checkpoint is. Under torchrun the processes share each batch.

    \b
    Examples:
      foleygen train scenes --count 2000 -o data/
      foleygen train vae --data data/ -o runs/vae
      foleygen train encoder --data data/ -o runs/encoder
      foleygen train pairs --data data/ --encoder runs/encoder --vae runs/vae -o pairs/
      foleygen train mdsgen --data pairs/ -o runs/mdsgen
      foleygen train bundle --mdsgen runs/mdsgen --encoder runs/encoder --vae runs/vae --pairs pairs/ \\
          --name mine --licence CC0-1.0 -o mine/
    """


@train.command()
@OUTPUT
@click.option("--count", type=click.IntRange(1), required=True, metavar="N", help="How many clips.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first clip.")
@click.option("--style", type=click.Choice(STYLES), default="train", show_default=True, help="How clips are drawn.")
@click.option("--recordings", type=PATH, metavar="DIR", help="Recordings to play, with a manifest.tsv.")
@click.option("--footage", type=PATH, metavar="DIR", help="Clips to put behind the scenes.")
@click.option("--for", "purpose", type=click.Choice(("tiny", "cavp")), default="tiny", show_default=True,
              help="The recipe family whose pictures and mels are made.")  # fmt: skip
@click.option("--pictures/--no-pictures", default=True, help="Make the pictures too; a vae needs none.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes; else one per core.")
@QUIET
def scenes(
    output: Path,
    purpose: Literal["tiny", "cavp"],
    recordings: Path | None,
    footage: Path | None,
    quiet: bool,
    **made: Any,
) -> None:
    """Make a dataset of made-up clips with sound and exact event times.

    Resumable: the same command makes the clips that are missing. Seeds from 1000000 on are kept for tests.

    \b
    Example:
      foleygen train scenes --count 2000 --recordings sounds/ -o data/
    """
    from foleygen.cli.console import write_result
    from foleygen.cli.steps import open_steps
    from foleygen.training import dataset

    geometry, mel = dataset.geometry_for(purpose)
    config = dataset.DatasetConfig(
        count=made["count"],
        first_seed=made["seed"],
        style=made["style"],
        pictures=made["pictures"],
        recordings=str(recordings) if recordings else None,
        footage=str(footage) if footage else None,
        **geometry,
    )
    with open_steps("clips", quiet) as steps:
        dataset.make(output, config, made["workers"], steps.advance, mel)
    write_result(str(output))


@train.command()
@data_option("Dataset of scenes.")
@click.option("--recordings", type=PATH, metavar="DIR", help="Recordings to add, with a manifest.tsv.")
@run_options("tiny-vae")
def vae(data: Path, recordings: Path | None, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the mel autoencoder.

    \b
    Example:
      foleygen train vae --data data/ --recordings sounds/ -o runs/vae
    """
    from foleygen.training import runs
    from foleygen.training.recipe import VaeRecipe, load

    chosen = load(recipe, VaeRecipe)
    with computing(loop) as (device, changes):
        run_loop(runs.vae_loop(changed(chosen, changes), data, recordings, output, device), "vae", quiet)


@train.command()
@data_option("Dataset of scenes, whose sounds are made again.")
@click.option("--recordings", type=PATH, metavar="DIR", help="Recordings to add, with a manifest.tsv.")
@click.option("--decoder", metavar="NAME|BUNDLE", help="Learn from what this bundle's autoencoder decodes too.")
@click.option("--init", type=PATH, metavar="RUN", help="Begin with the vocoder of this run.")
@run_options("vocoder-16k")
def vocoder(
    data: Path,
    recordings: Path | None,
    decoder: str | None,
    init: Path | None,
    recipe: str,
    output: Path,
    quiet: bool,
    **loop: Any,
) -> None:
    """Train a small neural vocoder, which may take Griffin-Lim's place in a bundle.

    \b
    Examples:
      foleygen train vocoder --data data/ --recordings sounds/ --decoder tiny -o runs/vocoder
      foleygen train vocoder --recipe vocoder-16k-adversarial --init runs/vocoder --data data/ -o runs/finer
      foleygen train bundle --vocoder runs/finer --base tiny --name mine -o mine/
    """
    from foleygen.cli.steps import open_steps
    from foleygen.training import runs
    from foleygen.training.recipe import VocoderRecipe, load

    chosen = load(recipe, VocoderRecipe)
    bundle = _bundle(decoder) if decoder is not None else None
    with computing(loop) as (device, changes):
        with open_steps("sounds", quiet) as steps:
            prepared = runs.vocoder_loop(
                changed(chosen, changes), data, recordings, output, device,
                init=init, decoder=bundle, on_sound=steps.advance,
            )  # fmt: skip
        run_loop(prepared, "vocoder", quiet)


@train.command()
@data_option("Dataset of scenes with pictures.")
@run_options("tiny-encoder")
def encoder(data: Path, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the small video encoder to hear what it sees.

    \b
    Example:
      foleygen train encoder --data data/ -o runs/encoder
    """
    from foleygen.training import runs
    from foleygen.training.recipe import EncoderRecipe, load

    chosen = load(recipe, EncoderRecipe)
    with computing(loop) as (device, changes):
        run_loop(runs.encoder_loop(changed(chosen, changes), data, output, device), "encoder", quiet)


@train.command()
@data_option("Dataset of scenes with pictures; made --for cavp for the published towers.")
@run_options("cavp-small")
def cavp(data: Path, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train encoders of picture and sound by contrast, within and across clips.

    \b
    Examples:
      foleygen train cavp --data data/ -o runs/cavp-small
      torchrun --nproc_per_node=8 -m foleygen train cavp --recipe cavp --data data-cavp/ -o runs/cavp
    """
    from foleygen.training import runs
    from foleygen.training.recipe import CavpRecipe, load

    chosen = load(recipe, CavpRecipe)
    with computing(loop) as (device, changes):
        run_loop(runs.cavp_loop(changed(chosen, changes), data, output, device), "cavp", quiet)


@train.command()
@data_option("Dataset of scenes with pictures.")
@click.option("--encoder", "encoder_run", type=PATH, required=True, metavar="RUN", help="A run of train encoder.")
@click.option("--vae", "vae_run", type=PATH, required=True, metavar="RUN", help="A run of train vae.")
@click.option("--views", type=click.IntRange(1, 64), default=2, show_default=True, help="Cameras per clip.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the cameras.")
@OUTPUT
@QUIET
def pairs(data: Path, encoder_run: Path, vae_run: Path, views: int, seed: int, output: Path, quiet: bool) -> None:
    """Encode a dataset of scenes once, for train mdsgen.

    \b
    Example:
      foleygen train pairs --data data/ --encoder runs/encoder --vae runs/vae -o pairs/
    """
    from foleygen.cli.console import write_result
    from foleygen.cli.steps import open_steps
    from foleygen.training import mdsgen, runs
    from foleygen.training.recipe import EncoderRecipe, VaeRecipe, recorded

    eyes = runs.trained_encoder(encoder_run, recorded(encoder_run, EncoderRecipe))
    ears = runs.trained_autoencoder(vae_run, recorded(vae_run, VaeRecipe))
    with open_steps("clips", quiet) as steps:
        mdsgen.pair(runs.with_pictures(runs.open_scenes(data)), eyes, ears, views, seed, steps.advance).save(output)
    write_result(str(output))


@train.command("mdsgen")
@data_option("What train pairs or train prepare wrote.")
@click.option("--init", metavar="NAME|BUNDLE", help="Fine-tune the transformer of this bundle.")
@run_options("tiny-mdsgen")
def mdsgen_command(data: Path, init: str | None, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the masked diffusion transformer.

    \b
    Examples:
      foleygen train mdsgen --data pairs/ -o runs/mdsgen
      foleygen train mdsgen --data shards/ --init tiny --steps 5000 -o runs/fine
      foleygen train mdsgen --data shards/ --recipe paper-B -o runs/paper-B
    """
    from foleygen.training import runs
    from foleygen.training.recipe import MdsgenRecipe, load

    chosen = load(recipe, MdsgenRecipe)
    bundle = _bundle(init) if init else None
    with computing(loop) as (device, changes):
        run_loop(runs.mdsgen_loop(changed(chosen, changes), data, bundle, output, device), "mdsgen", quiet)


def parse_shard(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """``I/N``, 1 to N."""
    index, _, count = value.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"{value!r} is not I/N with I from 1 to N", context, parameter)
    return int(index), int(count)


@train.command()
@click.argument("clips", nargs=-1, required=True, type=PATH, metavar="CLIPS...")
@OUTPUT
@click.option("--model", default="tiny", show_default=True, metavar="NAME|DIR", help="Bundle with the encoders.")
@click.option("--shard", callback=parse_shard, default="1/1", show_default=True, metavar="I/N", help="A part of them.")
@DEVICE
@QUIET
def prepare(
    clips: tuple[Path, ...], output: Path, model: str, shard: tuple[int, int], device: str, quiet: bool
) -> ExitCode:
    """Encode clips that have sound once, for train mdsgen.

    Each clip is cut into windows; short ones are padded. The same command again goes on with what is missing, and tries
    bad clips again. Machines that share DIR take a shard each.

    \b
    Examples:
      foleygen train prepare clips/ -o shards/
      foleygen train prepare vggsound/ -o shards/ --model paper --shard 3/8 --device cuda
    """
    from foleygen.batch.discover import discover
    from foleygen.cli.console import write_note, write_result
    from foleygen.cli.steps import open_steps
    from foleygen.engine import choose_device
    from foleygen.training.prepare import Encoders
    from foleygen.training.prepare import prepare as run

    found = [clip.path for clip in discover(clips, output=output)]
    named = ", ".join(map(readable, clips))
    if not found:
        raise NoClipsError(f"{named}: no clip found", "name a folder with clips that have sound")
    encoders = Encoders.load(_bundle(model), choose_device(device))
    results: list[Prepared] = []
    with open_steps("clips", quiet) as steps:
        for result in run(found, output, encoders, shard):
            results.append(result)
            if result.error is not None:
                steps.message(f"error: {readable(str(result.error))}")
            steps.advance(len(results), len(range(shard[0] - 1, len(found), shard[1])), f"{readable(result.clip.name)}")
    bad = [result for result in results if result.error is not None]
    if results and len(bad) == len(results):
        first = bad[0].error
        assert first is not None
        raise NoClipsError(
            f"{named}: no clip to learn from among {len(results)} (the first: {readable(first.message)})",
            "name a folder with clips that have sound",
        )
    if not quiet:
        before = sum(result.skipped for result in results)
        write_note(f"{len(results) - len(bad) - before} prepared, {before} done before, {len(bad)} left out")
    write_result(str(output))
    return ExitCode.SOME_FAILED if bad else ExitCode.OK


@train.command()
@click.option("--mdsgen", "mdsgen_run", type=PATH, metavar="RUN", help="A run of train mdsgen.")
@click.option("--vocoder", "vocoder_run", type=PATH, metavar="RUN", help="A run of train vocoder; else Griffin-Lim.")
@click.option("--base", metavar="NAME|DIR", help="Take everything else from this bundle.")
@click.option("--encoder", "encoder_run", type=PATH, metavar="RUN", help="Without --base: a run of train encoder.")
@click.option("--vae", "vae_run", type=PATH, metavar="RUN", help="Without --base: a run of train vae.")
@click.option("--pairs", "pairs_dir", type=PATH, metavar="DIR", help="Without --base: what train pairs wrote.")
@click.option("--name", required=True, help="Name of the bundle.")
@click.option("--licence", help="Without --base: licence of the weights.")
@click.option("--licence-file", type=PATH, metavar="FILE", help="Its text.")
@click.option("--commercial/--non-commercial", default=False, help="Whether the licence allows commercial use.")
@click.option("--card", type=PATH, metavar="FILE", help="Model card; else one is written from the recipes.")
@click.option("--credits", type=PATH, metavar="TSV", help="Without --base: credit this manifest's recordings in it.")
@OUTPUT
def bundle(
    mdsgen_run: Path | None,
    vocoder_run: Path | None,
    base: str | None,
    name: str,
    card: Path | None,
    output: Path,
    **parts: Any,
) -> None:
    """Put finished trainings together as a bundle for --model.

    \b
    Examples:
      foleygen train bundle --mdsgen runs/fine --base tiny --name mine -o mine/
      foleygen train bundle --vocoder runs/vocoder --base tiny --name mine -o mine/
      foleygen train bundle --mdsgen runs/mdsgen --encoder runs/encoder --vae runs/vae --pairs pairs/ \\
          --name mine --licence CC0-1.0 --commercial -o mine/
    """
    from foleygen.cli.console import write_result
    from foleygen.training import packing
    from foleygen.training.credits import credits_of

    text = text_of(card) if card else None
    if mdsgen_run is None and (base is None or vocoder_run is None):
        raise UsageError("--mdsgen: not given", "give it, or --vocoder and --base")
    made = _bundle(base) if base is not None else None
    if made is not None and mdsgen_run is not None:
        made = packing.pack_transformer(output, made, mdsgen_run, name, text)
    elif mdsgen_run is not None:
        missing = [f"--{part}" for part in ("encoder", "vae", "pairs", "licence") if not parts[_KEYS.get(part, part)]]
        if missing:
            raise UsageError(f"{', '.join(missing)}: not given", "give them, or --base")
        made = packing.pack_all(
            output,
            packing.Runs(parts["encoder_run"], parts["vae_run"], mdsgen_run, parts["pairs_dir"]),
            packing.Terms(
                name=name,
                licence=parts["licence"],
                commercial=parts["commercial"],
                text=text_of(parts["licence_file"]) if parts["licence_file"] else parts["licence"] + "\n",
            ),
            text,
            credits_of(parts["credits"]) if parts["credits"] else "",
        )
    if vocoder_run is not None:
        assert made is not None
        packing.pack_vocoder(output, made, vocoder_run, name, text)
    write_result(str(output))


_KEYS = {"encoder": "encoder_run", "vae": "vae_run", "pairs": "pairs_dir"}


for _command in (*train_ambience.COMMANDS, *train_judges.COMMANDS):
    train.add_command(_command)


def _bundle(model: str) -> Bundle:
    from foleygen.weights import bundle as bundles
    from foleygen.weights import store

    return bundles.load(store.resolve(model))
