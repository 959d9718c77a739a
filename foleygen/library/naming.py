"""From what a file says of itself to the sound that it is: category, manifest, name, folders, tags, in this order."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from foleygen.cues.words import Sound, recognise, table
from foleygen.library import ucs
from foleygen.library.listing import Listed
from foleygen.library.tags import Tags, clean

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
"""The words in ``WoodDoor_Slam02``."""


@dataclass(frozen=True)
class Said:
    """What is kept of it; the fields are those of ``Recording``."""

    words: str
    catid: str | None
    family: str | None
    material: str | None
    licence: str | None
    source: str | None


@cache
def mark() -> str:
    """Changes with the words and categories that are understood: what was said by others is to be said again."""
    known = repr((table(), ucs.KNOWN, _PARTS.pattern))
    return hashlib.sha256(known.encode()).hexdigest()[:8]


def said(file: str, tags: Tags, listed: Listed | None) -> Said:
    """What there is to know of ``file``, a path from the library's root with slashes."""
    path = PurePosixPath(clean(file.encode("utf-8", "replace").decode("utf-8")))
    name = ucs.parsed(path.stem)
    folders = [spaced(folder) for folder in reversed(path.parent.parts)]
    own = spaced(path.stem if name is None else name.fx_name)
    given = "" if listed is None else spaced(listed.words)
    catid = (listed and listed.catid) or (name and name.catid) or tags.catid
    sound = _sound(catid, [given, own, *folders, tags.words])
    credit = name.credit if name is not None else None
    return Said(
        " ".join(filter(None, (catid, given, own, *folders, tags.words))),
        catid,
        sound.family,
        sound.material,
        (listed and listed.licence) or tags.licence,
        (listed and listed.source) or credit or tags.author,
    )


def spaced(text: str) -> str:
    """The words of a name, apart."""
    return " ".join(_PARTS.findall(text))


def _sound(catid: str | None, texts: list[str]) -> Sound:
    """Family and material, each by the first that names one."""
    found = [ucs.sound_of(catid), *(recognise(text).sound for text in texts)]
    family = next((one.family for one in found if one.family), None)
    return Sound(family, next((one.material for one in found if one.material), None))
