"""A reel -> AAF, by pyaaf2: what Pro Tools, Nuendo, Media Composer and Logic take.

One composition: a timecode slot, and sound slots at 48 kHz, so that a clip begins on its exact sample. All of them are
mono, and so are the wavs: Pro Tools links no others. Each wav is a
chain of mobs, from the master to the file to a tape whose timecode is the clip's. Gains are operations on the clips;
takes that are not heard are there, muted, on tracks of their own. What a library plays has locators. Identifiers come
from what they stand for, and there are no dates, so the same reel is the same file.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen import __version__
from foleygen.errors import ClipError, printable
from foleygen.facts import SAMPLE_RATE, SIDES
from foleygen.record.timeline import production, sides
from foleygen.record.timeline.locators import locate
from foleygen.record.timeline.reel import Reel
from foleygen.record.timeline.shots import Shot, Sound
from foleygen.record.timeline.sources import NO_DATE, Sources, auid, identifier, identity, sample_count
from foleygen.settings import AafMedia

if TYPE_CHECKING:
    from aaf2.file import AAFFile

PRODUCT = "foleygen"
RECORD = "foleygen"
"""The composition's comment that says how to make the timeline again."""
GAIN = uuid.UUID("9d2ea894-0968-11d3-8a38-0050040ef7d2")
"""The operation "Mono Audio Gain"."""
AMPLITUDE = uuid.UUID("e4962321-2267-11d3-8a4c-0050040ef7d2")
"""Its linear factor."""
_NOBODY = uuid.UUID("f3f1fd2b-8b6f-4a7e-9d0b-0f6f3a5e2c41")
"""foleygen as the maker of a file."""
_UNITY = 0.005
"""Gains in dB that need no operation."""


@dataclass(frozen=True)
class _Clip:
    """A sound in the sequence, in samples of it."""

    sound: Sound
    shot: Shot
    start: int
    length: int
    handle: int
    """Samples of the file before it."""


@dataclass(frozen=True)
class _Track:
    name: str
    clips: tuple[_Clip, ...]
    is_heard: bool = True


def write(reel: Reel, path: Path, media: AafMedia) -> None:
    """The whole file into ``path``. Raises ClipError for a shot whose takes are no wavs, or that cannot be embedded."""
    import aaf2

    tracks = list(_tracks(reel))
    with aaf2.open(str(path), "w") as file:
        _sign(file, reel)
        _Writer(file, reel, media).write(tracks)


def read_record(path: Path) -> str | None:
    """The record in an AAF of ours; None for any other file."""
    import aaf2

    try:
        with aaf2.open(str(path), "r") as file:
            makers = file.header["IdentificationList"].value
            if PRODUCT not in {maker["ProductName"].value for maker in makers}:
                return None
            (composition,) = file.content.toplevel()
            return str(composition.comments[RECORD])
    except OSError:
        raise
    except Exception:  # whatever a damaged file does to the library, it is none of ours
        return None


def _tracks(reel: Reel) -> Iterator[_Track]:
    """The tracks, top to bottom: Foley, its other takes, ambience, own sound."""
    for one in reel.placed:
        if not all(sound.is_wav for sound in one.shot.takes[:1]):
            fact = f"{printable(one.shot.path)}: has no wav for the AAF"
            raise ClipError(fact, "run 'foleygen add-sound' again, with --stems")
    takes = [[sound for sound in one.shot.takes if sound.is_wav] for one in reel.placed]
    yield from _sided(reel, "Foley", [found[0] for found in takes])
    for index in range(1, max(map(len, takes), default=0)):
        others = [found[index] if index < len(found) else None for found in takes]
        yield from _sided(reel, f"Foley take {index + 1}", others, is_heard=False)
    beds = [one.shot.bed for one in reel.placed]
    if any(beds):
        yield from _sided(reel, "Ambience", beds)
    own = [production.wavs(one.shot) for one in reel.placed]
    channels = max(map(len, own), default=0)
    for index in range(channels):
        found_own = [found[index] if index < len(found) else None for found in own]
        name = "Production" if channels == 1 else f"Production {index + 1}"
        yield _Track(name, tuple(_clips(reel, found_own)))


def _sided(reel: Reel, name: str, sounds: Iterable[Sound | None], is_heard: bool = True) -> Iterator[_Track]:
    """A track, or one for each side where a sound is in stereo; one that is not is on the first of the two."""
    found = [() if sound is None else sides.mono(sound) for sound in sounds]
    is_pair = any(len(pair) > 1 for pair in found)
    for index, side in enumerate(SIDES if is_pair else ("",)):
        parts = [pair[index] if index < len(pair) else None for pair in found]
        yield _Track(f"{name} {side}".rstrip(), tuple(_clips(reel, parts)), is_heard)


def _clips(reel: Reel, sounds: Iterable[Sound | None]) -> Iterator[_Clip]:
    for one, sound in zip(reel.placed, sounds, strict=True):
        if sound is not None:
            start, end = reel.sample(one.place), reel.sample(one.place + one.frames)
            handle = round(sound.handle_s * SAMPLE_RATE)
            yield _Clip(sound, one.shot, start, min(end - start, sample_count(sound.path) - handle), handle)


def _sign(file: AAFFile, reel: Reel) -> None:
    """Who made the file, and nothing of when or where."""
    (maker,) = file.header["IdentificationList"].value
    maker["CompanyName"].value = PRODUCT
    maker["ProductName"].value = PRODUCT
    maker["ProductVersionString"].value = __version__
    maker["ProductID"].value = auid(_NOBODY)
    maker["Date"].value = NO_DATE
    maker["Platform"].value = ""
    maker["GenerationAUID"].value = auid(identifier("generation", reel.record))
    file.header["LastModified"].value = NO_DATE


class _Writer:
    """Puts tracks into an open file."""

    def __init__(self, file: AAFFile, reel: Reel, media: AafMedia) -> None:
        self._file, self._reel = file, reel
        self._sources = Sources(file, reel.paths, media)
        self._gain: Any = None

    def write(self, tracks: list[_Track]) -> None:
        """The composition and all that it refers to."""
        reel, sources = self._reel, self._sources
        files = [str(identity(clip.sound.path)) for track in tracks for clip in track.clips]
        composition = sources.mob("CompositionMob", printable(reel.name), "composition", reel.record, *files)
        composition.usage = "Usage_TopLevel"
        composition.comments[RECORD] = reel.record
        timecode = sources.timecode(composition, reel.rate, reel.start, reel.drop_frame, reel.frames)
        timecode["PhysicalTrackNumber"].value = 1
        timecode.name = "TC1"
        slots = [composition.create_sound_slot(SAMPLE_RATE) for _ in tracks]
        for number, (slot, track) in enumerate(zip(slots, tracks, strict=True), start=1):
            slot.name = track.name
            slot["PhysicalTrackNumber"].value = number
            self._fill(slot.segment, track)
        locate(self._file, composition, reel, slots[0])

    def _fill(self, sequence: Any, track: _Track) -> None:
        """Clips at their place, and filler between them and to the end."""
        position, total = 0, self._reel.sample(self._reel.frames)
        for clip in track.clips:
            self._pause(sequence, clip.start - position)
            sequence.components.append(self._segment(clip, track.is_heard))
            position = clip.start + clip.length
        self._pause(sequence, total - position)
        sequence.length = total

    def _pause(self, sequence: Any, length: int) -> None:
        if length > 0:
            sequence.components.append(self._file.create.Filler("sound", length))

    def _segment(self, clip: _Clip, is_heard: bool) -> Any:
        segment = self._sources.master(clip.sound, clip.shot).create_source_clip(1, clip.handle, clip.length, "sound")
        if abs(clip.sound.gain_db) >= _UNITY:
            segment = self._louder(segment, clip)
        if is_heard:
            return segment
        # As Media Composer mutes a clip: nothing is selected, and the clip is the alternative.
        muted = self._file.create.Selector("sound", clip.length)
        muted["Selected"].value = self._file.create.Filler("sound", clip.length)
        muted["Alternates"].append(segment)
        return muted

    def _louder(self, segment: Any, clip: _Clip) -> Any:
        create = self._file.create
        if self._gain is None:
            self._gain = self._defined()
        group = create.OperationGroup(self._gain, clip.length, "sound")
        factor = Fraction(10 ** (clip.sound.gain_db / 20)).limit_denominator(10**6)
        level = create.ConstantValue()
        level.parameterdef = self._file.dictionary.lookup_parameterdef(auid(AMPLITUDE))
        level["Value"].add_pid_entry()
        typedef = self._file.metadict.lookup_typedef("Rational")
        level["Value"].data = level["Value"].typedef.encode(f"{factor.numerator}/{factor.denominator}", typedef)
        level["Value"].mark_modified()
        group.parameters.append(level)
        group.segments.append(segment)
        return group

    def _defined(self) -> Any:
        create, dictionary = self._file.create, self._file.dictionary
        amplitude = create.ParameterDef(auid(AMPLITUDE), "Amplitude", "Amplitude", "Rational")
        dictionary.register_def(amplitude)
        gain = create.OperationDef(auid(GAIN), "Mono Audio Gain", "Mono Audio Gain")
        gain.media_kind = "sound"
        gain["IsTimeWarp"].value = False
        gain["Bypass"].value = 0
        gain.number_inputs = 1
        gain["OperationCategory"].value = "OperationCategory_Effect"
        gain.parameters.append(amplitude)
        dictionary.register_def(gain)
        return gain
