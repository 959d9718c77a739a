"""Which of a timeline's markers are a clip's: those on the clip itself, or those of a timeline without clip markers."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from foleygen.cues.marker import Marker
from foleygen.cues.reading import CueFile
from foleygen.errors import UsageError, printable

_MARK = ".foley."
"""In the names of what foleygen made for a clip: its cues are the clip's."""
_MOST_NAMES = 3


class OtherClipError(UsageError):
    """A timeline whose markers are on other clips only."""


@dataclass(frozen=True)
class Placed:
    """A marker of a timeline file, and what it is on."""

    source: str
    """File name or URL of the clip's media; name of the timeline for one that is on no clip."""
    is_on_clip: bool
    marker: Marker
    """In seconds from the first picture of what it is on."""


def of_clip(file: CueFile, placed: Sequence[Placed]) -> list[Marker]:
    """The markers on the clip that is wanted; without any clip's, those of the only timeline. Raises UsageError."""
    on_clips = [one for one in placed if one.is_on_clip]
    wanted = stem(file.clip)
    own = [one.marker for one in on_clips if stem(one.source) == wanted]
    if own:
        return own
    if on_clips:
        fact = f"{printable(file.path)}: has no markers on {printable(file.clip)}, only on {_names(on_clips)}"
        raise OtherClipError(fact, "put the markers on the clip, and export them again")
    if not placed:
        raise file.error("has no markers", "put markers on the clip, and export them again")
    if len({one.source for one in placed}) > 1:
        fact = f"has markers on several timelines ({_names(placed)}) and none on a clip"
        raise file.error(fact, "export one timeline, or put the markers on the clip")
    return [one.marker for one in placed]


def stem(name: str) -> str:
    """By what a clip and its media are told to be one: the name without folder, kind of file and what we add."""
    path = unquote(urlsplit(name).path) if "://" in name else name
    last = unicodedata.normalize("NFC", PurePosixPath(path.replace("\\", "/")).name)
    return (last.partition(_MARK)[0] if _MARK in last else PurePosixPath(last).stem).casefold()


def _names(placed: Sequence[Placed]) -> str:
    names = list(dict.fromkeys(printable(unquote(one.source.rpartition("/")[2])) for one in placed))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
