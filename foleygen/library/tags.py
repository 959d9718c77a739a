"""What a sound file says of itself inside: bext, iXML, and the tags that libsndfile reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foleygen.cues import markup
from foleygen.media import wav_chunks
from foleygen.media.wav_chunks import Place
from foleygen.regular import opened

_MOST = 1 << 20
"""Bytes of a chunk that are read; what is longer is no description."""
_MOST_TEXT = 2000
_DESCRIPTION = 256
"""Bytes at the beginning of a bext chunk."""
_CATIDS, _TEXTS = (
    ("catid",),
    ("fxname", "description", "keywords", "category", "subcategory", "bwf_description", "note"),
)
"""Elements of iXML, in small letters: of its ASWG and USER parts, and its own."""
_TITLES = ("title", "comment", "genre", "album")
_LICENCES, _AUTHORS = ("license", "copyright"), ("artist",)


@dataclass(frozen=True)
class Tags:
    """All that was found; texts are clean, and empty where there is nothing."""

    words: str = ""
    catid: str | None = None
    licence: str | None = None
    author: str | None = None


def read(path: Path, known: Mapping[str, str]) -> Tags:
    """What the file says; ``known`` are the tags that libsndfile has found. Raises OSError."""
    places = wav_chunks.everywhere(path)
    ixml = _ixml(_content(path, places.get(b"iXML")))
    texts = [_text(_content(path, places.get(b"bext"))[:_DESCRIPTION])]
    texts += [ixml[name] for name in _TEXTS if name in ixml]
    texts += [clean(known.get(name, "")) for name in _TITLES]
    return Tags(
        " ".join(dict.fromkeys(filter(None, texts)))[:_MOST_TEXT],
        next((ixml[name] for name in _CATIDS if re.fullmatch("[A-Za-z]{2,12}", ixml.get(name, ""))), None),
        next((found for name in _LICENCES if (found := clean(known.get(name, "")))), None),
        next((found for name in _AUTHORS if (found := clean(known.get(name, "")))), None),
    )


def clean(text: str) -> str:
    """On one line, without what cannot be printed."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _content(path: Path, place: Place | None) -> bytes:
    if place is None:
        return b""
    with opened(path) as file:
        file.seek(place.offset)
        return file.read(min(place.size, _MOST))


def _text(raw: bytes) -> str:
    """Up to its zero: UTF-8, or what Windows wrote before."""
    raw = raw.split(b"\0")[0]
    try:
        return clean(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return clean(raw.decode("cp1252", "replace"))


def _ixml(content: bytes) -> dict[str, str]:
    """The texts of its elements by name; nothing of a document that cannot be read."""
    try:
        root = markup.tree(content.rstrip(b"\0 \r\n"))
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for element in root.iter():
        text = clean(element.text or "")
        if text:
            found.setdefault(element.tag.lower(), text)
    return found
