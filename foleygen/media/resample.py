"""Streaming change of sample rate, to a length that is exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from foleygen.media.channels import LAYOUTS, centred

Samples = NDArray[np.float32]


def resampled(chunks: Iterable[Samples], rate_in: int, rate_out: int, total: int) -> Iterator[Samples]:
    """Yield the chunks, (n,) or (2, n) float32 at ``rate_in`` Hz, at ``rate_out`` Hz and ``total`` samples long in all.

    Sample k of the input stays at time k / rate_in (libswresample has no delay). What lacks at the end is silence,
    what is too much is cut.
    """
    written, channels = 0, 1
    for chunk in chunks if rate_in == rate_out else _converted(chunks, rate_in, rate_out):
        wanted, channels = chunk[..., : total - written], chunk.ndim
        written += wanted.shape[-1]
        if wanted.shape[-1]:
            yield wanted
    while written < total:
        silence = np.zeros(min(total - written, rate_out), np.float32)
        written += len(silence)
        yield centred(silence, channels)


def _converted(chunks: Iterable[Samples], rate_in: int, rate_out: int) -> Iterator[Samples]:
    resampler: AudioResampler | None = None
    position, channels = 0, 1
    for chunk in chunks:
        if chunk.shape[-1] == 0:
            continue
        channels = chunk.ndim
        resampler = resampler or AudioResampler(format="fltp", layout=LAYOUTS[channels], rate=rate_out)
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(np.atleast_2d(chunk), np.float32), "fltp", LAYOUTS[channels]
        )
        frame.sample_rate, frame.pts, frame.time_base = rate_in, position, Fraction(1, rate_in)
        position += chunk.shape[-1]
        for converted in resampler.resample(frame):
            yield _chunk(converted, channels)
    if resampler is not None:
        for converted in resampler.resample(None):
            yield _chunk(converted, channels)


def _chunk(frame: AudioFrame, channels: int) -> Samples:
    samples = np.asarray(frame.to_ndarray(), np.float32)
    return samples[0] if channels == 1 else samples
