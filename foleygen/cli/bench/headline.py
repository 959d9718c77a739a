"""``foleygen bench --headline``: Diff-Foley's U-Net and MDSGen's sizes side by side, and the paper's ratios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foleygen.cli.terminal.reading import byte_size
from foleygen.errors import RetryableError
from foleygen.settings import Settings


def measure(settings: Settings, rounds: int) -> dict[str, Any]:
    """Parameters, seconds and peak memory of each, timed in turns on the settings' device."""
    from dataclasses import asdict

    import torch

    from foleygen.cli.terminal.steps import open_steps
    from foleygen.engines.device import choose_device, choose_precision, out_of_memory
    from foleygen.evaluation import headline

    device = choose_device(settings.device)
    config = headline.HeadlineConfig(
        steps=settings.steps or headline.HeadlineConfig.steps,
        rounds=rounds,
        device=device,
        precision=choose_precision(settings.precision, device),
        seed=settings.seed,
    )
    try:
        with open_steps("timing", settings.quiet) as shown:
            report = headline.measure(config, lambda done, total: shown.advance(done, total, "turns"))
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        fact = "memory ran out: the U-Net alone has 3.4 GB of weights in fp32"
        raise RetryableError(fact, "close other programs, or use --precision bf16") from error
    return {
        "device": config.device,
        "precision": config.precision,
        "threads": torch.get_num_threads(),
        "steps": config.steps,
        "rounds": config.rounds,
        **asdict(report),
        "paper": headline.PAPER,
    }


def show(measured: Mapping[str, Any]) -> None:
    """The measurement as a table on stdout."""
    from foleygen.cli.terminal.streams import write_result, write_table

    setting = f"{measured['device']} in {measured['precision']}, {measured['threads']} threads"
    write_result(f"one window of 8.192 s, {measured['steps']} steps with guidance, sampler only; {setting}")
    table = [("MODEL", "PARAMETERS", "x FEWER", "SECONDS", "x FASTER", "CPU s", "x LESS", "PEAK MEMORY", "x LESS")]
    for row in measured["rows"]:
        parameters = f"{row['parameters'] / 1e6:.1f}M"
        fewer, faster, lighter, less = (
            f"{row[f'{name}_ratio']:.1f}" for name in ("parameters", "seconds", "cpu", "memory")
        )
        seconds, cpu, memory = f"{row['seconds']:.2f}", f"{row['cpu_s']:.2f}", byte_size(row["peak_memory_bytes"])
        table.append((row["name"], parameters, fewer, seconds, faster, cpu, lighter, memory, less))
    write_table(table, right=tuple(range(1, 9)))
    paper = measured["paper"]
    claim = (
        f"{paper['parameters']}x fewer parameters, {paper['seconds']}x faster, {paper['memory_percent']} % less memory"
    )
    write_result(f"the paper, MDSGen-T against Diff-Foley on an A100: {claim}")
    write_result(f"the imports alone take {byte_size(measured['imports_bytes'])} of each peak")
    added = measured["classifier_s"] / measured["rows"][0]["seconds"]
    classifier = f"{measured['classifier_parameters'] / 1e6:.1f}M parameters"
    seconds = f"{measured['classifier_s']:.2f} s a window, {added:.1%} of Diff-Foley's"
    write_result(f"guidance by the classifier ({classifier}) adds {seconds}")
