"""Final Cut Pro's XML: markers on the clip, in the time of its media, or on the gaps of a timeline.

A marker with a duration that is named ``known`` is a stretch.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from fractions import Fraction

from foleygen.cues import markup, sources, text
from foleygen.cues.marker import Marker
from foleygen.cues.reading import CueFile
from foleygen.errors import printable

ROOT = "fcpxml"
_MARKERS = ("marker", "chapter-marker")
_TIME = re.compile(r"(-?[0-9]{1,18})(?:/([0-9]{1,18}))?s")
_TIMELINE = ("gap", "sequence", "title")

Parents = tuple[ET.Element, ...]


def recognises(head: str) -> bool:
    """Its root."""
    return "<fcpxml" in head


def read(file: CueFile) -> list[Marker]:
    """The markers of the clip that ``file`` is asked for. Raises UsageError."""
    root = markup.parsed(file)
    if root.tag != ROOT:
        raise file.error(f"is no {ROOT} but {printable(str(root.tag))}", "export it from Final Cut Pro as XML")
    assets = {one.get("id", ""): one for one in root.iter("asset")}
    return sources.of_clip(file, list(_placed(root, assets, file)))


def _placed(root: ET.Element, assets: Mapping[str, ET.Element], file: CueFile) -> Iterator[sources.Placed]:
    count = 0
    for element, parents in markup.with_parents(root):
        if element.tag in _MARKERS and parents:
            count += 1
            file.counted(count)
            where = f"marker {count}"
            source, is_on_clip, shift = _owner(parents, assets, where, file)
            at = _seconds(element.get("start"), where, file) + shift
            yield sources.Placed(source, is_on_clip, _marker(element, at, where, file))


def _marker(element: ET.Element, at: Fraction, where: str, file: CueFile) -> Marker:
    name, note = element.get("value", ""), element.get("note", "")
    length = _seconds(element.get("duration"), where, file)
    if length > 0 and text.is_stretch(name):
        return Marker(where, at, at + length, sound=text.going(name))
    return text.marker(file, where, at, name, note)


def _owner(parents: Parents, assets: Mapping[str, ET.Element], where: str, file: CueFile) -> tuple[str, bool, Fraction]:
    """What a marker is on: its media or timeline, whether it is a clip, and what turns its time into theirs."""
    owner = parents[-1]
    if owner.find("timeMap") is not None:
        raise file.error(
            f"{where}: is on a clip whose speed is changed", "put the markers on the clip at its own speed"
        )
    if owner.tag in _TIMELINE:
        return _of_timeline(parents, where, file)
    media = owner if owner.get("ref") in assets else next((one for one in owner if one.get("ref") in assets), None)
    if media is None:
        start = _seconds(owner.get("start"), where, file)
        return owner.get("name", ""), True, -start
    asset = assets[str(media.get("ref"))]
    first = _seconds(asset.get("start"), where, file)
    source = _source(asset)
    if media is owner:
        return source, True, -first
    # A clip has a time of its own, in which its media lies at an offset.
    inner = _seconds(media.get("start"), where, file) if media.get("start") else first
    return source, True, inner - _seconds(media.get("offset"), where, file) - first


def _of_timeline(parents: Parents, where: str, file: CueFile) -> tuple[str, bool, Fraction]:
    owner = parents[-1]
    sequence = next((one for one in reversed(parents) if one.tag == "sequence"), None)
    first = _seconds(None if sequence is None else sequence.get("tcStart"), where, file)
    project = next((one.get("name", "") for one in reversed(parents) if one.tag in ("project", "media")), "")
    if owner is sequence:
        return project, False, -first
    return (
        project,
        False,
        _seconds(owner.get("offset"), where, file) - _seconds(owner.get("start"), where, file) - first,
    )


def _source(asset: ET.Element) -> str:
    files = [asset.get("src"), *(one.get("src") for one in asset.iter("media-rep"))]
    return next((one for one in files if one), asset.get("name", ""))


def _seconds(value: str | None, where: str, file: CueFile) -> Fraction:
    """A rational time; 0 where there is none."""
    found = _TIME.fullmatch("0s" if value is None else value.strip())
    if found is None or (found[2] is not None and int(found[2]) == 0):
        raise file.error(f"{where}: {printable(str(value))!r} is no time", "export it from the editing program again")
    return Fraction(int(found[1]), int(found[2] or 1))
