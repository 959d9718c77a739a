"""Click options made from the fields of config.Settings, so that names, limits and defaults are written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from foleygen.cli import config
from foleygen.cli.app import Invocation
from foleygen.cli.parameters import Named
from foleygen.cli.terminal.streams import write_note
from foleygen.errors import UsageError
from foleygen.settings import Settings, Spec, spec, specs

Command = TypeVar("Command", bound=Callable[..., Any])

ENGINE = ("model", "steps", "guidance", "classifier_guidance", "seed", "overlap", "device", "precision")
"""What decides a sound and how fast it is made."""
SPOTTING = ("cues", "cues_start", "fill", "sound", "picture", "midi_map")
"""What is said of when and what."""
OF_CUES = ("cues_start", "fill", "midi_map")
"""Those of them that say something of cues."""
OF_LIBRARY = ("library", "library_index")
"""Those that say something of a library."""
TALK = ("quiet", "verbose")


def settings_options(*names: str) -> Callable[[Command], Command]:
    """Add the options of these settings, and ``--config``; ``load_settings`` turns what they got into Settings."""

    def decorate(command: Command) -> Command:
        command = click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Read this YAML file instead of foleygen.yaml.",
        )(command)
        known = specs()
        for name in reversed(names):
            command = _option(known[name])(command)
        return command

    return decorate


def load_settings(invocation: Invocation, config_file: Path | None, values: dict[str, Any]) -> Settings:
    """Settings from what was typed (``values``), the environment, the YAML files and the defaults."""
    typed = typed_settings(values)
    chosen = config.found(typed, config_file=config_file)
    settings = config.settings_of(chosen)
    _refuse_idle(typed, settings)
    invocation.verbose = settings.verbose
    if settings.verbose and not settings.quiet:
        for path in dict.fromkeys(each.file for each in chosen.values() if each.file is not None):
            write_note(f"settings: {path}")
    return settings


def _refuse_idle(typed: Mapping[str, object], settings: Settings) -> None:
    """Raises UsageError for an option that speaks of cues or of a library, typed where there is to be none."""
    whys = {None: "--cues none leaves out all of them", "spot": "--cues spot takes none that are given"}
    for name in OF_CUES:
        if (why := whys.get(settings.cues)) is not None and typed.get(name):
            raise UsageError(f"--{name.replace('_', '-')}: speaks of cues, and {why}", "leave out one of the two")
    for name in OF_LIBRARY:
        if settings.voice == "model" and typed.get(name) and "voice" not in typed:
            fact = f"--{name.replace('_', '-')}: the voice is the model's, which plays no library"
            raise UsageError(fact, "add --voice library, or --voice both")
    if settings.cues == "spot" and not settings.picture:
        fact = "--cues spot: looks at the pictures, and --no-picture leaves them out"
        raise UsageError(fact, "leave out one of the two")


def typed_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Of the values of the options, those that were typed."""
    return {name: value for name, value in values.items() if value is not None}


def _option(setting: Field[Any]) -> Callable[[Command], Command]:
    rule = spec(setting)
    name = setting.name.replace("_", "-")
    flags = [f"-{rule.short}"] if rule.short else []
    shown = _default(setting)
    text = f"{rule.help}  [default: {shown}]" if shown else rule.help
    if setting.name == "verbose":
        return click.option(*flags, f"--{name}", count=True, help=text, callback=_counted)
    if rule.kind == "switch":
        both = f"--{name}" if rule.once else f"--{name}/--no-{name}"
        return click.option(*flags, both, is_flag=True, default=None, help=text)
    metavar = rule.metavar or {"whole": "N", "number": "X", "decibel": "DB", "path": "DIR"}.get(rule.kind)
    kind = _type(rule)
    proposed = partial(_proposed, setting.name, rule) if kind is click.STRING else None
    is_file = rule.kind in ("path", "cues")
    return click.option(
        *flags,
        f"--{name}",
        type=kind,
        metavar=metavar,
        default=None,
        help=text,
        shell_complete=proposed,
        multiple=is_file,
        callback=_once if is_file else None,
    )


def _once(context: click.Context, parameter: click.Parameter, values: tuple[Any, ...]) -> Any:
    """The last value that was typed. Raises UsageError for several files: who names two does not mean the last.

    A word in place of a file leaves it out, and is said after it as before it.
    """
    several = [one for one in dict.fromkeys(map(str, values)) if one not in config.WORDS_FOR_FILES]
    if len(several) > 1:
        fact = f"--{str(parameter.name).replace('_', '-')}: takes one, and is given {' and '.join(several)}"
        again = "leave out all but one, and run it again for the others: what is done is not done again"
        raise UsageError(fact, again if parameter.name == "timeline" else "leave out all but one")
    return values[-1] if values else None


def _proposed(name: str, rule: Spec, context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from foleygen.cli.completion import of_setting

    return of_setting(name, rule, incomplete)


def _counted(context: click.Context, parameter: click.Parameter, value: int) -> int | None:
    """More than the most is the most, and none at all leaves it to the other sources."""
    return min(value, 2) or None


def _type(rule: Spec) -> click.ParamType[Any]:
    if rule.choices and rule.kind != "names":
        return click.Choice(rule.choices)
    if rule.kind == "path":
        return Named()
    return click.STRING


def _default(setting: Field[Any]) -> str:
    rule = spec(setting)
    if setting.default is None:
        return rule.auto or ""
    if rule.kind == "switch" or setting.name == "verbose":
        return ""
    return f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)
