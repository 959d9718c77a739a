"""Broadcast wav files (EBU Tech 3285) for editors: 48 kHz, 24 bit, mono, at their place in the day."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.facts import SAMPLE_RATE
from foleygen.media.containers import Container, created, disk_errors
from foleygen.media.resample import resampled
from foleygen.media.soundtrack import Soundtrack

DESCRIPTION_LENGTH = 256
ORIGINATOR_LENGTH = 32
_KIND = Container(".wav", "wav", "pcm_s24le")
_OPTIONS = {
    "write_bext": "1",
    # Beyond 4 GB the sizes are 64 bits wide (EBU Tech 3306); below, the file is plain.
    "rf64": "auto",
    # Without the name and version of the muxer.
    "fflags": "+bitexact",
}


def write(
    path: Path,
    chunks: Iterable[NDArray[np.float32]],
    sample_rate: int,
    samples: int,
    *,
    time_reference: int,
    originator: str,
    description: str,
    coding_history: str,
    date: datetime | None = None,
) -> None:
    """Write mono chunks, (n,) float32 in [-1, 1] at ``sample_rate`` Hz, as exactly ``samples`` samples at 48 kHz.

    ``time_reference``: 48 kHz samples from midnight to the first one. Texts are made ASCII and cut to the length of
    their fields; ``coding_history`` is what ``history`` gives. Without ``date`` the file says nothing of when it was
    made, so the same sound gives the same bytes. Raises RetryableError when the disk is full, ClipError when the
    folder cannot be written.
    """
    fields = {
        "time_reference": str(time_reference),
        "originator": _ascii(originator)[:ORIGINATOR_LENGTH],
        "description": _ascii(description)[:DESCRIPTION_LENGTH],
        "coding_history": coding_history,
    }
    if date is not None:
        fields |= {"origination_date": f"{date:%Y-%m-%d}", "origination_time": f"{date:%H:%M:%S}"}
    with publish(path) as temporary, disk_errors(), created(temporary, _KIND.muxer, _OPTIONS, fields) as target:
        track = Soundtrack(target, _KIND, first_sample=0)
        for chunk in resampled(chunks, sample_rate, SAMPLE_RATE, samples):
            target.mux(track.encoded(chunk))
        target.mux(track.flushed())


def history(*facts: str) -> str:
    """One line of coding history (EBU R 98): what the file is, and ``facts`` about how it was made."""
    text = "; ".join(_ascii(fact).replace(",", ";") for fact in facts)
    return f"A=PCM,F={SAMPLE_RATE},W=24,M=mono,T={text}\r\n"


def _ascii(text: str) -> str:
    """Letters without their accents; ? for what ASCII has no letter for, a space for line breaks and their like."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return "".join(char if " " <= char <= "~" else "?" if char.isprintable() else " " for char in plain)
