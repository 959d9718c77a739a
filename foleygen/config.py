"""The settings of a run: every option of ``add-sound``, its default, its limits, and where its value comes from.

Precedence: command-line flag > ``FOLEYGEN_<OPTION>`` > project ``foleygen.yaml`` (nearest upward) > the user's
``foleygen.yaml`` > default. ``--config FILE`` stands in for both YAML files.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from foleygen.errors import UsageError
from foleygen.strict import did_you_mean

PROJECT_FILE = "foleygen.yaml"
ENVIRONMENT_PREFIX = "FOLEYGEN_"
MAX_SEED = 2**63 - 1
MAX_PIXELS = 2**28
"""Pixels of one picture (16384 x 16384) above which libavutil itself stops."""

AudioPolicy = Literal["keep", "replace", "mix"]
Seams = Literal["crossfade", "joint", "repair"]
Bandwidth = Literal["native", "full"]
Kind = Literal["text", "path", "model", "whole", "number", "switch", "loudness", "decibel"]

LOUDNESS_PRESETS = ("ebu", "atsc", "podcast", "streaming")


@dataclass(frozen=True)
class RenderSettings:
    """What the pipeline needs to know about a run; None means the bundle's own value."""

    seed: int = 0
    take: int = 1
    """Number of the first take, which is in the finished clip."""
    takes: int = 1
    steps: int | None = None
    guidance: float | None = None
    overlap_s: float = 1.0
    batch_size: int = 1
    audio: AudioPolicy = "keep"
    duck_db: float = 12.0
    stems: bool = False
    """Write a wav file per take also where there is only one."""
    loudness: str | None = None
    true_peak_dbtp: float | None = None
    seams: Seams = "joint"
    cuts: bool = True
    audio_delay_s: float = 0.0
    bandwidth: Bandwidth = "native"
    ambience: str | None = None
    """Words for a bed under the Foley."""
    ambience_level_db: float = -12.0
    """Of the bed, against the Foley."""


@dataclass(frozen=True)
class Spec:
    """How one setting is written, checked and explained.

    ``auto`` is the word that stands for None; ``minimum`` and ``maximum`` are inclusive.
    """

    kind: Kind
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    auto: str | None = None
    short: str | None = None
    metavar: str | None = None
    once: bool = False
    """A switch for one run, without its ``--no-`` form."""


def _spec(kind: Kind, help: str, **limits: Any) -> dict[str, Spec]:
    return {"spec": Spec(kind, help, **limits)}


_AMBIENCE = "Words for a bed of ambience under the new sound, on a track of its own."
_AMBIENCE_LEVEL = "Loudness of the bed against the new sound's, in dB."
_AMBIENCE_MODEL = "Bundle that makes the bed, the full bandwidth and repaired seams."
_BANDWIDTH = "Leave the sound's band as the model makes it, or compose what lacks above it."
_DELAY = "Seconds by which the new sound follows the picture; filmed blows want about 0.05."
_AUDIO = "The clip's own sound: kept as a second track, replaced, or mixed with the new one."
_BALANCE = "What --shard deals evenly: clips, or their seconds."
_CUTS = "Keep the windows of a long clip and their joints off its shot changes."
_DUCK = "How far --audio mix puts the new sound under the clip's own, in dB."
_FROM_FILE = "Read more inputs from this list, one path per line; - is stdin."
_LOUDNESS = "Bring each finished clip to off, ebu, atsc, podcast, streaming or a number of LUFS."
_MARKERS = "Write the times of the sounds beside each finished clip."
_MAX_FAILURES = "Stop the batch after this many failed clips."
_MAX_PIXELS = "Refuse clips whose pictures have more pixels than this."
_RAY = "Work on the Ray cluster at ADDRESS; auto finds one, or starts it for the batch."
_RETRY = "Work only on the clips that failed in an earlier run."
_SEAMS = "How a long clip's windows are joined: faded, made together and faded, or faded and composed anew."
_SHARD = "Work on the I-th of N equal parts of the clips."
_STEMS = "Write each take as a 48 kHz 24-bit broadcast wav beside the clip."
_TAKES = "Versions of each clip; the first is in it, all are beside it as wav files."
_TIMELINE = "Write all clips in order as an .otio or .fcpxml timeline."
_TRUE_PEAK = "Highest true peak that --loudness allows, in dBTP."
_BATCH = "Windows computed at once, from several clips if need be."
_GUIDANCE = "How strongly the pictures steer the sound."
_JSON = "One JSON event per line on stdout, instead of the finished paths."
_NAME = "Name of a finished clip; fields: stem, ext, seed, take, model."
_OUTPUT = "Folder for the finished clips, which mirrors the input; else beside each clip."
_OVERLAP = "Overlap of the windows of a long clip, in seconds."
_VERBOSE = "Say why clips are skipped; twice: tracebacks too."
_DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Settings:
    """One field per option of ``add-sound``; each default lives here or in RenderSettings, once."""

    output: Path | None = field(default=None, metadata=_spec("path", _OUTPUT, short="o", auto=""))
    name: str = field(default="{stem}.foley", metadata=_spec("text", _NAME, metavar="TEMPLATE"))
    container: str = field(
        default="auto",
        metadata=_spec("text", "Container of the finished clips.", choices=("auto", "mp4", "mov", "mkv", "webm")),
    )
    model: str = field(
        default="tiny", metadata=_spec("model", "Preset or folder of a bundle of weights.", metavar="NAME|DIR")
    )
    steps: int | None = field(
        default=RenderSettings.steps,
        metadata=_spec("whole", "Denoising steps; more are slower.", minimum=1, maximum=1000, auto="bundle"),
    )
    guidance: float | None = field(
        default=RenderSettings.guidance, metadata=_spec("number", _GUIDANCE, minimum=0, maximum=100, auto="bundle")
    )
    seed: int = field(
        default=RenderSettings.seed,
        metadata=_spec("whole", "Another seed gives another sound.", minimum=0, maximum=MAX_SEED),
    )
    overlap: float = field(default=RenderSettings.overlap_s, metadata=_spec("number", _OVERLAP, minimum=0, maximum=60))
    device: str = field(default="auto", metadata=_spec("text", "Where to compute.", choices=_DEVICES))
    precision: str = field(
        default="auto", metadata=_spec("text", "Arithmetic of the models.", choices=("auto", "fp32", "bf16"))
    )
    batch_size: int | None = field(
        default=None, metadata=_spec("whole", _BATCH, minimum=1, maximum=4096, auto="auto", metavar="auto|N")
    )
    audio: AudioPolicy = field(
        default=RenderSettings.audio, metadata=_spec("text", _AUDIO, choices=("keep", "replace", "mix"))
    )
    duck: float = field(
        default=RenderSettings.duck_db, metadata=_spec("number", _DUCK, minimum=0, maximum=60, metavar="DB")
    )
    takes: int = field(default=RenderSettings.takes, metadata=_spec("whole", _TAKES, minimum=1, maximum=99))
    stems: bool = field(default=RenderSettings.stems, metadata=_spec("switch", _STEMS))
    loudness: str | None = field(
        default=RenderSettings.loudness, metadata=_spec("loudness", _LOUDNESS, auto="off", metavar="PRESET|LUFS")
    )
    true_peak: float | None = field(
        default=RenderSettings.true_peak_dbtp,
        metadata=_spec("number", _TRUE_PEAK, minimum=-20, maximum=0, auto="preset", metavar="DB"),
    )
    timeline: Path | None = field(default=None, metadata=_spec("path", _TIMELINE, auto="", metavar="FILE"))
    markers: str | None = field(default=None, metadata=_spec("text", _MARKERS, choices=("none", "csv"), auto="none"))
    seams: Seams = field(
        default=RenderSettings.seams, metadata=_spec("text", _SEAMS, choices=("crossfade", "joint", "repair"))
    )
    cuts: bool = field(default=RenderSettings.cuts, metadata=_spec("switch", _CUTS))
    audio_delay: float = field(
        default=RenderSettings.audio_delay_s, metadata=_spec("number", _DELAY, minimum=-10, maximum=10, metavar="S")
    )
    bandwidth: Bandwidth = field(
        default=RenderSettings.bandwidth, metadata=_spec("text", _BANDWIDTH, choices=("native", "full"))
    )
    ambience: str | None = field(default=None, metadata=_spec("text", _AMBIENCE, auto="none", metavar="TEXT"))
    ambience_level: float = field(
        default=RenderSettings.ambience_level_db,
        metadata=_spec("decibel", _AMBIENCE_LEVEL, minimum=-60, maximum=12, metavar="DB"),
    )
    ambience_model: str = field(default="ambience", metadata=_spec("model", _AMBIENCE_MODEL, metavar="NAME|DIR"))
    cache: bool = field(default=True, metadata=_spec("switch", "Keep the pictures' features for the next run."))
    from_file: Path | None = field(default=None, metadata=_spec("path", _FROM_FILE, auto="", metavar="FILE"))
    shard: str | None = field(default=None, metadata=_spec("text", _SHARD, auto="", metavar="I/N"))
    balance: str = field(default="count", metadata=_spec("text", _BALANCE, choices=("count", "duration")))
    retry_failed: bool = field(default=False, metadata=_spec("switch", _RETRY, once=True))
    fail_fast: bool = field(default=False, metadata=_spec("switch", "Stop the batch at the first failed clip."))
    max_failures: int | None = field(default=None, metadata=_spec("whole", _MAX_FAILURES, minimum=1, auto="any"))
    max_pixels: int = field(
        default=MAX_PIXELS, metadata=_spec("whole", _MAX_PIXELS, minimum=1, maximum=MAX_PIXELS, metavar="N")
    )
    ray: str | None = field(default=None, metadata=_spec("text", _RAY, auto="", metavar="auto|ADDRESS"))
    overwrite: bool = field(
        default=False, metadata=_spec("switch", "Redo clips that are done, and overwrite files in the way.")
    )
    dry_run: bool = field(
        default=False, metadata=_spec("switch", "Say what would be done, write nothing.", short="n", once=True)
    )
    json: bool = field(default=False, metadata=_spec("switch", _JSON, once=True))
    quiet: bool = field(default=False, metadata=_spec("switch", "Nothing on stderr but errors.", short="q", once=True))
    verbose: int = field(default=0, metadata=_spec("whole", _VERBOSE, minimum=0, maximum=2, short="v"))

    @property
    def composes(self) -> bool:
        """Whether the second engine has something to do."""
        return self.seams == "repair" or self.bandwidth == "full" or self.ambience is not None

    def render_settings(self, batch_size: int) -> RenderSettings:
        """The pipeline's part of these settings, with ``batch_size`` resolved."""
        return RenderSettings(
            seed=self.seed,
            takes=self.takes,
            steps=self.steps,
            guidance=self.guidance,
            overlap_s=self.overlap,
            batch_size=batch_size,
            audio=self.audio,
            duck_db=self.duck,
            stems=self.stems,
            loudness=self.loudness,
            true_peak_dbtp=self.true_peak,
            seams=self.seams,
            cuts=self.cuts,
            audio_delay_s=self.audio_delay,
            bandwidth=self.bandwidth,
            ambience=self.ambience,
            ambience_level_db=self.ambience_level,
        )


def spec(setting: Field[Any]) -> Spec:
    """The Spec of a field of Settings."""
    found: Spec = setting.metadata["spec"]
    return found


def specs() -> dict[str, Field[Any]]:
    """The fields of Settings by name, in the order of the help."""
    return {setting.name: setting for setting in fields(Settings)}


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    config_file: Path | None = None,
) -> Settings:
    """Settings from all sources; ``flags`` holds only what was typed, ``folder`` is where the project file is sought.

    Raises UsageError for an unknown key or a value that does not fit, naming the source.
    """
    named = environ.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    if config_file is None and named:
        config_file = Path(os.path.expanduser(named))
    files = [config_file] if config_file is not None else _default_files(folder or Path.cwd())
    values: dict[str, object] = {}
    for path in files:
        values.update(_from_file(path))
    values.update(_from_environment(environ))
    values.update({name: convert(name, value, f"--{_dashed(name)}") for name, value in flags.items()})
    return Settings(**values)  # type: ignore[arg-type]


def convert(name: str, value: object, source: str) -> object:
    """``value``, from YAML or typed as text, as the type of the setting ``name``; ``source`` is for the message."""
    rule = spec(specs()[name])
    # YAML 1.1 reads a bare off as false.
    if rule.auto is not None and (value is None or value == rule.auto or (value is False and rule.auto == "off")):
        return None
    converted = _CONVERTERS[rule.kind](value)
    if converted is None or (rule.choices and converted not in rule.choices) or not _within(converted, rule):
        raise UsageError(f"{source}: {value!r} is not {_expected(rule)}", _hint(value, rule))
    return converted


def _default_files(folder: Path) -> list[Path]:
    """The user's file, then the nearest project file from ``folder`` upward: the later wins."""
    from platformdirs import user_config_path

    here = folder.absolute()
    project = next((path for level in (here, *here.parents) if (path := level / PROJECT_FILE).is_file()), None)
    user = user_config_path("foleygen") / PROJECT_FILE
    return [path for path in (user if user.is_file() else None, project) if path is not None]


def _from_file(path: Path) -> dict[str, object]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path}: the configuration cannot be read ({reason})", "correct --config") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}: not valid YAML{line}", "write one 'option: value' per line") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError(f"{path}: not a list of options", "write one 'option: value' per line")
    values = {}
    for key, value in document.items():
        name = str(key).replace("-", "_")
        if name not in specs():
            raise UsageError(f"{path}: unknown key {str(key)!r}", did_you_mean(name, specs()))
        values[name] = _beside(path, name, convert(name, value, f"{path}: {key}"))
    return values


def _beside(config_file: Path, name: str, value: object) -> object:
    """A relative path in a file is meant from that file's folder."""
    kind = spec(specs()[name]).kind
    if kind == "path" and isinstance(value, Path):
        return config_file.absolute().parent / value
    if kind == "model" and isinstance(value, str) and os.sep in value:
        return str(config_file.absolute().parent / os.path.expanduser(value))
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
}


def _within(value: object, rule: Spec) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return True
    return (rule.minimum is None or value >= rule.minimum) and (rule.maximum is None or value <= rule.maximum)


def _expected(rule: Spec) -> str:
    if rule.choices:
        return f"one of {', '.join(rule.choices)}"
    if rule.kind == "loudness":
        return f"one of {rule.auto}, {', '.join(LOUDNESS_PRESETS)}, or LUFS from -70 to 0"
    noun = {"text": "text", "model": "text", "path": "a path", "switch": "true or false"}.get(rule.kind)
    if noun is None:
        noun = "a whole number" if rule.kind == "whole" else "a number"
        is_open = rule.maximum is None or rule.maximum >= 2**53
        noun += f", {rule.minimum:g} or more" if is_open else f" from {rule.minimum:g} to {rule.maximum:g}"
    return f"{noun} or {rule.auto!r}" if rule.auto else noun


def _hint(value: object, rule: Spec) -> str:
    if rule.choices and isinstance(value, str):
        return did_you_mean(value, rule.choices)
    if rule.kind == "loudness" and (number := _number(value)) is not None:
        return f"did you mean {-abs(number):g}?" if abs(number) <= 70 else "give a number such as -23"
    if rule.kind == "loudness" and isinstance(value, str):
        return did_you_mean(value, ("off", *LOUDNESS_PRESETS))
    return "correct the value"
