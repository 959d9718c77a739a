"""What a clip is, read from its packets: the headers of real files are often wrong or empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from foleygen.errors import ClipError, printable
from foleygen.facts import stamp
from foleygen.media import moov
from foleygen.media.clock import AS_TOLD, Clock, JointFinder, counted, tells_times
from foleygen.media.moov import TrackHeader
from foleygen.media.orientation import Orientation, orientation_of
from foleygen.media.scan import Scan, round_half_up
from foleygen.media.source import opened, packets, picture_stream
from foleygen.media.timecode import is_standard, nominal_rate
from foleygen.settings import MAX_PIXELS

MAX_DURATION = Fraction(24 * 3600)
"""Seconds beyond which the time stamps, not the clip, are thought to be at fault."""
MAX_STILL = 600
"""Seconds that one picture may last: beyond that it is a hole, and no sound is made for it."""


@dataclass(frozen=True)
class ClipInfo:
    """A clip and its picture stream."""

    path: Path
    container: str
    """Name of the demuxer, for example ``mov,mp4,m4a,3gp,3g2,mj2``."""
    duration: Fraction
    """Seconds from the first shown picture to the end of the last one."""
    start: Fraction
    """Seconds: presentation time of the first shown picture."""
    video_index: int
    width: int
    """Pixels as displayed, after rotation and with square pixels."""
    height: int
    rotation: int
    """Degrees clockwise by which a player turns the stored picture: 0, 90, 180 or 270."""
    codec: str
    pixel_format: str
    average_rate: Fraction
    """Pictures per second over the whole clip."""
    frame_count: int
    """Shown pictures."""
    audio_streams: int
    timecode: str | None
    """Start timecode, as the file gives it (``01:00:00:00``)."""
    content_id: str
    """SHA-256 (hex) over the picture's packets, relative times and orientation.

    A new name, a new sound track or another container of the same packets leaves it as it is.
    """
    warnings: tuple[str, ...] = ()
    max_pixels: int = MAX_PIXELS
    """Pixels above which no picture of it is decoded."""
    timecode_rate: Fraction | None = None
    """Labels per second of the timecode, which pictures at 59.94 may have 29.97 of; None without timecode."""
    reel: str | None = None
    """The reel or tape that the timecode counts on."""
    clock: Clock = AS_TOLD
    """What the times of its packets are put right by."""
    stamp: str | None = field(default=None, compare=False)
    """Of the file before it was read (``facts.stamp``)."""


def probe(path: Path, max_pixels: int = MAX_PIXELS) -> ClipInfo:
    """Read a clip's facts; demuxes all of the picture and decodes one frame of it.

    Raises ClipError, also for a picture of more than ``max_pixels`` pixels.
    """
    found = stamp(path)
    with opened(path, max_pixels) as container:
        stream = picture_stream(container, path)
        _refuse_what_cannot_be_decoded(stream, path, max_pixels)
        clock = AS_TOLD if tells_times(container) else _counted(path, max_pixels)
        scan = Scan(stream, path)
        joints = JointFinder(container, scan.step * scan.time_base)
        for packet in packets(container, stream, clock=clock):
            joints.move(packet)
            scan.add(packet)
        frame = scan.first_frame()
        info = _described(path, container, stream, scan, frame)
        return replace(
            info,
            max_pixels=max_pixels,
            stamp=found,
            clock=clock or joints.clock,
            warnings=(*_joints(joints), *info.warnings),
        )


def _counted(path: Path, max_pixels: int) -> Clock:
    """The clock of a clip whose packets have no times; the file is read once more for it."""
    with opened(path, max_pixels) as container:
        stream = picture_stream(container, path)
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        return counted(stream, packets(container, stream))


def _joints(found: JointFinder) -> Iterator[str]:
    """What to say of recordings that were joined."""
    if found.jumps:
        before, after = (float(time) for time in found.jumps[0])
        fact = f"its times go from {before:.2f} s to {after:.2f} s"
        rest = f", the first of {len(found.jumps)} jumps" if len(found.jumps) > 1 else ""
        yield f"{fact}{rest}, as those of joined recordings do: the parts follow each other without a gap"


def _described(path: Path, container: InputContainer, stream: VideoStream, scan: Scan, frame: VideoFrame) -> ClipInfo:
    assert scan.first is not None
    start = scan.first * scan.time_base
    whole = scan.end * scan.time_base - start
    if not 0 < whole <= MAX_DURATION:
        raise ClipError(
            f"{printable(path)}: its time stamps span {float(whole):.0f} s", "export it again with sound time stamps"
        )
    headers = moov.tracks(path)
    duration = _end(stream, scan, headers) * scan.time_base - start
    longest = scan.longest * scan.time_base
    if longest > MAX_STILL:
        fact = f"its times jump by {float(longest):.0f} s from one picture to the next"
        raise ClipError(f"{printable(path)}: {fact}", "cut it there, and give the parts")
    orientation = orientation_of(frame)
    width, height = _displayed_size(stream, frame, orientation)
    return ClipInfo(
        path=path,
        container=container.format.name,
        duration=duration,
        start=start,
        video_index=stream.index,
        width=width,
        height=height,
        rotation=orientation.degrees,
        codec=stream.codec_context.name,
        pixel_format=frame.format.name,
        average_rate=scan.shown / duration,
        frame_count=scan.shown,
        audio_streams=len(container.streams.audio),
        timecode=timecode_of(container, stream),
        timecode_rate=_timecode_rate(container, stream, headers, scan.shown / duration),
        reel=_tag("reel_name", container, stream),
        content_id=scan.content_id(orientation),
        warnings=tuple(_warnings(container, stream, scan, orientation)),
    )


def _end(stream: VideoStream, scan: Scan, headers: Sequence[TrackHeader]) -> Fraction:
    """Time base units: end of the last shown picture, or of the edit list within it."""
    header = next((header for header in headers if header.id == stream.id), None)
    if header is not None and header.shown and scan.first is not None and scan.last is not None:
        edited = scan.first + header.shown / scan.time_base
        if scan.last < edited < scan.end - header.tick / scan.time_base:
            return edited
    return scan.end


def _warnings(container: InputContainer, stream: VideoStream, scan: Scan, orientation: Orientation) -> Iterator[str]:
    there = scan.read
    if container.format.name == "avi" and scan.last is not None:
        # Pictures of no bytes, where a camera dropped one, count in the header and in the times.
        there = max(there, scan.last + 1)
    if stream.frames > there + 1:
        yield f"cut short: {scan.read} of the {stream.frames} pictures that the header announces are there"
    if scan.corrupt:
        yield f"{scan.corrupt} damaged picture{'s' if scan.corrupt > 1 else ''}"
    if orientation.mirrored:
        yield "the picture is shown mirrored"


def _refuse_what_cannot_be_decoded(stream: VideoStream, path: Path, max_pixels: int) -> None:
    name = printable(path)
    if stream.codec_context is None:
        raise ClipError(f"{name}: no decoder for its picture", "export it as H.264, ProRes or VP9")
    width, height = stream.codec_context.width, stream.codec_context.height
    # Of a picture that is larger still, libavcodec keeps no size at all.
    if width * height > max_pixels or not width:
        remedy = "export it smaller" if max_pixels == MAX_PIXELS else "export it smaller, or raise --max-pixels"
        fact = f"its picture of {width}x{height} has" if width else "its picture has no size, or"
        raise ClipError(f"{name}: {fact} more pixels than --max-pixels {max_pixels}", remedy)
    if not stream.time_base:
        raise ClipError(f"{name}: its picture has no time base", "export it again")
    stream.codec_context.options = {"max_pixels": str(max_pixels)}


def _displayed_size(stream: VideoStream, frame: VideoFrame, orientation: Orientation) -> tuple[int, int]:
    width, height = frame.width, frame.height
    aspect = stream.sample_aspect_ratio
    if aspect and aspect > 0:
        width = max(1, round_half_up(width * Fraction(aspect)))
    return (height, width) if orientation.sideways else (width, height)


def timecode_of(container: InputContainer, stream: VideoStream) -> str | None:
    """The label of the first picture, as the file gives it."""
    return _tag("timecode", container, stream)


def _timecode_rate(
    container: InputContainer, stream: VideoStream, headers: Sequence[TrackHeader], measured: Fraction
) -> Fraction | None:
    if timecode_of(container, stream) is None:
        return None
    told = next((track.rate for track in map(moov.timecode_track, headers) if track is not None), None)
    # Pictures of uneven length are labelled at the rate that they are meant to have.
    guessed = stream.guessed_rate
    meant = nominal_rate(guessed if guessed and not is_standard(measured) else measured)
    if told is None:
        return meant
    # The track may have rounded its rate to units of the picture's clock: 12800/427 may be 30, or 29.97.
    return next((rate for rate in (meant, meant / 2, 2 * meant) if abs(rate - told) < told / 500), nominal_rate(told))


def _tag(name: str, container: InputContainer, stream: VideoStream) -> str | None:
    for metadata in (stream.metadata, container.metadata, *(other.metadata for other in container.streams)):
        for key, value in metadata.items():
            if key.lower() == name:
                return value
    return None
