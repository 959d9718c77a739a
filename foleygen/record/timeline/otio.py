"""A reel -> OpenTimelineIO.

A clip begins where its file's own clock says, in pictures of its own rate, and lasts whole pictures of the sequence, so
that all cuts lie on these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from foleygen import __version__
from foleygen.errors import printable
from foleygen.record.timeline.fcpxml import AMBIENCE_ROLE, FOLEY_ROLE, OWN_ROLE
from foleygen.record.timeline.reel import Paths, Placed, Reel
from foleygen.record.timeline.shots import Shot, Sound
from foleygen.settings import AafMedia

if TYPE_CHECKING:
    import opentimelineio as otio

PICTURE = "Picture"
FOLEY = "Foley"
AMBIENCE = "Ambience"
PRODUCTION = "Production"
_NOTHING: Mapping[str, object] = MappingProxyType({})


def write(reel: Reel, path: Path, media: AafMedia) -> None:
    """OpenTimelineIO's JSON into ``path``."""
    path.write_text(text(reel), encoding="utf-8")


def text(reel: Reel) -> str:
    """OpenTimelineIO's JSON."""
    import opentimelineio as otio

    facts = {"foleygen": {"version": __version__, "timeline": reel.record}}
    timeline = otio.schema.Timeline(printable(reel.name), metadata=facts)
    if reel.placed:
        timeline.global_start_time = otio.opentime.RationalTime(reel.start, float(reel.rate))
    for track in _tracks(reel):
        timeline.tracks.append(track)
    return str(otio.adapters.write_to_string(timeline, "otio_json", indent=2)) + "\n"


def _tracks(reel: Reel) -> Sequence[otio.schema.Track]:
    found = [
        _track(PICTURE, "Video", "video", reel, lambda one: _picture(one, reel)),
        _track(FOLEY, "Audio", FOLEY_ROLE, reel, lambda one: _foley(one, reel)),
    ]
    if any(one.shot.bed for one in reel.placed):
        found.append(_track(AMBIENCE, "Audio", AMBIENCE_ROLE, reel, lambda one: _other(one, reel, one.shot.bed)))
    if any(one.shot.own for one in reel.placed):
        found.append(_track(PRODUCTION, "Audio", OWN_ROLE, reel, lambda one: _other(one, reel, one.shot.own)))
    return found


def _track(
    name: str, kind: str, role: str, reel: Reel, item: Callable[[Placed], otio.schema.Clip | otio.schema.Gap]
) -> otio.schema.Track:
    import opentimelineio as otio

    children = [item(one) for one in reel.placed]
    return otio.schema.Track(name, children, kind=kind, metadata={"foleygen": {"role": role}})


def _picture(one: Placed, reel: Reel) -> otio.schema.Clip:
    shot = one.shot
    reference = _reference(shot.path, shot, shot.file_start, reel.paths)
    return _clip({"finished": reference}, "finished", shot.file_start, one, reel)


def _foley(one: Placed, reel: Reel) -> otio.schema.Clip:
    """The clip's sound, every take one of its media references, the one in the finished clip active."""
    import opentimelineio as otio

    shot, rate = one.shot, float(one.shot.rate)
    heard = shot.takes[0]
    takes = {sound.label: _heard(sound, shot, reel.paths) for sound in shot.sounds}
    start = round(heard.start_s * shot.rate)
    clip = _clip(takes, heard.label, start, one, reel)
    for number, onset in enumerate(shot.onsets, start=1):
        place = otio.opentime.TimeRange(
            otio.opentime.RationalTime(start + onset.picture, rate), otio.opentime.RationalTime(1, rate)
        )
        marker = otio.schema.Marker(
            f"sound {number}",
            place,
            otio.schema.MarkerColor.GREEN,
            {"foleygen": {"seconds": onset.seconds}},
            comment=printable(f"sound {number}, {onset.note}"),
        )
        clip.markers.append(marker)
    return clip


def _other(one: Placed, reel: Reel, sound: Sound | None) -> otio.schema.Clip | otio.schema.Gap:
    """Ambience or own sound; a hole where a shot has none."""
    import opentimelineio as otio

    if sound is None:
        return otio.schema.Gap(duration=otio.opentime.RationalTime(one.frames, float(reel.rate)))
    reference = _heard(sound, one.shot, reel.paths)
    return _clip({sound.label: reference}, sound.label, round(sound.start_s * one.shot.rate), one, reel)


def _clip(
    references: dict[str, otio.schema.ExternalReference], active: str, start: int, one: Placed, reel: Reel
) -> otio.schema.Clip:
    import opentimelineio as otio

    lasting = otio.opentime.TimeRange(
        otio.opentime.RationalTime(start, float(one.shot.rate)),
        otio.opentime.RationalTime(one.frames, float(reel.rate)),
    )
    clip = otio.schema.Clip(references[active].name, source_range=lasting)
    clip.set_media_references(references, active)
    return clip


def _heard(sound: Sound, shot: Shot, paths: Paths) -> otio.schema.ExternalReference:
    facts = {"foleygen": {"take": sound.label, "gain_db": sound.gain_db, "channels": sound.channels}}
    return _reference(sound.path, shot, round(sound.start_s * shot.rate), paths, facts, _handle(sound, shot))


def _handle(sound: Sound, shot: Shot) -> int:
    """Pictures for which a file sounds before the clip."""
    return round(sound.handle_s * shot.rate)


def _reference(
    path: Path, shot: Shot, start: int, paths: Paths, facts: Mapping[str, object] = _NOTHING, handle: int = 0
) -> otio.schema.ExternalReference:
    import opentimelineio as otio

    rate = float(shot.rate)
    whole = otio.opentime.TimeRange(
        otio.opentime.RationalTime(start - handle, rate), otio.opentime.RationalTime(shot.frames + 2 * handle, rate)
    )
    reference = otio.schema.ExternalReference(paths.plain(path), whole, dict(facts))
    reference.name = printable(path.name)  # programs look for the file by the clip's name
    return reference
