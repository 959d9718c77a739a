"""What is known of one clip and its sound: plain values that everybody may hold, without torch and PyAV."""

from __future__ import annotations

import hashlib
import re
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


OBEYED_S = 0.030
"""How far from its cue a sound may begin: less than a picture at 25 a second."""

APART_S = 0.090
"""Sounds that begin nearer to each other may be heard as one: five mel frames of 16 ms, and the rounding to them."""


@dataclass(frozen=True)
class Obedience:
    """How a sound keeps to its cues; seconds after the first picture."""

    given: int = 0
    """How many cues there are."""
    missed: tuple[float, ...] = ()
    """Cues at which nothing begins."""
    extra: tuple[float, ...] = ()
    """Sounds that begin where nobody asked for one, and the cues were to be all there is."""
    spotted: bool = False
    """The cues were seen in the picture, and nobody gave them."""
    lasting: int = 0
    """Stretches that were given a sound."""
    silent: tuple[Lasting, ...] = ()
    """Those of them in which next to nothing of it is heard."""

    @property
    def kept(self) -> int:
        """Cues at which something begins."""
        return self.given - len(self.missed)

    @property
    def heard(self) -> int:
        """Stretches in which their sound is heard."""
        return self.lasting - len(self.silent)

    @property
    def faults(self) -> int:
        return len(self.missed) + len(self.extra) + len(self.silent)


@dataclass(frozen=True)
class Played:
    """One sound of an editor's library in a take."""

    seconds: float
    """After the clip's first picture: its attack."""
    file: str
    """The recording, as a path with slashes from the library's folder."""
    file_s: float
    """Seconds from the beginning of the recording to that attack."""
    gain_db: float
    """What its level was raised by."""
    cents: float
    """What its pitch was raised by, in hundredths of a semitone."""
    licence: str | None = None
    source: str | None = None
    """Who made it, or where it comes from, as the recording says."""
    until_s: float | None = None
    """Where it goes on: until when, after the clip's first picture; None: it is a hit."""
    file_until_s: float | None = None
    """Until when its stretch of the recording lasts."""
    rounds: int | None = None
    """How often that stretch is begun."""


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
    stem_sha256: str | None = None
    """Of the samples in its wav as they were written, in hex."""
    obedience: Obedience | None = None
    """None: it had no cues."""
    played: tuple[Played, ...] = ()
    """What of it comes from a library, in order."""


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


@dataclass(frozen=True)
class Cue:
    """One moment at which something is to be heard."""

    seconds: float
    """After the clip's first picture."""
    strength: float | None = None
    """0 to 1, barely audible to as hard as it gets; None: not said."""
    confidence: float | None = None
    """0 to 1: how sure whoever found it was; None: somebody said so."""
    sound: str | None = None
    """Words for it (see ``cues.words.understand``); None: left to the clip's words, or to the picture."""
    name: str = ""
    """Whatever else the marker says, for people."""


@dataclass(frozen=True, order=True)
class Stretch:
    """From the one to the other, seconds after the first picture."""

    start_s: float
    end_s: float

    def has(self, seconds: float) -> bool:
        """Whether that time is in it."""
        return self.start_s <= seconds < self.end_s


@dataclass(frozen=True, order=True)
class Lasting(Stretch):
    """A stretch in which a sound goes on all through or, if it is one of hits, as the picture says."""

    sound: str
    """Words for it."""


@dataclass(frozen=True)
class CueSheet:
    """All that was said of when a clip sounds. ``cues.cue.sheet`` makes it, in order and without doubles.

    No sheet at all means that nobody said anything, and the picture decides. A sheet without cues means that nothing
    is heard where it is known.
    """

    cues: tuple[Cue, ...] = ()
    known: tuple[Stretch, ...] | None = None
    """Where the cues are all there is; elsewhere the picture decides. None: everywhere. (): only around each cue."""
    source: str = ""
    """Name of the file, for people."""
    digest: str = ""
    """SHA-256 (hex) over what decides the sound: times, strengths, sounds and stretches."""
    lasting: tuple[Lasting, ...] = ()
    """What goes on, in order; there something may begin at any time, whatever is known around it."""

    def is_known(self, seconds: float) -> bool:
        """Whether the cues alone decide at ``seconds``."""
        if self.lasting_at(seconds) is not None:
            return False
        if self.known is None:
            return True
        return any(stretch.has(seconds) for stretch in self.known)

    def lasting_at(self, seconds: float) -> str | None:
        """Words for what goes on at ``seconds``, the last that began; None: nothing does."""
        return next((one.sound for one in reversed(self.lasting) if one.has(seconds)), None)

    @property
    def sounds(self) -> tuple[str | None, ...]:
        """The words of all its cues, and of what goes on."""
        return (*(cue.sound for cue in self.cues), *(one.sound for one in self.lasting))

    def between(self, start_s: float, end_s: float) -> tuple[Cue, ...]:
        """The cues in [start_s, end_s), in order."""
        return tuple(cue for cue in self.cues if start_s <= cue.seconds < end_s)


def take_file(output: Path, number: int) -> Path:
    """Where the wav of a take of ``output`` is or goes."""
    return output.with_name(f"{output.stem}.t{number:02d}.wav")


def bed_file(output: Path) -> Path:
    """Where the wav of the ambience of ``output`` is or goes."""
    return output.with_name(f"{output.stem}.bed.wav")


def own_file(output: Path, channel: int) -> Path:
    """Where a channel, from 1, of the clip's own sound goes as a wav."""
    return output.with_name(f"{output.stem}.own{channel}.wav")


SIDES = ("L", "R")
"""Left and right, as the names of files that are one side of a pair have them."""


def side_file(wav: Path, side: str) -> Path:
    """Where one of SIDES of a ``wav`` in stereo goes as a wav of its own."""
    return wav.with_name(f"{wav.stem}.{side}.wav")


def is_own_wav(name: str) -> bool:
    """Whether a file is, by its name, a wav beside a finished clip that kept its usual name."""
    kinds = r"\.(t[0-9]{2,}|bed|own[0-9]+)(\.[LR])?\.wav"
    return re.fullmatch(f".*{re.escape(MARK)}{kinds}", name, re.DOTALL) is not None


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
