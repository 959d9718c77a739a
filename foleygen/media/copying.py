"""Streams copied packet by packet from one container to another."""

from __future__ import annotations

from collections.abc import Iterator, Set
from fractions import Fraction

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from foleygen.errors import ClipError, printable
from foleygen.media.containers import Container, suggestion
from foleygen.media.probe import ClipInfo

_STALE_TAGS = frozenset({"encoder", "duration", "timecode", "vendor_id"})
_EVEN = Fraction(1, 8)
"""Frames by which a time stamp may miss the grid of a constant rate."""
_MAX_WITHOUT_DTS = 32
"""Packets of a stream that may wait for the first dts; no codec reorders by more."""


class StreamCopies:
    """The streams of a clip that go into its new file, and their packets on the new file's clock."""

    def __init__(
        self, source: InputContainer, target: OutputContainer, info: ClipInfo, kind: Container, clock_start: Fraction
    ) -> None:
        """``clock_start``: seconds that are taken off every time stamp."""
        self.warnings: list[str] = []
        self._source, self._target, self._info, self._kind = source, target, info, kind
        self._clock_start = clock_start
        self._copies: dict[int, _StreamCopy] = {}

    @property
    def streams(self) -> list[Stream]:
        """Source streams that are copied."""
        return [copy.source for copy in self._copies.values()]

    def add_pictures(self) -> None:
        """Copy the picture, other video streams and, where they fit, cover pictures."""
        if self._info.rotation and not self._kind.keeps_rotation:
            raise ClipError(
                f"{printable(self._info.path)}: {self._kind.suffix} cannot say that its picture is turned",
                f"write to {suggestion(self._info.path, self._kind)} instead",
            )
        for stream in self._source.streams.video:
            if stream.index != self._info.video_index and stream.disposition & Disposition.attached_pic:
                self._add_cover(stream)
            else:
                self._add(stream, stream.disposition)

    def add_others(self, sounds: Set[int]) -> None:
        """Copy subtitles, attachments and the streams of the clip's own sound that are among ``sounds``."""
        for stream in self._source.streams:
            if stream.index in sounds:
                self._add(stream, stream.disposition & ~Disposition.default)
            elif stream.type == "subtitle":
                self._add(stream, stream.disposition)
            elif stream.type == "attachment" and self._kind.muxer == "matroska":
                self._target.add_stream_from_template(stream)
            elif stream.type not in ("video", "audio") and not self._is_made_anew(stream):
                self._warn(f"stream {stream.index} ({stream.type}) was left out, it cannot be copied")
        if self._info.timecode and not self._kind.keeps_timecode:
            self._warn(f"the timecode {self._info.timecode} is only a tag in {self._kind.suffix}")

    def add_chapters(self) -> None:
        chapters = self._source.chapters()
        if chapters:
            self._target.set_chapters(chapters)

    def copied(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """The packets to write now that ``packet`` was read."""
        yield from self._copies[packet.stream_index].copied(packet)

    def clock(self, packet: Packet[Stream]) -> Fraction:
        """Seconds on the new file's clock at which the packet is decoded."""
        return (packet.dts or 0) * Fraction(packet.time_base)

    def finish(self) -> None:
        """Raise ClipError when a stream was too odd to be copied, or less of the picture came than was probed."""
        for copy in self._copies.values():
            if copy.waiting:
                raise ClipError(
                    f"{printable(self._info.path)}: stream {copy.source.index} has no time stamps to copy",
                    "put it in a container such as .mkv first",
                )
        shown = self._copies[self._info.video_index].shown
        if shown != self._info.frame_count:
            raise ClipError(
                f"{printable(self._info.path)}: {shown} of its {self._info.frame_count} pictures could be read",
                "check that nothing writes to it and that its disk is sound, then run again",
            )

    def _add(self, stream: Stream, disposition: Disposition) -> None:
        codec = _codec(stream)
        try:
            if self._kind.codecs is not None and codec not in self._kind.codecs:
                raise ValueError(f"{codec} is muxed as private data")
            # The context is copied as it is: an encoder of the same name need not exist (AV1 by dav1d).
            copy = self._target.add_stream_from_template(stream, opaque=True)
        except (ValueError, av.FFmpegError) as error:
            raise ClipError(
                f"{printable(self._info.path)}: its {stream.type} ({codec}) does not fit in {self._kind.suffix}",
                f"write to {suggestion(self._info.path, self._kind)} instead",
            ) from error
        copy.disposition = disposition
        copy.metadata.update({key: value for key, value in stream.metadata.items() if key.lower() not in _STALE_TAGS})
        if isinstance(stream, VideoStream) and isinstance(copy, VideoStream):
            self._set_picture(stream, copy)
        self._copies[stream.index] = _StreamCopy(stream, copy, self._clock_start, self._info, self._kind)

    def _set_picture(self, stream: VideoStream, copy: VideoStream) -> None:
        """What a template does not carry over: the rate, without which timecodes are lost, and the shape of pixels."""
        if stream.average_rate:
            copy.codec_context.framerate = stream.average_rate
            if self._kind.constant_rate_only:
                copy.time_base = 1 / stream.average_rate
        aspect, coded = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
        if not aspect or aspect in (1, coded):
            return
        if not self._kind.keeps_pixel_aspect:
            raise ClipError(
                f"{printable(self._info.path)}: {self._kind.suffix} would lose that its pixels are not square",
                "write to .mov or .mp4 instead",
            )
        copy.codec_context.sample_aspect_ratio = aspect

    def _add_cover(self, stream: VideoStream) -> None:
        if self._kind.muxer == "mp4":
            self._add(stream, stream.disposition)
        else:
            self._warn(f"the cover picture was left out, {self._kind.suffix} is not given one")

    def _is_made_anew(self, stream: Stream) -> bool:
        """Timecode and chapter tracks: the muxer writes them from the file's tags."""
        return "timecode" in stream.metadata or (bool(self._source.chapters()) and stream.name == "bin_data")

    def _warn(self, fact: str) -> None:
        self.warnings.append(f"{printable(self._info.path)}: {fact}")


class _StreamCopy:
    """One stream on its way from source to target."""

    def __init__(self, source: Stream, target: Stream, clock_start: Fraction, info: ClipInfo, kind: Container) -> None:
        assert source.time_base is not None
        self.source = source
        self.shown = 0
        """Pictures so far that a player shows."""
        self.waiting: list[Packet[Stream]] = []
        """Packets before the first one with a dts."""
        self._target = target
        self._time_base = Fraction(source.time_base)
        self._shift = round(clock_start / self._time_base)
        self._info, self._kind = info, kind
        self._rate = source.average_rate if isinstance(source, VideoStream) and source.average_rate else Fraction(25)
        self._is_picture = source.index == info.video_index
        self._hidden_tail: list[Packet[Stream]] = []
        self._last_dts: int | None = None

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
                "write to .mp4 or .mov instead" if hideable else "export it again without edits",
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
        if packet.pts is not None:
            packet.pts -= self._shift
        if packet.dts is not None:
            packet.dts -= self._shift
        elif packet.pts is not None:
            packet.dts = packet.pts if self._last_dts is None else min(packet.pts, self._last_dts + 1)
        self._last_dts = packet.dts
        if self._is_picture and self._kind.constant_rate_only:
            self._refuse_uneven(packet)
        packet.stream = self._target
        return packet

    def _refuse_uneven(self, packet: Packet[Stream]) -> None:
        assert packet.dts is not None
        place = packet.dts * self._time_base * self._rate
        if packet.pts not in (None, packet.dts) or abs(place - round(place)) > _EVEN:
            raise ClipError(
                f"{printable(self._info.path)}: {self._kind.suffix} cannot hold its uneven or reordered pictures",
                f"write to {suggestion(self._info.path, self._kind)} instead",
            )


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if stream.codec_context is not None else "unknown codec"
