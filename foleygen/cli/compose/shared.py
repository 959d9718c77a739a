"""What the commands of the second engine share: options, the loaded composer, outputs that are not overwritten."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foleygen.errors import FoleygenError, UsageError, printable
from foleygen.settings import DEVICES, MAX_SEED, Settings

if TYPE_CHECKING:
    from foleygen.ambience.inpaint import Ask
    from foleygen.cli.terminal.steps import Steps
    from foleygen.engines.composer import Composer, Precision, Samples

PATH = click.Path(path_type=Path)
_CLOCK = re.compile(r"(?:(?:(?P<hours>\d{1,3}):)?(?P<minutes>\d{1,3}):)?(?P<seconds>\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})")

Command = TypeVar("Command", bound=Callable[..., Any])
Written = TypeVar("Written")


class Clock(click.ParamType[float]):
    """Seconds, or minutes and hours before them: 12.4, 1:02.5, 1:00:00."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _CLOCK.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a time such as 12.4 or 1:02.5", param, ctx)
        parts = (float(match[name] or 0) for name in ("hours", "minutes", "seconds"))
        hours, minutes, seconds = parts
        return 3600 * hours + 60 * minutes + seconds


def composing_options(command: Command) -> Command:
    """--model, --seed, --steps, --device, --precision, --overwrite and --quiet."""
    options = (
        click.option("--model", default=Settings.ambience_model, show_default=True, metavar="NAME|DIR",
                     help="Bundle for ambience."),
        click.option("--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True, metavar="N",
                     help="Another seed gives another sound."),
        click.option("--steps", type=click.IntRange(1, 1000), metavar="N",
                     help="Steps in which a window is found; else the bundle's."),
        click.option("--device", type=click.Choice(DEVICES), default=Settings.device, show_default=True,
                     help="Where to compute."),
        click.option("--precision", type=click.Choice(("fp32", "bf16")), default="fp32", show_default=True,
                     help="Arithmetic of the transformer; bf16 is faster, and other sound."),
        click.option("--overwrite", is_flag=True, help="Overwrite the output if it is there."),
        click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def load_composer(model: str, device: str, precision: Precision = "fp32") -> Composer:
    """The verified bundle on its device."""
    from foleygen.engines.composer import Composer
    from foleygen.weights import store
    from foleygen.weights.ambience import AmbienceBundle

    return Composer.load(store.load(model, AmbienceBundle), device, precision)


def asked(composer: Composer, key: tuple[object, ...], steps: int | None, candidates: int = 1) -> Ask:
    """What to compose without words."""
    from foleygen.ambience.inpaint import Ask

    return Ask(key, None, composer.decoding(steps), candidates)


def content_key(samples: Samples) -> str:
    """What the random numbers for a piece of sound depend on besides the seed: what it is, not what it is called."""
    import hashlib

    return hashlib.sha256(samples.tobytes()).hexdigest()[:16]


def output_for(path: Path | None, default: Path, overwrite: bool) -> Path:
    """Where to write. Raises UsageError where something is there already."""
    output = path or default
    if output.exists() and (not overwrite or not output.is_file()):
        raise UsageError(f"{output}: is there already", "name another file with -o, or give --overwrite")
    return output


def same_suffix(source: Path, output: Path) -> None:
    """Raises UsageError for an output of another format than the input's."""
    if source.suffix.lower() != output.suffix.lower():
        fact = f"{output}: the output has the format of the input, {source.suffix or 'which has no suffix'}"
        raise UsageError(fact, "give it that suffix")


def named(source: Path, work: Callable[[], Written]) -> Written:
    """What ``work`` gives; its errors say which file they are about."""

    try:
        return work()
    except UsageError as error:
        raise UsageError(f"{printable(source)}: {error.message}", error.remedy) from error


def counted(chunks: Iterable[Samples], rate: int, total: int, steps: Steps) -> Iterator[Samples]:
    """The chunks, with the seconds that are done shown as they pass."""
    done = 0
    for chunk in chunks:
        yield chunk
        done += chunk.shape[-1]
        steps.advance(min(math.ceil(done / rate), math.ceil(total / rate)), math.ceil(total / rate), "s")


def explained(work: Callable[[], Written]) -> Written:
    """What ``work`` gives; running out of memory is an error to try again after."""
    from foleygen.engines.device import out_of_memory
    from foleygen.errors import RetryableError

    try:
        return work()
    except FoleygenError:
        raise
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise RetryableError("memory ran out", "close other programs, or use --device cpu") from error
