"""Wavs in stereo -> a wav for each side, for timelines that hold nothing but mono."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen.errors import ClipError, printable
from foleygen.facts import SAMPLE_RATE, SIDES, side_file
from foleygen.record.claims import ORIGINATOR
from foleygen.record.timeline.shots import Sound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foleygen.facts import Loudness
    from foleygen.media.bwf import Filed
    from foleygen.media.wav import Recording

_DESCRIPTION, _REFERENCE = slice(0, 256), slice(338, 346)
"""In a bext chunk: what the file says of itself, and where it lies in the day."""


def mono(sound: Sound) -> tuple[Sound, ...]:
    """A wav as wavs of one channel: itself, or left and right, which are written beside it where they lack.

    A pair that had to be lowered says so by the gains of its Sounds. Raises ClipError where it cannot be read, or a
    file of somebody else's is in the way.
    """
    if sound.channels == 1:
        return (sound,)
    return tuple(_written(sound))


def _written(sound: Sound) -> Iterator[Sound]:
    pair = _pair(sound.path)
    lowest = min(made.gain_db for made, _ in pair)
    for side, (made, loudness) in zip(SIDES, pair, strict=True):
        path = side_file(sound.path, side)
        if not _is_current(path, sound.path):
            lowered = lowest - made.gain_db
            _write(path, sound.path, side, replace(made, gain_db=lowest), loudness.after(lowered))
        yield replace(sound, path=path, channels=1, gain_db=sound.gain_db - lowest)


def _pair(path: Path) -> tuple[tuple[Filed, Loudness], ...]:
    """Left and right as files keep them, and their levels."""
    import soundfile

    from foleygen.media import bwf, wav

    both = wav.recording(path, len(SIDES))
    facts = soundfile.info(path)
    form = "float32" if facts.subtype in wav.FLOATS else "pcm24"
    samples = round(facts.frames * SAMPLE_RATE / facts.samplerate)
    sides = (_Side(both, number) for number in range(len(SIDES)))
    return tuple(bwf.filed(side, both.sample_rate, samples, form) for side in sides)  # type: ignore[arg-type]


def _is_current(path: Path, pair: Path) -> bool:
    """Whether a side is there, and is not older than the ``pair``. Raises ClipError."""
    from foleygen.media.wav_chunks import is_by

    if not os.path.lexists(path):
        return False
    if not path.is_file() or not is_by(path, ORIGINATOR):
        fact = f"{printable(path)}: is in the way of one side of {printable(pair.name)}, and foleygen did not make it"
        raise ClipError(fact, "move it")
    return path.stat().st_mtime_ns >= pair.stat().st_mtime_ns


def _write(path: Path, pair: Path, side: str, sound: Filed, loudness: Loudness) -> None:
    """The time of day, the description and the cues are those of the ``pair``."""
    from foleygen.media import bwf

    chunks = _chunks(pair)
    bext = chunks.pop(b"bext", b"")
    reference = struct.unpack("<Q", bext[_REFERENCE])[0] if len(bext) >= _REFERENCE.stop else 0
    description = bext[_DESCRIPTION].rstrip(b"\0").decode("ascii", "replace")
    bwf.write(
        path,
        sound,
        time_reference=reference,
        originator=ORIGINATOR,
        description=f"{side}: {description}",
        coding_history=bwf.history(f"{side} of {pair.name}", *bwf.told(sound, loudness), form=sound.form),
        loudness=loudness,
        further=chunks,
    )


def _chunks(pair: Path) -> dict[bytes, bytes]:
    """What a wav says of its place in the day and of its cues."""
    from foleygen.media.wav_chunks import places

    with open(pair, "rb") as file:
        found = {}
        for name, place in places(pair).items():
            if name in (b"bext", b"cue ", b"LIST"):
                file.seek(place.offset)
                found[name] = file.read(place.size)
    return found


@dataclass(frozen=True)
class _Side:
    """One side of a recording in stereo; read anew at each iteration."""

    both: Recording
    number: int

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        import numpy as np

        for block in self.both:
            yield np.ascontiguousarray(block[self.number])
