"""``foleygen evaluate cues``: are cues and words obeyed?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.evaluate.shared import (
    ENGINE,
    Chosen,
    Naming,
    counter,
    data_options,
    found,
    naming_options,
    note,
    open_dataset,
    open_engine,
    show,
)
from foleygen.cli.options import settings_options
from foleygen.cli.parameters import Number
from foleygen.errors import UsageError

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("clips", nargs=-1, type=PATH)
@data_options
@click.option(
    "--at", "guidances", type=Number(0), multiple=True, metavar="X", help="Each arm at this guidance; repeat."
)
@click.option("--arm", "names", multiple=True, metavar="NAME", help="Only these arms, such as 'picture, cues'; repeat.")
@click.option(
    "--attempts",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Make windows that miss cues again so often, as add-sound does.",
)
@click.option("--picture", type=PATH, metavar="PNG", help="Draw the spectrograms of the first ten scenes, arm by arm.")
@click.option(
    "--library", type=PATH, metavar="DIR", help="With --picture: a last column, the same cues played by recordings."
)
@naming_options
@click.option(
    "--table",
    type=PATH,
    metavar="FILE",
    help="Write what 'foleygen sounds' shows of the last arm.",
)
@settings_options(*ENGINE)
@click.pass_obj
def cues(
    invocation: Invocation,
    /,
    clips: tuple[Path, ...],
    chosen: Chosen,
    as_json: bool,
    guidances: tuple[float, ...],
    names: tuple[str, ...],
    attempts: int,
    picture: Path | None,
    library: Path | None,
    naming: Naming,
    table: Path | None,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Are cues and words obeyed, beside the right picture, another one and none, and how loud is it?

    CLIPS are files or folders with sound of their own, whose onsets are the cues; without them the cues are the events
    of scenes from seeds that no training has seen. Sounds are measured before anything limits them.

    \b
    Examples:
      foleygen evaluate cues --count 64 --recordings sounds/
      foleygen evaluate cues --data held-out/ --arm "picture, cues" --at 1 --at 1.5 --at 2 --at 3
      foleygen evaluate cues --data held-out/ --train-data data/ --arm "cues, words" --table measured.yaml
      foleygen evaluate cues --data held-out/ --judge runs/judge --arm "cues, words" --arm "cues, wrong words"
      foleygen evaluate cues filmed/ --json
      foleygen evaluate cues --count 10 --arm picture --arm "picture, cues" --picture cues.png
      foleygen evaluate cues --count 10 --arm "picture, cues, words" --picture cues.png --library recordings/
    """
    if library is not None and picture is None:
        raise UsageError("--library is a column of the picture, and none is asked for", "add --picture PNG")
    if clips and (picture is not None or table is not None or naming.given or attempts):
        fact = "--picture, --table, --train-data, --judge and --attempts are for scenes, and clips are given"
        raise UsageError(fact, "leave out one of the two")
    engine, seed = open_engine(invocation, config_file, values)
    if clips:
        from foleygen.evaluation.cues import filmed

        skipped, done = (lambda path, error: note(str(error))), counter("clips")
        show(as_json, {
            f"filmed clips, guidance {scale:g}" if scale is not None else "filmed clips": filmed.evaluate(
                found(clips), engine, seed, scale, skipped, done
            )
            for scale in guidances or (None,)
        })  # fmt: skip
        return
    from foleygen.cues.measured import write
    from foleygen.evaluation.cues import scenes
    from foleygen.evaluation.cues.arms import chosen_arms
    from foleygen.evaluation.cues.families import measured
    from foleygen.evaluation.cues.gallery import SCENES, Gallery
    from foleygen.evaluation.voices import played_by
    from foleygen.pipeline.voices.shelf import opened

    arms = chosen_arms(names, guidances)
    shelf = None if library is None else opened(library)
    judges, dataset = naming.namers(engine), open_dataset(chosen)
    gallery = Gallery(engine.bundle.window_samples / engine.bundle.sample_rate)
    on_arm = None if picture is None else gallery.add
    report = scenes.evaluate(
        engine, dataset, arms, seed, on_clip=counter("sounds"), on_arm=on_arm, judges=judges, attempts=attempts
    )
    if shelf is not None:
        gallery.add_sounds("library", played_by(engine, dataset, shelf, SCENES, seed))
    if picture is not None:
        gallery.draw(picture)
    if table is not None:
        write(table, measured({arm.arm: arm.families for arm in report.arms}, report.arms[-1].arm, engine.bundle))
    show(as_json, {"cues": report}, dataset)
