"""``foleygen train alignment|tower|judge``: the networks that judge sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.train.shared import PATH, changed, computing, datasets_option, run_loop, run_options


@click.command()
@datasets_option("Dataset of scenes")
@click.option("--pairs", type=PATH, required=True, metavar="DIR", help="What train pairs made of the datasets.")
@run_options("alignment")
def alignment(data: tuple[Path, ...], pairs: Path, recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the classifier that says whether sound and picture are in time.

    The features are those of --pairs, so the classifier judges for that encoder alone. Several datasets must be named
    in the order in which they were encoded.

    \b
    Example:
      foleygen train alignment --data data/ --pairs pairs/ -o runs/alignment
    """
    from foleygen.training.judges import alignment as module
    from foleygen.training.judges.recipes import AlignmentRecipe
    from foleygen.training.recipe import load

    chosen = load(recipe, AlignmentRecipe)
    with computing(loop) as (device, changes):
        run_loop(module.alignment_loop(changed(chosen, changes), data, pairs, output, device), "alignment", quiet)


@click.command()
@datasets_option("Dataset of scenes")
@run_options("sound-tower")
def tower(data: tuple[Path, ...], recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the classifier of sounds that FID, IS and KL are taken from.

    \b
    Example:
      foleygen train tower --data data/ -o runs/tower
    """
    from foleygen.training.judges import sound_tower as module
    from foleygen.training.judges.recipes import TowerRecipe
    from foleygen.training.recipe import load

    chosen = load(recipe, TowerRecipe)
    with computing(loop) as (device, changes):
        run_loop(module.tower_loop(changed(chosen, changes), data, output, device), "tower", quiet)


@click.command()
@datasets_option("Dataset of scenes, with pictures or without")
@run_options("sound-judge")
def judge(data: tuple[Path, ...], recipe: str, output: Path, quiet: bool, **loop: Any) -> None:
    """Train the judge that names family and material of sounds.

    Its names are those of the datasets. It tells whether words are obeyed: foleygen evaluate cues --judge RUN.

    \b
    Example:
      foleygen train judge --data data/ --data sounds/ -o runs/judge
    """
    from foleygen.training.judges import sound_judge as module
    from foleygen.training.judges.recipes import JudgeRecipe
    from foleygen.training.recipe import load

    chosen = load(recipe, JudgeRecipe)
    with computing(loop) as (device, changes):
        run_loop(module.judge_loop(changed(chosen, changes), data, output, device), "judge", quiet)


COMMANDS = (alignment, tower, judge)
