"""A reel -> the XML of Final Cut Pro 7 (xmeml 4), which Premiere and DaVinci Resolve read.

``start`` and ``end`` count pictures of the sequence, ``in`` and ``out`` pictures of the clip's own rate. A take that is
not heard is a disabled clip on a track of its own.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from foleygen.errors import printable
from foleygen.facts import SAMPLE_RATE
from foleygen.record.timeline.record import as_line
from foleygen.record.timeline.reel import Placed, Reel
from foleygen.record.timeline.shots import Shot, Sound
from foleygen.settings import AafMedia

VERSION = "4"
DEPTH = "24"


def write(reel: Reel, path: Path, media: AafMedia) -> None:
    """The whole document into ``path``."""
    path.write_text(text(reel), encoding="utf-8")


def text(reel: Reel) -> str:
    """The whole document."""
    root = ET.Element("xmeml", version=VERSION)
    sequence = ET.SubElement(root, "sequence", id="sequence-1")
    _texts(sequence, name=printable(reel.name), duration=str(reel.frames))
    _rate(sequence, reel.rate)
    _timecode(sequence, reel.start, reel.rate, reel.drop_frame)
    media = ET.SubElement(sequence, "media")
    writer = _Writer(reel)
    writer.video(ET.SubElement(media, "video"))
    writer.audio(ET.SubElement(media, "audio"))
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n<!-- {as_line(reel.record)} -->\n{body}\n'


class _Writer:
    """The tracks of a reel; each file is described where it is first named."""

    def __init__(self, reel: Reel) -> None:
        self._reel = reel
        self._files: dict[Path, str] = {}
        self._clips = 0

    def video(self, parent: ET.Element) -> None:
        """The pictures. Resolve wants their size here."""
        reel = self._reel
        form = ET.SubElement(ET.SubElement(parent, "format"), "samplecharacteristics")
        _rate(form, reel.rate)
        _texts(form, width=str(reel.width), height=str(reel.height), pixelaspectratio="square", fielddominance="none")
        track = ET.SubElement(parent, "track")
        for one in reel.placed:
            self._clip(track, one, one.shot.path, one.shot.file_start / one.shot.rate)
        _texts(track, enabled="TRUE", locked="FALSE")

    def audio(self, parent: ET.Element) -> None:
        """The takes, those that are heard first, then ambience and own sound, a track for each channel."""
        _texts(parent, numOutputChannels="2")
        form = ET.SubElement(ET.SubElement(parent, "format"), "samplecharacteristics")
        _texts(form, depth=DEPTH, samplerate=str(SAMPLE_RATE))
        most = max((len(one.shot.takes) for one in self._reel.placed), default=0)
        for index in range(most):
            self._tracks(parent, lambda shot, index=index: _at(shot.takes, index), heard=index == 0)  # type: ignore[misc]
        self._tracks(parent, lambda shot: shot.bed)
        self._tracks(parent, lambda shot: shot.own)

    def _tracks(self, parent: ET.Element, sound: Callable[[Shot], Sound | None], heard: bool = True) -> None:
        """One for each channel, at most for two."""
        found = (sound(one.shot) for one in self._reel.placed)
        channels = max((one.channels for one in found if one is not None), default=0)
        for channel in range(1, min(channels, 2) + 1):
            self._track(parent, sound, heard, channel)

    def _track(
        self, parent: ET.Element, sound: Callable[[Shot], Sound | None], heard: bool = True, channel: int = 1
    ) -> None:
        track = ET.SubElement(parent, "track")
        for one in self._reel.placed:
            found = sound(one.shot)
            if found is None or channel > found.channels:
                continue
            item = self._clip(track, one, found.path, found.start_s, found, heard)
            _texts(ET.SubElement(item, "sourcetrack"), mediatype="audio", trackindex=str(channel))
            if found.gain_db:
                _gain(item, found.gain_db)
            if heard and found is one.shot.takes[0] and channel == 1:
                _mark(item, one.shot, round(found.handle_s * one.shot.rate))
        _texts(track, enabled="TRUE" if heard else "FALSE", locked="FALSE", outputchannelindex=str(channel))

    def _clip(
        self,
        track: ET.Element,
        one: Placed,
        path: Path,
        start_s: Fraction,
        sound: Sound | None = None,
        enabled: bool = True,
    ) -> ET.Element:
        shot = one.shot
        self._clips += 1
        item = ET.SubElement(track, "clipitem", id=f"clipitem-{self._clips}")
        frames = max(1, min(shot.frames, math.floor(one.frames / self._reel.rate * shot.rate)))
        handle = 0 if sound is None else round(sound.handle_s * shot.rate)
        length = str(shot.frames + 2 * handle)
        _texts(item, name=printable(path.name), enabled="TRUE" if enabled else "FALSE", duration=length)
        _rate(item, shot.rate)
        _texts(item, start=str(one.place), end=str(one.place + one.frames))
        _texts(item, **{"in": str(handle), "out": str(handle + frames)})
        self._file(item, path, shot, round(start_s * shot.rate) - handle, sound, length)
        return item

    def _file(self, item: ET.Element, path: Path, shot: Shot, start: int, sound: Sound | None, length: str) -> None:
        known = self._files.get(path)
        if known is not None:
            ET.SubElement(item, "file", id=known)
            return
        self._files[path] = identifier = f"file-{len(self._files) + 1}"
        file = ET.SubElement(item, "file", id=identifier)
        url = self._reel.paths.url(path).replace("file:///", "file://localhost/", 1)
        _texts(file, name=printable(path.name), pathurl=url, duration=length)
        _rate(file, shot.rate)
        _timecode(file, start, shot.rate, shot.drop_frame)
        media = ET.SubElement(file, "media")
        if sound is None or not sound.is_wav:
            video = ET.SubElement(ET.SubElement(media, "video"), "samplecharacteristics")
            _rate(video, shot.rate)
            _texts(video, width=str(shot.width), height=str(shot.height))
        audio = ET.SubElement(media, "audio")
        _texts(ET.SubElement(audio, "samplecharacteristics"), depth=DEPTH, samplerate=str(SAMPLE_RATE))
        _texts(audio, channelcount=str(shot.channels if sound is None else sound.channels))


def _at(takes: tuple[Sound, ...], index: int) -> Sound | None:
    return takes[index] if index < len(takes) else None


def _texts(parent: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = text


def _rate(parent: ET.Element, rate: Fraction) -> None:
    """The labels per second, and whether they last 1.001 times as long."""
    is_ntsc = rate.denominator == 1001
    _texts(ET.SubElement(parent, "rate"), timebase=str(math.ceil(rate)), ntsc="TRUE" if is_ntsc else "FALSE")


def _timecode(parent: ET.Element, start: int, rate: Fraction, drop_frame: bool) -> None:
    from foleygen.media import timecode

    found = ET.SubElement(parent, "timecode")
    _rate(found, rate)
    label = timecode.label(start, rate, drop_frame)
    _texts(found, string=label, frame=str(start), displayformat="DF" if drop_frame else "NDF")


def _gain(item: ET.Element, gain_db: float) -> None:
    """The level of a clip, linear; nothing is kept back of a gain above the +12 dB that Final Cut Pro 7 drew."""
    effect = ET.SubElement(ET.SubElement(item, "filter"), "effect")
    _texts(effect, name="Audio Levels", effectid="audiolevels", effectcategory="audiolevels", effecttype="audiolevels")
    _texts(effect, mediatype="audio")
    parameter = ET.SubElement(effect, "parameter")
    _texts(parameter, parameterid="level", name="Level", valuemin="0", valuemax="3.98109")
    _texts(parameter, value=f"{10 ** (gain_db / 20):.6f}")


def _mark(item: ET.Element, shot: Shot, handle: int) -> None:
    """Markers count pictures of the file."""
    for number, onset in enumerate(shot.onsets, start=1):
        marker = ET.SubElement(item, "marker")
        _texts(marker, name=f"sound {number}", comment=printable(onset.note))
        _texts(marker, **{"in": str(handle + onset.picture), "out": "-1"})
