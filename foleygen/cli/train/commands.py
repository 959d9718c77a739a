"""``foleygen train``: every model of a bundle, from scenes or from clips of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.train import ambience as train_ambience
from foleygen.cli.train import cues as train_cues
from foleygen.cli.train import data as train_data
from foleygen.cli.train import distill as train_distill
from foleygen.cli.train import judges as train_judges
from foleygen.cli.train import level as train_level
from foleygen.cli.train.shared import (
    OUTPUT,
    PATH,
    SHARE,
    VALIDATION,
    changed,
    computing,
    data_option,
    datasets_option,
    run_loop,
    run_options,
    shared,
    text_of,
)
from foleygen.errors import UsageError
from foleygen.settings import Settings


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
@datasets_option("Dataset of scenes")
@SHARE
@click.option("--recordings", type=PATH, metavar="DIR", help="Recordings to add, with a manifest.tsv.")
@VALIDATION
@run_options("tiny-vae")
def vae(
    data: tuple[Path, ...],
    shares: tuple[float, ...],
    recordings: Path | None,
    recipe: str,
    output: Path,
    quiet: bool,
    **loop: Any,
) -> None:
    """Train the mel autoencoder.

    Recordings are as likely as clips of scenes, whatever the shares.

    \b
    Example:
      foleygen train vae --data data/ --recordings sounds/ -o runs/vae
    """
    from foleygen.training.autoencoder import vae_loop
    from foleygen.training.recipe import VaeRecipe, load

    chosen = shared(load(recipe, VaeRecipe), shares)
    with computing(loop) as (device, changes):
        run_loop(vae_loop(changed(chosen, changes), data, recordings, output, device), "vae", quiet)


@train.command()
@datasets_option("Dataset of scenes, whose sounds are made again")
@SHARE
@click.option("--recordings", type=PATH, metavar="DIR", help="Recordings to add, with a manifest.tsv.")
@click.option("--decoder", metavar="NAME|BUNDLE", help="Learn from what this bundle's autoencoder decodes too.")
@click.option("--init", type=PATH, metavar="RUN", help="Begin with the vocoder of this run.")
@run_options("vocoder-16k")
def vocoder(
    data: tuple[Path, ...],
    shares: tuple[float, ...],
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
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.training.recipe import VocoderRecipe, load
    from foleygen.training.vocoder import vocoder_loop
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    chosen = shared(load(recipe, VocoderRecipe), shares)
    bundle = store.load(decoder, Bundle) if decoder is not None else None
    with computing(loop) as (device, changes):
        with open_steps("sounds", quiet) as steps:
            prepared = vocoder_loop(
                changed(chosen, changes), data, recordings, output, device,
                init=init, decoder=bundle, on_sound=steps.advance,
            )  # fmt: skip
        run_loop(prepared, "vocoder", quiet)


@train.command()
@datasets_option("Dataset of scenes with pictures")
@SHARE
@VALIDATION
@run_options("tiny-encoder")
def encoder(
    data: tuple[Path, ...], shares: tuple[float, ...], recipe: str, output: Path, quiet: bool, **loop: Any
) -> None:
    """Train the small video encoder to hear what it sees.

    \b
    Examples:
      foleygen train encoder --data data/ -o runs/encoder
      foleygen train encoder --data data/ --share 0.7 --data physics/ --share 0.3 -o runs/encoder
    """
    from foleygen.training.encoder import encoder_loop
    from foleygen.training.recipe import EncoderRecipe, load

    chosen = shared(load(recipe, EncoderRecipe), shares)
    with computing(loop) as (device, changes):
        run_loop(encoder_loop(changed(chosen, changes), data, output, device), "encoder", quiet)


@train.command()
@datasets_option("Dataset of scenes with pictures, made --for cavp for the published towers")
@SHARE
@VALIDATION
@run_options("cavp-small")
def cavp(
    data: tuple[Path, ...], shares: tuple[float, ...], recipe: str, output: Path, quiet: bool, **loop: Any
) -> None:
    """Train encoders of picture and sound by contrast, within and across clips.

    \b
    Examples:
      foleygen train cavp --data data/ -o runs/cavp-small
      torchrun --nproc_per_node=8 -m foleygen train cavp --recipe cavp --data data-cavp/ -o runs/cavp
    """
    from foleygen.training.cavp import cavp_loop
    from foleygen.training.recipe import CavpRecipe, load

    chosen = shared(load(recipe, CavpRecipe), shares)
    with computing(loop) as (device, changes):
        run_loop(cavp_loop(changed(chosen, changes), data, output, device), "cavp", quiet)


@train.command("mdsgen")
@data_option("What train pairs or train prepare wrote.")
@click.option("--init", metavar="NAME|BUNDLE", help="Fine-tune the transformer of this bundle.")
@VALIDATION
@click.option(
    "--sample-every", type=click.IntRange(1), metavar="N", help="Every N steps, write sounds of clips held out."
)
@click.option(
    "--sample-with",
    metavar="NAME|BUNDLE",
    help="Bundle with the data's autoencoder, to hear them; else --init, or tiny.",
)
@run_options("tiny-mdsgen")
def mdsgen_command(
    data: Path,
    init: str | None,
    sample_every: int | None,
    sample_with: str | None,
    recipe: str,
    output: Path,
    quiet: bool,
    **loop: Any,
) -> None:
    """Train the masked diffusion transformer.

    \b
    Examples:
      foleygen train mdsgen --data pairs/ -o runs/mdsgen
      foleygen train mdsgen --data shards/ --init tiny --steps 5000 -o runs/fine
      foleygen train mdsgen --data shards/ --init tiny --validation 0.05 --sample-every 500 -o runs/fine
      foleygen train mdsgen --data shards/ --recipe paper-B -o runs/paper-B
    """
    from foleygen.training.mdsgen import mdsgen_loop
    from foleygen.training.recipe import MdsgenRecipe, load
    from foleygen.training.samples import listen, listening_to
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    chosen = load(recipe, MdsgenRecipe)
    if sample_with is not None and sample_every is None:
        raise UsageError("--sample-with: no sounds are asked for", "give --sample-every too")
    bundle = store.load(init, Bundle) if init else None
    with computing(loop) as (device, changes):
        decided = changed(chosen, changes)
        listening = None
        if sample_every is not None:
            heard = store.load(sample_with or init or Settings.model, Bundle)
            listening = listening_to(data, decided, heard, device)
        made = mdsgen_loop(decided, data, bundle, output, device)
        if listening is not None and sample_every is not None:
            listen(made, listening, sample_every)
        run_loop(made, "mdsgen", quiet)


@train.command()
@click.option("--mdsgen", "mdsgen_run", type=PATH, metavar="RUN", help="A run of train mdsgen.")
@click.option("--vocoder", "vocoder_run", type=PATH, metavar="RUN", help="A run of train vocoder; else Griffin-Lim.")
@click.option("--cues", "cues_run", type=PATH, metavar="RUN", help="With --base: a run of train cues.")
@click.option("--student", "student_run", type=PATH, metavar="RUN", help="With --base: a run of train distill.")
@click.option("--usual/--on-request", default=True, help="Use the student always, or only where --steps is as few.")
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
    cues_run: Path | None,
    student_run: Path | None,
    usual: bool,
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
      foleygen train bundle --cues runs/cues --base tiny --name mine -o mine/
      foleygen train bundle --student runs/student --base tiny --name mine -o mine/
      foleygen train bundle --mdsgen runs/mdsgen --encoder runs/encoder --vae runs/vae --pairs pairs/ \\
          --name mine --licence CC0-1.0 --commercial -o mine/
    """
    from foleygen.cli.terminal.streams import write_result
    from foleygen.training import packing
    from foleygen.training.data.credits import credits_of
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    text = text_of(card) if card else None
    if mdsgen_run is None and (base is None or (vocoder_run or cues_run or student_run) is None):
        raise UsageError("--mdsgen: not given", "give it, or --vocoder, --cues or --student and --base")
    for option, run in (("--cues", cues_run), ("--student", student_run)):
        if mdsgen_run is not None and run is not None:
            raise UsageError(
                f"{option}: was trained beside another transformer", "train it again beside that of --mdsgen"
            )
    made = store.load(base, Bundle) if base is not None else None
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
        made = packing.pack_vocoder(output, made, vocoder_run, name, text)
    if cues_run is not None:
        assert made is not None
        made = packing.pack_cues(output, made, cues_run, name, text)
    if student_run is not None:
        assert made is not None
        packing.pack_student(output, made, student_run, name, text, usual)
    write_result(str(output))


_KEYS = {"encoder": "encoder_run", "vae": "vae_run", "pairs": "pairs_dir"}


for _command in (
    train_cues.cues,
    train_distill.distill,
    train_level.level,
    *train_data.COMMANDS,
    *train_ambience.COMMANDS,
    *train_judges.COMMANDS,
):
    train.add_command(_command)
