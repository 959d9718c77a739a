"""The finished file, looked at once more before it gets its name: does its picture come back?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from foleygen.errors import ClipError, printable
from foleygen.media.containers import Container
from foleygen.media.first_picture import are_equal, first_picture
from foleygen.media.fit import advice
from foleygen.media.probe import ClipInfo, timecode_of
from foleygen.media.source import opened


def prove(info: ClipInfo, written: Path, index: int, kind: Container) -> Iterator[str]:
    """What a finished file lost that no muxer told, without the clip's name; its picture is stream ``index``.

    Raises ClipError where its first picture does not decode to that of the clip.
    """
    with opened(info.path, info.max_pixels) as source:
        picture = source.streams[info.video_index]
        assert isinstance(picture, VideoStream)
        before = first_picture(source, picture, info.max_pixels)
        after, timecode = _looked_at(written, index, info.max_pixels)
        if before is not None and not before.is_corrupt and (after is None or not are_equal(before, after)):
            remedy = advice(source, info, kind) or "export it again as H.264 or ProRes"
            raise ClipError(
                f"{printable(info.path)}: its picture ({info.codec}) does not come back from {kind.suffix}", remedy
            )
    if info.timecode and kind.keeps_timecode and timecode != info.timecode:
        yield f"its timecode {printable(info.timecode)} could not be kept in {kind.suffix}"


def _looked_at(written: Path, index: int, max_pixels: int) -> tuple[VideoFrame | None, str | None]:
    """First picture and timecode of the new file's stream ``index``; None for what is not there."""
    try:
        with opened(written, max_pixels) as finished:
            stream = finished.streams[index]
            if isinstance(stream, VideoStream):
                return first_picture(finished, stream, max_pixels), timecode_of(finished, stream)
    except (ClipError, IndexError):
        pass
    return None, None
