"""Shots -> Final Cut Pro's XML, version 1.10.

Times are exact rational seconds; what lies on the main storyline begins and ends on a picture of the sequence. A take
is a connected clip below the picture; those that are not heard are there, but switched off.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from foleygen import __version__
from foleygen.errors import printable
from foleygen.facts import SAMPLE_RATE
from foleygen.record.timeline.shots import Shot, Sound

VERSION = "1.10"
ROLE = "effects"
_NAMED_RATES = {
    Fraction(24000, 1001): "23.98",
    Fraction(24): "24",
    Fraction(25): "25",
    Fraction(30000, 1001): "29.97",
    Fraction(30): "30",
    Fraction(48000, 1001): "47.95",
    Fraction(48): "48",
    Fraction(50): "50",
    Fraction(60000, 1001): "59.94",
    Fraction(60): "60",
}


def text(shots: Sequence[Shot], name: str) -> str:
    """The whole document; ``name`` is that of its project. The first shot decides the sequence's rate and size."""
    root = ET.Element("fcpxml", version=VERSION)
    resources = _Resources(ET.SubElement(root, "resources"))
    event = ET.SubElement(root, "event", name=f"foleygen {__version__}")
    project = ET.SubElement(event, "project", name=printable(name))
    rate = shots[0].rate if shots else Fraction(25)
    sequence = ET.SubElement(project, "sequence", format=resources.format(shots[0]) if shots else resources.blank())
    spine = ET.SubElement(sequence, "spine")
    start = shots[0].start / rate if shots else Fraction(0)
    place = 0
    for one in shots:
        frames = max(1, round(one.duration_s * rate))
        _add(spine, resources, one, start + place / rate, frames / rate, rate)
        place += frames
    sequence.set("duration", seconds(place / rate))
    sequence.set("tcStart", seconds(start))
    sequence.set("tcFormat", "DF" if shots and shots[0].drop_frame else "NDF")
    sequence.set("audioRate", f"{SAMPLE_RATE // 1000}k")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{ET.tostring(root, encoding="unicode")}\n'


def seconds(time: Fraction) -> str:
    """``time`` as the format writes it: ``5s``, ``1001/24000s``."""
    return f"{time.numerator}s" if time.denominator == 1 else f"{time.numerator}/{time.denominator}s"


class _Resources:
    """The formats and media files that the clips refer to, each once."""

    def __init__(self, element: ET.Element) -> None:
        self._element = element
        self._formats: dict[tuple[Fraction, int, int], str] = {}
        self._count = 0

    def format(self, one: Shot) -> str:
        """Identifier of the shot's rate and size."""
        key = (one.rate, one.width, one.height)
        if key not in self._formats:
            self._formats[key] = identifier = self._next()
            size = {"width": str(one.width), "height": str(one.height)}
            ET.SubElement(self._element, "format", {"id": identifier, "frameDuration": seconds(1 / one.rate), **size})
        return self._formats[key]

    def blank(self) -> str:
        """Identifier of a format for a sequence without clips."""
        identifier = self._next()
        ET.SubElement(self._element, "format", id=identifier, frameDuration="1/25s", width="1920", height="1080")
        return identifier

    def picture(self, one: Shot) -> str:
        """Identifier of the finished clip's file."""
        start = one.file_start / one.rate
        attributes = {"hasVideo": "1", "videoSources": "1", "format": self.format(one)}
        return self._asset(one.path, start, one.frames / one.rate, {**attributes, **_SOUND})

    def sound(self, sound: Sound, one: Shot) -> str:
        """Identifier of a take's file."""
        return self._asset(sound.path, sound.start_s, one.duration_s, _SOUND)

    def _asset(self, path: Path, start: Fraction, duration: Fraction, attributes: dict[str, str]) -> str:
        identifier = self._next()
        times = {"start": seconds(start), "duration": seconds(duration)}
        name = printable(path.name)
        asset = ET.SubElement(self._element, "asset", {"id": identifier, "name": name, **times, **attributes})
        ET.SubElement(asset, "media-rep", kind="original-media", src=Path(os.path.abspath(path)).as_uri())
        return identifier

    def _next(self) -> str:
        self._count += 1
        return f"r{self._count}"


_SOUND = {"hasAudio": "1", "audioSources": "1", "audioChannels": "1", "audioRate": str(SAMPLE_RATE)}


def _add(
    spine: ET.Element, resources: _Resources, one: Shot, offset: Fraction, duration: Fraction, rate: Fraction
) -> None:
    """A shot's picture on the main storyline, its takes connected below it."""
    start = one.file_start / one.rate
    clip = ET.SubElement(
        spine,
        "asset-clip",
        ref=resources.picture(one),
        name=printable(one.path.name),
        offset=seconds(offset),
        start=seconds(start),
        duration=seconds(duration),
        srcEnable="video",
        format=resources.format(one),
        tcFormat="DF" if one.drop_frame else "NDF",
    )
    if one.rate != rate:
        named = {"srcFrameRate": _NAMED_RATES[one.rate]} if one.rate in _NAMED_RATES else {}
        ET.SubElement(clip, "conform-rate", {"scaleEnabled": "0", **named})
    heard = one.sounds[one.heard]
    others = [sound for sound in one.sounds if sound is not heard]
    for lane, sound in enumerate([heard, *others], start=1):
        _connect(clip, resources, one, sound, lane, start, duration)


def _connect(
    clip: ET.Element, resources: _Resources, one: Shot, sound: Sound, lane: int, offset: Fraction, duration: Fraction
) -> None:
    connected = ET.SubElement(
        clip,
        "asset-clip",
        ref=resources.sound(sound, one),
        lane=str(-lane),
        offset=seconds(offset),
        name=f"{sound.label}: {printable(sound.path.name)}",
        start=seconds(sound.start_s),
        duration=seconds(min(duration, one.duration_s)),
        enabled="1" if lane == 1 else "0",
        srcEnable="audio",
        audioRole=ROLE,
    )
    if sound.gain_db:
        ET.SubElement(connected, "adjust-volume", amount=f"{sound.gain_db:.3f}dB")
    for index, (picture, _) in enumerate(one.onsets if lane == 1 else (), start=1):
        time = seconds(sound.start_s + picture / one.rate)
        ET.SubElement(connected, "marker", start=time, duration=seconds(1 / one.rate), value=f"sound {index}")
