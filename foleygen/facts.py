"""What is known of one clip and its sound: plain values that everybody may hold, without torch and PyAV."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

MARK = ".foley"
"""What the names of finished clips end in, unless ``--name`` says otherwise."""
SAMPLE_RATE = 48000
"""Hz of every sound that is delivered: what editors work in."""


@dataclass(frozen=True)
class Loudness:
    """A sound's level; None where there is nothing to measure, or nobody has measured it."""

    integrated_lufs: float | None = None
    """None: silence, or shorter than one block of 0.4 s."""
    range_lu: float | None = None
    """None: silence, or shorter than 3.4 s."""
    true_peak_dbtp: float | None = None
    """None: silence to the last sample."""

    def after(self, gain_db: float) -> Loudness:
        """The level of the same sound under a linear gain."""
        integrated, peak = self.integrated_lufs, self.true_peak_dbtp
        return Loudness(
            None if integrated is None else integrated + gain_db,
            self.range_lu,
            None if peak is None else peak + gain_db,
        )


UNMEASURED = Loudness()


@dataclass(frozen=True)
class Take:
    """One version of a clip's sound."""

    number: int
    loudness: Loudness
    """Of its wav, or of the wav that it would have."""
    file_gain_db: float
    """What the wav was lowered by to be below full scale, 0 or less."""
    gain_db: float
    """What the finished clip adds to the wav's level."""
    onsets: tuple[float, ...]
    """Seconds after the first picture at which sounds begin, ascending."""
    peaks: tuple[float, ...]
    """Largest magnitudes (0..1) of 64 stretches of equal length."""
    stem: Path | None
    """Its wav file."""


@dataclass(frozen=True)
class Bed:
    """The ambience under a clip's sound, on a track of its own."""

    prompt: str
    tags: tuple[str, ...]
    """What was taken from the prompt; empty where all of its words count."""
    loudness: Loudness
    """Of its wav, or of the wav that it would have."""
    file_gain_db: float
    """What the wav was lowered by to be below full scale, 0 or less."""
    gain_db: float
    """What its track adds to it."""
    stem: Path | None
    """Its wav file."""


@dataclass(frozen=True)
class WindowFact:
    """One window of the clip's picture, and the seed of the noise that its first take was made from."""

    start_s: float
    seconds: float
    seed: int


def take_file(output: Path, number: int) -> Path:
    """Where the wav of a take of ``output`` is or goes."""
    return output.with_name(f"{output.stem}.t{number:02d}.wav")


def bed_file(output: Path) -> Path:
    """Where the wav of the ambience of ``output`` is or goes."""
    return output.with_name(f"{output.stem}.bed.wav")


def own_file(output: Path, channel: int) -> Path:
    """Where a channel, from 1, of the clip's own sound goes as a wav."""
    return output.with_name(f"{output.stem}.own{channel}.wav")


def comment(model: str, seed: int, take: int) -> str:
    """What a finished clip says of the new sound in it."""
    return f"sound by foleygen, model {model}, seed {seed}" + (f", take {take}" if take > 1 else "")


def stamp(path: Path) -> str | None:
    """Tells one version of a file from another without reading it: a hash of its size and the time of its change.

    None where there is no such file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()
