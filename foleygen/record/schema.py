"""The sidecar's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Literal

from foleygen.facts import Lasting, Played, WindowFact
from foleygen.settings import AS_THE_RUN, AudioPolicy, Bandwidth, ClipSettings, Seams, StemsFormat, Voice
from foleygen.strict import plain

SCHEMA = 3


@dataclass(frozen=True)
class SoundSettings:
    """The settings that decide the sound and its track; what the run left to the bundle or a preset is resolved."""

    seed: int
    steps: int
    guidance: float
    classifier_guidance: float | None
    """None where no classifier led the sampler."""
    overlap: float
    seams: Seams
    cuts: bool
    audio_delay: float
    handles: float
    """0 without wavs."""
    precision: str
    audio: AudioPolicy
    duck_db: float | None
    """None unless ``audio`` is ``mix``."""
    loudness_lufs: float | None
    """None: no louder than -1 dBTP."""
    true_peak_dbtp: float | None
    bandwidth: Bandwidth
    ambience: str | None
    ambience_level_db: float | None
    """None without ambience."""
    composer: str | None
    """Hash of the second engine's bundle; None where that had nothing to do."""
    voice: Voice = "model"
    library: str | None = None
    """Hash of the library that plays; None where none does."""
    channels: Literal[1, 2] = 1
    """Of the new sound and of its wavs: 1 or 2. A mix has two where the clip's own sound has, too."""


@dataclass(frozen=True)
class BedRecord:
    """The ambience on the clip's second sound track; its levels are those of its wav, or of the one it would have."""

    prompt: str
    tags: tuple[str, ...]
    file: str | None
    """Its wav, in the sidecar's folder."""
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    file_gain_db: float
    """What the wav was lowered by to be below full scale, 0 or less."""
    gain_db: float
    """What the finished clip adds to the wav's level."""
    model: str
    licence: str
    commercial: bool


@dataclass(frozen=True)
class TakeRecord:
    """One version of the sound; its levels are those of its wav, or of the wav that it would have."""

    number: int
    file: str | None
    """Its wav, in the sidecar's folder."""
    sound_sha256: str | None
    """Of the samples in its wav as they were written; None without one."""
    loudness_lufs: float | None
    loudness_range_lu: float | None
    true_peak_dbtp: float | None
    file_gain_db: float
    """What the wav was lowered by to be below full scale, 0 or less."""
    gain_db: float
    """What the finished clip adds to the wav's level."""
    onsets_s: tuple[float, ...]
    peaks: tuple[float, ...]
    missed_s: tuple[float, ...] = ()
    """Cues at which nothing begins."""
    extra_s: tuple[float, ...] = ()
    """Sounds that begin where its cues ask for none."""
    silent: tuple[Lasting, ...] = ()
    """Stretches with a sound of which nothing is heard."""
    played: tuple[Played, ...] = ()
    """What of it comes from a library."""


@dataclass(frozen=True)
class Sidecar:
    """All that a sidecar says, apart from what is about its own file."""

    source: str
    """The clip, relative to the sidecar's folder."""
    source_stamp: str | None
    """Of the clip when it was read (see ``facts.stamp``): while it is the same, nobody reads the clip again."""
    content_id: str
    duration_s: float
    frame_rate: Fraction
    timecode: str | None
    width: int
    height: int
    windows: tuple[WindowFact, ...]
    takes: tuple[TakeRecord, ...]
    bed: BedRecord | None
    repaired_joints: int
    handle_pictures: int
    """Pictures of the clip for which each wav sounds before it, and again after it."""
    stems_format: StemsFormat | None
    """Samples of the wavs; None where there are none."""
    picked: int
    """Number of the take that is in the finished clip."""
    bundle: str
    """Its hash."""
    model: str
    licence: str
    commercial: bool
    settings: SoundSettings
    version: str
    audio_codec: str
    cached_windows: int
    seconds: float
    stages_s: Mapping[str, Any]
    warnings: tuple[str, ...]
    own: ClipSettings = AS_THE_RUN
    """What was set for this clip alone."""
    library: str | None = None
    """The folder of the recordings that its takes name, relative to the sidecar's folder; None where none plays."""
    locked: bool = False
    """Whether its editor has locked it: no run makes it again."""

    @property
    def heard(self) -> TakeRecord:
        """The take that is in the finished clip."""
        return self.takes[self.picked - 1]

    def document(self) -> dict[str, Any]:
        """In the types of JSON; ``own`` says what was set, and is not there where nothing was."""
        own = plain(self.own.chosen())
        found = {item.name: plain(getattr(self, item.name)) for item in fields(self) if item.name != "own"}
        return {**found, "own": own} if own else found
