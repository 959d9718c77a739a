"""What can be set for a run: every option with its default, limits and help, and the pipeline's part of them."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from foleygen.facts import CueSheet

MAX_SEED = 2**63 - 1
MAX_PIXELS = 2**28
"""Pixels of one picture (16384 x 16384) above which libavutil itself stops."""
AudioPolicy = Literal["keep", "replace", "mix"]
Seams = Literal["crossfade", "joint", "repair"]
Bandwidth = Literal["native", "full"]
Voice = Literal["model", "library", "both"]
Channels = Literal["auto", "mono", "stereo"]
StemsFormat = Literal["pcm24", "float32"]
TimelinePaths = Literal["absolute", "relative", "url"]
AafMedia = Literal["link", "embed"]
Kind = Literal[
    "text", "path", "model", "whole", "number", "switch", "loudness", "decibel", "names", "cues", "words", "timecode"
]
DEVICES = ("auto", "cpu", "cuda", "mps")
MARKERS = ("csv", "resolve", "avid", "reaper", "audacity", "midi")
"""The forms that markers are written in."""
LOUDNESS_PRESETS = ("ebu", "atsc", "podcast", "streaming")


@dataclass(frozen=True)
class RenderSettings:
    """What the pipeline needs to know about a run, by the names of ``Settings``; None means the bundle's own value."""

    seed: int = 0
    take: int = 1
    """Number of the first take, which is in the finished clip."""
    takes: int = 1
    steps: int | None = None
    guidance: float | None = None
    classifier_guidance: float | None = None
    overlap: float = 1.0
    """Seconds."""
    batch_size: int = 1
    audio: AudioPolicy = "keep"
    duck: float = 12.0
    """Decibels."""
    stems: bool = False
    """Write a wav file per take also where there is only one."""
    stems_format: StemsFormat = "pcm24"
    handles: float = 0.0
    """Seconds that each wav has before and after the picture; nothing without wavs."""
    creator: str = "FOLEYGEN"
    """Who made the sounds, in the wavs."""
    source: str = "NONE"
    """What they were made for: the Universal Category System's word where nobody says."""
    loudness: str | None = None
    true_peak: float | None = None
    """dBTP."""
    seams: Seams = "joint"
    cuts: bool = True
    audio_delay: float = 0.0
    """Seconds."""
    bandwidth: Bandwidth = "native"
    voice: Voice = "model"
    """Who plays the hits: the model that made the sound, an editor's own recordings, or both at once."""
    channels: Channels = "auto"
    """Of what is delivered; ``auto``: stereo where a library plays that has recordings in stereo."""
    ambience: str | None = None
    """Words for a bed under the Foley."""
    ambience_level: float = -12.0
    """Of the bed, against the Foley, in dB."""


@dataclass(frozen=True)
class ClipSettings:
    """What is set for one clip alone, besides the settings of the run; at its defaults nothing is.

    It goes with the clip from ``batch.discover.Clip`` to ``pipeline.jobs.Job``, through other processes and machines,
    and is part of what makes a finished clip fit: its fields are plain frozen values with a default.
    """

    cues: CueSheet | None = None
    """When it sounds; None: nobody said, and the picture decides."""
    sound: str | None = None
    """Words for what sounds, where a cue has none of its own."""
    picture: bool = True
    """False: cues and words alone decide, and nothing is decoded."""
    spotted: bool = False
    """Its cues are those that are seen in the picture, once it is seen, and nobody has given them."""

    def chosen(self) -> dict[str, Any]:
        """The fields that are not at their defaults."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {item.name: values[item.name] for item in fields(self) if values[item.name] != item.default}


AS_THE_RUN = ClipSettings()
"""Nothing is set for the clip alone."""


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
_CLASSIFIER = "How strongly a model's classifier steers the sound to be in time; 0: not at all."
_CUES = "When it sounds: a file or folder of cues, auto (those beside each clip, else what is seen), spot, or none."
_CUES_START = "Timecode that the cues' clock reads at the first picture, if not the clip's own."
_CUTS = "Keep the windows of a long clip and their joints off its shot changes."
_DUCK = "How far --audio mix puts the new sound under the clip's own, in dB."
_FILL = "Let the picture add to the cues that were given."
_FROM_FILE = "Read more inputs from this list, one path per line; - is stdin."
_LOG_FILE = "Add one line for each event, with its time, to this file."
_LOUDNESS = "Bring each finished clip to off, ebu, atsc, podcast, streaming or a number of LUFS."
_MARKERS = "Write the times of the sounds beside each finished clip, in one form or several (csv,resolve)."
_MAX_FAILURES = "Stop the batch after this many failed clips."
_MAX_PIXELS = "Refuse clips whose pictures have more pixels than this."
_MIDI_MAP = "What the notes of MIDI cues stand for: YAML with a line NOTE: SOUND for each."
_PICTURE = "Let the picture have a say; without it cues and words alone decide, and nothing is decoded."
_RAY = "Work on the Ray cluster at ADDRESS; auto finds one, or starts it for the batch."
_RETRY = "Work only on the clips that failed in an earlier run."
_SEAMS = "How a long clip's windows are joined: faded, made together and faded, or faded and composed anew."
_SHARD = "Work on the I-th of N equal parts of the clips."
_SOUND = "What sounds: words such as 'glass bottle', or a YAML file with a line NAME: WORDS for each clip."
_STEMS = "Write each take as a 48 kHz broadcast wav beside the clip."
_STEMS_FORMAT = "Samples of the wavs: 24 bits, lowered as a whole where they would be too loud, or 32-bit float."
_TAKES = "Versions of each clip; the first is in it, all are beside it as wav files."
_THREADS = "Processors for the models; auto takes those that are free."
_TIMELINE = "Write all clips in order as an .aaf, .edl, .fcpxml, .otio or .xml timeline."
_TIMELINE_PATHS = "How a timeline names its files: with their whole path, from its own folder, or as URLs."
_AAF = "Whether an .aaf timeline refers to its wavs or has them in it."
_HANDLES = "Seconds of sound that each wav has before and after the shot, heard from its first and last picture."
_CREATOR = "Who makes the sounds, in file names and wavs; letters and digits."
_STEPS = "Denoising steps; as many as the bundle's student has learnt are one evaluation each."
_SOURCE = "What the sounds are made for, in file names and wavs; letters and digits."
_TRUE_PEAK = "Highest true peak that --loudness allows, in dBTP."
_BATCH = "Windows computed at once, from several clips if need be."
_GUIDANCE = "How strongly the pictures steer the sound."
_JSON = "One JSON event per line on stdout, instead of the finished paths."
_NAME = "Name of a finished clip; fields: stem, ext, seed, take, model, catid, creator, source."
_OUTPUT = "Folder for the finished clips, which mirrors the input; else beside each clip."
_OVERLAP = "Overlap of the windows of a long clip, in seconds."
_VOICE = "Who plays the hits: the model, the recordings of --library, or both at once."
_CHANNELS = "Channels of the new sound; auto is stereo where --library has recordings in stereo, else mono."
_LIBRARY = "Folder of recordings that --voice library and both play; index it first with 'foleygen library index'."
_LIBRARY_INDEX = "The index of --library, where it is not in its usual place."
_VERBOSE = "Say why clips are skipped; twice: tracebacks too."


@dataclass(frozen=True)
class Settings:
    """One field per option of ``add-sound``; each default lives here or in RenderSettings, once."""

    output: Path | None = field(default=None, metadata=_spec("path", _OUTPUT, short="o", auto=""))
    name: str = field(default="{stem}.foley", metadata=_spec("text", _NAME, metavar="TEMPLATE"))
    creator: str = field(default=RenderSettings.creator, metadata=_spec("text", _CREATOR, metavar="NAME"))
    source: str = field(default=RenderSettings.source, metadata=_spec("text", _SOURCE, metavar="NAME"))
    container: str = field(
        default="auto",
        metadata=_spec("text", "Container of the finished clips.", choices=("auto", "mp4", "mov", "mkv", "webm")),
    )
    model: str = field(
        default="tiny", metadata=_spec("model", "Preset or folder of a bundle of weights.", metavar="NAME|DIR")
    )
    steps: int | None = field(
        default=RenderSettings.steps,
        metadata=_spec("whole", _STEPS, minimum=1, maximum=1000, auto="bundle"),
    )
    guidance: float | None = field(
        default=RenderSettings.guidance, metadata=_spec("number", _GUIDANCE, minimum=0, maximum=100, auto="bundle")
    )
    classifier_guidance: float | None = field(
        default=RenderSettings.classifier_guidance,
        metadata=_spec("number", _CLASSIFIER, minimum=0, maximum=1000, auto="bundle"),
    )
    seed: int = field(
        default=RenderSettings.seed,
        metadata=_spec("whole", "Another seed gives another sound.", minimum=0, maximum=MAX_SEED),
    )
    overlap: float = field(default=RenderSettings.overlap, metadata=_spec("number", _OVERLAP, minimum=0, maximum=60))
    device: str = field(default="auto", metadata=_spec("text", "Where to compute.", choices=DEVICES))
    precision: str = field(
        default="auto", metadata=_spec("text", "Arithmetic of the models.", choices=("auto", "fp32", "bf16", "fp16"))
    )
    batch_size: int | None = field(
        default=None, metadata=_spec("whole", _BATCH, minimum=1, maximum=4096, auto="auto", metavar="auto|N")
    )
    threads: int | None = field(
        default=None, metadata=_spec("whole", _THREADS, minimum=1, maximum=1024, auto="auto", metavar="auto|N")
    )
    audio: AudioPolicy = field(
        default=RenderSettings.audio, metadata=_spec("text", _AUDIO, choices=("keep", "replace", "mix"))
    )
    duck: float = field(
        default=RenderSettings.duck, metadata=_spec("number", _DUCK, minimum=0, maximum=60, metavar="DB")
    )
    takes: int = field(default=RenderSettings.takes, metadata=_spec("whole", _TAKES, minimum=1, maximum=99))
    stems: bool = field(default=RenderSettings.stems, metadata=_spec("switch", _STEMS))
    stems_format: StemsFormat = field(
        default=RenderSettings.stems_format,
        metadata=_spec("text", _STEMS_FORMAT, choices=("pcm24", "float32")),
    )
    handles: float = field(
        default=RenderSettings.handles, metadata=_spec("number", _HANDLES, minimum=0, maximum=60, metavar="S")
    )
    loudness: str | None = field(
        default=RenderSettings.loudness, metadata=_spec("loudness", _LOUDNESS, auto="off", metavar="PRESET|LUFS")
    )
    true_peak: float | None = field(
        default=RenderSettings.true_peak,
        metadata=_spec("number", _TRUE_PEAK, minimum=-20, maximum=0, auto="preset", metavar="DB"),
    )
    cues: str | None = field(default="auto", metadata=_spec("cues", _CUES, auto="none", metavar="PATH|auto|spot|none"))
    cues_start: str | None = field(
        default=None, metadata=_spec("timecode", _CUES_START, auto="clip", metavar="HH:MM:SS:FF")
    )
    fill: bool = field(default=False, metadata=_spec("switch", _FILL))
    sound: str | None = field(default=None, metadata=_spec("words", _SOUND, auto="", metavar="TEXT|FILE"))
    picture: bool = field(default=True, metadata=_spec("switch", _PICTURE))
    midi_map: Path | None = field(default=None, metadata=_spec("path", _MIDI_MAP, auto="", metavar="FILE"))
    timeline: Path | None = field(default=None, metadata=_spec("path", _TIMELINE, auto="", metavar="FILE"))
    timeline_paths: TimelinePaths = field(
        default="absolute", metadata=_spec("text", _TIMELINE_PATHS, choices=("absolute", "relative", "url"))
    )
    aaf: AafMedia = field(default="link", metadata=_spec("text", _AAF, choices=("link", "embed")))
    markers: tuple[str, ...] | None = field(
        default=None, metadata=_spec("names", _MARKERS, choices=MARKERS, auto="none", metavar="FORM[,FORM]...")
    )
    seams: Seams = field(
        default=RenderSettings.seams, metadata=_spec("text", _SEAMS, choices=("crossfade", "joint", "repair"))
    )
    cuts: bool = field(default=RenderSettings.cuts, metadata=_spec("switch", _CUTS))
    audio_delay: float = field(
        default=RenderSettings.audio_delay, metadata=_spec("number", _DELAY, minimum=-10, maximum=10, metavar="S")
    )
    bandwidth: Bandwidth = field(
        default=RenderSettings.bandwidth, metadata=_spec("text", _BANDWIDTH, choices=("native", "full"))
    )
    voice: Voice = field(
        default=RenderSettings.voice, metadata=_spec("text", _VOICE, choices=("model", "library", "both"))
    )
    library: Path | None = field(default=None, metadata=_spec("path", _LIBRARY, auto=""))
    library_index: Path | None = field(default=None, metadata=_spec("path", _LIBRARY_INDEX, auto="", metavar="FILE"))
    channels: Channels = field(
        default=RenderSettings.channels, metadata=_spec("text", _CHANNELS, choices=("auto", "mono", "stereo"))
    )
    ambience: str | None = field(
        default=RenderSettings.ambience, metadata=_spec("text", _AMBIENCE, auto="none", metavar="TEXT")
    )
    ambience_level: float = field(
        default=RenderSettings.ambience_level,
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
    log_file: Path | None = field(default=None, metadata=_spec("path", _LOG_FILE, auto="", metavar="FILE"))
    quiet: bool = field(default=False, metadata=_spec("switch", "Nothing on stderr but errors.", short="q", once=True))
    verbose: int = field(default=0, metadata=_spec("whole", _VERBOSE, minimum=0, maximum=2, short="v"))

    @property
    def has_wavs(self) -> bool:
        """Whether each take is a file of its own."""
        return self.stems or self.takes > 1

    @property
    def composes(self) -> bool:
        """Whether the second engine has something to do."""
        return self.seams == "repair" or self.bandwidth == "full" or self.ambience is not None

    def render_settings(self, batch_size: int) -> RenderSettings:
        """The pipeline's part of these settings, with ``batch_size`` resolved."""
        named = {item.name for item in fields(RenderSettings)} & specs().keys()
        return RenderSettings(**{**{name: getattr(self, name) for name in named}, "batch_size": batch_size})


def is_list(words: str) -> bool:
    """Whether ``--sound`` names a file with the words of each clip, and is not words itself."""
    return words.lower().endswith((".yaml", ".yml"))


def spec(setting: Field[Any]) -> Spec:
    """The Spec of a field of Settings."""
    found: Spec = setting.metadata["spec"]
    return found


def specs() -> dict[str, Field[Any]]:
    """The fields of Settings by name, in the order of the help."""
    return {setting.name: setting for setting in fields(Settings)}
