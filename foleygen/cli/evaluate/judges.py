"""``foleygen evaluate alignment|fidelity|retrieval``: measures that are taken with networks of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.evaluate.shared import ENGINE, Chosen, counter, data_options, open_dataset, open_engine, show
from foleygen.cli.options import settings_options
from foleygen.cli.train.shared import PATH
from foleygen.errors import UsageError


@click.command()
@click.argument("run", type=PATH)
@data_options
@settings_options(*ENGINE)
@click.pass_obj
def alignment(
    invocation: Invocation,
    /,
    run: Path,
    chosen: Chosen,
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Is the sound taken for the picture's own, by a classifier that learnt to tell? With shifts and other sounds.

    RUN is the folder of a training of the classifier, which must have seen features of the same encoder.

    \b
    Example:
      foleygen evaluate alignment runs/alignment --data held-out/
    """
    from foleygen.evaluation import alignment as measure
    from foleygen.evaluation import generated
    from foleygen.training.judges.alignment import trained_alignment

    classifier, recipe = trained_alignment(run)
    engine, seed = open_engine(invocation, config_file, values)
    judge = measure.Judge.of(classifier, recipe.pairs, engine)
    dataset = open_dataset(chosen)
    results = generated.generate(engine, dataset, seed=seed, on_clip=counter("scenes"))
    show(as_json, judge.scenes(results, measure.scene_features(engine, dataset)), dataset)


@click.command()
@click.argument("files", nargs=-1, type=PATH, metavar="[TRUE.npz MADE.npz]")
@click.option("--source", default="features from file", help="Name of the network that the features are from.")
@click.option("--tower", "run", type=PATH, metavar="RUN", help="Without files: a run of train tower, to hear scenes.")
@data_options
@settings_options(*ENGINE)
@click.pass_obj
def fidelity(
    invocation: Invocation,
    /,
    files: tuple[Path, ...],
    source: str,
    run: Path | None,
    chosen: Chosen,
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> None:
    """FID, inception score and KL: of two .npz files of ids, features and logits, or with a tower of our own.

    With --tower sounds are made for scenes, and true sounds, other clips' sounds, noise and silence stand beside them.
    Numbers from another network, Melception's among them, cannot be compared with these.

    \b
    Examples:
      foleygen evaluate fidelity true.npz made.npz --source Melception
      foleygen evaluate fidelity --tower runs/tower --data held-out/
    """
    from foleygen.evaluation import fidelity as measure

    if (run is None) == (not files) or len(files) not in (0, 2):
        raise UsageError("fidelity needs two files or a tower", "give TRUE.npz and MADE.npz, or --tower RUN")
    if run is None:
        true, made = (measure.read_predictions(path) for path in files)
        show(as_json, {"fidelity": measure.evaluate(true, made, source)})
        return
    from foleygen.evaluation import generated
    from foleygen.training.judges.sound_tower import trained_tower

    tower = trained_tower(run)
    engine, seed = open_engine(invocation, config_file, values)
    dataset = open_dataset(chosen)
    results = generated.generate(engine, dataset, seed=seed, on_clip=counter("scenes"))
    show(as_json, {"fidelity": measure.of_scenes(tower, results, engine, f"sound tower {run.name}")}, dataset)


@click.command()
@click.argument("run", type=PATH)
@data_options
@click.option("--batch-size", type=click.IntRange(2), default=8, show_default=True, help="Videos compared at a time.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the clips' places.")
def retrieval(run: Path, chosen: Chosen, as_json: bool, batch_size: int, seed: int) -> None:
    """Do the towers of a cavp training find the sound of a picture, among others' and among its own at other times?

    \b
    Example:
      foleygen evaluate retrieval runs/cavp-small --data held-out/
    """
    from foleygen.evaluation import retrieval as measure
    from foleygen.training.cavp import cavp_geometry, trained_cavp
    from foleygen.training.data.dataset import with_pictures

    towers, recipe = trained_cavp(run)
    dataset = with_pictures(open_dataset(chosen))
    found = measure.evaluate(
        towers, dataset, cavp_geometry(recipe, dataset), recipe.contrast, batch_size, seed, counter("videos")
    )
    show(as_json, {"retrieval": found}, dataset)


COMMANDS = (alignment, fidelity, retrieval)
