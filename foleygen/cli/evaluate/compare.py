"""``foleygen evaluate compare``: two bundles on the same clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.evaluate.shared import ENGINE, Chosen, counter, data_options, open_dataset, open_engine, show
from foleygen.cli.options import settings_options


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@data_options
@settings_options(*(name for name in ENGINE if name != "model"))
@click.pass_obj
def compare(
    invocation: Invocation,
    /,
    first: str,
    second: str,
    chosen: Chosen,
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Is bundle B better than bundle A? Differences clip by clip, with their standard errors.

    Both make sound for the same scenes from the same noise, and what scenes tells of each clip is subtracted. A
    difference of less than twice its standard error says little.

    \b
    Examples:
      foleygen evaluate compare tiny mine/ --count 200
      foleygen evaluate compare runs/before runs/after --data held-out/ --json
    """
    from foleygen.evaluation.comparison import compare as measure
    from foleygen.evaluation.generated import generate
    from foleygen.evaluation.scope import left_out

    dataset = open_dataset(chosen)
    made, seconds, shapes = [], [], []
    for model in (first, second):
        engine, seed = open_engine(invocation, config_file, {**values, "model": model})
        made.append(generate(engine, dataset, seed=seed, on_clip=counter(model)))
        seconds.append(engine.bundle.window_samples / engine.bundle.sample_rate)
        shapes.append(engine.transformer.latent_shape)
    report = measure((first, second), made[0], made[1], min(seconds), shapes[0] == shapes[1])
    show(as_json, {"comparison": report}, dataset, left_out(made[0]))
