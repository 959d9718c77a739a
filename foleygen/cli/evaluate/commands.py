"""``foleygen evaluate``: what the sounds are worth, each number with what chance would give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.evaluate import judges as evaluate_judges
from foleygen.cli.evaluate.ablations import ablations
from foleygen.cli.evaluate.ambience import ambience
from foleygen.cli.evaluate.compare import compare
from foleygen.cli.evaluate.cues import cues
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
    teller,
)
from foleygen.cli.evaluate.voices import voices
from foleygen.cli.options import load_settings, settings_options

if TYPE_CHECKING:
    from foleygen.engines.foley import Engine
    from foleygen.errors import FoleygenError
    from foleygen.evaluation.generated import Generated


@click.group()
def evaluate() -> None:
    """Measure sounds against pictures, or against true sounds.

    \b
    Examples:
      foleygen evaluate sync --count 200                onsets on scenes that no training has seen
      foleygen evaluate sync clips-with-sound/          onsets on clips, against their own sound
      foleygen evaluate seams --count 30                joints of long clips
      foleygen evaluate scenes --data held-out/         sync, loudness, timbre and names, in one go
      foleygen evaluate compare tiny mine/              is one bundle better than another, clip by clip
      foleygen evaluate fidelity --tower runs/tower     FID, IS and KL against true sounds
      foleygen evaluate alignment runs/alignment        is it in time, for a classifier that learnt to tell
      foleygen evaluate cues --count 64                 are cues and words obeyed, and how loud is it
      foleygen evaluate voices recordings/              hits that a library plays, beside the model's
      foleygen evaluate ambience --recordings sounds/   the second engine: holes, bandwidth, tags
    """


@evaluate.command()
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@data_options
@click.option("--perturbation", default="clean", show_default=True, help="What spoils the pictures; 'all' for each.")
@click.option("--lag", type=float, default=0.0, show_default=True, help="Seconds by which sounds follow the picture.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Draw the scores by family.")
@settings_options(*ENGINE)
@click.pass_obj
def sync(
    invocation: Invocation,
    /,
    clips: tuple[Path, ...],
    chosen: Chosen,
    as_json: bool,
    perturbation: str,
    lag: float,
    plot: Path | None,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Does the sound fall on the picture? F1 of onsets at 100 and 50 ms, with the nulls.

    CLIPS are files or folders with sound of their own, which is the reference; without them the pictures are scenes
    with known events, from seeds that no training has seen.

    \b
    Examples:
      foleygen evaluate sync --count 200 --perturbation all
      foleygen evaluate sync filmed/ --lag 0.05 --json
    """
    engine, seed = open_engine(invocation, config_file, values)
    if clips:
        show(as_json, {"filmed": _filmed(clips, engine, seed, lag)})
        return
    from foleygen.evaluation.generated import ceiling_report, generate, sync_report
    from foleygen.evaluation.perturb import PERTURBATIONS
    from foleygen.evaluation.scope import left_out
    from foleygen.evaluation.sync import plot as draw

    dataset = open_dataset(chosen)
    seconds = engine.bundle.window_samples / engine.bundle.sample_rate
    names = list(PERTURBATIONS) if perturbation == "all" else [perturbation]
    reports: dict[str, Any] = {}
    results: Sequence[Generated] = ()
    for name in names:
        results = generate(engine, dataset, name, seed=seed, on_clip=counter(name))
        reports[name] = sync_report(results, seconds)
        if name == "clean":
            frame_rate = engine.bundle.sample_rate / engine.bundle.mel.hop_length
            reports["true sounds"] = ceiling_report(results, seconds, frame_rate)
    if plot is not None:
        draw(reports[names[0]], plot)
    show(as_json, reports, dataset, left_out(results))


@evaluate.command()
@data_options
@naming_options
@settings_options(*ENGINE)
@click.pass_obj
def scenes(
    invocation: Invocation,
    /,
    chosen: Chosen,
    as_json: bool,
    naming: Naming,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Everything that scenes with known events tell: sync, loudness, timbre, and whether sounds can be named.

    \b
    Examples:
      foleygen evaluate scenes --count 200
      foleygen evaluate scenes --data held-out/ --train-data scenes/
      foleygen evaluate scenes --data held-out/ --judge runs/judge
    """
    from foleygen.evaluation import generated
    from foleygen.evaluation.scope import left_out

    engine, seed = open_engine(invocation, config_file, values)
    namers = naming.namers(engine)
    dataset = open_dataset(chosen)
    results = generated.generate(engine, dataset, seed=seed, on_clip=counter("scenes"))
    seconds = engine.bundle.window_samples / engine.bundle.sample_rate
    reports: dict[str, Any] = {"timbre": generated.timbre_report(results)}
    names: dict[str, set[str]] = {}
    if any(result.events.size for result in results):
        reports = {"sync": generated.sync_report(results, seconds), **reports}
    if any(not result.events.size for result in results):
        reports["loudness"] = generated.loudness_report(results)
    for label, namer in namers.items():
        names[label] = set(namer.labels)
        if any(getattr(result.record, label) in names[label] for result in results):
            reports[f"{label} named"] = generated.naming_report(results, namer, label)
    show(as_json, reports, dataset, left_out(results, names))


@evaluate.command()
@data_options
@settings_options(*ENGINE)
@click.pass_obj
def reconstruction(
    invocation: Invocation,
    /,
    chosen: Chosen,
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> None:
    """What autoencoder and vocoder alone do to true sounds: the ceiling of every generated one.

    \b
    Example:
      foleygen evaluate reconstruction --count 100
    """
    from foleygen.evaluation import generated

    engine, _ = open_engine(invocation, config_file, values)
    dataset = open_dataset(chosen)
    show(as_json, generated.reconstruction_reports(engine, dataset), dataset)


@evaluate.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--model", metavar="NAME|DIR", help="A bundle: its vocoder too, and mels that its autoencoder decoded.")
@click.option("--count", type=click.IntRange(1), default=40, show_default=True, help="Scenes.")
@click.option("--recordings", type=click.Path(path_type=Path), help="Recordings; those of the fold test are compared.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="PNG", help="Draw the spectrograms of six sounds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def vocoder(
    runs: tuple[Path, ...], model: str | None, count: int, recordings: Path | None, picture: Path | None, as_json: bool
) -> None:
    """Vocoders side by side: RUNs of train vocoder, the one of a bundle, and Griffin-Lim, on one mel.

    The times are of one processor thread; the vocoders take turns.

    \b
    Example:
      foleygen evaluate vocoder runs/vocoder --model tiny --recordings sounds/ --picture vocoder.png
    """
    import torch

    from foleygen.audio.mel import MelSpectrogram
    from foleygen.engines.building import autoencoder_of
    from foleygen.evaluation import vocoding

    torch.set_num_threads(1)
    bundle = None
    if model is not None:
        from foleygen.weights import store
        from foleygen.weights.bundle import Bundle

        bundle = store.load(model, Bundle)
    mel, vocoders = vocoding.contenders(runs, bundle)
    autoencoder = autoencoder_of(bundle) if bundle is not None else None
    sounds = vocoding.held_out(mel, count, recordings, counter("drawing"))
    reports: dict[str, Any] = {}
    shown: dict[str, vocoding.Voicing] = {}
    hear = MelSpectrogram(mel)
    for name, windows in sounds.items():
        reports[name], voicings = vocoding.compare(vocoders, windows, hear, None, counter(name))
        shown |= {f"{name} {number}": voicing for number, voicing in enumerate(voicings[: 6 // len(sounds)], 1)}
        if autoencoder is not None:
            label = f"{name}, decoded mels"
            reports[label], _ = vocoding.compare(vocoders, windows, hear, autoencoder, counter(label))
    if picture is not None:
        vocoding.draw_spectrograms(shown, hear, picture)
    show(as_json, reports)


@evaluate.command()
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--count", type=click.IntRange(0), default=30, show_default=True, help="Long scenes; a third has no events."
)
@click.option("--repair", metavar="NAME|DIR", help="Let this ambience bundle repair the joints too.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Draw how many joints stand out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@settings_options(*ENGINE, "overlap", "cuts")
@click.pass_obj
def seams(
    invocation: Invocation,
    /,
    clips: tuple[Path, ...],
    count: int,
    repair: str | None,
    plot: Path | None,
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Can the joints of a long clip be heard? Level, rises and onsets there, against the rest of the same sound.

    Windows that are faded, made jointly, cut hard, or faded and repaired, on scenes of 24 to 40 s that no training has
    seen and on CLIPS, files or folders, as far as they are longer than a window.

    \b
    Examples:
      foleygen evaluate seams --count 30 --repair ambience
      foleygen evaluate seams films/ --count 0 --json
    """
    from foleygen.cli.compose.shared import load_composer
    from foleygen.evaluation import long_clips
    from foleygen.evaluation import seams as measure

    settings = load_settings(invocation, config_file, values)
    engine, seed = open_engine(invocation, config_file, values)
    rendering = replace(settings.render_settings(1), seams="joint")
    sources: dict[str, Iterable[measure.LongClip]] = {}
    if count:
        sources["scenes with events"] = long_clips.from_scenes(engine, count - count // 3, rendering, False)
    if count // 3:
        sources["scenes without events"] = long_clips.from_scenes(engine, count // 3, rendering, True)
    if clips:
        sources["clips"] = long_clips.from_files(found(clips), engine, rendering, _skipped)
    composer = load_composer(repair, settings.device) if repair is not None else None
    reports = {name: measure.evaluate(source, engine, seed, teller(name), composer) for name, source in sources.items()}
    if plot is not None and reports:
        measure.plot(next(iter(reports.values())), plot)
    show(as_json, reports)


for _command in (ablations, ambience, compare, cues, *evaluate_judges.COMMANDS, voices):
    evaluate.add_command(_command)


def _filmed(clips: Sequence[Path], engine: Engine, seed: int, lag: float) -> Any:
    from foleygen.evaluation.filmed_sound import evaluate as measure
    from foleygen.settings import RenderSettings

    return measure(found(clips), engine, RenderSettings(seed=seed), lag, on_skip=_skipped, on_clip=counter("clips"))


def _skipped(path: Path, error: FoleygenError) -> None:
    note(str(error))
