"""Finished clips and their sidecars -> what a timeline says of each: its place on the clocks, its files, its onsets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from foleygen.errors import ClipError
from foleygen.facts import SAMPLE_RATE, take_file
from foleygen.record import markers, sidecar
from foleygen.record.schema import Sidecar


@dataclass(frozen=True)
class Sound:
    """One version of a clip's sound as a file, whose own clock reads ``start_s`` at its first sample."""

    label: str
    path: Path
    start_s: Fraction
    gain_db: float
    """What the finished clip adds to the file's level."""


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
    onsets: tuple[tuple[int, float], ...]
    """Of that sound: the picture on the screen, from 0, and seconds after the first picture."""

    @property
    def file_start(self) -> int:
        """What the file's own clock reads at its first picture, in pictures."""
        return self.start if self.has_clock else 0


def shot(output: Path) -> Shot:
    """The finished clip ``output``. Raises ClipError if its sidecar does not say what is needed."""
    from foleygen.media import timecode

    found = sidecar.load(output)
    rate = timecode.nominal_rate(found.frame_rate)
    number = None if found.timecode is None else timecode.frame_number(found.timecode, found.frame_rate)
    start = number or 0
    has_clock = _keeps_timecode(output)
    wavs = _wavs(output, found, Fraction(round(start / rate * SAMPLE_RATE), SAMPLE_RATE))
    own = Sound(f"take {found.picked}", output, start / rate if has_clock else Fraction(0), 0.0)
    picked = next((index for index, sound in enumerate(wavs) if sound.label == own.label), None)
    onsets = found.heard.onsets_s
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
        sounds=(own, *wavs) if picked is None else wavs,
        heard=picked or 0,
        onsets=tuple((markers.picture_at(onset, rate), onset) for onset in onsets),
    )


def _wavs(output: Path, found: Sidecar, start_s: Fraction) -> tuple[Sound, ...]:
    """The takes that are there as files; a broadcast wav keeps the clip's time of day."""
    return tuple(
        Sound(f"take {take.number}", take_file(output, take.number), start_s, take.gain_db)
        for take in found.takes
        if take.file is not None and take_file(output, take.number).is_file()
    )


def _keeps_timecode(output: Path) -> bool:
    from foleygen.media.containers import container_for

    try:
        return container_for(output).keeps_timecode
    except ClipError:
        return False
