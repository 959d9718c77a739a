"""``foleygen evaluate voices``: what a library plays, beside the model alone."""

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
    naming_options,
    open_dataset,
    open_engine,
    show,
)
from foleygen.cli.options import settings_options


@click.command()
@click.argument("library", metavar="LIBRARY", type=click.Path(path_type=Path))
@data_options
@naming_options
@settings_options(*ENGINE)
@click.pass_obj
def voices(
    invocation: Invocation,
    /,
    library: Path,
    chosen: Chosen,
    as_json: bool,
    naming: Naming,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Are hits that LIBRARY plays on their cues, as strong as asked, and without a click?

    LIBRARY is a folder that 'foleygen library index' has read. The clips are scenes with events, all of which are told
    as cues, and the words too; the model alone stands beside them. With --train-data a judge that learnt from these
    scenes names the sounds, or that of --judge.

    \b
    Examples:
      foleygen evaluate voices recordings/ --count 40
      foleygen evaluate voices recordings/ --data held-out/ --train-data scenes/ --json
    """
    engine, seed = open_engine(invocation, config_file, values)
    from foleygen.evaluation.voices import evaluate
    from foleygen.pipeline.voices.shelf import opened

    judges = naming.namers(engine)
    dataset = open_dataset(chosen)
    report = evaluate(engine, dataset, opened(library), seed, judges, counter("clips"))
    show(as_json, {"voices": report}, dataset)
