"""The sound that a clip already has, as the pictures go: for the mix, as reference for evaluation, as training data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from foleygen.errors import ClipError, printable
from foleygen.media.channels import LAYOUTS
from foleygen.media.probe import ClipInfo
from foleygen.media.source import opened, packets

GAP_S = 0.1
"""Time stamps that jump by more than this are a gap (or an overlap), not the resampler's delay."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class OwnTrack:
    """The sound track that a player starts with."""

    index: int
    """Of the stream in the file."""
    channels: int


def own_track(info: ClipInfo) -> OwnTrack | None:
    """The clip's own sound: its first default track, else its first; None without sound."""
    with opened(info.path) as container:
        stream = _stream(container)
        return OwnTrack(stream.index, _decodable(stream, info).channels) if stream is not None else None


def channels(path: Path) -> int:
    """How many the own sound of the file ``path`` has; 0 without any. Reads the header alone. Raises ClipError."""
    with opened(path) as container:
        stream = _stream(container)
        return 0 if stream is None or stream.codec_context is None else stream.codec_context.channels


def read(info: ClipInfo, sample_rate: int) -> Samples:
    """Mono samples (round(duration * sample_rate),) that begin with the picture. Raises ClipError without sound.

    Sound before the first picture is dropped, gaps and a missing tail are silence.
    """
    samples = np.zeros(round(info.duration * sample_rate), dtype=np.float32)
    position = 0
    for block in blocks(info, sample_rate, 1):
        samples[position : position + block.shape[1]] = block[0]
        position += block.shape[1]
    return samples


def blocks(info: ClipInfo, sample_rate: int, channels: int) -> Iterator[Samples]:
    """The same as it streams by: blocks (channels, n), in all round(duration * sample_rate) long.

    ``channels`` is 1 or 2; other numbers of channels are mixed up or down to it as ITU-R BS.775 says.
    """
    total = round(info.duration * sample_rate)
    written = 0
    with opened(info.path) as container:
        for first, block in _placed(container, info, sample_rate, channels):
            for silence in _silence(min(first, total) - written, sample_rate, channels):
                written += silence.shape[1]
                yield silence
            fresh = block[:, max(0, written - first) : max(0, total - first)]
            if fresh.shape[1]:
                written += fresh.shape[1]
                yield fresh
    yield from _silence(total - written, sample_rate, channels)


def _silence(samples: int, block: int, channels: int) -> Iterator[Samples]:
    for first in range(0, samples, block):
        yield np.zeros((channels, min(block, samples - first)), np.float32)


def _placed(
    container: InputContainer, info: ClipInfo, sample_rate: int, channels: int
) -> Iterator[tuple[int, Samples]]:
    """Resampled blocks, each with the sample after the first picture at which it begins."""
    resampler: AudioResampler | None = None
    position = 0
    known: tuple[str, str, int] | None = None
    for frame in _decoded(container, info):
        place = _place(frame, info.start, sample_rate)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        has_jumped = place is not None and abs(place - position) > GAP_S * sample_rate
        if resampler is None or has_jumped or form != known:
            for block in _resampled(resampler, None) if resampler else ():
                yield position, block
                position += block.shape[1]
            if place is not None and (resampler is None or has_jumped):
                position = place
            resampler, known = AudioResampler(format="fltp", layout=LAYOUTS[channels], rate=sample_rate), form
        for block in _resampled(resampler, frame):
            yield position, block
            position += block.shape[1]
    for block in _resampled(resampler, None) if resampler else ():
        yield position, block
        position += block.shape[1]


def _resampled(resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[Samples]:
    for converted in resampler.resample(frame):
        yield np.asarray(converted.to_ndarray(), np.float32)


def _decoded(container: InputContainer, info: ClipInfo) -> Iterator[AudioFrame]:
    """The frames of the own sound; damaged packets among good ones are left out."""
    stream = _stream(container)
    if stream is None:
        raise ClipError(f"{printable(info.path)}: has no sound of its own", "give a clip with sound")
    _decodable(stream, info)
    heard, damaged = False, None
    for packet in chain(packets(container, stream, clock=info.clock), [None]):
        try:
            frames = stream.decode(packet)
        except av.FFmpegError as error:
            damaged = error
            continue
        heard = heard or bool(frames)
        yield from frames
    if damaged is not None and not heard:
        raise _undecodable(info) from damaged


def _stream(container: InputContainer) -> AudioStream | None:
    streams = container.streams.audio
    return next((s for s in streams if s.disposition & Disposition.default), streams[0] if streams else None)


def _decodable(stream: AudioStream, info: ClipInfo) -> AudioStream:
    if stream.codec_context is None:
        raise _undecodable(info)
    return stream


def _undecodable(info: ClipInfo) -> ClipError:
    return ClipError(f"{printable(info.path)}: its sound cannot be decoded", "export it again")


def _place(frame: AudioFrame, start: Fraction, sample_rate: int) -> int | None:
    """The sample at which a frame begins; None where the file does not say."""
    if frame.pts is None or frame.time_base is None:
        return None
    return round((Fraction(frame.pts * frame.time_base) - start) * sample_rate)
