"""Sound of discs without loss, in the plain form that other files hold: the same samples in another order of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from foleygen.media.containers import Container
from foleygen.media.forms import codec

_CODECS = frozenset({"pcm_dvd", "pcm_bluray"})
_MUXERS = frozenset({"matroska", "mov"})
_GAP_S = Fraction(1, 10)
"""Time stamps that jump by more than this are a gap."""


def is_plain(stream: Stream, kind: Container) -> bool:
    """The samples of ``stream`` can be written to a file of ``kind`` as they are."""
    return stream.type == "audio" and codec(stream) in _CODECS and kind.muxer in _MUXERS


class PlainSound:
    """One sound on its way into another file; the counterpart of a stream that is copied packet by packet."""

    shown = 0
    waiting: tuple[Packet[Stream], ...] = ()

    def __init__(self, source: AudioStream, target: OutputContainer, clock_start: Fraction) -> None:
        """``clock_start``: seconds that are taken off every time stamp."""
        self.source = source
        self._clock_start = clock_start
        wide = source.codec_context.format.name == "s32"
        self._rate = source.codec_context.sample_rate
        stream = target.add_stream(
            "pcm_s24le" if wide else "pcm_s16le", rate=self._rate, layout=source.codec_context.layout.name
        )
        assert isinstance(stream, AudioStream)
        stream.codec_context.format = "s32" if wide else "s16"
        stream.codec_context.time_base = stream.time_base = Fraction(1, self._rate)
        self.target: AudioStream = stream
        self._next: int | None = None

    def copied(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """The packets to write now that ``packet`` was read; what does not decode is left out."""
        try:
            frames = self.source.decode(packet)
        except av.FFmpegError:
            return
        for frame in frames:
            frame.pts, frame.time_base = self._place(frame), Fraction(1, self._rate)
            self._next = frame.pts + frame.samples
            yield from self.target.encode(frame)

    def _place(self, frame: AudioFrame) -> int:
        """The sample on the new file's clock at which a frame begins: behind the last one, unless there is a gap."""
        if frame.pts is None or frame.time_base is None:
            return self._next or 0
        told = round((frame.pts * Fraction(frame.time_base) - self._clock_start) * self._rate)
        if self._next is None or told - self._next > _GAP_S * self._rate:
            return told
        return self._next
