"""The sound that a clip already has, as the pictures go: reference for evaluation, and training data of users."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from foleygen.errors import ClipError
from foleygen.media.probe import ClipInfo
from foleygen.media.source import opened, printable

GAP_S = 0.1
"""Time stamps that jump by more than this are a gap (or an overlap), not the resampler's delay."""


def read(info: ClipInfo, sample_rate: int) -> NDArray[np.float32]:
    """Mono samples (round(duration * sample_rate),) that begin with the picture. Raises ClipError without sound.

    Sound before the first picture is dropped, gaps and a missing tail are silence.
    """
    total = round(info.duration * sample_rate)
    samples = np.zeros(total, dtype=np.float32)
    with opened(info.path) as container:
        if not container.streams.audio:
            raise ClipError(f"{printable(info.path)}: has no sound of its own", "give a clip with sound")
        stream = container.streams.audio[0]
        resampler = AudioResampler(format="fltp", layout="mono", rate=sample_rate)
        position: int | None = None
        try:
            for frame in container.decode(stream):
                place = _place(frame, info.start, sample_rate)
                if position is None or (place is not None and abs(place - position) > GAP_S * sample_rate):
                    if position is not None:
                        _put(resampler.resample(None), samples, position)
                        resampler = AudioResampler(format="fltp", layout="mono", rate=sample_rate)
                    position = place or 0
                position = _put(resampler.resample(frame), samples, position)
        except av.FFmpegError as error:
            if position is None:
                raise ClipError(f"{printable(info.path)}: its sound cannot be decoded", "export it again") from error
        if position is not None:
            _put(resampler.resample(None), samples, position)
    return samples


def _place(frame: AudioFrame, start: Fraction, sample_rate: int) -> int | None:
    """The sample at which a frame begins; None where the file does not say."""
    if frame.pts is None or frame.time_base is None:
        return None
    return round((Fraction(frame.pts * frame.time_base) - start) * sample_rate)


def _put(frames: list[AudioFrame], samples: NDArray[np.float32], position: int) -> int:
    for frame in frames:
        block = frame.to_ndarray()[0]
        low, high = max(0, position), min(len(samples), position + len(block))
        if low < high:
            samples[low:high] = block[low - position : high - position]
        position += len(block)
    return position
