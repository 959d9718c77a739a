"""``foleygen bench``: where the time goes, and how much memory it takes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.bench.batch import COUNT
from foleygen.cli.options import ENGINE, TALK, load_settings, settings_options
from foleygen.cli.parameters import Number
from foleygen.cli.terminal.reading import byte_size, real_time
from foleygen.errors import FoleygenError, UsageError

if TYPE_CHECKING:
    from foleygen.features.cache import FeatureCache
    from foleygen.media.probe import ClipInfo
    from foleygen.pipeline import Engine, Outcome
    from foleygen.settings import Settings


@click.command(short_help="Time each stage, and measure its memory.")
@click.argument("clip", required=False, type=click.Path(path_type=Path))
@click.option("--seconds", type=Number(0.5, 3600), default=33.0, show_default=True, help="Without CLIP: length.")
@click.option("--size", default="1920x1080", show_default=True, metavar="WxH", help="Its picture size.")
@click.option(
    "--batch",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Time the clips of DIR, one by one and together; without any, {COUNT} samples are drawn there.",
)
@click.option(
    "--against",
    "checkout",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Time this build and another checkout of foleygen in turns, as processes of their own.",
)
@click.option("--frames", is_flag=True, help="Time the frames of CLIP against nothing but decoding it.")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="Of what is done in turns.")
@click.option("--headline", is_flag=True, help="Time Diff-Foley's U-Net and MDSGen's sizes side by side instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@settings_options(*ENGINE, "batch_size", "max_pixels", *TALK)
@click.pass_obj
def bench(
    invocation: Invocation,
    /,
    clip: Path | None,
    seconds: float,
    size: str,
    folder: Path | None,
    checkout: Path | None,
    headline: bool,
    frames: bool,
    rounds: int,
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Time each stage of CLIP, once with an empty cache and once with a full one.

    --batch times many clips, and shows what is gained by decoding the next ones while one is sampled and the last
    ones are written. --against runs add-sound and preview of two builds, each with its own default weights. Without
    CLIP, a sample scene of --seconds and --size is drawn first.

    --headline compares samplers: Diff-Foley's U-Net and MDSGen-T, -S and -B in turns, with random weights, one window
    each, beside the ratios of the MDSGen paper. It takes 5 GB of memory and, on two cores, some minutes.

    The table has seconds, how many times real time that is, and the peak memory of the process. "loading" is the
    import of the libraries and of the weights.

    \b
    Examples:
      foleygen bench
      foleygen bench clip.mp4 --batch-size 4 --json
      foleygen bench --batch samples/
      foleygen bench --against ../foleygen-1.0
      foleygen bench --headline --rounds 1
    """
    from foleygen.cli.terminal.streams import write_json

    settings = load_settings(invocation, config_file, values)
    given = {"CLIP": clip, "--against": checkout, "--batch": folder, "--headline": headline or None}
    given["--frames"] = frames or None
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1 and chosen not in (["CLIP", "--against"], ["CLIP", "--frames"]):
        raise UsageError(f"{' and '.join(chosen)}: two things to time", "give one of them")
    with tempfile.TemporaryDirectory(prefix="foleygen-") as name:
        scratch = Path(name)
        if headline:
            from foleygen.cli.bench import headline as bench_headline

            measured, show = bench_headline.measure(settings, rounds), bench_headline.show
        elif folder is not None:
            from foleygen.cli.bench import batch

            measured, show = batch.measure(settings, folder, scratch, _drawn), batch.show
        elif checkout is not None:
            from foleygen.cli.bench import against

            drawn = clip or _drawn(scratch / "clip", "--count=1", f"--seconds={seconds}", f"--size={size}")[-1]
            measured, show = against.measure(checkout, drawn, rounds, scratch, _drawn), against.show
        elif frames:
            from foleygen.cli.bench import frames as bench_frames

            drawn = clip or _drawn(scratch / "clip", "--count=1", f"--seconds={seconds}", f"--size={size}")[-1]
            measured, show = bench_frames.measure(settings, drawn, rounds), bench_frames.show
        else:
            drawn = clip or _drawn(scratch, "--count=1", f"--seconds={seconds}", f"--size={size}")[-1]
            measured, show = _measure(settings, drawn, scratch), _print
    if as_json:
        write_json(measured)
    else:
        show(measured)


def _drawn(folder: Path, *options: str) -> list[Path]:
    """Sample scenes in ``folder``, drawn by another process so that its memory is not counted."""
    from foleygen.cli.terminal.streams import write_note

    write_note("drawing sample clips")
    command = [sys.executable, "-m", "foleygen", "demo", str(folder), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("error: ")
        raise (UsageError if ended.returncode == 2 else FoleygenError)(f"no sample clip can be made: {reason}")
    return [Path(line) for line in ended.stdout.splitlines()]


def _measure(settings: Settings, clip: Path, folder: Path) -> dict[str, Any]:
    began = time.monotonic()
    from foleygen.batch.loading import batch_size, load_bundle, load_engine
    from foleygen.evaluation.headline import classifier_seconds
    from foleygen.evaluation.memory import peak_memory
    from foleygen.features.cache import FeatureCache
    from foleygen.media.probe import probe

    bundle = load_bundle(settings)
    engine = load_engine(settings, bundle)
    loading = time.monotonic() - began
    began = time.monotonic()
    info = probe(clip, settings.max_pixels)
    probing = time.monotonic() - began
    size = batch_size(settings, engine.device)
    cache = FeatureCache(folder / "cache")
    runs = {
        name: _render(info, engine, replace(settings, seed=seed), size, cache, folder / f"{name}{clip.suffix}")
        for name, seed in (("cold", settings.seed), ("cached", settings.seed + 1))
    }
    return {
        "clip": clip.name,
        "clip_seconds": float(info.duration),
        "picture": f"{info.width}x{info.height}",
        "model": bundle.name,
        "device": engine.device,
        "precision": engine.precision,
        "batch_size": size,
        "loading_s": round(loading, 3),
        **{name: _row(probing, outcome.stages, outcome.seconds) for name, outcome in runs.items()},
        "classifier_s": classifier_seconds(engine, settings.steps, settings.classifier_guidance),
        "peak_memory_bytes": peak_memory(),
        "peak_device_memory_bytes": _peak_device_memory(engine.device),
    }


def _render(
    info: ClipInfo, engine: Engine, settings: Settings, size: int, cache: FeatureCache, output: Path
) -> Outcome:
    from foleygen.pipeline import Job, render

    (outcome,) = render([Job(info, output)], engine, settings.render_settings(size), cache, lambda progress: None)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _row(probing: float, stages: Mapping[str, float], total: float) -> dict[str, float]:
    known = {"probing": probing, **stages}
    rest = max(0.0, total - sum(stages.values()))
    return {name: round(seconds, 4) for name, seconds in {**known, "other": rest, "total": probing + total}.items()}


def _peak_device_memory(device: str) -> int | None:
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_allocated())


def _print(measured: Mapping[str, Any]) -> None:
    from foleygen.cli.terminal.streams import write_result, write_table

    length = measured["clip_seconds"]
    setting = f"{measured['model']} on {measured['device']} in {measured['precision']}, batch {measured['batch_size']}"
    write_result(f"{measured['clip']}: {length:.1f} s of {measured['picture']}; {setting}")
    rows = [("STAGE", "COLD s", "", "CACHED s", "")]
    for stage in dict.fromkeys([*measured["cold"], *measured["cached"]]):
        cells = [stage]
        for run in ("cold", "cached"):
            seconds = measured[run].get(stage)
            cells += (
                ["-", ""]
                if seconds is None
                else [f"{seconds:.2f}", real_time(length, seconds) if seconds > 0.005 else ""]
            )
        rows.append(tuple(cells))
    rows.append(("loading", f"{measured['loading_s']:.2f}", "", "", ""))
    whole = measured["loading_s"] + measured["cold"]["total"]
    rows.append(("whole process", f"{whole:.2f}", real_time(length, whole), "", ""))
    write_table(rows, right=(1, 2, 3, 4))
    if measured["classifier_s"] is not None:
        write_result(f"guidance by the classifier: {measured['classifier_s']:.2f} s of the sampling of each window")
    write_result(f"peak memory {byte_size(measured['peak_memory_bytes'])}")
    if measured["peak_device_memory_bytes"] is not None:
        write_result(f"peak memory of the device {byte_size(measured['peak_device_memory_bytes'])}")
