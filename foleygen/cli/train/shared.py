"""What the commands of ``foleygen train`` share: their options, the device, the loop with its bar and curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foleygen.cli import completion
from foleygen.cli.parameters import Number
from foleygen.errors import SetupError, UsageError
from foleygen.settings import DEVICES, Settings
from foleygen.strict import file_text

if TYPE_CHECKING:
    from foleygen.training.loop import Loop

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
OUTPUT = click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors.")
DEVICE = click.option(
    "--device",
    type=click.Choice(DEVICES),
    default=Settings.device,
    show_default=True,
    help="Where to compute.",
)


def data_option(text: str) -> Callable[[Command], Command]:
    """``--data`` with its help."""
    return click.option("--data", type=PATH, required=True, metavar="DIR", help=text)


def datasets_option(text: str) -> Callable[[Command], Command]:
    """``--data`` that may be repeated."""
    return click.option("--data", type=PATH, required=True, multiple=True, metavar="DIR", help=f"{text}; repeat.")


SHARE = click.option(
    "--share",
    "shares",
    type=Number(0, min_open=True),
    multiple=True,
    metavar="X",
    help="Share of the batches, once for each --data; else by number of clips.",
)


VALIDATION = click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    help="Hold out this share of the clips and log their loss; else the recipe's, 0 in all packaged ones.",
)


def run_options(default: str) -> Callable[[Command], Command]:
    """What all trainings share; ``default`` is the recipe."""

    def decorate(command: Command) -> Command:
        for option in (
            QUIET,
            click.option("--precision", type=click.Choice(("fp32", "bf16")), help="Instead of the recipe's."),
            DEVICE,
            click.option("--seed", type=click.IntRange(0), metavar="N", help="Instead of the recipe's."),
            click.option("--steps", type=click.IntRange(1), metavar="N", help="Instead of the recipe's."),
            OUTPUT,
            click.option(
                "--recipe",
                default=default,
                show_default=True,
                metavar="NAME|FILE",
                help="A packaged recipe or YAML.",
                shell_complete=completion.recipes,
            ),
        ):
            command = option(command)
        return command

    return decorate


@contextmanager
def computing(loop: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The process' device, once it has joined the others that torchrun started; and the recipe's changes."""
    from foleygen.engines.device import choose_device
    from foleygen.training.parallel import process_group

    changes: dict[str, Any] = {
        name: loop[name] for name in ("steps", "seed", "precision", "validation") if name in loop
    }
    with process_group(choose_device(loop["device"])) as device:
        yield device, changes


def text_of(path: Path) -> str:
    """The text in a file. Raises UsageError."""
    text = file_text(path, UsageError)
    if not text.strip():
        raise UsageError(f"{path}: is empty", "name the file with the text")
    return text


def changed(recipe: Any, changes: dict[str, Any]) -> Any:
    """The recipe with the loop's changes."""
    from foleygen.training.recipe import with_loop

    return with_loop(recipe, **changes)


def shared(recipe: Any, shares: tuple[float, ...]) -> Any:
    """The recipe with the shares that were typed, if any."""
    return replace(recipe, shares=shares) if shares else recipe


def run_loop(loop: Loop, label: str, quiet: bool) -> None:
    """Train to the end; only the first of several processes talks and draws."""
    from foleygen.cli.terminal.steps import open_steps
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.training.loop import CHECKPOINT, CURVE, plot_curve

    first = loop.rank == 0
    silent = quiet or not first
    if loop.step and not silent:
        write_note(f"{loop.folder}: goes on at step {loop.step} of {loop.config.steps}")
    try:
        with open_steps(label, silent) as steps:
            loop.run(steps.losses)
    finally:
        if first and (loop.folder / CURVE).exists():
            try:
                plot_curve(loop.folder)
            except SetupError as error:
                if not silent:
                    write_note(f"warning: {error}")
    if first:
        write_result(str(loop.folder / CHECKPOINT))
