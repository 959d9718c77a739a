"""Streams copied packet by packet from one container to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from foleygen.errors import ClipError, printable
from foleygen.media import forms, graft, matroska, moov, riff
from foleygen.media.clock import Clock
from foleygen.media.containers import Container
from foleygen.media.fit import advice
from foleygen.media.graft import Graft
from foleygen.media.packet_copy import StreamCopy
from foleygen.media.plain_sound import PlainSound, is_plain
from foleygen.media.probe import ClipInfo
from foleygen.media.timecode import nominal_rate

_STALE_TAGS = frozenset({"encoder", "duration", "timecode", "vendor_id"})
_KINDS = {"video": "picture", "audio": "sound", "subtitle": "subtitles"}
_DATA_STREAMS = frozenset({"klv", "timed_id3"})
"""Data that transport streams can describe."""


class StreamCopies:
    """The streams of a clip that go into its new file, and their packets on the new file's clock."""

    def __init__(
        self, source: InputContainer, target: OutputContainer, info: ClipInfo, kind: Container, clock_start: Fraction
    ) -> None:
        """``clock_start``: seconds that are taken off every time stamp."""
        self.warnings: list[str] = []
        """What to say of the copy, without the clip's name."""
        self._source, self._target, self._info, self._kind = source, target, info, kind
        self._clock_start = clock_start
        self._copies: dict[int, StreamCopy | PlainSound] = {}
        self._strict = forms.strictness(source, source.streams[info.video_index], kind)
        self._headers = {header.id: header for header in moov.tracks(info.path)}
        self._left_out: Counter[str] = Counter()
        self._shapes: dict[int, Fraction] = {}
        """Shapes of pixels, by numbers of Matroska tracks."""
        self._own_clocks = riff.clocks(info.path) if kind.constant_rate_only else []
        self._clocks: dict[int, riff.Clock] = {}
        """Lengths of sounds in AVI, by streams of the new file."""
        self._grafts: dict[int, Graft] = {}
        """Descriptions that the muxer would not write as they are in the clip, by tracks of the new file."""

    @property
    def streams(self) -> list[Stream]:
        """Source streams that are copied."""
        return [copy.source for copy in self._copies.values()]

    @property
    def clip_clock(self) -> Clock:
        """What the times of the source's packets are put right by."""
        return self._info.clock

    @property
    def picture_index(self) -> int:
        """Of the clip's picture in the new file."""
        return self._copies[self._info.video_index].target.index

    def add_pictures(self) -> None:
        """Copy the picture, other video streams and, where they fit, cover pictures."""
        if self._info.rotation and not self._kind.keeps_rotation:
            raise self._refusal("cannot say that its picture is turned", "write to {} instead")
        for stream in self._source.streams.video:
            if stream.index != self._info.video_index and stream.disposition & Disposition.attached_pic:
                self._add_cover(stream)
            else:
                self._add(stream, stream.disposition)

    def add_others(self, sounds: Set[int]) -> None:
        """Copy subtitles, attachments, data and the streams of the clip's own sound that are among ``sounds``."""
        for stream in self._source.streams:
            if stream.index in sounds:
                # In QuickTime it is what makes a track audible; elsewhere a player takes the first that has it.
                silenced = Disposition(0) if self._kind.muxer == "mov" else Disposition.default
                self._add(stream, stream.disposition & ~silenced)
            elif stream.type == "subtitle":
                self._add(stream, stream.disposition)
            elif stream.type == "attachment" and self._kind.muxer == "matroska":
                self._target.add_stream_from_template(stream)
            elif stream.type not in ("video", "audio") and not self._is_made_anew(stream):
                self._add_data(stream)
        if self._info.timecode and not self._kind.keeps_timecode:
            self._warn(f"the timecode {self._info.timecode} is only a tag in {self._kind.suffix}")
        if self._left_out:
            named = ", ".join(name if count == 1 else f"{count} {name}" for name, count in self._left_out.items())
            self._warn(f"left out, since {self._kind.suffix} cannot be given them: {named}")

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
                    "export it again with time stamps",
                )
        shown = self._copies[self._info.video_index].shown
        if shown != self._info.frame_count:
            raise ClipError(
                f"{printable(self._info.path)}: {shown} of its {self._info.frame_count} pictures could be read",
                "check that nothing writes to it and that its disk is sound, then run again",
            )

    def complete(self, written: Path) -> None:
        """Put into the closed file what its muxer could not be told. Raises OSError."""
        for copy in self._copies.values():
            if isinstance(copy, StreamCopy) and copy.target.index in self._clocks:
                clock = self._clocks[copy.target.index]
                riff.set_clock(written, copy.target.index, clock.counting(copy.packets, copy.bytes))
        self._grafts.update(self._label_tracks(written))
        if self._grafts and not graft.set_in(written, self._grafts):
            self._warn(f"{self._kind.suffix} does not describe its tracks as the clip does")
        if self._shapes and not matroska.set_pixel_shapes(written, self._shapes):
            self._warn(f"{self._kind.suffix} does not say what shape its pixels have")

    def _label_tracks(self, written: Path) -> Iterator[tuple[int, Graft]]:
        """The clip's own description of its timecode: the muxer counts its labels in units of the picture's clock."""
        own = [header.id for header in self._headers.values() if header.code == "tmcd"]
        if len(own) == 1 and self._kind.keeps_timecode:
            found = graft.cut(self._info.path, own[0], whole=False)
            for header in moov.tracks(written) if found is not None else ():
                if header.code == "tmcd" and found is not None:
                    yield header.id, found

    def _add(self, stream: Stream, disposition: Disposition) -> None:
        form = forms.form_for(stream, self._source, self._kind, self._strict)
        if form is None and isinstance(stream, AudioStream) and is_plain(stream, self._kind):
            sound = self._copies[stream.index] = PlainSound(stream, self._target, self._clock_start)
            sound.target.disposition = disposition
            sound.target.metadata.update(_kept(stream))
            return None
        if form is None:
            return self._leave_out(stream)
        copy = forms.added(self._target, stream, form, self._rate(stream))
        copy.disposition = disposition
        copy.metadata.update(_kept(stream))
        if stream.index == self._info.video_index and self._kind.keeps_timecode and self._info.reel:
            copy.metadata["reel_name"] = self._info.reel
        self._copies[stream.index] = StreamCopy(stream, copy, self._clock_start, self._info, self._kind)
        if isinstance(stream, VideoStream):
            self._note_shape(stream, copy)
            self._note_description(stream, copy)
        elif stream.type == "audio" and stream.index < len(self._own_clocks) and self._own_clocks[stream.index].is_set:
            self._clocks[copy.index] = self._own_clocks[stream.index]
        return None

    def _note_description(self, stream: VideoStream, copy: Stream) -> None:
        """Remember the clip's own description of a picture, where the new file is of just the same kind."""
        header, brand = self._headers.get(stream.id), self._source.metadata.get("major_brand", "qt").strip()
        is_same_kind = (brand == "qt") == (self._kind.muxer == "mov") and self._kind.keeps_timecode
        is_picture = header is not None and header.handler == "vide" and header.entries == 1
        if is_picture and is_same_kind:
            found = graft.cut(self._info.path, stream.id, whole=False)
            if found is not None:
                self._grafts[copy.index + 1] = found

    def _note_shape(self, stream: VideoStream, copy: Stream) -> None:
        """Remember what shape pixels have, or warn where it is told neither by the file nor by the codec."""
        shape, coded = forms.shape(stream), stream.codec_context.sample_aspect_ratio
        if shape is None:
            return
        if self._kind.muxer in ("matroska", "webm"):
            self._shapes[copy.index + 1] = shape
        elif shape == 1 and coded in (None, 0, 1):
            return
        elif not self._kind.keeps_pixel_aspect and abs((coded or 0) - shape) * stream.codec_context.width > 1:
            told = "square" if shape == 1 else f"{shape} times as wide as high"
            self._warn(f"{self._kind.suffix} cannot say that its pixels are {told}")

    def _leave_out(self, stream: Stream) -> None:
        """A track that no file could be given, or that is not the clip's picture; else refused with a way out."""
        hint = advice(self._source, self._info, self._kind, stream)
        if hint is not None or stream.index == self._info.video_index:
            code = forms.codec(stream)
            hint = hint or "export it again as H.264 or ProRes"
            raise ClipError(
                f"{printable(self._info.path)}: its {stream.type} ({code}) does not fit in {self._kind.suffix}", hint
            )
        self._left_out[self._described(stream)] += 1

    def _add_data(self, stream: Stream) -> None:
        """Copy what cameras record beside the picture, where the muxer can say what it is."""
        header = self._headers.get(stream.id)
        if self._kind.muxer == "mpegts" and _name_of(stream) in _DATA_STREAMS:
            copy: Stream = self._target.add_stream_from_template(stream)
        elif self._kind.keeps_timecode and header is not None and header.is_recorded:
            copy = forms.added_data(self._target)
            copy.time_base = stream.time_base
            copy.metadata.update(
                {key: stream.metadata[key] for key in ("handler_name", "language") if key in stream.metadata}
            )
            found = graft.cut(self._info.path, stream.id, whole=True)
            if found is not None:
                self._grafts[copy.index + 1] = found
        else:
            self._left_out[self._described(stream)] += 1
            return
        copy.disposition = stream.disposition
        self._copies[stream.index] = StreamCopy(stream, copy, self._clock_start, self._info, self._kind)

    def _described(self, stream: Stream) -> str:
        """A track in a list, such as ``sound (apac)``."""
        header = self._headers.get(stream.id)
        code = header.code.strip() if header is not None else _name_of(stream) or forms.codec(stream)
        return f"{_KINDS.get(stream.type, stream.type)} ({printable(code)})"

    def _rate(self, stream: Stream) -> Fraction | None:
        """Pictures per second, or labels of the timecode that the muxer makes for the picture."""
        if not isinstance(stream, VideoStream):
            return None
        if stream.index == self._info.video_index and self._info.timecode and self._kind.keeps_timecode:
            return self._info.timecode_rate or nominal_rate(self._info.average_rate)
        return stream.average_rate

    def _add_cover(self, stream: VideoStream) -> None:
        if self._kind.muxer == "mp4":
            self._add(stream, stream.disposition)
        else:
            self._warn(f"the cover picture was left out, {self._kind.suffix} is not given one")

    def _is_made_anew(self, stream: Stream) -> bool:
        """Timecode and chapter tracks: the muxer writes them from the file's tags."""
        header = self._headers.get(stream.id)
        if header is not None:
            return header.code == "tmcd" or (header.code == "text" and bool(self._source.chapters()))
        return "timecode" in stream.metadata or (bool(self._source.chapters()) and _name_of(stream) == "bin_data")

    def _refusal(self, fact: str, remedy: str) -> ClipError:
        where = advice(self._source, self._info, self._kind)
        return ClipError(f"{printable(self._info.path)}: {self._kind.suffix} {fact}", where or "export it again")

    def _warn(self, fact: str) -> None:
        self.warnings.append(fact)


def _name_of(stream: Stream) -> str | None:
    """Name of what a stream of data holds; streams of sound have none where there is no decoder for them."""
    found: str | None = getattr(stream, "name", None)
    return found


def _kept(stream: Stream) -> dict[str, str]:
    """The tags of a stream that are true of its copy."""
    return {key: value for key, value in stream.metadata.items() if key.lower() not in _STALE_TAGS}
