"""``foleygen bench-ambience``: how fast the second engine is, by size, precision and steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from foleygen.cli.parameters import Counts, Several
from foleygen.cli.terminal.reading import byte_size
from foleygen.errors import UsageError
from foleygen.settings import Settings

SIZES = ("embedded", "small", "paper")
PRECISIONS = ("fp32", "bf16", "int8")


@click.command("bench-ambience", short_help="Time the second engine by size and precision.")
@click.option(
    "--model", default=Settings.ambience_model, show_default=True, metavar="NAME|DIR", help="Bundle for ambience."
)
@click.option(
    "--sizes",
    type=Several(SIZES),
    default=",".join(SIZES),
    show_default=True,
    metavar="LIST",
    help="Sizes of the transformer; embedded is the bundle's own.",
)
@click.option(
    "--precision",
    type=Several(PRECISIONS),
    default=",".join(PRECISIONS),
    show_default=True,
    metavar="LIST",
    help="Arithmetic of the transformer.",
)
@click.option(
    "--steps",
    type=Counts(),
    default="8,12,16",
    show_default=True,
    metavar="LIST",
    help="Guided steps in which a window is found.",
)
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Turns that each has.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench_ambience(
    model: str, sizes: tuple[str, ...], precision: tuple[str, ...], steps: tuple[int, ...], rounds: int, as_json: bool
) -> None:
    """Time the second engine on the CPU: a window of 9.8 s, with guidance, by size, precision and steps.

    Sizes and precisions take turns, and the seconds are medians. "small" and "paper" have random weights in the
    geometry of their recipes, since speed does not depend on them; for "paper" the tokenizer is the published one.
    What a lower precision changes is measured on the bundle's weights. Close other programs first.

    \b
    Examples:
      foleygen bench-ambience
      foleygen bench-ambience --sizes embedded --precision fp32,bf16 --steps 12 --rounds 5 --json
    """  # fmt: skip
    from foleygen.cli.terminal.streams import write_json

    try:
        measured = _measured(model, sizes, precision, steps, rounds)
    except MemoryError as error:
        raise UsageError("memory ran out", "leave out the size 'paper'") from error
    if as_json:
        write_json(measured)
    else:
        show(measured)


def _measured(
    model: str, sizes: tuple[str, ...], precisions: tuple[str, ...], steps: tuple[int, ...], rounds: int
) -> dict[str, Any]:
    from dataclasses import asdict

    import torch

    from foleygen.cli.terminal.steps import open_steps
    from foleygen.evaluation.ambience import precision, speed

    config = speed.SpeedConfig(model, sizes, precisions, steps, rounds)  # type: ignore[arg-type]
    with open_steps("timing", False) as shown:
        rows = speed.measure(config, lambda done, total: shown.advance(done, total, "turns"))
    errors = []
    if "embedded" in sizes:
        system = speed.load_system(model, "embedded")
        errors = precision.measure(system, config.precisions, min(12, max(steps)))
    return {
        "model": model,
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "rows": [asdict(row) for row in rows],
        "errors": [asdict(error) for error in errors],
    }


def show(measured: Mapping[str, Any]) -> None:
    """The measurement as tables on stdout."""
    from foleygen.cli.terminal.streams import write_result, write_table

    rows = measured["rows"]
    paces = [pace["steps"] for pace in rows[0]["paces"]]
    write_result(f"a window of {rows[0]['window_s']:.2f} s with guidance; cpu, {measured['threads']} threads")
    head = ["SIZE", "PRECISION", "WEIGHTS", "STEP s", "TOKENIZER s", "VOCODER s"]
    table = [(*head, *(f"{steps} STEPS s" if part else "x REAL TIME" for steps in paces for part in (1, 0)), "MEMORY")]
    for row in rows:
        weights = f"{row['parameters'] / 1e6:.1f}M {row['weights']}"
        cells = [row["size"], row["precision"], weights]
        cells += [f"{row[name]:.3f}" for name in ("step_s", "tokenizer_s", "vocoder_s")]
        for pace in row["paces"]:
            cells += [f"{pace['seconds']:.2f}", f"{pace['real_time']:.2f}"]
        table.append((*cells, byte_size(row["peak_memory_bytes"])))
    write_table(table, right=range(3, len(table[0])))
    if measured["errors"]:
        write_result("")
        write_result("against fp32, on the bundle's weights; first on fp32's own states, then decoded freely")
        names = ("ARGMAX SAME", "KL nats", "DRAWS DIFFER", "TOKENS DIFFER", "MEL L1", "MEL L1 OF TWO SEEDS")
        errors = [("PRECISION", *names)]
        errors += [
            (
                error["precision"],
                f"{error['argmax_agreement']:.2%}",
                f"{error['kl_nats']:.2g}",
                f"{error['draws_differ']:.2%}",
                f"{error['tokens_differ']:.2%}",
                f"{error['mel_l1']:.4f}",
                f"{error['mel_l1_of_two_seeds']:.4f}",
            )
            for error in measured["errors"]
        ]
        write_table(errors, right=range(1, 7))
