"""``foleygen evaluate``: what the sounds are worth, each number with what chance would give."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import load_settings, settings_options

if TYPE_CHECKING:
    from foleygen.engine import Engine
    from foleygen.errors import FoleygenError
    from foleygen.training.dataset import SceneDataset

ENGINE = ("model", "steps", "guidance", "seed", "device", "precision")
Command = Callable[..., Any]


class Table(Protocol):
    """A report that can be read."""

    def table(self) -> str: ...


@click.group()
def evaluate() -> None:
    """Measure sounds against pictures, or against true sounds.

    \b
    Examples:
      foleygen evaluate sync --count 200                onsets on scenes that no training has seen
      foleygen evaluate sync clips-with-sound/          onsets on clips, against their own sound
      foleygen evaluate seams --count 30                joints of long clips
      foleygen evaluate scenes --data held-out/         sync, loudness, timbre and names, in one go
      foleygen evaluate fidelity true.npz made.npz      FID, IS and KL of features of your own
    """


@dataclass(frozen=True)
class Chosen:
    """Which scenes to measure on: the dataset ``data``, or what is drawn for it."""

    data: Path | None
    count: int
    style: str
    family: str | None
    material: str | None
    recordings: Path | None


def _data_options(command: Command) -> Command:
    """Options that say which scenes; the command gets them as one ``chosen``."""

    @functools.wraps(command)
    def collected(*arguments: Any, **values: Any) -> Any:
        chosen = Chosen(**{item.name: values.pop(item.name) for item in fields(Chosen)})
        return command(*arguments, chosen=chosen, **values)

    for option in (
        click.option("--data", type=click.Path(path_type=Path), help="A dataset made by 'foleygen train scenes'."),
        click.option("--count", type=click.IntRange(1), default=200, show_default=True, help="Scenes, without --data."),
        click.option("--style", default="train", show_default=True, help="Style of the scenes, without --data."),
        click.option("--family", help="Only scenes of this family, without --data."),
        click.option("--material", help="Only bodies of this material, without --data."),
        click.option("--recordings", type=click.Path(path_type=Path), help="Recordings that scenes may play."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    ):
        collected = option(collected)
    return collected


@evaluate.command()
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@_data_options
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
    engine, seed = _engine(invocation, config_file, values)
    if clips:
        _print(as_json, {"filmed": _filmed(clips, engine, seed, lag)})
        return
    from foleygen.evaluation.generated import ceiling_report, generate, sync_report
    from foleygen.evaluation.perturb import PERTURBATIONS
    from foleygen.evaluation.sync import plot as draw

    dataset = _dataset(chosen)
    seconds = engine.bundle.window_samples / engine.bundle.sample_rate
    names = list(PERTURBATIONS) if perturbation == "all" else [perturbation]
    reports: dict[str, Any] = {}
    for name in names:
        results = generate(engine, dataset, name, seed=seed, on_clip=_counter(name))
        reports[name] = sync_report(results, seconds)
        if name == "clean":
            frame_rate = engine.bundle.sample_rate / engine.bundle.mel.hop_length
            reports["true sounds"] = ceiling_report(results, seconds, frame_rate)
    if plot is not None:
        draw(reports[names[0]], plot)
    _print(as_json, reports)


@evaluate.command()
@_data_options
@click.option("--train-data", type=click.Path(path_type=Path), help="A training dataset, to train the naming on.")
@settings_options(*ENGINE)
@click.pass_obj
def scenes(
    invocation: Invocation,
    /,
    chosen: Chosen,
    as_json: bool,
    train_data: Path | None,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Everything that scenes with known events tell: sync, loudness, timbre, and whether sounds can be named.

    \b
    Examples:
      foleygen evaluate scenes --count 200
      foleygen evaluate scenes --data held-out/ --train-data scenes/
    """
    from foleygen.evaluation import generated
    from foleygen.training.dataset import SceneDataset

    engine, seed = _engine(invocation, config_file, values)
    dataset = _dataset(chosen)
    results = generated.generate(engine, dataset, seed=seed, on_clip=_counter("scenes"))
    seconds = engine.bundle.window_samples / engine.bundle.sample_rate
    reports: dict[str, Any] = {
        "sync": generated.sync_report(results, seconds),
        "timbre": generated.timbre_report(results),
    }
    if any(not result.events.size for result in results):
        reports["loudness"] = generated.loudness_report(results)
    if train_data is not None:
        training = SceneDataset(train_data)
        for label in ("family", "material"):
            reports[f"{label} named"] = generated.naming_report(results, training, label)
    _print(as_json, reports)


@evaluate.command()
@_data_options
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

    engine, _ = _engine(invocation, config_file, values)
    dataset = _dataset(chosen)
    _print(as_json, generated.reconstruction_reports(engine, dataset))


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
    from foleygen.engine import autoencoder_of
    from foleygen.evaluation import vocoding

    torch.set_num_threads(1)
    bundle = None
    if model is not None:
        from foleygen.weights import bundle as bundles
        from foleygen.weights import store

        bundle = bundles.load(store.resolve(model))
    mel, vocoders = vocoding.contenders(runs, bundle)
    autoencoder = autoencoder_of(bundle) if bundle is not None else None
    sounds = vocoding.held_out(mel, count, recordings, _counter("drawing"))
    reports: dict[str, Any] = {}
    shown: dict[str, vocoding.Voicing] = {}
    hear = MelSpectrogram(mel)
    for name, windows in sounds.items():
        reports[name], voicings = vocoding.compare(vocoders, windows, hear, None, _counter(name))
        shown |= {f"{name} {number}": voicing for number, voicing in enumerate(voicings[: 6 // len(sounds)], 1)}
        if autoencoder is not None:
            label = f"{name}, decoded mels"
            reports[label], _ = vocoding.compare(vocoders, windows, hear, autoencoder, _counter(label))
    if picture is not None:
        vocoding.draw_spectrograms(shown, hear, picture)
    _print(as_json, reports)


@evaluate.command()
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--count", type=click.IntRange(0), default=30, show_default=True, help="Long scenes; a third has no events."
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Draw how many joints stand out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@settings_options(*ENGINE, "overlap", "cuts")
@click.pass_obj
def seams(
    invocation: Invocation,
    /,
    clips: tuple[Path, ...],
    count: int,
    plot: Path | None,
    as_json: bool,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Can the joints of a long clip be heard? Level, rises and onsets there, against the rest of the same sound.

    Windows that are faded, made jointly, or cut hard, on scenes of 24 to 40 s that no training has seen and on CLIPS,
    files or folders, as far as they are longer than a window.

    \b
    Examples:
      foleygen evaluate seams --count 30
      foleygen evaluate seams films/ --count 0 --json
    """
    from foleygen.evaluation import long_clips
    from foleygen.evaluation import seams as measure

    settings = load_settings(invocation, config_file, values)
    engine, seed = _engine(invocation, config_file, values)
    rendering = replace(settings.render_settings(1), seams="joint")
    sources: dict[str, Iterable[measure.LongClip]] = {}
    if count:
        sources["scenes with events"] = long_clips.from_scenes(engine, count - count // 3, rendering, False)
    if count // 3:
        sources["scenes without events"] = long_clips.from_scenes(engine, count // 3, rendering, True)
    if clips:
        sources["clips"] = long_clips.from_files(_found(clips), engine, rendering, _skipped)
    reports = {name: measure.evaluate(source, engine, seed, _teller(name)) for name, source in sources.items()}
    if plot is not None and reports:
        measure.plot(next(iter(reports.values())), plot)
    _print(as_json, reports)


@evaluate.command()
@click.argument("true", type=click.Path(path_type=Path))
@click.argument("made", type=click.Path(path_type=Path))
@click.option("--source", default="features from file", help="Name of the network that the features are from.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fidelity(true: Path, made: Path, source: str, as_json: bool) -> None:
    """FID, inception score and KL of two .npz files of ids, features and logits.

    \b
    Example:
      foleygen evaluate fidelity true.npz made.npz --source Melception
    """
    from foleygen.evaluation import fidelity as measure

    report = measure.evaluate(measure.read_predictions(true), measure.read_predictions(made), source)
    _print(as_json, {"fidelity": report})


def _engine(invocation: Invocation, config_file: Path | None, values: dict[str, Any]) -> tuple[Engine, int]:
    settings = load_settings(invocation, config_file, values)
    from foleygen.engine import Engine
    from foleygen.weights import bundle, store

    engine = Engine.load(bundle.load(store.resolve(settings.model)), settings.device, settings.precision)
    engine.defaults = replace(
        engine.defaults,
        num_inference_steps=settings.steps or engine.defaults.num_inference_steps,
        guidance_scale=engine.defaults.guidance_scale if settings.guidance is None else settings.guidance,
    )
    return engine, settings.seed


def _dataset(chosen: Chosen) -> SceneDataset:
    """The dataset named, or one made for this measurement from the seeds that are kept for tests."""
    from foleygen.training.dataset import DatasetConfig, SceneDataset, make

    if chosen.data is not None:
        return SceneDataset(chosen.data)
    import tempfile

    from foleygen.scenes import TEST_SEEDS

    folder = Path(click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="foleygen-")))
    config = DatasetConfig(
        count=chosen.count,
        first_seed=TEST_SEEDS.start,
        style=chosen.style,
        families=(chosen.family,) if chosen.family else None,
        material=chosen.material,
        recordings=str(chosen.recordings) if chosen.recordings else None,
        fold="test",
    )
    return make(folder, config, on_clip=_counter("drawing"))


def _filmed(clips: Sequence[Path], engine: Engine, seed: int, lag: float) -> Any:
    from foleygen.config import RenderSettings
    from foleygen.evaluation.filmed_sound import evaluate as measure

    return measure(_found(clips), engine, RenderSettings(seed=seed), lag, on_skip=_skipped, on_clip=_counter("clips"))


def _found(clips: Sequence[Path]) -> list[Path]:
    from foleygen.batch.discover import discover

    return [clip.path for clip in discover(clips, (), None, lambda path, why: None)]


def _skipped(path: Path, error: FoleygenError) -> None:
    _note(str(error))


def _note(text: str) -> None:
    from foleygen.cli.console import write_note

    write_note(text)


def _counter(what: str) -> Callable[[int, int], None]:
    def count(done: int, total: int) -> None:
        if done == total or done % 40 == 0:
            _note(f"{what}: {done}/{total}")

    return count


def _teller(what: str) -> Callable[[int], None]:
    return lambda done: _note(f"{what}: {done}")


def _print(as_json: bool, reports: dict[str, Any]) -> None:
    from foleygen.cli.console import write_json, write_result
    from foleygen.evaluation.report import to_json

    if as_json:
        write_json(to_json(reports))
        return
    for name, report in reports.items():
        write_result(f"{name}\n{report.table()}\n")
