"""One stream on its way into another file: its packets, untouched, on the new file's clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from foleygen.errors import ClipError, printable
from foleygen.media.containers import Container
from foleygen.media.probe import ClipInfo

_EVEN = Fraction(1, 8)
"""Frames by which a time stamp may miss the grid of a constant rate."""
_MAX_WITHOUT_DTS = 32
"""Packets of a stream that may wait for the first dts; no codec reorders by more."""


class StreamCopy:
    """One stream on its way from source to target."""

    def __init__(self, source: Stream, target: Stream, clock_start: Fraction, info: ClipInfo, kind: Container) -> None:
        assert source.time_base is not None
        self.source, self.target = source, target
        self.shown = 0
        """Pictures so far that a player shows."""
        self.packets = self.bytes = 0
        """Copied so far."""
        self.waiting: list[Packet[Stream]] = []
        """Packets before the first one with a dts."""
        self._time_base = Fraction(source.time_base)
        self._shift = round(clock_start / self._time_base)
        self._info, self._kind = info, kind
        self._rate = source.average_rate if isinstance(source, VideoStream) and source.average_rate else Fraction(25)
        self._is_picture = source.index == info.video_index
        self._hidden_tail: list[Packet[Stream]] = []
        self._last_dts: int | None = None
        self._last_tick = -1

    def copied(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        if self._is_picture:
            for shown in self._without_hidden_tail(packet):
                yield from self._timed(shown)
        else:
            yield from self._timed(packet)

    def _without_hidden_tail(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """Hold back packets that an edit list hides until one that is shown follows; those at the end are dropped."""
        self.shown += not packet.is_discard
        if packet.is_discard:
            self._refuse_if_not_hidden_again(packet)
            self._hidden_tail.append(packet)
            return []
        ready = [*self._hidden_tail, packet]
        self._hidden_tail.clear()
        return ready

    def _refuse_if_not_hidden_again(self, packet: Packet[Stream]) -> None:
        time = packet.pts * self._time_base if packet.pts is not None else Fraction(0)
        within = self._info.start <= time < self._info.start + self._info.duration
        hideable = not within and (self._info.start <= 0 or time > self._info.start)
        leads_in = time < self._info.start
        if not hideable or (leads_in and not self._kind.keeps_hidden_frames):
            raise ClipError(
                f"{printable(self._info.path)}: its edit list hides pictures that {self._kind.suffix} would show",
                "write to .mov or .mp4 instead" if hideable else "export it again without edits",
            )

    def _timed(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """Packets on the new clock, each with a dts; those before the stream's first dts wait for it."""
        if packet.pts is None and packet.dts is None and self.source.disposition & Disposition.attached_pic:
            packet.pts = packet.dts = 0
        if packet.dts is None and self._last_dts is None and len(self.waiting) < _MAX_WITHOUT_DTS:
            self.waiting.append(packet)
            return
        if self.waiting:
            self._backdate(packet.dts)
        for ready in (*self.waiting, packet):
            yield self._moved(ready)
        self.waiting.clear()

    def _backdate(self, first_dts: int | None) -> None:
        """Decoding times for the waiting packets: evenly spaced before the first known one, never after their pts."""
        known = [packet.pts for packet in self.waiting if packet.pts is not None]
        if first_dts is None or len(known) < len(self.waiting):
            return
        step = max(1, *(packet.duration or 0 for packet in self.waiting))
        later = first_dts
        for packet in reversed(self.waiting):
            assert packet.pts is not None
            later = packet.dts = min(later - step, packet.pts)

    def _moved(self, packet: Packet[Stream]) -> Packet[Stream]:
        if self._is_picture:
            self._end_with_the_clip(packet)
        if packet.pts is not None:
            packet.pts -= self._shift
        if packet.dts is not None:
            packet.dts -= self._shift
        elif packet.pts is not None:
            packet.dts = packet.pts if self._last_dts is None else min(packet.pts, self._last_dts + 1)
        if self._info.clock and packet.dts is not None and self._last_dts is not None:
            self._follow(packet, packet.dts, self._last_dts + 1)
        self._last_dts = packet.dts
        if self._kind.constant_rate_only:
            self._count(packet)
        packet.stream = self.target
        self.packets += 1
        self.bytes += packet.size
        return packet

    def _follow(self, packet: Packet[Stream], dts: int, earliest: int) -> None:
        """Sound that overlaps where two recordings were joined is moved behind what is there."""
        if dts < earliest:
            packet.dts = earliest
            packet.pts = None if packet.pts is None else max(packet.pts, earliest)

    def _end_with_the_clip(self, packet: Packet[Stream]) -> None:
        """No picture lasts longer than the clip: the one that was decoded last may carry the time of another."""
        if packet.pts is not None and packet.duration:
            left = math.ceil((self._info.start + self._info.duration) / self._time_base) - packet.pts
            if 0 < left < packet.duration:
                packet.duration = left

    def _count(self, packet: Packet[Stream]) -> None:
        """AVI has no times, only numbers: packets keep their places in the file that they are from."""
        if self._info.container == "avi":
            packet.pts = packet.dts
        if self._is_picture:
            self._refuse_uneven(packet)
        elif packet.dts is not None and self.target.time_base:
            # Blocks of sound that last a little less than the muxer thinks would fall on the one before.
            ticks = round(packet.dts * self._time_base / Fraction(self.target.time_base))
            self._last_tick = ticks = max(ticks, self._last_tick + 1)
            packet.pts = packet.dts = ticks
            packet.time_base = Fraction(self.target.time_base)

    def _refuse_uneven(self, packet: Packet[Stream]) -> None:
        assert packet.dts is not None
        place = packet.dts * self._time_base * self._rate
        if packet.pts not in (None, packet.dts) or abs(place - round(place)) > _EVEN:
            raise ClipError(
                f"{printable(self._info.path)}: {self._kind.suffix} cannot hold its uneven or reordered pictures",
                "write to .mkv or .mov instead",
            )
