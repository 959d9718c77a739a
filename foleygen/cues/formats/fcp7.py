"""Final Cut Pro 7's XML (xmeml), which Premiere and Resolve write: markers in pictures of the clip's media, from 0.

A marker with an end that is named ``known`` is a stretch; markers of a sequence count from its beginning.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from fractions import Fraction

from foleygen.cues import markup, sources, text
from foleygen.cues.marker import Marker
from foleygen.cues.reading import CueFile
from foleygen.errors import printable

ROOT = "xmeml"
_NTSC = Fraction(1000, 1001)
_CLIPS = ("clipitem", "clip")
_MOST_RATE = 1000
_MOST_DIGITS = 10


def recognises(head: str) -> bool:
    """Its root."""
    return "<xmeml" in head


def read(file: CueFile) -> list[Marker]:
    """The markers of the clip that ``file`` is asked for. Raises UsageError."""
    root = markup.parsed(file)
    if root.tag != ROOT:
        raise file.error(f"is no {ROOT} but {printable(str(root.tag))}", "export it as Final Cut Pro XML")
    files = {one.get("id", ""): one for one in root.iter("file") if len(one)}
    return sources.of_clip(file, list(_placed(root, files, file)))


def _placed(root: ET.Element, files: Mapping[str, ET.Element], file: CueFile) -> Iterator[sources.Placed]:
    count = 0
    for element, parents in markup.with_parents(root):
        owner = parents[-1] if parents else root
        if element.tag == "marker" and owner.tag in (*_CLIPS, "sequence"):
            count += 1
            file.counted(count)
            is_on_clip = owner.tag in _CLIPS
            source = _source(owner, files) if is_on_clip else markup.text(owner, "name")
            marker = _marker(element, _rate(parents, f"marker {count}", file), f"marker {count}", file)
            yield sources.Placed(source, is_on_clip, marker)


def _marker(element: ET.Element, rate: Fraction, where: str, file: CueFile) -> Marker:
    start, end = (_pictures(element, tag, where, file) for tag in ("in", "out"))
    name = markup.text(element, "name")
    if end > start and text.is_stretch(name):
        return Marker(where, start / rate, end / rate, sound=text.going(name))
    return text.marker(file, where, start / rate, name, markup.text(element, "comment"))


def _source(owner: ET.Element, files: Mapping[str, ET.Element]) -> str:
    """Of a clip: its file, which is described where it is first mentioned."""
    mentioned = owner.find("file")
    described = None if mentioned is None else files.get(mentioned.get("id", ""), mentioned)
    if described is None:
        return markup.text(owner, "name")
    return markup.text(described, "pathurl") or markup.text(described, "name") or markup.text(owner, "name")


def _rate(parents: tuple[ET.Element, ...], where: str, file: CueFile) -> Fraction:
    """Pictures per second of the nearest element that says it."""
    rate = next((one.find("rate") for one in reversed(parents) if one.find("rate") is not None), None)
    base = "" if rate is None else markup.text(rate, "timebase")
    if rate is None or not base.isascii() or not base.isdigit() or not 0 < int(base[:9]) <= _MOST_RATE:
        raise file.error(f"{where}: has no rate", "export it from the editing program again")
    return int(base) * (_NTSC if markup.text(rate, "ntsc").upper() == "TRUE" else Fraction(1))


def _pictures(element: ET.Element, tag: str, where: str, file: CueFile) -> int:
    """A whole number; -1 means that there is none."""
    value = markup.text(element, tag) or "-1"
    digits = value.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise file.error(f"{where}: its {tag!r} is {printable(value)!r}, not a number of pictures", "export it again")
    if tag == "in" and int(value) < 0:
        raise file.error(f"{where}: has no time", "export it from the editing program again")
    return int(value)
