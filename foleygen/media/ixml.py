"""iXML: what a recorder writes about its file, and what sound editors look for there.

Version 2.10 of the iXML specification, with the block of ASWG-G006 that says which category a sound has and that it was
generated. Without SPEED a wav cannot tell timecode that drops frames from timecode that does not.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from foleygen.errors import printable
from foleygen.facts import Loudness
from foleygen.media import wav_chunks
from foleygen.media.wav_chunks import Mark

VERSION = "2.10"
_CIRCLED = (b"<CIRCLED>FALSE</CIRCLED>", b"<CIRCLED>TRUE</CIRCLED> ")
"""Of one length, so that a take can be circled where it lies."""


@dataclass(frozen=True)
class Slate:
    """What is known about one wav."""

    scene: str
    take: int
    circled: bool
    """It is the take in the finished clip."""
    track: str
    """Name of its one channel, or of the two together."""
    note: str
    uid: str
    """The same for the same file, and for no other."""
    frame_rate: Fraction
    """Pictures per second of the clip, exact."""
    drop_frame: bool
    cat_id: str
    """Of the Universal Category System."""
    creator: str
    source: str


def document(
    slate: Slate,
    *,
    sample_rate: int,
    bits: int,
    time_reference: int,
    loudness: Loudness,
    marks: Sequence[Mark],
    channels: int = 1,
) -> bytes:
    """The chunk's content, UTF-8. ``time_reference`` in samples since midnight, ``marks`` in samples of the file."""
    root = ET.Element("BWFXML")
    _add(root, IXML_VERSION=VERSION, PROJECT=slate.source, SCENE=slate.scene, TAKE=str(slate.take))
    _add(root, CIRCLED="TRUE" if slate.circled else "FALSE", FILE_UID=slate.uid, NOTE=slate.note)
    _speed(root, slate, sample_rate, bits, time_reference)
    _loudness(root, loudness)
    _sync_points(root, marks)
    _tracks(root, slate.track, channels)
    _aswg(root, slate, loudness)
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode").encode("utf-8")
    flag = _CIRCLED[slate.circled]
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.replace(flag.rstrip(), flag, 1) + b"\n"


def circle(path: Path, circled: bool) -> None:
    """Say in a wav of ours whether it is the take in the finished clip; a file without such a chunk stays as it is."""
    place = wav_chunks.places(path).get(b"iXML")
    if place is None:
        return
    with open(path, "rb+") as file:
        file.seek(place.offset)
        found = file.read(place.size).find(_CIRCLED[not circled])
        if found >= 0:
            file.seek(place.offset + found)
            file.write(_CIRCLED[circled])


def _add(parent: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = "".join(char for char in printable(text) if char >= " ")


def _speed(root: ET.Element, slate: Slate, sample_rate: int, bits: int, time_reference: int) -> None:
    rate = f"{slate.frame_rate.numerator}/{slate.frame_rate.denominator}"
    _add(
        ET.SubElement(root, "SPEED"),
        MASTER_SPEED=rate,
        CURRENT_SPEED=rate,
        TIMECODE_RATE=rate,
        TIMECODE_FLAG="DF" if slate.drop_frame else "NDF",
        FILE_SAMPLE_RATE=str(sample_rate),
        AUDIO_BIT_DEPTH=str(bits),
        DIGITIZER_SAMPLE_RATE=str(sample_rate),
        TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI=str(time_reference >> 32),
        TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO=str(time_reference & 0xFFFFFFFF),
        TIMESTAMP_SAMPLE_RATE=str(sample_rate),
    )


def _loudness(root: ET.Element, loudness: Loudness) -> None:
    """Only what could be measured; nothing for silence."""
    levels = {
        "LOUDNESS_VALUE": loudness.integrated_lufs,
        "LOUDNESS_RANGE": loudness.range_lu,
        "MAX_TRUE_PEAK_LEVEL": loudness.true_peak_dbtp,
    }
    known = {name: f"{level:.2f}" for name, level in levels.items() if level is not None}
    if known:
        _add(ET.SubElement(root, "LOUDNESS"), **known)


def _sync_points(root: ET.Element, marks: Sequence[Mark]) -> None:
    points = ET.SubElement(root, "SYNC_POINT_LIST")
    _add(points, SYNC_POINT_COUNT=str(len(marks)))
    for mark in marks:
        _add(
            ET.SubElement(points, "SYNC_POINT"),
            SYNC_POINT_TYPE="RELATIVE",
            SYNC_POINT_FUNCTION="MARKER_GENERIC",
            SYNC_POINT_COMMENT=mark.label,
            SYNC_POINT_LOW=str(mark.sample & 0xFFFFFFFF),
            SYNC_POINT_HIGH=str(mark.sample >> 32),
            SYNC_POINT_EVENT_DURATION="0",
        )


def _tracks(root: ET.Element, name: str, channels: int) -> None:
    tracks = ET.SubElement(root, "TRACK_LIST")
    _add(tracks, TRACK_COUNT=str(channels))
    for number, side in enumerate(("",) if channels == 1 else (" L", " R"), start=1):
        place = str(number)
        _add(ET.SubElement(tracks, "TRACK"), CHANNEL_INDEX=place, INTERLEAVE_INDEX=place, NAME=f"{name}{side}")


def _aswg(root: ET.Element, slate: Slate, loudness: Loudness) -> None:
    block = ET.SubElement(root, "ASWG")
    _add(block, contentType="fx", isGenerated="true", catId=slate.cat_id, fxName=slate.scene)
    category, subcategory = CATEGORIES.get(slate.cat_id, ("FOLEY", "MISC"))
    _add(block, category=category, subCategory=subcategory)
    _add(block, creatorId=slate.creator, sourceId=slate.source)
    if loudness.integrated_lufs is not None:
        _add(block, loudness=f"{loudness.integrated_lufs:.2f}")
    if loudness.true_peak_dbtp is not None:
        _add(block, maxPeak=f"{loudness.true_peak_dbtp:.2f}")


CATEGORIES = {
    "AMBMisc": ("AMBIENCE", "MISC"),
    "FOLYClth": ("FOLEY", "CLOTH"),
    "FOLYFeet": ("FOLEY", "FEET"),
    "FOLYHand": ("FOLEY", "HANDS"),
    "FOLYMisc": ("FOLEY", "MISC"),
    "FOLYProp": ("FOLEY", "PROP"),
}
"""What the identifiers of the Universal Category System stand for."""
