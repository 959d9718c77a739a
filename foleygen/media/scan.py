"""What the packets of a picture tell as they go by: how many, how long, and which clip it is."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from foleygen.errors import ClipError, printable
from foleygen.media.orientation import Orientation


class Scan:
    """Facts gathered over the packets of a picture stream, in file order."""

    def __init__(self, stream: VideoStream, path: Path) -> None:
        assert stream.time_base is not None
        self.stream = stream
        self.path = path
        self.time_base = Fraction(stream.time_base)
        self.step = 1 / (stream.average_rate or Fraction(25)) / self.time_base
        self.read = self.shown = self.corrupt = self.hidden = 0
        self.first: int | None = None
        self.last: int | None = None
        self.before_last: int | None = None
        self.last_duration = 0
        self.longest = 0
        """Time base units from one packet to the next, at most."""
        self._dts: int | None = None
        self._frame: VideoFrame | None = None
        self._digest = hashlib.sha256()
        self._origin_ms: int | None = None

    def add(self, packet: Packet[Stream]) -> None:
        time = _time(packet, self.read, self.step)
        self.read += 1
        self.corrupt += packet.is_corrupt
        self._hash(packet, time)
        if self._frame is None:
            self._frame = _decoded(self.stream, packet)
        if packet.is_discard:
            self.hidden += 1
            return
        self.shown += 1
        if packet.dts is not None:
            self.longest = max(self.longest, packet.dts - (packet.dts if self._dts is None else self._dts))
            self._dts = packet.dts
        if self.first is None or time < self.first:
            self.first = time
        if self.last is None or time > self.last:
            self.before_last, self.last = self.last, time
            self.last_duration = packet.duration or 0
        elif self.before_last is None or self.before_last < time < self.last:
            self.before_last = time

    def _hash(self, packet: Packet[Stream], time: int) -> None:
        # Milliseconds, rounded before the origin is taken off, because that is what Matroska keeps of a time stamp.
        milliseconds = round_half_up(time * self.time_base * 1000)
        if self._origin_ms is None:
            self._origin_ms = milliseconds
        self._digest.update(b"%d %d\n" % (milliseconds - self._origin_ms, packet.size))
        self._digest.update(packet)

    def first_frame(self) -> VideoFrame:
        """The first picture that decodes. Raises ClipError."""
        name = printable(self.path)
        if self.read == self.corrupt:
            raise ClipError(f"{name}: holds no picture data", "copy or export it again")
        if self._frame is None:
            self._frame = _decoded(self.stream, None)
        if self._frame is None:
            announced = f", of {self.stream.frames} announced," if self.stream.frames > self.read + 1 else ""
            raise ClipError(f"{name}: none of its {self.read} pictures{announced} can be decoded", "export it again")
        if self.first is None:
            raise ClipError(f"{name}: its edit list hides every picture", "export it again")
        return self._frame

    @property
    def end(self) -> Fraction:
        """Time base units: end of the last shown picture."""
        assert self.last is not None
        if self.last_duration > 0:
            return Fraction(self.last + self.last_duration)
        if self.before_last is not None and self.last > self.before_last:
            return Fraction(2 * self.last - self.before_last)
        return self.last + self.step

    def content_id(self, orientation: Orientation) -> str:
        turned = self._digest.copy()
        turned.update(b"turned %d mirrored %d\n" % (orientation.degrees, orientation.mirrored))
        return turned.hexdigest()


def round_half_up(value: Fraction) -> int:
    """The nearest whole number, the greater one of two."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def _time(packet: Packet[Stream], index: int, step: Fraction) -> int:
    """Presentation time of the packet, in its stream's time base; ``step`` is one frame in that base."""
    if packet.pts is not None:
        return packet.pts
    return packet.dts if packet.dts is not None else round(index * step)


def _decoded(stream: VideoStream, packet: Packet[Stream] | None) -> VideoFrame | None:
    try:
        frames = stream.codec_context.decode(packet)
    except av.FFmpegError:
        return None
    return frames[0] if frames else None
