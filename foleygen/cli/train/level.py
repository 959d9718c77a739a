"""``foleygen train level``: how loud a bundle's windows should be, by what is seen and told."""

from __future__ import annotations

from pathlib import Path

import click

from foleygen.cli.train.shared import OUTPUT, PATH, QUIET, datasets_option, text_of


@click.command()
@datasets_option("Dataset of scenes, with pictures or without")
@click.option("--base", default="tiny", show_default=True, metavar="NAME|DIR", help="Bundle that is to know levels.")
@click.option("--cues", "run", type=PATH, metavar="RUN", help="A run of train cues on this data.")
@click.option("--name", required=True, help="Name of the new bundle.")
@click.option("--card", type=PATH, metavar="FILE", help="Model card; else a short one is written.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which scenes are drawn, told what.")
@QUIET
@OUTPUT
def level(
    data: tuple[Path, ...],
    base: str,
    run: Path | None,
    name: str,
    card: Path | None,
    seed: int,
    quiet: bool,
    output: Path,
) -> None:
    """Fit how loud a window should be, and write a bundle that brings its windows to that level.

    A regression on what a bundle with cues hears of pictures, cues and words, in closed form: encoding the scenes
    takes most of the time. The sampler's own level is mostly its guidance; without a head of levels it stays.

    \b
    Examples:
      foleygen train level --data data/ --data heard/ --base tiny --name mine -o mine/
      foleygen train level --data data/ --cues runs/cues --base mine/ --name mine -o levelled/
    """
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_result
    from foleygen.training import level as levels
    from foleygen.training import packing
    from foleygen.training.data.dataset import open_scenes
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    text = text_of(card) if card else None
    datasets, bundle = [open_scenes(folder) for folder in data], store.load(base, Bundle)
    with open_steps("clips", quiet) as steps:
        fit = levels.fit(bundle, datasets, run, seed, on_clip=steps.advance)
    made = packing.pack_level(output, bundle, fit, name, text)
    write_result(
        f"{made.path}: loudness is {fit.error:.1f} LU off on {fit.kept_rows} rows that were not fitted to "
        f"(one level for all: {fit.constant_error:.1f})"
    )
