"""A reel -> Final Cut Pro's XML, version 1.10.

Times are exact rational seconds. What lies on the main storyline begins and ends on a picture of the sequence, and no
clip reaches past what its asset declares. The takes of a shot are an audition below its picture, ambience and own sound
are connected clips below that.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

from foleygen import __version__
from foleygen.errors import printable
from foleygen.record.timeline.record import as_line
from foleygen.record.timeline.reel import Placed, Reel
from foleygen.record.timeline.shots import Shot, Sound
from foleygen.settings import AafMedia

VERSION = "1.10"
FOLEY_ROLE = "effects.foley"
AMBIENCE_ROLE = "effects.ambience"
OWN_ROLE = "dialogue"
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


def write(reel: Reel, path: Path, media: AafMedia) -> None:
    """The whole document into ``path``."""
    path.write_text(text(reel), encoding="utf-8")


def text(reel: Reel) -> str:
    """The whole document."""
    root = ET.Element("fcpxml", version=VERSION)
    resources = _Resources(ET.SubElement(root, "resources"), reel)
    library = ET.SubElement(root, "library")
    event = ET.SubElement(library, "event", name=f"foleygen {__version__}")
    project = ET.SubElement(event, "project", name=printable(reel.name))
    sequence = ET.SubElement(project, "sequence", format=resources.format(reel.rate, reel.width, reel.height))
    sequence.set("duration", seconds(reel.frames / reel.rate))
    sequence.set("tcStart", seconds(reel.start / reel.rate))
    sequence.set("tcFormat", _timecode(reel.drop_frame))
    sequence.set("audioRate", "48k")
    spine = ET.SubElement(sequence, "spine")
    for one in reel.placed:
        _add(spine, resources, one, reel)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n<!-- {as_line(reel.record)} -->\n'
    return f"{head}{body}\n"


def seconds(time: Fraction) -> str:
    """``time`` as the format writes it: ``5s``, ``1001/24000s``."""
    return f"{time.numerator}s" if time.denominator == 1 else f"{time.numerator}/{time.denominator}s"


class _Resources:
    """The formats and media files that the clips refer to, each once."""

    def __init__(self, element: ET.Element, reel: Reel) -> None:
        self._element, self._paths = element, reel.paths
        self._formats: dict[tuple[Fraction, int, int], str] = {}
        self._count = 0

    def format(self, rate: Fraction, width: int, height: int) -> str:
        """Identifier of a rate and a size."""
        key = (rate, width, height)
        if key not in self._formats:
            self._formats[key] = identifier = self._next()
            size = {"width": str(width), "height": str(height)}
            ET.SubElement(self._element, "format", {"id": identifier, "frameDuration": seconds(1 / rate), **size})
        return self._formats[key]

    def picture(self, shot: Shot) -> str:
        """Identifier of the finished clip's file."""
        return self._asset(
            shot.path, shot.file_start / shot.rate, shot.picture_s, {**self._video(shot), **_sound(shot.channels)}
        )

    def sound(self, sound: Sound, shot: Shot) -> str:
        """Identifier of a sound's file."""
        attributes = _sound(sound.channels)
        if not sound.is_wav:
            attributes = {**self._video(shot), **attributes}
        start, duration = sound.start_s - sound.handle_s, shot.duration_s + 2 * sound.handle_s
        return self._asset(sound.path, start, duration, attributes)

    def _video(self, shot: Shot) -> dict[str, str]:
        return {"hasVideo": "1", "videoSources": "1", "format": self.format(shot.rate, shot.width, shot.height)}

    def _asset(self, path: Path, start: Fraction, duration: Fraction, attributes: dict[str, str]) -> str:
        identifier = self._next()
        times = {"start": seconds(start), "duration": seconds(duration)}
        name = printable(path.name)
        asset = ET.SubElement(self._element, "asset", {"id": identifier, "name": name, **times, **attributes})
        ET.SubElement(asset, "media-rep", kind="original-media", src=self._paths.url(path))
        return identifier

    def _next(self) -> str:
        self._count += 1
        return f"r{self._count}"


def _sound(channels: int) -> dict[str, str]:
    return {"hasAudio": "1", "audioSources": "1", "audioChannels": str(channels), "audioRate": "48000"}


def _timecode(drop_frame: bool) -> str:
    return "DF" if drop_frame else "NDF"


def _add(spine: ET.Element, resources: _Resources, one: Placed, reel: Reel) -> None:
    """A shot's picture on the main storyline, its sounds connected below it."""
    shot = one.shot
    clip = ET.SubElement(
        spine,
        "asset-clip",
        ref=resources.picture(shot),
        name=printable(shot.path.name),
        offset=seconds((reel.start + one.place) / reel.rate),
        start=seconds(shot.file_start / shot.rate),
        duration=seconds(one.frames / reel.rate),
        srcEnable="video",
        format=resources.format(shot.rate, shot.width, shot.height),
        tcFormat=_timecode(shot.drop_frame),
    )
    if shot.rate != reel.rate:
        named = {"srcFrameRate": _NAMED_RATES[shot.rate]} if shot.rate in _NAMED_RATES else {}
        ET.SubElement(clip, "conform-rate", {"scaleEnabled": "0", **named})
    _add_takes(clip, resources, one, reel)
    others = ((shot.bed, AMBIENCE_ROLE), (shot.own, OWN_ROLE))
    for lane, (sound, role) in enumerate([(sound, role) for sound, role in others if sound is not None], start=2):
        connected = _connected(clip, resources, one, reel, sound, role)
        connected.set("lane", str(-lane))


def _add_takes(clip: ET.Element, resources: _Resources, one: Placed, reel: Reel) -> None:
    """The takes in lane -1, as an audition where there are several: the first one in it is heard."""
    takes = one.shot.takes
    parent = clip
    if len(takes) > 1:
        parent = ET.SubElement(clip, "audition", lane="-1", offset=str(clip.get("start")))
    for sound in takes:
        connected = _connected(parent, resources, one, reel, sound, FOLEY_ROLE)
        connected.set("name", f"{sound.label}: {printable(sound.path.name)}")
        connected.set("offset", str(clip.get("start")))
        if parent is clip:
            connected.set("lane", "-1")
        if sound is takes[0]:
            _mark(connected, sound, one.shot)


def _connected(
    parent: ET.Element, resources: _Resources, one: Placed, reel: Reel, sound: Sound, role: str
) -> ET.Element:
    """A sound as long as its picture, in whole pictures of the sequence, and no longer than it is."""
    shot = one.shot
    frames = min(one.frames, math.floor(shot.duration_s * reel.rate))
    connected = ET.SubElement(
        parent,
        "asset-clip",
        ref=resources.sound(sound, shot),
        name=printable(sound.path.name),
        offset=seconds(shot.file_start / shot.rate),
        start=seconds(sound.start_s),
        duration=seconds(frames / reel.rate),
        srcEnable="audio",
        audioRole=role,
    )
    if sound.gain_db:
        ET.SubElement(connected, "adjust-volume", amount=f"{sound.gain_db:.3f}dB")
    return connected


def _mark(clip: ET.Element, sound: Sound, shot: Shot) -> None:
    for number, onset in enumerate(shot.onsets, start=1):
        time = seconds(sound.start_s + onset.picture / shot.rate)
        length, note = seconds(1 / shot.rate), printable(onset.note)
        ET.SubElement(clip, "marker", start=time, duration=length, value=f"sound {number}", note=note)
