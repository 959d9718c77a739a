"""``foleygen train scenes|pairs|prepare``: what the models learn from, made up or of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import load_settings, settings_options
from foleygen.cli.train.shared import DEVICE, OUTPUT, PATH, QUIET, datasets_option
from foleygen.errors import ExitCode, NoClipsError, printable
from foleygen.settings import Settings

if TYPE_CHECKING:
    from foleygen.training.data.prepare import Prepared

STYLES = ("train", "clean", "foreign", "physics")


@click.command()
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
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_result
    from foleygen.training.data import dataset

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


@click.command()
@datasets_option("Dataset of scenes with pictures")
@click.option("--encoder", "encoder_run", type=PATH, required=True, metavar="RUN", help="A run of train encoder.")
@click.option("--vae", "vae_run", type=PATH, required=True, metavar="RUN", help="A run of train vae.")
@click.option("--views", type=click.IntRange(1, 64), default=2, show_default=True, help="Cameras per clip.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the cameras.")
@OUTPUT
@QUIET
def pairs(
    data: tuple[Path, ...], encoder_run: Path, vae_run: Path, views: int, seed: int, output: Path, quiet: bool
) -> None:
    """Encode datasets of scenes once, one after the other, for train mdsgen.

    \b
    Example:
      foleygen train pairs --data data/ --encoder runs/encoder --vae runs/vae -o pairs/
    """
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_result
    from foleygen.training import mdsgen
    from foleygen.training.autoencoder import trained_autoencoder
    from foleygen.training.data.mixture import open_alike
    from foleygen.training.encoder import trained_encoder
    from foleygen.training.recipe import EncoderRecipe, VaeRecipe, recorded

    datasets = open_alike(data, pictures=True)
    eyes = trained_encoder(encoder_run, recorded(encoder_run, EncoderRecipe))
    ears = trained_autoencoder(vae_run, recorded(vae_run, VaeRecipe))
    with open_steps("clips", quiet) as steps:
        mdsgen.pair(datasets, eyes, ears, views, seed, steps.advance).save(output)
    write_result(str(output))


@click.command()
@click.argument("clips", nargs=-1, required=True, type=PATH, metavar="CLIPS...")
@OUTPUT
@click.option(
    "--model", default=Settings.model, show_default=True, metavar="NAME|DIR", help="Bundle with the encoders."
)
@click.option("--shard", default="1/1", show_default=True, metavar="I/N", help="A part of them.")
@DEVICE
@QUIET
@settings_options("max_pixels")
@click.pass_obj
def prepare(
    invocation: Invocation,
    /,
    clips: tuple[Path, ...],
    output: Path,
    model: str,
    shard: str,
    device: str,
    quiet: bool,
    config_file: Path | None,
    **values: Any,
) -> ExitCode:
    """Encode clips that have sound once, for train mdsgen.

    Each clip is cut into windows; short ones are padded. The same command again goes on with what is missing, and tries
    bad clips again. Machines that share DIR take a shard each. The model is the one that will be trained on: its
    encoder, its autoencoder and the mel that this one knows are used.

    \b
    Examples:
      foleygen train prepare clips/ -o shards/
      foleygen train prepare clips/ -o shards/ --model base
      foleygen train prepare vggsound/ -o shards/ --model paper --shard 3/8 --device cuda
    """
    from foleygen.batch import shard as shards
    from foleygen.batch.discover import discover
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.engines.device import choose_device
    from foleygen.training import outputs
    from foleygen.training.data.prepare import Encoders
    from foleygen.training.data.prepare import prepare as run
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    part = shards.parse(shard)
    max_pixels = load_settings(invocation, config_file, values).max_pixels
    found = [clip.path for clip in discover(clips, output=output)]
    named = ", ".join(map(printable, clips))
    if not found:
        scenes = [clip for clip in clips if outputs.held(clip) == "scenes"]
        remedy = outputs.NEXT["scenes", "pairs"] if scenes else "name a folder with clips that have sound"
        raise NoClipsError(f"{named}: no clip found", remedy)
    encoders = Encoders.load(store.load(model, Bundle), choose_device(device))
    own = range(part.index - 1, len(found), part.count)
    results: list[Prepared] = []
    with open_steps("clips", quiet) as steps:
        for result in run(found, output, encoders, (part.index, part.count), max_pixels):
            results.append(result)
            if result.error is not None:
                steps.message(f"error: {printable(str(result.error))}")
            steps.advance(len(results), len(own), printable(result.clip.name))
    bad = [result for result in results if result.error is not None]
    if results and len(bad) == len(results):
        first = bad[0].error
        assert first is not None
        raise NoClipsError(
            f"{named}: no clip to learn from among {len(results)} (the first: {printable(first.message)})",
            "name a folder with clips that have sound",
        )
    if not quiet:
        before = sum(result.skipped for result in results)
        write_note(f"{len(results) - len(bad) - before} prepared, {before} done before, {len(bad)} left out")
    write_result(str(output))
    return ExitCode.SOME_FAILED if bad else ExitCode.OK


COMMANDS = (scenes, pairs, prepare)
