"""``foleygen train cues``: the adapter that lets a bundle be told when and what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.train.shared import changed, computing, datasets_option, run_loop, run_options


@click.command()
@datasets_option("Dataset of scenes, with pictures or without")
@click.option("--model", default="tiny", show_default=True, metavar="NAME|DIR", help="Bundle that is to be told.")
@run_options("tiny-cues")
def cues(data: tuple[Path, ...], model: str, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the adapter of cues and words beside a bundle's transformer, which stays as it is.

    Sounds alone (train scenes --no-pictures) teach as much about cues without a picture, at a tenth of the time. The
    scenes are encoded once; what came of it is kept in the run's folder.

    \b
    Examples:
      foleygen train scenes --count 900 --recordings sounds/ -o data/
      foleygen train scenes --count 1500 --seed 100000 --no-pictures --recordings sounds/ -o heard/
      foleygen train cues --data data/ --data heard/ -o runs/cues
      foleygen train bundle --cues runs/cues --base tiny --name mine -o mine/
    """
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.training.cues import adapter
    from foleygen.training.cues.recipe import CuesRecipe
    from foleygen.training.data.dataset import open_scenes
    from foleygen.training.recipe import load
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    chosen = load(recipe, CuesRecipe)
    datasets, bundle = [open_scenes(folder) for folder in data], store.load(model, Bundle)
    with computing(loop) as (device, changes):
        with open_steps("clips", quiet) as steps:
            made = adapter.cues_loop(changed(chosen, changes), datasets, bundle, output, device, steps.advance)
        run_loop(made, "cues", quiet)
