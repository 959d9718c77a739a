"""The Universal Category System in the names of files: ``CatID_FXName_CreatorID_SourceID``, maybe with more after it.

Only categories that our own words have a sound for are understood: https://universalcategorysystem.com has them all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foleygen.cues.words import Sound

_NAME = re.compile(r"(?P<catid>[A-Z]{2,6}(?:[A-Z][a-z]{1,6})?)(?:-(?P<user>[^_]*))?_(?P<rest>.+)", re.DOTALL)
_CATEGORIES: dict[str, Sound] = {
    "CERM": Sound(None, "ceramic"),
    "CLOCK": Sound("clock", None),
    "CLOTH": Sound(None, "cloth"),
    "DOOR": Sound("door", None),
    "DRWR": Sound("door", None),
    "FEET": Sound("footsteps", None),
    "FIRE": Sound("fire", None),
    "GLAS": Sound(None, "glass"),
    "LETHR": Sound(None, "leather"),
    "METL": Sound(None, "metal"),
    "MOTR": Sound("engine", None),
    "PAPR": Sound(None, "paper"),
    "PLAS": Sound(None, "plastic"),
    "RAIN": Sound("rain", None),
    "ROCK": Sound(None, "stone"),
    "RUBR": Sound(None, "rubber"),
    "WATR": Sound(None, "water"),
    "WIND": Sound("wind", None),
    "WOOD": Sound(None, "wood"),
}
"""What whole categories stand for."""
_SUBCATEGORIES: dict[str, Sound] = {
    "CLOTHFlp": Sound("wind", "cloth"),
    "CMPTKey": Sound("typing", None),
    "COMType": Sound("typing", None),
    "CRWDApls": Sound("clap", None),
    "DOORKnck": Sound("knock", None),
    "FEETAnml": Sound(None, None),
    "FEETCrea": Sound(None, None),
    "FEETHors": Sound(None, None),
    "FOLYClth": Sound(None, "cloth"),
    "FOLYFeet": Sound("footsteps", None),
    "FOODGware": Sound("crockery", "glass"),
    "FOODTware": Sound("crockery", None),
    "MUSCPerc": Sound("drum", None),
    "OBJCoin": Sound("drop", "metal"),
    "WATRDrip": Sound("drip", "water"),
    "WATRSplsh": Sound("splash", "water"),
    "WATRSurf": Sound("waves", "water"),
    "WATRWave": Sound("waves", "water"),
    "WNDWKnck": Sound("knock", "glass"),
}
"""Those that are something else than their category, or of which it says nothing."""
_MATERIALS = {"Glas": "glass", "Metl": "metal", "Plas": "plastic", "Ston": "stone", "Wood": "wood"}
"""What the subcategories of doors and drawers end in."""
KNOWN = (_CATEGORIES, _SUBCATEGORIES, _MATERIALS)


@dataclass(frozen=True)
class Name:
    """A file's name, taken apart."""

    catid: str
    fx_name: str
    credit: str | None
    """Creator and source, where they are there."""


def parsed(stem: str) -> Name | None:
    """The name of a file without its suffix; None where it is not one of the system's."""
    match = _NAME.fullmatch(stem)
    if match is None or not _is_catid(match["catid"]):
        return None
    fx_name, *rest = match["rest"].split("_")
    words = " ".join(filter(None, (match["user"], fx_name)))
    return Name(match["catid"], words, ", ".join(filter(None, rest[:2])) or None)


def sound_of(catid: str | None) -> Sound:
    """What a category stands for, as far as that is known."""
    if catid is None:
        return Sound(None, None)
    if catid in _SUBCATEGORIES:
        return _SUBCATEGORIES[catid]
    category, subcategory = _split(catid)
    found = _CATEGORIES.get(category, Sound(None, None))
    return found._replace(material=_MATERIALS.get(subcategory)) if found.family == "door" else found


def _is_catid(text: str) -> bool:
    """Categories of their own, such as RAIN, are believed where they are known; any name may begin with capitals."""
    category, subcategory = _split(text)
    return bool(subcategory) or category in _CATEGORIES


def _split(catid: str) -> tuple[str, str]:
    """``DOORWood`` -> DOOR, Wood."""
    small = re.search("[a-z]", catid)
    return (catid, "") if small is None else (catid[: small.start() - 1], catid[small.start() - 1 :])
