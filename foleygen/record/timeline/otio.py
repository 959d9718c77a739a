"""Timelines for OpenTimelineIO."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen import __version__
from foleygen.errors import printable
from foleygen.record.timeline.shots import Shot, Sound

if TYPE_CHECKING:
    import opentimelineio as otio

PICTURE = "Picture"
FOLEY = "Foley"


def text(shots: Sequence[Shot], name: str) -> str:
    """OpenTimelineIO's JSON. Files are plain absolute paths: DaVinci Resolve does not follow ``file://`` URLs."""
    import opentimelineio as otio

    timeline = otio.schema.Timeline(printable(name), metadata={"foleygen": {"version": __version__}})
    if shots:
        timeline.global_start_time = otio.opentime.RationalTime(shots[0].start, float(shots[0].rate))
    timeline.tracks.append(otio.schema.Track(PICTURE, [_picture(one) for one in shots], kind="Video"))
    timeline.tracks.append(otio.schema.Track(FOLEY, [_foley(one) for one in shots], kind="Audio"))
    return str(otio.adapters.write_to_string(timeline, "otio_json", indent=2)) + "\n"


def _picture(one: Shot) -> otio.schema.Clip:
    return _clip({"finished": _reference(one.path, one, one.file_start)}, "finished", one, one.file_start)


def _foley(one: Shot) -> otio.schema.Clip:
    """The clip's sound, every take one of its media references, the one in the finished clip active."""
    import opentimelineio as otio

    starts = {sound.label: round(sound.start_s * one.rate) for sound in one.sounds}
    heard = one.sounds[one.heard]
    takes = {sound.label: _reference(sound.path, one, starts[sound.label], sound) for sound in one.sounds}
    clip = _clip(takes, heard.label, one, starts[heard.label])
    for index, (picture, seconds) in enumerate(one.onsets, start=1):
        place = otio.opentime.TimeRange(
            otio.opentime.RationalTime(starts[heard.label] + picture, float(one.rate)),
            otio.opentime.RationalTime(1, float(one.rate)),
        )
        facts = {"foleygen": {"seconds": seconds}}
        clip.markers.append(otio.schema.Marker(f"sound {index}", place, otio.schema.MarkerColor.GREEN, facts))
    return clip


def _clip(references: dict[str, otio.schema.ExternalReference], active: str, one: Shot, start: int) -> otio.schema.Clip:
    import opentimelineio as otio

    clip = otio.schema.Clip(references[active].name, source_range=_range(start, one))
    clip.set_media_references(references, active)
    return clip


def _reference(path: Path, one: Shot, start: int, sound: Sound | None = None) -> otio.schema.ExternalReference:
    import opentimelineio as otio

    facts = {} if sound is None else {"foleygen": {"take": sound.label, "gain_db": sound.gain_db}}
    reference = otio.schema.ExternalReference(_place(path), _range(start, one), facts)
    reference.name = printable(path.name)  # programs look for the file by the clip's name
    return reference


def _range(start: int, one: Shot) -> otio.opentime.TimeRange:
    import opentimelineio as otio

    rate = float(one.rate)
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(one.frames, rate)
    )


def _place(path: Path) -> str:
    """The absolute path, as a URL only where its bytes are no text."""
    absolute = os.path.abspath(path)
    try:
        absolute.encode("utf-8")
    except UnicodeEncodeError:
        return Path(absolute).as_uri()
    return absolute
