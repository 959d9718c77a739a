"""Events one after the other in one file, to be listened to. C channels, S samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.errors import ClipError
from foleygen.facts import SAMPLE_RATE
from foleygen.library.index import Index
from foleygen.library.rates import changed
from foleygen.media.channels import in_stereo

FADE_S = 0.005


@dataclass(frozen=True)
class Heard:
    """One event in the file, ``at_s`` seconds after its beginning."""

    event: int
    at_s: float


def audition(index: Index, events: Sequence[int], output: Path, gap_s: float) -> tuple[list[Heard], list[ClipError]]:
    """Write ``events`` with gaps between them, stereo at 48 kHz and 24 bits; what could not be read is told.

    Raises ClipError where nothing could, or the file cannot be written.
    """
    parts: list[NDArray[np.float32]] = []
    heard: list[Heard] = []
    failed: list[ClipError] = []
    gap, place = np.zeros((2, round(gap_s * SAMPLE_RATE)), np.float32), 0
    for event in events:
        try:
            samples, rate, _ = index.sound(event)
        except ClipError as error:
            failed.append(error)
            continue
        sound = _faded(changed(in_stereo(samples), rate, SAMPLE_RATE))
        heard.append(Heard(event, place / SAMPLE_RATE))
        parts += [sound, gap]
        place += sound.shape[1] + gap.shape[1]
    if not parts:
        raise failed[0] if failed else ClipError(f"{output}: there is nothing to write", "search for something else")
    _write(np.concatenate(parts, axis=1), output)
    return heard, failed


def _faded(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    count = min(round(FADE_S * SAMPLE_RATE), samples.shape[1])
    faded = samples.copy()
    if count:
        faded[:, -count:] *= np.linspace(1, 0, count, dtype=np.float32)
    return faded


def _write(samples: NDArray[np.float32], output: Path) -> None:
    """One gain for all, where it would not fit."""
    peak = float(np.abs(samples).max(initial=0))
    with publish(output) as temporary:
        soundfile.write(
            temporary, (samples * min(1, 0.99 / peak if peak else 1)).T, SAMPLE_RATE, "PCM_24", format="WAV"
        )
