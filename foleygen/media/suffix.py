"""Which kind of file a finished clip becomes. PyAV is imported for those whose name leaves doubt alone."""

from __future__ import annotations

from pathlib import Path

from foleygen.media import moov
from foleygen.media.containers import is_written
from foleygen.settings import MAX_PIXELS

# Their files are given other kinds of streams now and then: H.264 in WebM, what players of discs do not know.
_DOUBTFUL = frozenset({".webm", ".ts", ".m2t", ".m2ts", ".mts"})
_PLAIN_MP4 = frozenset({"avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe", "mp4v", "av01", "vp09", "mp4a", "ac-3", "ec-3"})


def suffix_for(clip: Path, max_pixels: int = MAX_PIXELS) -> str:
    """The suffix of a file that holds the clip, its own if it can: what ``--container auto`` gives.

    Looks into the file where its name leaves doubt. Never raises: what is wrong with a clip is told in its turn.
    """
    own = clip.suffix.lower()
    if is_written(clip) and not _is_doubtful(clip, own):
        return own
    from foleygen.media.fit import found_for

    return found_for(clip, max_pixels)


def _is_doubtful(clip: Path, own: str) -> bool:
    if own in (".mp4", ".m4v"):
        codes = {header.code for header in moov.tracks(clip) if header.handler == "vide"}
        return bool(codes - _PLAIN_MP4)
    return own in _DOUBTFUL
