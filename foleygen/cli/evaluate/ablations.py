"""``foleygen evaluate ablations``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.evaluate.shared import ENGINE, Chosen, counter, data_options, open_dataset, open_engine, show
from foleygen.cli.options import settings_options
from foleygen.cli.train.shared import PATH


@click.command()
@click.option("--pairs", type=PATH, metavar="DIR", help="Output of train pairs: train variants on it.")
@click.option("-o", "--output", "folder", type=PATH, metavar="DIR", help="Where the variants are trained; resumable.")
@click.option("--train-steps", type=click.IntRange(1), default=300, show_default=True, help="Of each variant.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Repetitions of everything.")
@click.option("--clips", type=click.IntRange(2), default=40, show_default=True, help="How many scenes judge.")
@click.option("--no-sweeps", is_flag=True, help="Leave out guidance and steps of the bundle's own model.")
@data_options
@settings_options(*ENGINE)
@click.pass_obj
def ablations(
    invocation: Invocation,
    /,
    pairs: Path | None,
    folder: Path | None,
    train_steps: int,
    seeds: int,
    clips: int,
    no_sweeps: bool,
    chosen: Chosen,
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> None:
    """What each choice is worth: conditioning, masks and objective of small models; guidance and steps of the bundle.

    With --pairs a small transformer is trained for each variant and seed, alike but for one thing. Onset F1 with its
    null, and distances of spectra, on mels before any vocoder.

    \b
    Examples:
      foleygen evaluate ablations --data held-out/
      foleygen evaluate ablations --data held-out/ --pairs runs/pairs -o runs/ablations
    """
    from foleygen.errors import UsageError
    from foleygen.evaluation import ablation
    from foleygen.training.loop import LoopConfig
    from foleygen.training.mdsgen import Pairs

    if (pairs is None) != (folder is None):
        raise UsageError("--pairs and --output go together", "give both, or neither")
    engine, _ = open_engine(invocation, config_file, values)
    dataset = open_dataset(chosen)
    judge = ablation.Judge.of(engine, dataset, clips)
    reports: dict[str, Any] = {}
    if pairs is not None and folder is not None:
        loop = LoopConfig(
            steps=train_steps,
            batch_size=8,
            learning_rate=2e-3,
            schedule="decay",
            warmup=max(1, train_steps // 6),
            ema_decay=0.99,
            save_every=max(1, train_steps // 4),
        )
        told = counter("variants")
        reports["variants"] = ablation.variants(Pairs.load(pairs), judge, folder, loop, seeds, on_run=told)
    if not no_sweeps:
        reports["sweeps"] = ablation.sweeps(judge, seeds, counter("sweeps"))
    show(as_json, reports, dataset)
