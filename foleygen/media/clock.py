"""When the pictures and sounds of a clip are played, where its packets do not say so, or say two things.

Recordings that were joined end to end begin to count anew in the middle; elementary streams do not count at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

HOLE_S = 60
"""Seconds between two pictures of a transport stream above which its clock, not the picture, is thought to jump."""
_SAME_JOINT_S = 1
"""Seconds by which the jump of a sound may differ from that of the picture at the same joint."""
_WITHOUT_TIMES = frozenset({"h264", "hevc", "vvc"})
"""Demuxers of elementary streams that reorder their pictures and tell no times."""


@dataclass(frozen=True)
class Clock:
    """What is added to the times of a clip's packets; both parts are empty for nearly all clips."""

    shifts: tuple[Fraction, ...] = ()
    """Seconds for each of the parts that were joined; the first is 0."""
    places: tuple[int, ...] = ()
    """Of a stream without times: the place of each packet's picture among those that are shown."""
    step: Fraction = Fraction(0)
    """Seconds from one picture of such a stream to the next."""

    def __bool__(self) -> bool:
        return bool(self.shifts or self.places)

    def corrected(self, packets: Iterable[Packet[Stream]]) -> Iterator[Packet[Stream]]:
        """The packets, from the first one on, with their times put right."""
        if self.places:
            yield from self._placed(packets)
        elif self.shifts:
            joined: dict[int, _Joined] = {}
            for packet in packets:
                joined.setdefault(packet.stream_index, _Joined(self.shifts)).move(packet)
                yield packet
        else:
            yield from packets

    def _placed(self, packets: Iterable[Packet[Stream]]) -> Iterator[Packet[Stream]]:
        late = max(index - place for index, place in enumerate(self.places))
        for index, packet in enumerate(packets):
            if index < len(self.places):
                ticks = self.step / Fraction(packet.time_base)
                packet.pts = round(self.places[index] * ticks)
                packet.dts = round((index - late) * ticks)
                packet.duration = round(ticks)
            yield packet


AS_TOLD = Clock()
"""The times are those of the file."""


class JointFinder:
    """Looks for joints among the packets of a picture as they go by, and moves what is behind them."""

    def __init__(self, container: InputContainer, step: Fraction) -> None:
        """``step``: seconds from one picture to the next."""
        self._looks = "mpegts" in container.format.name.split(",")
        self._step = step
        self._shifts = [Fraction(0)]
        self._last: Fraction | None = None
        self.jumps: list[tuple[Fraction, Fraction]] = []
        """Seconds of the file's own clock at which it jumps, and where to."""

    def move(self, packet: Packet[Stream]) -> None:
        """Put the times of a packet right."""
        if not self._looks or packet.dts is None:
            return
        time = packet.dts * Fraction(packet.time_base)
        if self._last is not None and not 0 <= time - self._last <= HOLE_S:
            self.jumps.append((self._last, time))
            self._shifts.append(self._shifts[-1] + self._last + self._step - time)
        self._last = time
        _shift(packet, self._shifts[-1])

    @property
    def clock(self) -> Clock:
        """What was found."""
        return Clock(tuple(self._shifts)) if self.jumps else AS_TOLD


class _Joined:
    """One stream, as it comes to the joints that its picture has."""

    def __init__(self, shifts: tuple[Fraction, ...]) -> None:
        self._shifts = shifts
        self._part = 0
        self._last: Fraction | None = None

    def move(self, packet: Packet[Stream]) -> None:
        if packet.dts is None:
            return
        time = packet.dts * Fraction(packet.time_base)
        if self._last is not None and self._part + 1 < len(self._shifts):
            jump = self._last - time
            expected = self._shifts[self._part + 1] - self._shifts[self._part]
            has_jumped = jump > 0 or -jump > HOLE_S
            self._part += has_jumped and abs(jump - expected) <= _SAME_JOINT_S
        self._last = time
        _shift(packet, self._shifts[self._part])


def tells_times(container: InputContainer) -> bool:
    """False for an elementary stream, whose packets have no times."""
    return not _WITHOUT_TIMES & set(container.format.name.split(","))


def counted(stream: VideoStream, packets: Iterable[Packet[Stream]]) -> Clock:
    """The clock of an elementary stream: all of its ``packets`` are decoded to see in which order they are shown."""
    order, count = _decoded_order(stream, packets)
    shown = {index: place for place, index in enumerate(order)}
    # What does not decode is taken to be shown in its turn, behind all that does.
    rest = iter(range(len(order), count))
    places = tuple(shown[index] if index in shown else next(rest) for index in range(count))
    return Clock(places=places, step=1 / (stream.average_rate or Fraction(25)))


def _decoded_order(stream: VideoStream, packets: Iterable[Packet[Stream]]) -> tuple[list[int], int]:
    """Numbers of packets in the order in which their pictures are shown, and how many packets there are."""
    order: list[int] = []
    count = 0
    stream.thread_type = "AUTO"
    for packet in packets:
        packet.pts = packet.dts = count
        count += 1
        order += _numbers(stream, packet)
    return order + _numbers(stream, None), count


def _numbers(stream: VideoStream, packet: Packet[Stream] | None) -> list[int]:
    try:
        return [frame.pts for frame in stream.codec_context.decode(packet) if frame.pts is not None]
    except av.FFmpegError:
        return []


def _shift(packet: Packet[Stream], seconds: Fraction) -> None:
    if seconds:
        ticks = round(seconds / Fraction(packet.time_base))
        if packet.dts is not None:
            packet.dts += ticks
        if packet.pts is not None:
            packet.pts += ticks
