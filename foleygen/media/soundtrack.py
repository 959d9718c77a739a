"""The new sound track of a file: 48 kHz, encoded as the container likes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from numpy.typing import NDArray

from foleygen.facts import SAMPLE_RATE
from foleygen.media.channels import LAYOUTS
from foleygen.media.containers import Container

TITLE = "Foley"
AMBIENCE_TITLE = "Ambience"

# Sample formats of the encoders, with the bits they keep of it.
_INTEGER_FORMATS = {"pcm_s24le": ("s32", 24), "pcm_s16le": ("s16", 16)}

# Nearer to the sound than the default coder at these bit rates (clicks: 51 dB of SNR for 41) in half the time.
_OPTIONS = {"aac": {"aac_coder": "fast"}}
_Native = NDArray[np.float32] | NDArray[np.int32] | NDArray[np.int16]


class Soundtrack:
    """Encodes samples to packets of one audio stream of ``target``."""

    def __init__(
        self,
        target: OutputContainer,
        kind: Container,
        first_sample: int,
        channels: int = 1,
        title: str = TITLE,
        default: bool = True,
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``first_sample``: 48 kHz samples on the file's clock at which the picture begins; ``default``: players
        start with it; ``notes``: tags of the track."""
        self.samples = 0
        self._layout = LAYOUTS[channels]
        self._first_sample = first_sample
        self._codec = kind.audio_codec
        self._format, self._bits = _INTEGER_FORMATS.get(kind.audio_codec, ("fltp", 0))
        stream = target.add_stream(kind.audio_codec, rate=SAMPLE_RATE, options=_OPTIONS.get(kind.audio_codec))
        assert isinstance(stream, AudioStream)
        self._stream: AudioStream = stream
        context = self._stream.codec_context
        context.layout = self._layout
        context.format = "flt" if self._codec == "libopus" else self._format
        if kind.bit_rate:
            context.bit_rate = kind.bit_rate
        context.time_base = self._stream.time_base = Fraction(1, SAMPLE_RATE)
        if default:
            self._stream.disposition = Disposition.default
        self._stream.metadata.update({**notes, "title": title})
        if kind.keeps_timecode:
            # What QuickTime players and editors show as the track's name.
            self._stream.metadata["handler_name"] = title

    @property
    def time(self) -> Fraction:
        """Seconds on the file's clock up to which sound was given."""
        return Fraction(self._first_sample + self.samples, SAMPLE_RATE)

    @property
    def extradata(self) -> bytes | None:
        """What a decoder of its packets must know, once some were encoded."""
        return self._stream.codec_context.extradata

    def encoded(self, samples: NDArray[np.float32]) -> list[Packet[Stream]]:
        """Packets that are complete after ``samples``, (n,) or (channels, n) float32.

        Encoders of integers take no more than [-1, 1].
        """
        native = self._quantised(np.atleast_2d(samples))
        frame = AudioFrame.from_ndarray(native, self._format, self._layout)
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = self._first_sample + self.samples, Fraction(1, SAMPLE_RATE)
        self.samples += samples.shape[-1]
        return list(self._stream.encode(frame))

    def flushed(self) -> list[Packet[Stream]]:
        return list(self._stream.encode(None))

    def taken(self, samples: int, packets: Sequence[Packet[Stream]]) -> list[Packet[Stream]]:
        """Packets that another track of the same kind has encoded from ``samples`` more, as some of this one."""
        self.samples += samples
        for packet in packets:
            packet.stream = self._stream
            packet.pts = None if packet.pts is None else packet.pts + self._first_sample
            packet.dts = None if packet.dts is None else packet.dts + self._first_sample
        return list(packets)

    def _quantised(self, samples: NDArray[np.float32]) -> _Native:
        """Rounded to the encoder's integers; what a decoder divides by 2**(bits - 1) comes back to the same ones."""
        if not self._bits:
            return np.ascontiguousarray(samples, np.float32)
        full = 2.0 ** (self._bits - 1)
        # Packed formats: the channels take turns in one row.
        words = np.rint(samples.T.reshape(1, -1).astype(np.float64) * full)
        assert np.abs(words).max(initial=0) <= full, "above full scale: a track is lowered before it is encoded"
        # +1.0 itself has no word, only the one below it.
        words = np.minimum(words, full - 1)
        if self._bits == 16:
            return words.astype(np.int16)
        # s32 holds 24 bits at its top; rounded here because libavcodec would cut.
        top = words * 256
        return top.astype(np.int32)
