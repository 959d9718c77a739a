"""Streaming change of sample rate, to a length that is exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def resampled(chunks: Iterable[Samples], rate_in: int, rate_out: int, total: int) -> Iterator[Samples]:
    """Yield the mono chunks, (n,) float32 at ``rate_in`` Hz, at ``rate_out`` Hz and ``total`` samples long in all.

    Sample k of the input stays at time k / rate_in (libswresample has no delay). What lacks at the end is silence,
    what is too much is cut.
    """
    written = 0
    for chunk in chunks if rate_in == rate_out else _converted(chunks, rate_in, rate_out):
        wanted = chunk[: total - written]
        written += len(wanted)
        if len(wanted):
            yield wanted
    while written < total:
        silence = np.zeros(min(total - written, rate_out), np.float32)
        written += len(silence)
        yield silence


def _converted(chunks: Iterable[Samples], rate_in: int, rate_out: int) -> Iterator[Samples]:
    resampler = AudioResampler(format="fltp", layout="mono", rate=rate_out)
    position = 0
    for chunk in chunks:
        if len(chunk) == 0:
            continue
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(chunk, np.float32)[np.newaxis], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate_in, position, Fraction(1, rate_in)
        position += len(chunk)
        for converted in resampler.resample(frame):
            yield np.asarray(converted.to_ndarray()[0], np.float32)
    if position:
        for converted in resampler.resample(None):
            yield np.asarray(converted.to_ndarray()[0], np.float32)
