"""``foleygen train windows|tokenizer|tokens|specmaskgit|tagger``: the models of ambience."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.train.shared import OUTPUT, PATH, QUIET, changed, computing, data_option, run_loop, run_options

if TYPE_CHECKING:
    from foleygen.training.ambience.windows import Listen

FOLD = click.option("--fold", type=click.Choice(("train", "test")), default="train", show_default=True,
                    help="The recordings and scenes to use.")  # fmt: skip


@click.command()
@OUTPUT
@click.option("--count", type=click.IntRange(1), required=True, metavar="N", help="How many windows.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of what is drawn.")
@click.option("--recordings", type=PATH, metavar="DIR", help="Recordings, with a manifest.tsv; else scenes alone.")
@FOLD
@click.option("--mel", type=click.Choice(("full-band", "published")), default="full-band", show_default=True,
              help="The tokenizer's: 44.1 kHz and 128 rows, or 22.05 kHz and 80.")  # fmt: skip
@click.option("--clap", type=PATH, metavar="DIR", help="A CLAP model that hears each window, for free prompts.")
@QUIET
def windows(
    output: Path, count: int, seed: int, recordings: Path | None, fold: Any, mel: str, clap: Path | None, quiet: bool
) -> None:
    """Make tagged windows of sound of 9.8 s: recordings, mixtures of them, made-up scenes.

    Resumable: the same command makes the windows that are missing. The fold test has the held-out recordings one by
    one, then scenes that training never sees.

    \b
    Examples:
      foleygen train windows --count 3000 --recordings sounds/ -o windows/
      foleygen train windows --count 100 --recordings sounds/ --fold test -o held-out/
    """
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_result
    from foleygen.training.ambience import windows as module

    config = module.WindowsConfig(
        count=count,
        seed=seed,
        fold=fold,
        recordings=str(recordings) if recordings else None,
        mel=module.PUBLISHED if mel == "published" else module.FULL_BAND,
    )
    listen: Listen | None = None
    if clap is not None:
        from foleygen.models.clap import load_clap

        listen = module.listener(load_clap(clap))
    with open_steps("windows", quiet) as steps:
        module.make(output, config, steps.advance, listen)
    write_result(str(output))


@click.command()
@data_option("What train windows wrote.")
@run_options("tokenizer")
def tokenizer(data: Path, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the mel tokenizer of ambience.

    \b
    Examples:
      foleygen train tokenizer --data windows/ -o runs/tokenizer
      foleygen train tokenizer --recipe tokenizer-published --data windows-22k/ -o runs/published
    """
    from foleygen.training.ambience.recipes import TokenizerRecipe
    from foleygen.training.ambience.tokenizer import tokenizer_loop
    from foleygen.training.recipe import load

    chosen = load(recipe, TokenizerRecipe)
    with computing(loop) as (device, changes):
        run_loop(tokenizer_loop(changed(chosen, changes), data, output, device), "tokenizer", quiet)


@click.command()
@data_option("What train windows wrote.")
@click.option("--tokenizer", "run", type=PATH, required=True, metavar="RUN", help="A run of train tokenizer.")
@click.option("--condition", type=click.Choice(("tags", "clap")), default="tags", show_default=True,
              help="What the transformer is told: the tags, or what CLAP heard.")  # fmt: skip
@OUTPUT
@QUIET
def tokens(data: Path, run: Path, condition: Any, output: Path, quiet: bool) -> None:
    """Encode windows of sound once, for train specmaskgit.

    \b
    Example:
      foleygen train tokens --data windows/ --tokenizer runs/tokenizer -o tokens/
    """
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_result
    from foleygen.training.ambience import tokens as module
    from foleygen.training.ambience.tokenizer import trained_tokenizer
    from foleygen.training.ambience.windows import Windows

    sounds, model = Windows(data), trained_tokenizer(run)
    with open_steps("windows", quiet) as steps:
        module.encode(sounds, model, condition, on_window=steps.advance).save(output)
    write_result(str(output))


@click.command()
@data_option("What train tokens wrote.")
@run_options("specmaskgit")
def specmaskgit(data: Path, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the transformer that composes ambience from tokens.

    \b
    Examples:
      foleygen train specmaskgit --data tokens/ -o runs/specmaskgit
      foleygen train specmaskgit --recipe specmaskgit-paper --data tokens-22k/ --device cuda -o runs/paper
    """
    from foleygen.training.ambience.recipes import SpecMaskGITRecipe
    from foleygen.training.ambience.specmaskgit import specmaskgit_loop
    from foleygen.training.recipe import load

    chosen = load(recipe, SpecMaskGITRecipe)
    with computing(loop) as (device, changes):
        run_loop(specmaskgit_loop(changed(chosen, changes), data, output, device), "specmaskgit", quiet)


@click.command()
@data_option("What train windows wrote.")
@click.option("--tokenizer", "run", type=PATH, metavar="RUN", help="A run whose reconstructions are heard too.")
@run_options("tagger")
def tagger(data: Path, run: Path | None, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the classifier of tags that judges generated ambience.

    \b
    Example:
      foleygen train tagger --data windows/ --tokenizer runs/tokenizer -o runs/tagger
    """
    from foleygen.training.ambience.recipes import TaggerRecipe
    from foleygen.training.ambience.tagger import tagger_loop
    from foleygen.training.recipe import load

    chosen = load(recipe, TaggerRecipe)
    with computing(loop) as (device, changes):
        run_loop(tagger_loop(changed(chosen, changes), data, run, output, device), "tagger", quiet)


@click.command("ambience-bundle")
@click.option("--tokenizer", type=PATH, required=True, metavar="RUN|PART", help="A run of train tokenizer.")
@click.option("--specmaskgit", "transformer", type=PATH, required=True, metavar="RUN|PART",
              help="A run of train specmaskgit.")  # fmt: skip
@click.option("--vocoder", type=PATH, required=True, metavar="RUN|PART", help="A run of train vocoder for this mel.")
@click.option("--windows", type=PATH, metavar="DIR", help="What the tokenizer's run learnt from.")
@click.option("--tokens", type=PATH, metavar="DIR", help="What the transformer's run learnt from.")
@click.option("--name", required=True, help="Name of the bundle.")
@click.option("--licence", required=True, help="Licence of the weights.")
@click.option("--licence-file", type=PATH, metavar="FILE", help="Its text.")
@click.option("--commercial/--non-commercial", default=False, help="Whether the licence allows commercial use.")
@click.option("--card", type=PATH, metavar="FILE", help="Model card; else one is written from the settings.")
@click.option("--credits", type=PATH, metavar="TSV", help="Credit this manifest's recordings in it.")
@OUTPUT
def ambience_bundle(
    name: str,
    licence: str,
    licence_file: Path | None,
    commercial: bool,
    card: Path | None,
    credits: Path | None,
    output: Path,
    **sources: Any,
) -> None:
    """Put the models of ambience together as a bundle for foleygen ambience --model.

    A PART is a folder with config.yaml and the weights of one finished model.

    \b
    Example:
      foleygen train ambience-bundle --tokenizer runs/tokenizer --windows windows/ --specmaskgit runs/specmaskgit \\
          --tokens tokens/ --vocoder runs/vocoder-44k --name mine --licence CC0-1.0 --commercial -o mine/
    """
    from foleygen.cli.terminal.streams import write_result
    from foleygen.cli.train.shared import text_of
    from foleygen.training.ambience.packing import Sources, pack_ambience
    from foleygen.training.data.credits import credits_of
    from foleygen.training.packing import Terms

    terms = Terms(name, licence, commercial, text_of(licence_file) if licence_file else licence + "\n")
    text = text_of(card) if card else None
    pack_ambience(output, Sources(**sources), terms, text, credits_of(credits) if credits else "")
    write_result(str(output))


COMMANDS = (windows, tokenizer, tokens, specmaskgit, tagger, ambience_bundle)
