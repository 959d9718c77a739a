"""``foleygen train distill``: a student that needs few evaluations where a bundle's transformer needs many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.train.shared import changed, computing, datasets_option, run_loop, run_options


@click.command()
@datasets_option("Dataset of scenes, with pictures or without")
@click.option("--model", default="tiny", show_default=True, metavar="NAME|DIR", help="Bundle with the teacher.")
@click.option("--shard", metavar="I/N", help="Only make this part of the teacher's runs, and do not train.")
@run_options("tiny-student")
def distill(
    data: tuple[Path, ...], model: str, shard: str | None, recipe: str, output: Path, quiet: bool, **loop: Any
) -> None:
    """Train a student of a bundle's transformer: the same sound from the same noise, in four evaluations.

    The teacher's runs are made first and kept in the run's folder; processes that share it may make a shard each. Then
    the student, small changes of the transformer's weights, learns to end where they end.

    \b
    Examples:
      foleygen train scenes --count 900 --recordings sounds/ -o data/
      foleygen train distill --data data/ -o runs/student --shard 1/2 &
      foleygen train distill --data data/ -o runs/student --shard 2/2; wait
      foleygen train distill --data data/ -o runs/student
      foleygen train bundle --student runs/student --base tiny --name mine -o mine/
    """
    from foleygen.batch import shard as shards
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_result
    from foleygen.training.data.dataset import open_scenes
    from foleygen.training.distillation import student
    from foleygen.training.distillation.recipe import DistillRecipe
    from foleygen.training.recipe import load
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    chosen, part = load(recipe, DistillRecipe), shards.parse(shard or "1/1")
    datasets, bundle = [open_scenes(folder) for folder in data], store.load(model, Bundle)
    with computing(loop) as (device, changes):
        chosen = changed(chosen, changes)
        with open_steps("runs", quiet) as steps:
            student.make_runs(chosen, datasets, bundle, output, device, (part.index, part.count), steps.advance)
        if shard is None:
            run_loop(student.distill_loop(chosen, bundle, output, device), "distill", quiet)
        else:
            write_result(str(output))
