"""The settings of a run: every option of ``add-sound``, its default, its limits, and where its value comes from.

Precedence: command-line flag > ``FOLEYGEN_<OPTION>`` > project ``foleygen.yaml`` (nearest upward) > the user's
``foleygen.yaml`` > default. ``--config FILE`` stands in for both YAML files.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from foleygen.cli.terminal.streams import write_note
from foleygen.errors import UsageError
from foleygen.settings import LOUDNESS_PRESETS, Settings, Spec, is_list, spec, specs
from foleygen.strict import did_you_mean, shown, yaml_document

PROJECT_FILE = "foleygen.yaml"
_LABEL = re.compile(r"[0-9]{2}[:;][0-9]{2}[:;][0-9]{2}[:;.,][0-9]{2,3}")
ENVIRONMENT_PREFIX = "FOLEYGEN_"
OTHER_VARIABLES = {f"{ENVIRONMENT_PREFIX}{name}" for name in ("CONFIG", "CACHE_DIR", "DATA_DIR", "SHARED", "SLURM")}
"""What is no setting: two folders, the settings' file, and what the tests are told."""


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    config_file: Path | None = None,
) -> Settings:
    """Settings from all sources; ``flags`` holds only what was typed, ``folder`` is where the project file is sought.

    Raises UsageError for an unknown key or a value that does not fit, naming the source.
    """
    return settings_of(found(flags, environ, folder, config_file))


@dataclass(frozen=True)
class Value:
    """What a setting is, and where that comes from."""

    value: object
    source: str
    file: Path | None = None
    """The file of settings that says it."""


def settings_of(chosen: Mapping[str, Value]) -> Settings:
    """The values of ``found`` as Settings."""
    return Settings(**{name: each.value for name, each in chosen.items()})  # type: ignore[arg-type]


def found(
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    config_file: Path | None = None,
) -> dict[str, Value]:
    """Each setting and where it comes from; see ``load``."""
    named = environ.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    if config_file is None and named:
        config_file = Path(os.path.expanduser(named))
    files = [config_file] if config_file is not None else _default_files(folder or _here())
    values = {name: Value(setting.default, "default") for name, setting in specs().items()}
    for path in files:
        values.update({name: Value(value, str(path), path) for name, value in _from_file(path).items()})
    _refuse_unknown(environ)
    for name, value in _from_environment(environ).items():
        values[name] = Value(value, f"{ENVIRONMENT_PREFIX}{name.upper()}")
    for name, value in flags.items():
        flag = f"--{_dashed(name)}"
        values[name] = Value(convert(name, value, flag), flag)
    return values


def convert(name: str, value: object, source: str) -> object:
    """``value``, from YAML or typed as text, as the type of the setting ``name``; ``source`` is for the message."""
    rule = spec(specs()[name])
    # YAML 1.1 reads a bare off as false.
    if rule.auto is not None and (value is None or value == rule.auto or (value is False and rule.auto == "off")):
        return None
    converted = _CONVERTERS[rule.kind](value)
    if converted is None or not _chosen(converted, rule) or not _within(converted, rule):
        raise UsageError(f"{source}: {shown(value)} is not {_expected(rule)}", _hint(value, rule))
    return converted


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError("the current folder is not there any more", "go to another one") from error


def _default_files(folder: Path) -> list[Path]:
    """The user's file, then the nearest project file from ``folder`` upward: the later wins."""
    from platformdirs import user_config_path

    here = folder.absolute()
    project = next((path for level in (here, *here.parents) if (path := level / PROJECT_FILE).is_file()), None)
    if project is not None and project.parent != here and (reason := _why_not(project)):
        write_note(f"warning: {project}: {reason}, so it is not taken from there; name it with --config to take it")
        project = None
    user = user_config_path("foleygen") / PROJECT_FILE
    return [path for path in (user if user.is_file() else None, project) if path is not None]


def _why_not(path: Path) -> str | None:
    """Why a file in a folder above is not taken unless it is named: it may be a stranger's, or use a cluster."""
    if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
        return "belongs to another user"
    return "names a Ray cluster" if "ray" in _from_file(path) else None


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """Raises UsageError for a variable that is no setting, as for a key of a file."""
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in specs()} | OTHER_VARIABLES
    for name in environ:
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            raise UsageError(f"{name}: no such variable", _near(name, known))


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else "unset it; 'foleygen config show' lists the settings"


def _from_file(path: Path) -> dict[str, object]:
    document = yaml_document(path, UsageError, "correct --config")
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError(f"{path}: is not a list of options", "write one 'option: value' per line")
    values = {}
    for key, value in document.items():
        name = key.replace("-", "_") if isinstance(key, str) else ""
        if name not in specs():
            raise UsageError(f"{path}: unknown key {shown(key)}", did_you_mean(name, specs()))
        if name in values:
            raise UsageError(f"{path}: sets {name} twice", "remove one of them")
        values[name] = _beside(path, name, convert(name, value, f"{path}: {key}"))
    return values


WORDS_FOR_FILES = ("auto", "spot", "none")
"""What is said in place of a file of cues."""
_FILES: Mapping[str, Callable[[str], bool]] = {"cues": lambda text: text not in ("auto", "spot"), "words": is_list}
"""Which values of a kind are paths."""


def _beside(config_file: Path, name: str, value: object) -> object:
    """A relative path in a file is meant from that file's folder."""
    kind = spec(specs()[name]).kind
    if kind == "path" and isinstance(value, Path):
        return config_file.absolute().parent / value
    if kind == "model" and isinstance(value, str) and os.sep in value:
        return str(config_file.absolute().parent / os.path.expanduser(value))
    if isinstance(value, str) and kind in _FILES and _FILES[kind](value):
        return str(config_file.absolute().parent / value)
    return value


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    named = {name: f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in specs()}
    return {name: convert(name, environ[key], key) for name, key in named.items() if environ.get(key)}


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _path(value: object) -> Path | None:
    if isinstance(value, Path):
        return value
    # Path.expanduser raises for the home of nobody, ~0
    return Path(os.path.expanduser(value)) if isinstance(value, str) and value else None


def _cues(value: object) -> str | None:
    """One of the words auto and spot, or a path."""
    path = _path(value)
    return None if path is None else str(path)


def _words(value: object) -> str | None:
    """Words, or the path of a list of them."""
    return _cues(value) if isinstance(value, str) and is_list(value) else _text(value)


def _names(value: object) -> tuple[str, ...] | None:
    """Names with commas between them, or a list of them; each once."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        return None
    return tuple(dict.fromkeys(part.strip() for part in parts))


def _timecode(value: object) -> str | None:
    return value if isinstance(value, str) and _LABEL.fullmatch(value) else None


def _whole(value: object) -> int | None:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _switch(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words.get(value.lower()) if isinstance(value, str) else None


def _loudness(value: object) -> str | None:
    """A preset's name, or LUFS from -70 to 0 as text."""
    if isinstance(value, str) and value.lower() in LOUDNESS_PRESETS:
        return value.lower()
    number = _number(value)
    return f"{number:g}" if number is not None and -70 <= number <= 0 else None


def _decibel(value: object) -> float | None:
    """A number, also with its unit: -12, "-12dB"."""
    if isinstance(value, str):
        value = value.strip().lower().removesuffix("db").rstrip()
    return _number(value)


_CONVERTERS = {
    "text": _text,
    "model": _text,
    "path": _path,
    "whole": _whole,
    "number": _number,
    "switch": _switch,
    "loudness": _loudness,
    "decibel": _decibel,
    "cues": _cues,
    "words": _words,
    "names": _names,
    "timecode": _timecode,
}


def _chosen(value: object, rule: Spec) -> bool:
    """Whether ``value``, or each part of it, is among the choices, if there are any."""
    values = value if isinstance(value, tuple) else (value,)
    return not rule.choices or all(one in rule.choices for one in values)


def _within(value: object, rule: Spec) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return True
    return (rule.minimum is None or value >= rule.minimum) and (rule.maximum is None or value <= rule.maximum)


_NOUNS = {
    "text": "text",
    "model": "text",
    "path": "a path",
    "switch": "true or false",
    "cues": "a path, 'auto', 'spot'",
    "words": "text",
    "timecode": "a timecode such as 01:00:00:00",
}


def _expected(rule: Spec) -> str:
    if rule.kind == "names":
        return f"{rule.auto}, or one or several of {', '.join(rule.choices)}"
    if rule.choices:
        return f"one of {', '.join(rule.choices)}"
    if rule.kind == "loudness":
        return f"one of {rule.auto}, {', '.join(LOUDNESS_PRESETS)}, or LUFS from -70 to 0"
    noun = _NOUNS.get(rule.kind)
    if noun is None:
        noun = "a whole number" if rule.kind == "whole" else "a number"
        is_open = rule.maximum is None or rule.maximum >= 2**53
        noun += f", {rule.minimum:g} or more" if is_open else f" from {rule.minimum:g} to {rule.maximum:g}"
    return f"{noun} or {rule.auto!r}" if rule.auto else noun


def _hint(value: object, rule: Spec) -> str:
    if rule.choices and isinstance(value, str):
        wrong = next((part.strip() for part in value.split(",") if part.strip() not in rule.choices), value)
        return did_you_mean(wrong, rule.choices)
    if rule.kind == "loudness" and (number := _number(value)) is not None:
        return f"did you mean {-abs(number):g}?" if abs(number) <= 70 else "give a number such as -23"
    if rule.kind == "loudness" and isinstance(value, str):
        return did_you_mean(value, ("off", *LOUDNESS_PRESETS))
    return "correct the value"
