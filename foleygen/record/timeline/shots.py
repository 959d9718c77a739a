"""Finished clips and their sidecars -> what a timeline says of each: its place on the clocks, its files, its onsets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from foleygen.cues.heard import recording_at
from foleygen.errors import ClipError
from foleygen.facts import SAMPLE_RATE, bed_file, take_file
from foleygen.record import markers, sidecar
from foleygen.record.schema import Sidecar

DAY_S = 24 * 3600


@dataclass(frozen=True)
class Sound:
    """One version of a clip's sound as a file, whose own clock reads ``start_s`` at the clip's first picture."""

    label: str
    path: Path
    start_s: Fraction
    gain_db: float
    """What the finished clip adds to the file's level."""
    channels: int = 1
    is_wav: bool = True
    """It holds this sound alone."""
    handle_s: Fraction = Fraction(0)
    """Seconds that it has before the clip's first picture, and again after the last."""


@dataclass(frozen=True)
class Onset:
    """When a sound begins, from the first picture."""

    picture: int
    """The one on the screen, from 0."""
    seconds: float
    played: str = ""
    """The recording of a library that is heard there."""

    @property
    def note(self) -> str:
        """What a marker says of it."""
        return f"{self.seconds:.3f} s" + (f", {self.played}" if self.played else "")


@dataclass(frozen=True)
class Shot:
    """One finished clip."""

    path: Path
    rate: Fraction
    """Pictures per second; a standard rate where one is near."""
    frames: int
    """Pictures at that rate."""
    start: int
    """Pictures from midnight to its first one; 0 without a timecode."""
    drop_frame: bool
    has_clock: bool
    """The file itself starts at ``start``; otherwise its clock starts at zero."""
    width: int
    height: int
    duration_s: Fraction
    sounds: tuple[Sound, ...]
    heard: int
    """Index of the sound that is in the finished clip."""
    bed: Sound | None
    """Its ambience, where that is a file."""
    own: Sound | None
    """The sound that the clip came with: its source, where that is there and the finished clip keeps its sound."""
    onsets: tuple[Onset, ...]
    """Of the sound that is heard."""
    channels: int = 1
    """Of the new track of the finished clip."""

    @property
    def file_start(self) -> int:
        """What the file's own clock reads at its first picture, in pictures."""
        return self.start if self.has_clock else 0

    @property
    def picture_s(self) -> Fraction:
        """Seconds for which its pictures last."""
        return self.frames / self.rate

    @property
    def takes(self) -> tuple[Sound, ...]:
        """Its sounds, the one that is heard first."""
        heard = self.sounds[self.heard]
        return (heard, *(sound for sound in self.sounds if sound is not heard))


def shot(output: Path) -> Shot:
    """The finished clip ``output``. Raises ClipError if its sidecar does not say what is needed."""
    from foleygen.media import timecode

    found = sidecar.load(output)
    rate = timecode.nominal_rate(found.frame_rate)
    number = None if found.timecode is None else timecode.frame_number(found.timecode, found.frame_rate)
    start = number or 0
    clock = Fraction(round(start / rate * SAMPLE_RATE), SAMPLE_RATE)
    has_clock = _keeps_timecode(output)
    handle_s = found.handle_pictures / rate
    # As the wavs have it: without a timecode they begin at zero, and before midnight at the end of the day.
    clock = handle_s if number is None else (clock - handle_s) % DAY_S + handle_s
    wavs = _wavs(output, found, clock, handle_s)
    channels = _track_channels(output, found)
    zero = start / rate if has_clock else Fraction(0)
    heard = Sound(f"take {found.picked}", output, zero, 0.0, channels, is_wav=False)
    picked = next((index for index, sound in enumerate(wavs) if sound.label == heard.label), None)
    return Shot(
        path=output,
        rate=rate,
        frames=max(1, round(Fraction(found.duration_s) * rate)),
        start=start,
        drop_frame=number is not None and timecode.is_drop_frame(str(found.timecode)),
        has_clock=has_clock,
        width=found.width,
        height=found.height,
        duration_s=Fraction(round(found.duration_s * SAMPLE_RATE), SAMPLE_RATE),
        sounds=(heard, *wavs) if picked is None else wavs,
        heard=picked or 0,
        bed=_bed(output, found, clock, handle_s),
        own=_own(output, found, start / rate),
        onsets=tuple(_onsets(found, rate)),
        channels=channels,
    )


def _onsets(found: Sidecar, rate: Fraction) -> Iterator[Onset]:
    for seconds in found.heard.onsets_s:
        yield Onset(markers.picture_at(seconds, rate), seconds, recording_at(seconds, found.heard.played))


def _wavs(output: Path, found: Sidecar, start_s: Fraction, handle_s: Fraction) -> tuple[Sound, ...]:
    """The takes that are there as files; a broadcast wav keeps the clip's time of day."""
    there = ((take, take_file(output, take.number)) for take in found.takes if take.file is not None)
    return tuple(
        Sound(f"take {take.number}", path, start_s, take.gain_db, _wav_channels(path, found), handle_s=handle_s)
        for take, path in there
        if path.is_file()
    )


def _bed(output: Path, found: Sidecar, start_s: Fraction, handle_s: Fraction) -> Sound | None:
    bed, path = found.bed, bed_file(output)
    if bed is None or not path.is_file():
        return None
    return Sound("ambience", path, start_s, bed.gain_db, _wav_channels(path, found), handle_s=handle_s)


def _wav_channels(path: Path, found: Sidecar) -> int:
    """What the wav has, which an editor may have changed; as it was made, where it cannot be read."""
    from foleygen.media import wav

    try:
        return wav.channels(path)
    except ClipError:
        return found.settings.channels


def _track_channels(output: Path, found: Sidecar) -> int:
    """The same of the sound that players of the finished clip start with."""
    from foleygen.media import own_sound

    try:
        return own_sound.channels(output) or found.settings.channels
    except ClipError:
        return found.settings.channels


def _own(output: Path, found: Sidecar, start_s: Fraction) -> Sound | None:
    """The source's sound; None where it was replaced, or there is none, or it cannot be read any more."""
    from foleygen.media import own_sound

    source = Path(os.path.normpath(os.path.realpath(output.parent) / Path(found.source)))
    if found.settings.audio == "replace" or not source.is_file():
        return None
    try:
        channels = own_sound.channels(source)
    except ClipError:
        return None
    start = start_s if _keeps_timecode(source) else Fraction(0)
    return Sound("production", source, start, 0.0, channels, is_wav=False) if channels else None


def _keeps_timecode(output: Path) -> bool:
    from foleygen.media.containers import container_for

    try:
        return container_for(output).keeps_timecode
    except ClipError:
        return False
