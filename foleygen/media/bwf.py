"""Broadcast wav files (EBU Tech 3285) for editors: 48 kHz, mono or stereo, at their place in the day, and never cut."""

from __future__ import annotations

import hashlib
import math
import struct
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.facts import SAMPLE_RATE, UNMEASURED, Loudness
from foleygen.media import ixml, wav_chunks
from foleygen.media.channels import LAYOUTS
from foleygen.media.ixml import Slate
from foleygen.media.loudness import measure
from foleygen.media.mixdown import safe
from foleygen.media.resample import resampled
from foleygen.media.wav_chunks import Mark, WaveFormat
from foleygen.settings import StemsFormat

Samples = NDArray[np.float32]
FORMS = {"pcm24": WaveFormat(wav_chunks.PCM, 24, SAMPLE_RATE), "float32": WaveFormat(wav_chunks.FLOAT, 32, SAMPLE_RATE)}
DESCRIPTION_LENGTH = 256
ORIGINATOR_LENGTH = 32
BLOCK = 1 << 16
"""Samples to a chunk, here as where a wav is read: what listens to either hears the same."""
_FULL = 2.0**23
_NOT_KNOWN = 0x7FFF
"""What Tech 3285 writes for a level that nobody measured."""


@dataclass(frozen=True)
class Filed:
    """A sound as a file keeps it: at 48 kHz, under ``gain_db``, of the file's precision; chunks (BLOCK,) or (2, BLOCK).

    Iterating goes over ``sound`` anew. Reading the file gives the same samples in the same chunks.
    """

    sound: Iterable[Samples]
    sample_rate: int
    """Hz of ``sound``."""
    samples: int
    """At 48 kHz."""
    form: StemsFormat = "pcm24"
    gain_db: float = 0.0
    channels: int = 1
    """Those of ``sound``: 1 or 2."""

    def __iter__(self) -> Iterator[Samples]:
        factor = np.float32(10 ** (self.gain_db / 20)) if self.gain_db else None
        for block in _blocks(resampled(self.sound, self.sample_rate, SAMPLE_RATE, self.samples)):
            louder = block if factor is None else block * factor
            yield louder if self.form == "float32" else quantised(louder)


@dataclass(frozen=True)
class Part:
    """``samples`` of a sound, (n,) or (2, n), from ``first`` on, in chunks of BLOCK; anew at each iteration."""

    sound: Iterable[Samples]
    first: int
    samples: int

    def __iter__(self) -> Iterator[Samples]:
        return _blocks(self._inside())

    def _inside(self) -> Iterator[Samples]:
        position = 0
        for chunk in self.sound:
            inside = chunk[..., max(0, self.first - position) : max(0, self.first + self.samples - position)]
            position += chunk.shape[-1]
            if inside.shape[-1]:
                yield inside


def filed(
    sound: Iterable[Samples], sample_rate: int, samples: int, form: StemsFormat = "pcm24", channels: int = 1
) -> tuple[Filed, Loudness]:
    """``sound``, of so many channels, as a wav of that form will have it, and its level there.

    Words of 24 bits end at full scale: what would come above -1 dBTP is lowered as a whole, by one gain. ``sound`` must
    be iterable again.
    """
    made = Filed(sound, sample_rate, samples, form, channels=channels)
    loudness = measure(made, SAMPLE_RATE, channels)
    if form == "float32":
        return made, loudness
    gain, _ = safe("").gain(loudness)
    if gain:
        made = replace(made, gain_db=gain)
        loudness = measure(made, SAMPLE_RATE, channels)
    return made, loudness


def told(sound: Filed, loudness: Loudness) -> list[str]:
    """What the coding history says of a file's level."""
    levels = ((loudness.integrated_lufs, "LUFS"), (loudness.true_peak_dbtp, "dBTP"))
    known = [f"{level:.2f} {unit}" for level, unit in levels if level is not None]
    return known + ([f"lowered by {-sound.gain_db:.3f} dB"] if sound.gain_db else [])


def quantised(samples: Samples) -> Samples:
    """``samples`` as 24-bit words tell them, whatever their size; exact in float32 up to full scale."""
    words = np.rint(samples.astype(np.float64) * _FULL)
    return np.asarray(words / _FULL, np.float32)


def write(
    path: Path,
    sound: Filed,
    *,
    time_reference: int,
    originator: str,
    description: str,
    coding_history: str,
    loudness: Loudness = UNMEASURED,
    slate: Slate | None = None,
    marks: Sequence[Mark] = (),
    further: Mapping[bytes, bytes] = MappingProxyType({}),
    date: datetime | None = None,
) -> str:
    """Write ``sound``, whose 24-bit samples must not be above full scale; gives the SHA-256 of the samples in hex.

    ``time_reference``: 48 kHz samples from midnight to the first one. ``loudness`` is that of ``sound``; ``marks`` are
    in its samples; ``further`` are other chunks by their names. Texts are made ASCII and cut to the length of their
    fields; ``coding_history`` is what ``history`` gives. Without ``date`` the file says nothing of when it was made, so
    the same sound gives the same bytes. Raises RetryableError when the disk is full, ClipError when the folder cannot
    be written.
    """
    form = replace(FORMS[sound.form], channels=sound.channels)
    chunks = [_bext(time_reference, originator, description, coding_history, loudness, date)]
    if slate is not None:
        levels = {"time_reference": time_reference, "loudness": loudness, "marks": marks, "channels": sound.channels}
        text = ixml.document(slate, sample_rate=SAMPLE_RATE, bits=form.bits, **levels)  # type: ignore[arg-type]
        chunks.append(wav_chunks.chunk(b"iXML", text))
    chunks += wav_chunks.cues([Mark(mark.sample, _ascii(mark.label)) for mark in marks], "ascii")
    chunks += [wav_chunks.chunk(name, body) for name, body in further.items()]
    words = _float_words if sound.form == "float32" else _pcm_words
    with publish(path) as temporary, open(temporary, "wb") as file:
        file.write(wav_chunks.head(form, sound.samples, chunks))
        digest = hashlib.sha256()
        for block in sound:
            written = words(block.T)
            digest.update(written)
            file.write(written)
        if sound.samples * form.block % 2:
            file.write(b"\0")
    return digest.hexdigest()


def history(*facts: str, form: StemsFormat = "pcm24", channels: int = 1) -> str:
    """One line of coding history (EBU R 98): what the file is, and ``facts`` about how it was made."""
    text = "; ".join(_ascii(fact).replace(",", ";") for fact in facts)
    return f"A=PCM,F={SAMPLE_RATE},W={FORMS[form].bits},M={LAYOUTS[channels]},T={text}\r\n"


def _bext(
    time_reference: int, originator: str, description: str, coding: str, loudness: Loudness, date: datetime | None
) -> bytes:
    """Version 2, with the levels that are known."""
    day, time = (b"", b"") if date is None else (f"{date:%Y-%m-%d}".encode(), f"{date:%H:%M:%S}".encode())
    levels = map(_hundredths, (loudness.integrated_lufs, loudness.range_lu, loudness.true_peak_dbtp, None, None))
    body = struct.pack(
        "<256s32s32s10s8sQH64s5h180s",
        _ascii(description).encode(),
        _ascii(originator).encode(),
        b"",
        day,
        time,
        time_reference,
        2,
        b"",
        *levels,
        b"",
    )
    return wav_chunks.chunk(b"bext", body + coding.encode("ascii", "replace"))


def _hundredths(level: float | None) -> int:
    if level is None or not math.isfinite(level) or abs(level) * 100 >= _NOT_KNOWN:
        return _NOT_KNOWN
    return round(level * 100)


def _pcm_words(samples: Samples) -> bytes:
    """Of samples (n,) or (n, 2): 24 bits, little end first."""
    words = np.rint(samples.astype(np.float64) * _FULL)
    assert np.abs(words).max(initial=0) <= _FULL, "above full scale: such a sound is lowered before it is written"
    # +1.0 itself has no word: the one below it is 2**-23 away.
    integers = np.ascontiguousarray(np.minimum(words, _FULL - 1), "<i4")
    return integers.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def _float_words(samples: Samples) -> bytes:
    return samples.astype("<f4").tobytes()


def _blocks(chunks: Iterable[Samples]) -> Iterator[Samples]:
    """The same samples in chunks of BLOCK, the last one shorter."""
    held: list[Samples] = []
    length = 0
    for chunk in chunks:
        held.append(chunk)
        length += chunk.shape[-1]
        while length >= BLOCK:
            joined = np.concatenate(held, axis=-1)
            yield joined[..., :BLOCK]
            held, length = [joined[..., BLOCK:]], length - BLOCK
    if length:
        yield np.concatenate(held, axis=-1)


def _ascii(text: str) -> str:
    """Letters without their accents; ? for what ASCII has no letter for, a space for line breaks and their like."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return "".join(char if " " <= char <= "~" else "?" if char.isprintable() else " " for char in plain)
