"""What the page draws of one clip: a poster, its motion, and its takes as spectrograms and outlines.

Each clip has a bounded number of bytes, whatever its length: a poster, 480 values of motion, and for at most nine
takes a picture of 480 x 48 with its outline.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import ClipError, FoleygenError, printable
from foleygen.facts import SAMPLE_RATE
from foleygen.record.finding import Finished
from foleygen.review.spectrogram import COLUMNS, drawn

MOST_TAKES = 9
"""Those that a key of the page chooses."""
_LOWEST_HZ = 4000
_LONGEST_S = 24 * 3600.0
"""A sidecar may say anything."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sound:
    """One take, drawn."""

    number: int
    image: str
    """JPEG, in base64."""
    outline: str
    """480 bytes, in base64: the largest magnitude of each stretch, of 255."""


@dataclass(frozen=True)
class Pictures:
    """All that is drawn of a clip; what could not be made is not there."""

    poster: str | None = None
    """JPEG, in base64."""
    motion: str | None = None
    """480 bytes, in base64: of 255, the strongest motion of the clip."""
    sounds: tuple[Sound, ...] = ()


NOTHING = Pictures()


def of(finished: Finished) -> Pictures:
    """Look at and listen to a finished clip once. What cannot be read is left out, and logged."""
    looked = seen(finished)
    return Pictures(looked.poster, looked.motion, heard(finished).sounds)


def seen(finished: Finished) -> Pictures:
    """The poster and the motion alone."""
    return Pictures(*_seen(finished.output))


def heard(finished: Finished) -> Pictures:
    """The takes alone."""
    return Pictures(sounds=tuple(_heard(finished)))


def _seen(path: Path) -> tuple[str | None, str | None]:
    from foleygen.media.glance import glance
    from foleygen.media.jpeg import encode
    from foleygen.media.probe import probe

    try:
        found = glance(probe(path), COLUMNS)
    except FoleygenError as error:
        log.info("%s", error)
        return None, None
    motion = np.array(found.motion)
    strength = np.rint(motion / (motion.max() or 1.0) * 255).astype(np.uint8)
    return _text(encode(found.poster)), _text(strength.tobytes())


def _heard(finished: Finished) -> Iterator[Sound]:
    for take in finished.sidecar.takes[:MOST_TAKES]:
        try:
            sound = _sound(finished, take.number)
        except FoleygenError as error:
            log.info("%s: take %d: %s", printable(finished.output), take.number, error)
            continue
        if sound is not None:
            yield sound


def _sound(finished: Finished, number: int) -> Sound | None:
    """A take from its wav, else from the clip that it is in; None where there is neither. Raises ClipError."""
    from foleygen.media import wav
    from foleygen.media.jpeg import encode

    seconds = max(0.0, min(_LONGEST_S, finished.sidecar.duration_s))
    path = finished.wav(number)
    if path is not None:
        recording = wav.recording(path)
        rate, chunks = recording.sample_rate, iter(recording)
        if rate < _LOWEST_HZ:
            raise ClipError(f"{printable(path)}: has {rate} samples a second, too few to draw", "export it at 48 kHz")
    elif number == finished.sidecar.picked:
        rate, chunks = SAMPLE_RATE, _track(finished.output)
    else:
        return None
    made = drawn(chunks, rate, round(seconds * rate))
    return Sound(number, _text(encode(made.picture)), _text(bytes(made.outline)))


def _track(output: Path) -> Iterator[NDArray[np.float32]]:
    """The track that a player starts with, mono (n,). Raises ClipError."""
    from foleygen.media.own_sound import blocks
    from foleygen.media.probe import probe

    return (block[0] for block in blocks(probe(output), SAMPLE_RATE, 1))


def _text(content: bytes) -> str:
    return b64encode(content).decode("ascii")
