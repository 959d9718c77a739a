"""What the commands of ``foleygen evaluate`` share: which scenes, which engine, and how reports are shown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from foleygen.cli.options import load_settings
from foleygen.errors import UsageError

if TYPE_CHECKING:
    from foleygen.cli.app import Invocation
    from foleygen.engines.foley import Engine
    from foleygen.evaluation.naming import Namers
    from foleygen.training.data.dataset import SceneDataset

ENGINE = ("model", "steps", "guidance", "classifier_guidance", "seed", "device", "precision")
Command = Callable[..., Any]


class Table(Protocol):
    """A report that can be read."""

    def table(self) -> str: ...


@dataclass(frozen=True)
class Chosen:
    """Which scenes to measure on: the dataset ``data``, or what is drawn for it."""

    data: Path | None
    count: int
    style: str
    family: str | None
    material: str | None
    recordings: Path | None


def data_options(command: Command) -> Command:
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


@dataclass(frozen=True)
class Naming:
    """Who is to name the sounds: classifiers that learn from ``train_data``, a trained ``judge``, or nobody."""

    train_data: Path | None
    judge: Path | None

    @property
    def given(self) -> bool:
        """Whether somebody is."""
        return self.train_data is not None or self.judge is not None

    def namers(self, engine: Engine) -> Namers:
        """Those who name sounds of ``engine``; empty for nobody. Raises UsageError."""
        from foleygen.evaluation.generated import learnt_from
        from foleygen.evaluation.naming import judges_of
        from foleygen.training.data.dataset import SceneDataset

        if self.judge is not None:
            return judges_of(self.judge, engine.bundle.mel.num_mels)
        return {} if self.train_data is None else learnt_from(SceneDataset(self.train_data))


def naming_options(command: Command) -> Command:
    """Options that say who names the sounds; the command gets them as one ``naming``."""

    @functools.wraps(command)
    def collected(*arguments: Any, **values: Any) -> Any:
        naming = Naming(**{item.name: values.pop(item.name) for item in fields(Naming)})
        if naming.train_data is not None and naming.judge is not None:
            raise UsageError("--train-data and --judge both say who names the sounds", "leave out one of the two")
        return command(*arguments, naming=naming, **values)

    for option in (
        click.option("--judge", type=click.Path(path_type=Path), metavar="RUN", help="A run of train judge, to name."),
        click.option(
            "--train-data", type=click.Path(path_type=Path), help="Scenes of a training, to train the naming on."
        ),
    ):
        collected = option(collected)
    return collected


def open_engine(invocation: Invocation, config_file: Path | None, values: dict[str, Any]) -> tuple[Engine, int]:
    """The engine of the settings, and the seed."""
    settings = load_settings(invocation, config_file, values)
    from foleygen.engines.foley import Engine
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    engine = Engine.load(store.load(settings.model, Bundle), settings.device, settings.precision)
    engine.classifier_scale = engine.bundle.classifier_scale(settings.classifier_guidance)
    engine.steps = settings.steps
    engine.defaults = replace(
        engine.defaults,
        num_inference_steps=settings.steps or engine.defaults.num_inference_steps,
        guidance_scale=engine.defaults.guidance_scale if settings.guidance is None else settings.guidance,
    )
    return engine, settings.seed


def open_dataset(chosen: Chosen) -> SceneDataset:
    """The dataset named, or one made for this measurement from the seeds that are kept for tests.

    What makes a dataset's numbers doubtful is said. Raises UsageError.
    """
    from foleygen.evaluation.scope import Scope
    from foleygen.training.data.dataset import DatasetConfig, SceneDataset, make

    if chosen.data is not None:
        dataset = SceneDataset(chosen.data)
        if not len(dataset):
            raise UsageError(f"{chosen.data}: holds no finished clip", "let foleygen train scenes finish")
        for warning in Scope.of(dataset).warnings():
            note(f"warning: {chosen.data}: {warning}")
        return dataset
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
    return make(folder, config, on_clip=counter("drawing"))


def found(clips: Sequence[Path]) -> list[Path]:
    """The clips in files and folders; what is left out is said."""
    from foleygen.batch.discover import SUFFIXES, discover

    def tell(path: Path, why: str) -> None:
        if path.suffix.lower() in SUFFIXES or path.is_dir():
            note(f"{path}: {why}, and left out")

    return [clip.path for clip in discover(clips, note=tell)]


def note(text: str) -> None:
    """A line for the person at the terminal."""
    from foleygen.cli.terminal.streams import write_note

    write_note(text)


def counter(what: str) -> Callable[[int, int], None]:
    """A callback that tells how far ``what`` is, now and then."""

    def count(done: int, total: int) -> None:
        if done == total or done % 40 == 0:
            note(f"{what}: {done}/{total}")

    return count


def teller(what: str) -> Callable[[int], None]:
    """A callback that tells how many ``what`` are done."""
    return lambda done: note(f"{what}: {done}")


def show(
    as_json: bool,
    reports: dict[str, Any],
    dataset: SceneDataset | None = None,
    left_out: Mapping[str, str] | None = None,
) -> None:
    """Print reports, each a dataclass with a table, as JSON or as text; and what they are from, where it is scenes.

    ``left_out`` says why a report is not about all of ``dataset``.
    """
    from foleygen.cli.terminal.streams import write_json, write_result
    from foleygen.evaluation.report import to_json

    if dataset is not None:
        from foleygen.evaluation.scope import Scope

        reports = {"scope": Scope.of(dataset, left_out), **reports}
    if as_json:
        write_json(to_json(reports))
        return
    for name, report in reports.items():
        write_result(f"{name}\n{report.table()}\n")
