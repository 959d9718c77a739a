"""A sound of any rate that goes on after its end.

N channels, S samples at the sound's own rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import tee
from math import ceil, floor

import numpy as np

from foleygen.ambience.inpaint import FADE_S, Ask, level, ramp
from foleygen.ambience.outpaint import continued
from foleygen.engines.composer import Composer, Samples
from foleygen.errors import UsageError
from foleygen.media.resample import resampled

HEARD = 26
"""Columns (4.8 s) of the end that are listened to."""
LEAST = 4
"""Columns without which there is nothing to go on from."""


@dataclass(frozen=True)
class End:
    """The stretch at the end of a sound that is listened to, in samples of the sound."""

    begin: int
    fade: int
    """Last samples of the sound, which the new one fades in over."""
    columns: int


def plan(composer: Composer, rate: int, total: int) -> End:
    """The stretch for a sound of ``total`` samples. Raises UsageError, without a file's name, if it is too short."""
    column = composer.column / composer.sample_rate
    fade = max(round(FADE_S * rate), ceil(composer.mel_config.n_fft / 2 / composer.sample_rate * rate))
    columns = min(HEARD, floor((total - fade) / rate / column))
    if columns < LEAST:
        least = LEAST * column + fade / rate
        raise UsageError(
            f"lasts {total / rate:.2f} s, and less than {least:.2f} s is too little to go on from", "use a longer file"
        )
    return End(max(0, total - fade - ceil(columns * column * rate)), fade, columns)


def extend(composer: Composer, samples: Samples, rate: int, end: End, length: int, ask: Ask) -> Iterator[Samples]:
    """Chunks (N, n) at ``rate``, in all ``end.fade + length`` long.

    ``samples`` (N, S) is the stretch from ``end.begin``. The first ``end.fade`` samples take the place of the sound's
    last ones. What is no number counts as silence, and a silent channel goes on in silence.
    """
    heard = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
    silent = ~heard.any(axis=1)
    total = end.fade + length
    if silent.all():
        for first in range(0, total, rate):
            yield np.zeros((len(heard), min(rate, total - first)), np.float32)
        return
    gain = level(heard)
    new = _continuation(composer, heard * gain, rate, end, total, ask)
    position = 0
    for chunk in new:
        chunk = chunk / gain
        chunk[silent] = 0
        fading = max(0, min(end.fade - position, chunk.shape[1]))
        ours = ramp(end.fade)[position : position + fading]
        theirs = ramp(end.fade)[::-1][position : position + fading]
        tail = heard[:, heard.shape[1] - end.fade + position :][:, :fading]
        chunk[:, :fading] = chunk[:, :fading] * ours + tail * theirs
        position += chunk.shape[1]
        yield chunk.astype(np.float32)


def _continuation(composer: Composer, heard: Samples, rate: int, end: End, total: int, ask: Ask) -> Iterator[Samples]:
    """Chunks (N, n) at ``rate`` from where the fade begins, ``total`` long."""
    length = end.columns * composer.column
    lead = composer.mel_config.n_fft  # so that the last frames of the prefix hear what comes after it
    rows = [np.concatenate(list(resampled([row], rate, composer.sample_rate, length + lead))) for row in heard]
    mel = composer.hear(np.stack(rows))[..., : length // composer.mel_config.hop_length]
    prefix = composer.encode(mel)
    made = continued(composer, ask, len(heard), prefix, mel.mean(-1, keepdim=True))
    needed = ceil(total * composer.sample_rate / rate) + composer.column
    after = tee(_between(made, length, length + needed), len(heard))
    channels = [
        resampled((chunk[number] for chunk in chunks), composer.sample_rate, rate, total)
        for number, chunks in enumerate(after)
    ]
    for parts in zip(*channels, strict=True):
        yield np.stack(parts)


def _between(chunks: Iterator[Samples], first: int, last: int) -> Iterator[Samples]:
    """The samples from ``first`` to ``last`` of chunks (N, n) without an end."""
    position = 0
    for chunk in chunks:
        yield chunk[:, max(0, first - position) : last - position]
        position += chunk.shape[1]
        if position >= last:
            return
