"""How long a clip says it is."""

from __future__ import annotations

from pathlib import Path

import av

from foleygen.media.source import opened, picture_stream
from foleygen.settings import MAX_PIXELS


def header_seconds(path: Path, max_pixels: int = MAX_PIXELS) -> float:
    """Seconds that the header announces, 0 where it does not: quick, and not to be relied on for a sound.

    Raises ClipError for what cannot be opened or has no picture. Should a picture have to be decoded to open it, then
    none of more than ``max_pixels``.
    """
    with opened(path, max_pixels) as container:
        stream = picture_stream(container, path)
        if stream.duration and stream.time_base:
            return max(0.0, float(stream.duration * stream.time_base))
        return max(0.0, (container.duration or 0) / av.time_base)
