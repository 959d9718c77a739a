"""Words for sounds: what happens (a family) and what it happens to (a material). The table is ``words.yaml``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from foleygen.errors import SetupError, UsageError, printable
from foleygen.strict import Reader, did_you_mean

TABLE = Path(__file__).with_name("words.yaml")
CATID = "FOLYMisc"
"""Of what has no words, or several that differ."""
_ALIKE = 0.75
"""Of a misspelt word to a known one; a zither and leather have 0.62."""
_PLACES = ("on", "of", "in", "with", "at", "by", "against", "onto", "into", "to", "floor", "ground", "surface")
_SMALL = frozenset(("a", "an", "the", "and", *_PLACES))
"""Words that change nothing."""


@dataclass(frozen=True)
class Family:
    """What happens; ``materials`` are those that it was heard with, ``catid`` is its UCS category."""

    materials: tuple[str, ...]
    catid: str
    words: tuple[str, ...] = ()
    goes_on: bool = False
    """It has no hits, as rain has none."""


@dataclass(frozen=True)
class Material:
    """What is hit. Its ``catid`` counts where no family is given."""

    words: tuple[str, ...] = ()
    catid: str | None = None


@dataclass(frozen=True)
class Thing:
    """An object that stands for both; a material that is named beside it counts instead of its own."""

    family: str
    material: str
    words: tuple[str, ...] = ()


class Sound(NamedTuple):
    """What words mean; None: left to the picture."""

    family: str | None
    material: str | None

    @property
    def catid(self) -> str:
        """The category of the Universal Category System, for file names."""
        known = table()
        if self.family is not None:
            return known.families[self.family].catid
        own = None if self.material is None else known.materials[self.material].catid
        return own or CATID

    @property
    def goes_on(self) -> bool:
        """Whether it goes on, as rain does, and has no hits."""
        return self.family is not None and table().families[self.family].goes_on


@dataclass(frozen=True)
class Table:
    """All that is known, in the order of the file."""

    families: Mapping[str, Family]
    materials: Mapping[str, Material]
    things: Mapping[str, Thing]


@cache
def table() -> Table:
    """The table in the package. Raises SetupError if it is damaged."""
    reader = Reader(SetupError)
    content = reader.mapping(TABLE, "install foleygen again")

    def part(name: str) -> dict[str, object]:
        return dict(content.get(name, {}))

    return Table(
        {name: reader.section(Family, entry, f"{TABLE}: {name}") for name, entry in part("families").items()},
        {name: reader.section(Material, entry or {}, f"{TABLE}: {name}") for name, entry in part("materials").items()},
        {name: reader.section(Thing, entry, f"{TABLE}: {name}") for name, entry in part("things").items()},
    )


def catid_of(sounds: Iterable[str | None]) -> str:
    """The category of a file whose sounds are in those words: theirs if they have one in common."""
    found = {understand(sound).catid for sound in sounds if sound is not None}
    return found.pop() if len(found) == 1 else CATID


def understand(text: str, known: Collection[str] | None = None) -> Sound:
    """What ``text`` names, all of it. ``known`` are the families and materials that a model has learnt, else all.

    Raises UsageError, with the nearest known words, for a word that is not in the table, for two sounds in one text
    and for a material that the family was never heard with.
    """
    said = f"the sound '{printable(text)}'"
    entries = _found(text, said)
    if not entries:
        raise UsageError(f"{said} has no word that names a sound", _all(known))
    families = dict.fromkeys(entry.family for entry in entries if entry.family and entry.material is None)
    things = dict.fromkeys(entry.family for entry in entries if entry.family and entry.material)
    materials = dict.fromkeys(entry.material for entry in entries if entry.material and entry.family is None)
    own = dict.fromkeys(entry.material for entry in entries if entry.family and entry.material)
    sound = Sound(_only(families or things, said, "sounds"), _only(materials or own, said, "materials"))
    _fitting(sound, said)
    _learnt(sound, said, known)
    return sound


class Recognised(NamedTuple):
    """What is known of many words, some of which name nothing."""

    sound: Sound
    unknown: tuple[str, ...]
    """Words that are not in the table, in order."""


def recognise(text: str) -> Recognised:
    """The sound that is named most often in ``text``, of several the first; never an error.

    A family that is named outright counts before those that things stand for, and so does a material.
    """
    found, unknown = [], []
    for words, sound in _walked(text):
        if sound is None:
            unknown += words
        else:
            found.append(sound)
    families = [one.family for one in found if one.material is None] or [one.family for one in found if one.family]
    materials = [one.material for one in found if one.family is None] or [one.material for one in found if one.material]
    return Recognised(Sound(_commonest(families), _commonest(materials)), tuple(unknown))


def _commonest(names: Sequence[str | None]) -> str | None:
    return max(dict.fromkeys(names), key=names.count, default=None)


def is_known(text: str) -> bool:
    """Whether ``understand`` has an answer."""
    try:
        understand(text)
    except UsageError:
        return False
    return True


def has_unknown(text: str) -> bool:
    """Whether some word of ``text`` is in no part of the table."""
    try:
        _found(text, "")
    except UsageError:
        return True
    return False


def _found(text: str, said: str) -> list[Sound]:
    """The entries that the words of ``text`` name, all of it."""
    found = []
    for words, sound in _walked(text):
        if sound is None:
            raise UsageError(f"{said}: the word '{printable(words[0])}' is not known", _near(words[0]))
        found.append(sound)
    return found


def _walked(text: str) -> Iterator[tuple[list[str], Sound | None]]:
    """The words of ``text`` with what they name, the longest phrase first at each place; None: an unknown word."""
    spoken = [word for word in re.findall(r"[^\W_]+", text.lower()) if word not in _SMALL]
    known = phrases()
    while spoken:
        lengths = range(min(_longest(), len(spoken)), 0, -1)
        count = next((count for count in lengths if _spoken(*spoken[:count]) in known), 0)
        yield spoken[: count or 1], known[_spoken(*spoken[:count])] if count else None
        spoken = spoken[count or 1 :]


@cache
def phrases() -> Mapping[str, Sound]:
    """Singular words -> what they mean."""
    known = table()
    found: dict[str, Sound] = {}
    for name, family in known.families.items():
        found |= {_spoken(phrase): Sound(name, None) for phrase in (name, *family.words)}
    for name, material in known.materials.items():
        found |= {_spoken(phrase): Sound(None, name) for phrase in (name, *material.words)}
    for name, thing in known.things.items():
        found |= {_spoken(phrase): Sound(thing.family, thing.material) for phrase in (name, *thing.words)}
    return found


@cache
def _longest() -> int:
    """Words of the longest phrase."""
    return max(phrase.count(" ") + 1 for phrase in phrases())


def _only(names: Mapping[str, None], said: str, what: str) -> str | None:
    if len(names) > 1:
        raise UsageError(f"{said} names {len(names)} {what} ({', '.join(names)})", "give each of them its own cue")
    return next(iter(names), None)


def _fitting(sound: Sound, said: str) -> None:
    if sound.family is None or sound.material is None:
        return
    materials = table().families[sound.family].materials
    if sound.material not in materials:
        fact = f"{said}: {sound.family} was never heard with {sound.material}"
        raise UsageError(fact, f"choose from {', '.join(materials)}, or name no material")


def _learnt(sound: Sound, said: str, known: Collection[str] | None) -> None:
    for name in sound:
        if known is not None and name is not None and name not in known:
            raise UsageError(f"{said}: the model has not learnt {name}", _all(known))


def _near(word: str) -> str:
    remedy = did_you_mean(word, phrases(), _ALIKE)
    return remedy if remedy.startswith("did") else _all(None)


def _all(known: Collection[str] | None) -> str:
    names = [*table().families, *table().materials]
    chosen = ", ".join(name for name in names if known is None or name in known)
    return f"choose from {chosen}, or see 'foleygen sounds'"


def _spoken(*words: str) -> str:
    """Words as they are compared."""
    return " ".join(_singular(word) for word in " ".join(words).split())


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith(("ches", "shes", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
