"""What a marker says, in the one or two texts that editing programs give it.

``glass bottle; strength 0.8; confidence 0.91; whatever else``: in any order, in the name or the comment. A text that
names a known sound, all of it, is the marker's sound; so is what follows ``sound:``, which must be known. ``known`` on
a marker with a length makes it a stretch, and so does a sound that goes on, such as rain.
"""

from __future__ import annotations

import re

from foleygen.cues import words
from foleygen.cues.marker import Marker, Time
from foleygen.cues.reading import CueFile
from foleygen.errors import UsageError, printable
from foleygen.facts import Cue, CueSheet, Stretch

KNOWN = "known"
"""The name of a stretch."""
MOST_LETTERS = 500

_SHARE = re.compile(r"(strength|confidence)[\s:=]+([+-]?[0-9]+(?:[.,][0-9]*)?)", re.IGNORECASE)
_SOUND = re.compile(r"sound\s*[:=]\s*(.+)", re.IGNORECASE)
_NUMBERED = re.compile(r"sound [0-9]+")
"""The name that is written where there is no other."""


def marker(file: CueFile, where: str, at: Time, *texts: str) -> Marker:
    """The marker at that place and time in a ``file``, with what its ``texts`` say. Raises UsageError."""
    place = file.where(where)
    shares: dict[str, float] = {}
    sound, free = None, []
    for text in texts:
        rest = []
        for part in (one.strip() for one in tidy(text).split(";")):
            if share := _SHARE.fullmatch(part):
                shares[share[1].lower()] = _share(share[1].lower(), share[2], place)
            elif named := _SOUND.fullmatch(part):
                sound = sound_of(named[1], place)
            elif part and not _NUMBERED.fullmatch(part):
                rest.append(part)
        free += rest
    if sound is None:
        sound = next((part for part in free if words.is_known(part)), None)
        free = [part for part in free if part != sound]
    return Marker(
        where,
        at,
        strength=shares.get("strength"),
        confidence=shares.get("confidence"),
        sound=sound,
        name="; ".join(free),
    )


def sound_of(text: str, where: str) -> str:
    """``text`` if it names a known sound. Raises UsageError, whose message opens with ``where``."""
    tidied = tidy(text)
    try:
        words.understand(tidied)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.remedy) from error
    return tidied


def spoken(cue: Cue, number: int) -> tuple[str, str]:
    """Name and comment of the marker that stands for ``cue``, the ``number``-th of its clip."""
    name = cue.sound or tidy(cue.name) or f"sound {number}"
    facts = [f"strength {cue.strength:.3f}"] if cue.strength is not None else []
    facts += [f"confidence {cue.confidence:.3f}"] if cue.confidence is not None else []
    facts += [tidy(cue.name)] if cue.sound and cue.name else []
    return name, "; ".join(facts)


def line(cue: Cue, number: int) -> str:
    """Both in one text."""
    return "; ".join(part for part in spoken(cue, number) if part)


def is_stretch(name: str) -> bool:
    """Whether a marker with a length and that ``name`` stands for a stretch."""
    return name.strip().casefold() == KNOWN or going(name) is not None


def going(name: str) -> str | None:
    """The words in ``name`` for a sound that goes on, such as rain; None: it names none."""
    for part in (one.strip() for one in tidy(name).split(";")):
        named = _SOUND.fullmatch(part)
        said = part if named is None else named[1]
        if words.is_known(said):
            return said if words.understand(said).goes_on else None
    return None


def stretches(sheet: CueSheet) -> list[tuple[Stretch, str]]:
    """The stretches of ``sheet``, each with the name of the marker that stands for it."""
    return [*((one, KNOWN) for one in sheet.known or ()), *((one, tidy(one.sound)) for one in sheet.lasting)]


def tidy(text: str) -> str:
    """On one line, without control characters, of a length that programs take."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.split())[:MOST_LETTERS].strip()


def without_stretches(sheet: CueSheet, program: str) -> CueSheet:
    """``sheet``, for a file whose markers have no length. Raises UsageError."""
    if sheet.known is not None or sheet.lasting:
        raise UsageError(f"{program} markers have no length that could hold a stretch", "write csv instead")
    return sheet


def _share(what: str, number: str, where: str) -> float:
    value = float(number.replace(",", "."))
    if not 0 <= value <= 1:
        raise UsageError(f"{where}: its {what} is {printable(number)}, not from 0 to 1", "correct it")
    return value
