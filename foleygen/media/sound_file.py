"""Sound files of any format, rate and channels, of which a part changes and the rest stays as it is, to the bit.

C channels, n frames (a sample of every channel).
"""

from __future__ import annotations

import errno
import io
import logging
import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.errors import ClipError, printable

log = logging.getLogger(__name__)

EXACT = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""Subtypes whose samples come back from a file as they went in."""
MAX_CHANNELS = 64
_FLOATS = {"FLOAT": "float32", "DOUBLE": "float64"}
_BLOCK = 1 << 16
EASE_S = 0.01
"""Within what time a gain is reached beside what stays as it was."""

Samples = NDArray[np.float32]
Native = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int32]


@dataclass(frozen=True)
class SoundFile:
    """What a sound file is; ``frames`` long, at ``rate`` Hz."""

    path: Path
    rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    endian: str

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    def read(self, first: int, last: int) -> Samples:
        """Samples (C, n) in [-1, 1] from frame ``first`` to ``last``, or to the end. Raises ClipError."""
        with _explained(self.path), soundfile.SoundFile(self.path) as file:
            file.seek(first)
            found = file.read(max(0, last - first), dtype="float32", always_2d=True)
        return np.ascontiguousarray(found.T)


def opened(path: Path) -> SoundFile:
    """The sound file ``path``. Raises ClipError where it is none, is empty, or would lose by being written again."""
    name = printable(path)
    if not path.exists():
        raise ClipError(f"{name}: no such file", "check the path")
    with _explained(path), soundfile.SoundFile(path) as file:
        found = SoundFile(path, file.samplerate, file.channels, file.frames, file.format, file.subtype, file.endian)
    if found.frames <= 0:
        raise ClipError(f"{name}: holds no sound", "give a file with sound in it")
    if found.subtype not in EXACT:
        fact = f"{name}: its samples are compressed ({found.format}, {found.subtype}), so writing changes them"
        raise ClipError(fact, "convert it to WAV with PCM samples")
    if found.channels > MAX_CHANNELS:
        raise ClipError(f"{name}: has {found.channels} channels", f"give a file with at most {MAX_CHANNELS}")
    return found


def replaced(sound: SoundFile, output: Path, first: int, samples: Samples) -> None:
    """Write ``sound`` to ``output`` with ``samples`` (C, n) from frame ``first`` on.

    In a file of integers they are lowered, with a warning, where they would be cut.
    A WAV file keeps every other byte, what it says about itself included; other formats keep their samples. Raises
    ClipError or RetryableError where it cannot be written.
    """
    place = _data_offset(sound)
    samples = _below_full_scale(sound, samples, has_end=True)
    with publish(output) as temporary:
        if place is None:
            with _target(temporary, sound) as target:
                _write_all(target, temporary, _blocks(sound, 0, first))
                _write_all(target, temporary, [_native(sound, samples)])
                _write_all(target, temporary, _blocks(sound, first + samples.shape[1], sound.frames))
            return
        shutil.copyfile(sound.path, temporary)
        encoded = _encoded(sound, samples)
        with open(temporary, "r+b") as handle:
            handle.seek(place + first * len(encoded) // samples.shape[1])
            handle.write(encoded)


def extended(sound: SoundFile, output: Path, last: int, chunks: Iterable[Samples]) -> int:
    """Write ``sound`` to ``output`` up to frame ``last``, and ``chunks`` (C, n) after that; its frames in all.

    In a file of integers they are lowered, with a warning, where they would be cut, and so all of them come first.
    Raises ClipError or RetryableError where it cannot be written.
    """
    with publish(output) as temporary, _target(temporary, sound) as target:
        _write_all(target, temporary, _blocks(sound, 0, last))
        if sound.subtype not in _FLOATS:
            chunks = [_below_full_scale(sound, np.concatenate(list(chunks), axis=1), has_end=False)]
        return last + _write_all(target, temporary, (_native(sound, chunk) for chunk in chunks))


@contextmanager
def _target(temporary: Path, sound: SoundFile) -> Iterator[soundfile.SoundFile]:
    with _written(temporary):
        file = soundfile.SoundFile(
            temporary, "w", sound.rate, sound.channels, sound.subtype, sound.endian, format=sound.format
        )
    with file:
        yield file


def _blocks(sound: SoundFile, first: int, last: int) -> Iterator[Native]:
    """Frames (n, C) as the file has them: left-aligned integers, or its own floats."""
    with _explained(sound.path):
        source = soundfile.SoundFile(sound.path)
        source.seek(first)
    with source:
        while first < last:
            with _explained(sound.path):
                kind = _FLOATS.get(sound.subtype, "int32")
                block = source.read(min(_BLOCK, last - first), dtype=kind, always_2d=True)
                if not len(block):
                    raise OSError(errno.EIO, "ends early")
            first += len(block)
            yield block


def _write_all(target: soundfile.SoundFile, temporary: Path, blocks: Iterable[Native]) -> int:
    """Write blocks (n, C); the number of frames."""
    frames = 0
    for block in blocks:
        with _written(temporary):
            target.write(block)
        frames += len(block)
    return frames


def _native(sound: SoundFile, samples: Samples) -> NDArray[np.float32]:
    """Frames (n, C) for libsndfile, which rounds them."""
    return np.ascontiguousarray(samples.T)


def _below_full_scale(sound: SoundFile, samples: Samples, has_end: bool) -> Samples:
    """Samples (C, n) under one gain where integers could not hold them; it is reached, and left, within EASE_S."""
    peak = float(np.abs(samples).max(initial=0))
    if sound.subtype in _FLOATS or peak <= 1:
        return samples
    gain = (1 - 2**-10) / peak
    log.warning(
        "%s: what is new in it was lowered by %.1f dB to be below full scale",
        printable(sound.path),
        -20 * np.log10(gain),
    )
    ease = min(round(EASE_S * sound.rate), samples.shape[1] // 2)
    envelope = np.full(samples.shape[1], gain, np.float32)
    envelope[:ease] = np.linspace(1, gain, ease)
    if has_end and ease:
        envelope[-ease:] = np.linspace(gain, 1, ease)
    eased = samples * envelope
    return eased if np.abs(eased).max() <= 1 else samples * np.float32(gain)


def _encoded(sound: SoundFile, samples: Samples) -> bytes:
    """The bytes of samples (C, n) in a WAV file's data."""
    endian = "BIG" if sound.endian == "BIG" else "LITTLE"
    with io.BytesIO() as memory:
        frames = _native(sound, samples)
        with soundfile.SoundFile(
            memory, "w", sound.rate, sound.channels, sound.subtype, endian, format="RAW"
        ) as target:
            target.write(frames)
        return memory.getvalue()


def _data_offset(sound: SoundFile) -> int | None:
    """Where the samples of a WAV file begin, in bytes; None for other formats, and for samples of unusual width."""
    if sound.format not in ("WAV", "WAVEX", "RF64"):
        return None
    width = len(_encoded(sound, np.zeros((sound.channels, 1), np.float32)))
    with open(sound.path, "rb") as handle:
        riff = handle.read(12)
        order = ">" if riff[:4] == b"RIFX" else "<"
        aligned = False
        while len(head := handle.read(8)) == 8:
            size = struct.unpack(f"{order}I", head[4:])[0]
            if head[:4] == b"data":
                there = os.fstat(handle.fileno()).st_size - handle.tell()
                return handle.tell() if aligned and there >= sound.frames * width else None
            if head[:4] == b"fmt ":
                content = handle.read(size)
                aligned = len(content) >= 14 and struct.unpack(f"{order}H", content[12:14])[0] == width
                handle.seek(size % 2, os.SEEK_CUR)
            else:
                handle.seek(size + size % 2, os.SEEK_CUR)
    return None


@contextmanager
def _written(temporary: Path) -> Iterator[None]:
    """libsndfile hides the errno: a file that was made and takes no more bytes has no room left."""
    try:
        yield
    except (soundfile.LibsndfileError, AssertionError) as error:
        raise OSError(errno.ENOSPC if temporary.exists() else errno.EACCES, str(error)) from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise ClipError(f"{printable(path)}: not a sound file that can be read", "give a WAV or FLAC file") from error
