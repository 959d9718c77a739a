"""OpenTimelineIO: markers on the clip, in the time of its media, or on a track or the whole timeline.

A marker longer than a picture that is named ``known`` is a stretch. Needs the extra ``timeline``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from foleygen.cues import sources, text
from foleygen.cues.marker import Marker
from foleygen.cues.reading import CueFile
from foleygen.errors import SetupError, printable
from foleygen.media.timecode import nominal_rate

if TYPE_CHECKING:
    import opentimelineio as otio

_MOST_RATE = 1000


def recognises(head: str) -> bool:
    """Any ``.otio``."""
    return True


def read(file: CueFile) -> list[Marker]:
    """The markers of the clip that ``file`` is asked for. Raises UsageError, and SetupError without the library."""
    return sources.of_clip(file, list(_placed(_opened(file), file)))


def _opened(file: CueFile) -> Any:
    """The root object. OpenTimelineIO 0.18.1 may end the process on JSON that Python's parser refuses as too deep."""
    try:
        import opentimelineio as otio
    except ImportError as error:
        fact = f"{printable(file.path)}: needs OpenTimelineIO"
        raise SetupError(fact, "install it with: pip install 'foleygen[timeline]'") from error
    content = file.text()
    try:
        json.loads(content)
        root = otio.core.deserialize_json_from_string(content)
    except (ValueError, RecursionError, KeyError, otio.exceptions.OTIOError) as error:
        reason = " ".join(str(error).split())[:200]
        raise file.error(f"is no OpenTimelineIO that can be read ({reason})", "export it again") from error
    if not isinstance(root, otio.core.SerializableObjectWithMetadata):
        raise file.error("holds no timeline", "export it again")
    return root


def _placed(root: Any, file: CueFile) -> Iterator[sources.Placed]:
    import opentimelineio as otio

    count = 0
    clips = [root] if isinstance(root, otio.schema.Clip) else root.find_clips() if hasattr(root, "find_clips") else []
    for clip in clips:
        source, start = _media(clip, file)
        for marker in clip.markers:
            count += 1
            file.counted(count)
            yield sources.Placed(source, True, _marker(marker, start, f"marker {count}", file))
    for timeline in _timelines(root):
        for level in (timeline.tracks, *timeline.tracks):
            for marker in level.markers:
                count += 1
                file.counted(count)
                place = f"marker {count}"
                yield sources.Placed(timeline.name, False, _marker(marker, Fraction(0), place, file))


def _timelines(root: Any) -> list[otio.schema.Timeline]:
    import opentimelineio as otio

    if isinstance(root, otio.schema.Timeline):
        return [root]
    if isinstance(root, otio.schema.SerializableCollection):
        return [one for one in root if isinstance(one, otio.schema.Timeline)]
    return []


def _media(clip: otio.schema.Clip, file: CueFile) -> tuple[str, Fraction]:
    """What a clip shows, and what its media's clock reads at the first picture."""
    reference = clip.media_reference
    source = str(getattr(reference, "target_url", "") or clip.name)
    available = reference.available_range or clip.source_range
    where = f"the clip {printable(clip.name)!r}"
    return source, Fraction(0) if available is None else _seconds(available.start_time, where, file)


def _marker(marker: otio.schema.Marker, start: Fraction, where: str, file: CueFile) -> Marker:
    at = _seconds(marker.marked_range.start_time, where, file) - start
    length = _seconds(marker.marked_range.duration, where, file)
    if text.is_stretch(marker.name) and length > 1 / _rate(marker.marked_range.start_time, where, file):
        return Marker(where, at, at + length, sound=text.going(marker.name))
    exact = _exact(marker, at, _rate(marker.marked_range.start_time, where, file))
    return text.marker(file, where, exact, marker.name, getattr(marker, "comment", "") or "")


def _exact(marker: otio.schema.Marker, at: Fraction, rate: Fraction) -> Fraction:
    """The seconds that our own timelines keep beside the picture, unless the marker was moved since."""
    own = marker.metadata.get("foleygen")
    seconds = own.get("seconds") if hasattr(own, "get") else None
    if isinstance(seconds, int | float) and math.isfinite(seconds) and 0 <= Fraction(seconds) - at < 1 / rate:
        return Fraction(seconds)
    return at


def _seconds(time: otio.opentime.RationalTime, where: str, file: CueFile) -> Fraction:
    if not math.isfinite(time.value):
        raise file.error(f"{where}: has no time", "export it from the editing program again")
    return Fraction(time.value) / _rate(time, where, file)


def _rate(time: otio.opentime.RationalTime, where: str, file: CueFile) -> Fraction:
    if not 0 < time.rate <= _MOST_RATE:
        raise file.error(f"{where}: has no rate", "export it from the editing program again")
    return nominal_rate(Fraction(time.rate).limit_denominator(10**6))
