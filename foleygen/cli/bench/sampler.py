"""``foleygen bench-sampler``: the first engine's sampler beside the release's order of work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from foleygen.evaluation.speed import SpeedReport


@click.command("bench-sampler", short_help="Time the sampler beside the release's order of work.")
@click.option("--size", type=click.Choice(("T", "S", "B", "L")), default="B", show_default=True, help="Of MDSGen.")
@click.option(
    "--grid",
    type=click.Choice(("paper", "release")),
    default="release",
    show_default=True,
    help="Tokens as in the paper, or as in the released code.",
)
@click.option("--steps", type=click.IntRange(1, 1000), default=2, show_default=True, help="Denoising steps.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Turns that each has.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random weights and noise.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench_sampler(rounds: int, as_json: bool, **chosen: Any) -> None:
    """Time one window on the CPU: by the release's order of work, by ours in fp32, and by ours in bf16.

    All have the same random weights, noise and steps, take turns after one round to warm up, and the seconds are
    medians. Close other programs first.

    \b
    Examples:
      foleygen bench-sampler
      foleygen bench-sampler --size T --rounds 5 --json
    """
    from dataclasses import asdict

    from foleygen.cli.terminal.streams import write_json
    from foleygen.evaluation.speed import SpeedConfig, measure

    report = measure(SpeedConfig(repeats=rounds, **chosen))
    if as_json:
        write_json(asdict(report))
    else:
        show(report)


def show(report: SpeedReport) -> None:
    """The measurement as a table on stdout."""
    from foleygen.cli.terminal.streams import write_result, write_table

    config = report.config
    write_result(f"MDSGen-{config.size}, {config.grid} grid, {config.steps} steps; cpu, {report.threads} threads")
    rows = [("ORDER", "SECONDS", "TIMES AS FAST", "BY CPU TIME")]
    rows.append(("the release's", f"{report.released_s:.2f}", "1.00", "1.00"))
    for name, seconds, wall, cpu in (
        ("fp32", report.fp32_s, report.fp32_ratio, report.fp32_cpu_ratio),
        ("bf16", report.bf16_s, report.bf16_ratio, report.bf16_cpu_ratio),
    ):
        rows.append((name, f"{seconds:.2f}", f"{wall:.2f}", f"{cpu:.2f}"))
    write_table(rows, right=(1, 2, 3))
    write_result(
        f"of the standard deviation: fp32 differs by {report.released_difference:.2g} at most, "
        f"bf16 by {report.bf16_latents_error:.2%} (RMS)"
    )
