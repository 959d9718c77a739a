"""Which kind of file can hold a clip: found by trying, so that no advice leads to the next refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from av.container import InputContainer
from av.stream import Stream

from foleygen.errors import ClipError
from foleygen.media import forms
from foleygen.media.containers import Container, container_for, is_written
from foleygen.media.first_picture import comes_back
from foleygen.media.plain_sound import is_plain
from foleygen.media.probe import ClipInfo
from foleygen.media.source import opened, picture_stream
from foleygen.settings import MAX_PIXELS

FALLBACK = ".mkv"
"""For clips that cannot be opened before their turn comes: it holds nearly every codec."""
_GIVEN = (".mp4", ".mov", ".mkv", ".webm")
"""What ``--container`` can be."""
_GENERAL = (".mkv", ".mov", ".mp4")


def found_for(clip: Path, max_pixels: int = MAX_PIXELS) -> str:
    """The suffix of a file that holds the clip, its own if it can; what is wrong with it is told in its turn."""
    own = clip.suffix.lower()
    try:
        with opened(clip, max_pixels) as source:
            picture = picture_stream(source, clip)
            return _best(source, picture, clip) or (own if is_written(clip) else FALLBACK)
    except ClipError:
        return own if is_written(clip) else FALLBACK


def advice(source: InputContainer, info: ClipInfo, refused: Container, stream: Stream | None = None) -> str | None:
    """The way out when ``refused`` cannot hold the clip, or its ``stream``; None where no kind of file can."""
    picture, own = source.streams[info.video_index], info.path.suffix.lower()
    for kind in _kinds(source, info.path):
        turned = not info.rotation or kind.keeps_rotation
        wanted = [picture] if stream is None else [picture, stream]
        fits = turned and all(_holds(kind, source, picture, one) for one in wanted)
        if kind.suffix != refused.suffix and fits and comes_back(info.path, picture.index, kind, info.max_pixels):
            if kind.suffix in _GIVEN:
                return f"write to {kind.suffix} instead"
            if kind.suffix == own:
                return f"leave --container at auto, which keeps {own}"
    return None


def _best(source: InputContainer, picture: Stream, clip: Path) -> str | None:
    """The first kind that holds the picture and every sound, else the first that holds the picture."""
    fitting = [kind for kind in _kinds(source, clip) if _holds(kind, source, picture, picture)]
    for kind in fitting:
        if all(_holds(kind, source, picture, sound) for sound in source.streams.audio):
            return kind.suffix
    return fitting[0].suffix if fitting else None


def _holds(kind: Container, source: InputContainer, picture: Stream, stream: Stream) -> bool:
    if is_plain(stream, kind):
        return True
    return forms.form_for(stream, source, kind, forms.strictness(source, picture, kind)) is not None


def _kinds(source: InputContainer, clip: Path) -> Iterator[Container]:
    """Kinds of files to try, those most like the clip's own first."""
    suffixes = [clip.suffix.lower()] if is_written(clip) else []
    demuxers = set(source.format.name.split(","))
    if "mov" in demuxers:
        suffixes += [".mov", ".mp4"] if source.metadata.get("major_brand", "qt").strip() == "qt" else [".mp4", ".mov"]
    elif demuxers & {"mxf", "dv", "gif"}:
        suffixes += [".mov"]
    elif "mpegts" in demuxers:
        suffixes += [".ts"]
    for suffix in dict.fromkeys([*suffixes, *_GENERAL]):
        yield container_for(Path(suffix.removeprefix(".")).with_suffix(suffix), clip)
