"""How long a clip says it is."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer

from foleygen.media.source import opened, picture_stream
from foleygen.settings import MAX_PIXELS


def header_seconds(path: Path, max_pixels: int = MAX_PIXELS) -> float:
    """Seconds that the header announces, 0 where it does not: quick, and not to be relied on for a sound.

    Raises ClipError for what cannot be opened or has no picture. Should a picture have to be decoded to open it, then
    none of more than ``max_pixels``.
    """
    with opened(path, max_pixels, decodes=False) as container:
        if _is_told(container):
            return _seconds(container, path)
    with opened(path, max_pixels) as container:
        return _seconds(container, path)


def _is_told(container: InputContainer) -> bool:
    """Whether the headers alone say which stream is the picture, and how long it is."""
    pictures = container.streams.video
    sizes = [stream.codec_context is not None and stream.codec_context.width > 0 for stream in pictures]
    return bool(pictures) and all(sizes) and all(stream.duration or container.duration for stream in pictures)


def _seconds(container: InputContainer, path: Path) -> float:
    stream = picture_stream(container, path)
    if stream.duration and stream.time_base:
        return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, (container.duration or 0) / av.time_base)
