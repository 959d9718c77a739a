"""A track as a player hears it: lossy encoders lift peaks, so what is delivered is measured after decoding it again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from foleygen.facts import SAMPLE_RATE, Loudness
from foleygen.media.beside import beside
from foleygen.media.containers import Container
from foleygen.media.loudness import measure
from foleygen.media.mixdown import MARGIN_DB, STEP_DB, Mixdown
from foleygen.media.soundtrack import Soundtrack

Samples = NDArray[np.float32]
_DECODERS = {"aac": "aac", "libopus": "opus"}
"""For the encoders that change what they get."""
_AAC_PRIMING = 1024
"""Samples before the first, which an edit list takes off."""
_TRIES = 8
_BLOCK = 1 << 15
_KEPT_BYTES = 2**22
"""About three minutes at 192 kbit/s, whose packets take three times that."""


class Step(NamedTuple):
    """So many samples more, and the packets, timed from the track's first sample, that are complete with them."""

    samples: int
    packets: list[Packet[Stream]]


@dataclass(frozen=True)
class Settled:
    """A track that keeps under its ceiling, and its packets where they were kept from measuring it."""

    made: Mixdown
    steps: tuple[Step, ...] | None = None
    """In order; None: it is to be encoded."""


def settled(made: Mixdown, kind: Container) -> Settled:
    """``made``, lowered by as much as the encoder of ``kind`` would lift its true peak above the ceiling.

    What is told of its level is what decoding gives.
    """
    if kind.audio_codec not in _DECODERS:
        return Settled(made)
    lowered = 0.0
    for _ in range(_TRIES):
        kept = _Kept()
        heard = measure(decoded(made.chunks, kind, made.channels, kept), SAMPLE_RATE, made.channels)
        peak = heard.true_peak_dbtp
        if peak is None or peak <= made.ceiling_dbtp:
            break
        step = round(np.ceil((peak - made.ceiling_dbtp + MARGIN_DB) / STEP_DB) * STEP_DB, 3)
        made, lowered, kept = made.lowered(step), lowered + step, _Kept()
    told = replace(_noted(made, lowered, kind), loudness=_whole(heard, made.loudness))
    return Settled(told, kept.steps)


def packets(track: Soundtrack, sound: Settled) -> Iterator[list[Packet[Stream]]]:
    """The packets of ``sound`` as some of ``track``, step by step: those that were kept, else as they are encoded."""
    if sound.steps is not None:
        yield from (track.taken(*step) for step in sound.steps)
    else:
        yield from (step.packets for step in _steps(track, sound.made.chunks))


class _Kept:
    """The steps of one encoding, as long as they are few: an hour is encoded again instead."""

    def __init__(self) -> None:
        self._steps: list[Step] | None = []
        self._bytes = 0

    def add(self, step: Step) -> None:
        if self._steps is not None:
            self._bytes += sum(packet.size for packet in step.packets)
            self._steps.append(step)
            if self._bytes > _KEPT_BYTES:
                self._steps = None

    @property
    def steps(self) -> tuple[Step, ...] | None:
        return tuple(self._steps) if self._steps else None


def decoded(chunks: Iterable[Samples], kind: Container, channels: int, kept: _Kept | None = None) -> Iterator[Samples]:
    """What a player gets of ``chunks`` (n,) or (channels, n) at 48 kHz: (channels, n), and at the end maybe more."""
    early = _AAC_PRIMING if kind.audio_codec == "aac" and kind.keeps_hidden_frames else 0
    for samples in _gathered(_decoded(chunks, kind, channels, kept or _Kept())):
        yield samples[:, early:]
        early = max(0, early - samples.shape[1])


def _decoded(chunks: Iterable[Samples], kind: Container, channels: int, kept: _Kept) -> Iterator[Samples]:
    with av.open(os.devnull, "w", format="null") as nowhere:
        assert isinstance(nowhere, OutputContainer)
        track = Soundtrack(nowhere, kind, 0, channels)
        decoder = av.CodecContext.create(_DECODERS[kind.audio_codec], "r")
        assert isinstance(decoder, AudioCodecContext)
        decoder.sample_rate, decoder.layout = SAMPLE_RATE, "mono" if channels == 1 else "stereo"
        # Encoding takes as long as decoding and measuring, and knows nothing of either.
        for step in beside(_steps(track, chunks)):
            kept.add(step)
            if decoder.extradata is None:
                decoder.extradata = track.extradata
            for packet in step.packets:
                for frame in decoder.decode(packet):
                    yield np.asarray(frame.to_ndarray(), np.float32)
        for frame in decoder.decode(None):
            yield np.asarray(frame.to_ndarray(), np.float32)


def _gathered(frames: Iterable[Samples]) -> Iterator[Samples]:
    """The same in blocks of _BLOCK samples and more: a codec's frames are so short that handing them on takes as long
    as decoding them."""
    waiting: list[Samples] = []
    count = 0
    for frame in frames:
        waiting.append(frame)
        count += frame.shape[1]
        if count >= _BLOCK:
            yield np.concatenate(waiting, axis=1)
            waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting, axis=1)


def _steps(track: Soundtrack, chunks: Iterable[Samples]) -> Iterator[Step]:
    for chunk in chunks:
        yield Step(chunk.shape[-1], track.encoded(chunk))
    yield Step(0, track.flushed())


def _noted(made: Mixdown, lowered: float, kind: Container) -> Mixdown:
    if lowered < 0.05:
        return made
    codec = "AAC" if kind.audio_codec == "aac" else "Opus"
    fact = f"{codec} lifts its true peak above {made.ceiling_dbtp:g} dBTP"
    note = f"its track was lowered by {lowered:.1f} dB because {fact}"
    return replace(made, notes=(*made.notes, note))


def _whole(heard: Loudness, made: Loudness) -> Loudness:
    """Levels as decoded; what silence or a short sound has not, it does not get from an encoder's noise."""
    return Loudness(
        None if made.integrated_lufs is None else heard.integrated_lufs,
        None if made.range_lu is None else heard.range_lu,
        None if made.true_peak_dbtp is None else heard.true_peak_dbtp,
    )
