"""What is known of a library: recordings, and the events in them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stretch:
    """A steady stretch of a recording, such as rain: samples at the recording's own rate."""

    start: int
    end: int
    level_db: float
    """RMS, dBFS, of the mean of all channels."""
    spectrum: tuple[float, ...]
    """As ``likeness.spectrum`` has it, in steps of ``store.STEP_DB``."""


@dataclass(frozen=True)
class Recording:
    """One sound file of a library."""

    file: str
    """Its path from the library's root, with slashes; bytes that are no text are kept as ``os.fsdecode`` has them."""
    digest: str
    """SHA-256 of its content, in hex."""
    sample_rate: int
    channels: int
    samples: int
    words: str = ""
    """What it says of itself: the names of its folders and its own, its tags, its line of the manifest."""
    catid: str | None = None
    """Its category in the Universal Category System, where it names one."""
    family: str | None = None
    material: str | None = None
    """By ``cues.words`` over its words, and by its category."""
    licence: str | None = None
    source: str | None = None
    """Who made it, or where it comes from, for credits."""
    noise_db: float | None = None
    """The level (RMS, dBFS) that it does not fall below but for a tenth of its length; None: it has nothing
    that is heard, because it is silent or, if ``is_stereo``, because its channels cancel each other."""
    steady: tuple[Stretch, ...] = ()
    """Where it goes on, for a second and more, without events and at one level."""
    is_stereo: bool = False
    """Its channels differ, by more than noise: see ``mono.SIDE_DB``."""

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


@dataclass(frozen=True)
class Event:
    """One sound in a recording: samples at the recording's own rate, start <= attack < end.

    Its likeness is a row of ``Index.vectors``.
    """

    recording: int
    """Its place in ``Index.recordings``."""
    start: int
    """Where its sound comes out of what was before."""
    attack: int
    """Where its level leaps up: what is laid on a cue."""
    end: int
    """Where its tail sinks into the noise, or the next event begins."""
    level_db: float
    """RMS of the loudest 50 ms after the attack, dBFS, of the mean of all channels."""
    brightness_hz: float
    """Centroid of the power spectrum of the 200 ms after the attack."""
