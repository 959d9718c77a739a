"""A reel -> AAF, by pyaaf2: what Pro Tools, Nuendo, Media Composer and Logic take.

One composition: a timecode slot, and sound slots at 48 kHz, so that a clip begins on its exact sample. Each wav is a
chain of mobs, from the master to the file to a tape whose timecode is the clip's. Gains are operations on the clips;
takes that are not heard are there, muted, on tracks of their own. Identifiers come from what they stand for, and there
are no dates, so the same reel is the same file.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen import __version__
from foleygen.errors import ClipError, printable
from foleygen.facts import SAMPLE_RATE
from foleygen.record.timeline import production
from foleygen.record.timeline.reel import Reel
from foleygen.record.timeline.shots import Shot, Sound
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
_NO_DATE = datetime(2000, 1, 1)
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
    yield _Track("Foley", tuple(_clips(reel, [found[0] for found in takes])))
    for index in range(1, max(map(len, takes), default=0)):
        others = [found[index] if index < len(found) else None for found in takes]
        yield _Track(f"Foley take {index + 1}", tuple(_clips(reel, others)), is_heard=False)
    beds = [one.shot.bed for one in reel.placed]
    if any(beds):
        yield _Track("Ambience", tuple(_clips(reel, beds)))
    own = [production.wavs(one.shot) for one in reel.placed]
    channels = max(map(len, own), default=0)
    for index in range(channels):
        found_own = [found[index] if index < len(found) else None for found in own]
        name = "Production" if channels == 1 else f"Production {index + 1}"
        yield _Track(name, tuple(_clips(reel, found_own)))


def _clips(reel: Reel, sounds: Iterable[Sound | None]) -> Iterator[_Clip]:
    for one, sound in zip(reel.placed, sounds, strict=True):
        if sound is not None:
            start, end = reel.sample(one.place), reel.sample(one.place + one.frames)
            handle = round(sound.handle_s * SAMPLE_RATE)
            yield _Clip(sound, one.shot, start, min(end - start, _samples(sound.path) - handle), handle)


def _sign(file: AAFFile, reel: Reel) -> None:
    """Who made the file, and nothing of when or where."""
    (maker,) = file.header["IdentificationList"].value
    maker["CompanyName"].value = PRODUCT
    maker["ProductName"].value = PRODUCT
    maker["ProductVersionString"].value = __version__
    maker["ProductID"].value = _auid(_NOBODY)
    maker["Date"].value = _NO_DATE
    maker["Platform"].value = ""
    maker["GenerationAUID"].value = _auid(_identifier("generation", reel.record))
    file.header["LastModified"].value = _NO_DATE


class _Writer:
    """Puts tracks into an open file; each wav is described once."""

    def __init__(self, file: AAFFile, reel: Reel, media: AafMedia) -> None:
        self._file, self._reel, self._media = file, reel, media
        self._masters: dict[Path, Any] = {}
        self._gain: Any = None

    def write(self, tracks: list[_Track]) -> None:
        """The composition and all that it refers to."""
        reel = self._reel
        files = [str(_identity(clip.sound.path)) for track in tracks for clip in track.clips]
        composition = self._mob("CompositionMob", printable(reel.name), "composition", reel.record, *files)
        composition.usage = "Usage_TopLevel"
        composition.comments[RECORD] = reel.record
        timecode = self._timecode(composition, reel.rate, reel.start, reel.drop_frame, reel.frames)
        timecode["PhysicalTrackNumber"].value = 1
        timecode.name = "TC1"
        for number, track in enumerate(tracks, start=1):
            slot = composition.create_sound_slot(SAMPLE_RATE)
            slot.name = track.name
            slot["PhysicalTrackNumber"].value = number
            self._fill(slot.segment, track)

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
        segment = self._master(clip).create_source_clip(1, clip.handle, clip.length, "sound")
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
        level.parameterdef = self._file.dictionary.lookup_parameterdef(_auid(AMPLITUDE))
        level["Value"].add_pid_entry()
        typedef = self._file.metadict.lookup_typedef("Rational")
        level["Value"].data = level["Value"].typedef.encode(f"{factor.numerator}/{factor.denominator}", typedef)
        level["Value"].mark_modified()
        group.parameters.append(level)
        group.segments.append(segment)
        return group

    def _defined(self) -> Any:
        create, dictionary = self._file.create, self._file.dictionary
        amplitude = create.ParameterDef(_auid(AMPLITUDE), "Amplitude", "Amplitude", "Rational")
        dictionary.register_def(amplitude)
        gain = create.OperationDef(_auid(GAIN), "Mono Audio Gain", "Mono Audio Gain")
        gain.media_kind = "sound"
        gain["IsTimeWarp"].value = False
        gain["Bypass"].value = 0
        gain.number_inputs = 1
        gain["OperationCategory"].value = "OperationCategory_Effect"
        gain.parameters.append(amplitude)
        dictionary.register_def(gain)
        return gain

    def _master(self, clip: _Clip) -> Any:
        """The master mob of a wav, whose slot 1 is its sound."""
        path = clip.sound.path
        if path not in self._masters:
            self._masters[path] = self._described(clip)
        return self._masters[path]

    def _described(self, clip: _Clip) -> Any:
        path = clip.sound.path
        name, identity, samples = printable(path.name), _identity(path), _samples(path)
        tape = self._tape(clip, samples)
        file = self._mob("SourceMob", f"{name}.PHYS", "file", identity, self._media)
        origin = tape.create_source_clip(1, 0, samples, "sound")
        if self._media == "embed":
            self._embed(file, path, origin)
        else:
            self._link(file, path, origin, samples)
        master = self._mob("MasterMob", name, "master", identity, self._media)
        slot = master.create_timeline_slot(SAMPLE_RATE)
        slot.name = clip.sound.label
        slot["PhysicalTrackNumber"].value = 1
        slot.segment = file.create_source_clip(1, 0, samples, "sound")
        return master

    def _tape(self, clip: _Clip, samples: int) -> Any:
        """Where the sound lies in the day: an import of the finished clip, with its timecode."""
        shot, handle = clip.shot, round(clip.sound.handle_s * clip.shot.rate)
        start = round((clip.sound.start_s - clip.sound.handle_s) * shot.rate)
        key = (str(shot.path.name), str(start), str(shot.rate), str(samples))
        found = self._file.content.mobs.get(_mob_id("tape", *key))
        if found is not None:
            return found
        tape = self._mob("SourceMob", printable(shot.path.name), "tape", *key)
        tape.descriptor = self._file.create.ImportDescriptor()
        slot = tape.create_empty_slot(SAMPLE_RATE, "sound", 1)
        slot.segment.length = samples
        slot["PhysicalTrackNumber"].value = 1
        self._timecode(tape, shot.rate, start, shot.drop_frame, shot.frames + 2 * handle)
        return tape

    def _link(self, file: Any, path: Path, origin: Any, samples: int) -> None:
        create = self._file.create
        descriptor = create.WAVEDescriptor()
        descriptor["SampleRate"].value = SAMPLE_RATE
        descriptor["Summary"].value = bytearray(_summary(path))
        descriptor["Length"].value = samples
        descriptor["ContainerFormat"].value = self._file.dictionary.lookup_containerdef("AAF")
        locator = create.NetworkLocator()
        locator["URLString"].value = self._reel.paths.url(path)
        descriptor["Locator"].append(locator)
        file.descriptor = descriptor
        file.create_empty_slot(SAMPLE_RATE, "sound", 1).segment = origin

    def _embed(self, file: Any, path: Path, origin: Any) -> None:
        import wave

        try:
            file.import_audio_essence(str(path), SAMPLE_RATE, tape=origin)
        except wave.Error as error:
            fact = f"{printable(path)}: cannot be embedded in an AAF ({error})"
            raise ClipError(fact, "use --stems-format pcm24, or --aaf link") from error

    def _timecode(self, mob: Any, rate: Fraction, start: int, drop_frame: bool, frames: int) -> Any:
        slot = mob.create_timeline_slot(f"{rate.numerator}/{rate.denominator}")
        slot.segment = self._file.create.Timecode(math.ceil(rate), drop=drop_frame, length=frames)
        slot.segment.start = start
        return slot

    def _mob(self, kind: str, name: str, *key: str) -> Any:
        mob = self._file.create.from_name(kind, name)
        mob.mob_id = _mob_id(*key)
        mob["CreationTime"].value = _NO_DATE
        mob["LastModified"].value = _NO_DATE
        self._file.content.mobs.append(mob)
        return mob


def _identifier(*key: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256("\0".join(key).encode("utf-8", "surrogateescape")).digest()[:16], version=5)


def _mob_id(*key: str) -> Any:
    from aaf2.mobid import MobID

    found = MobID.new()
    found.material = _auid(_identifier(*key))
    return found


def _auid(identifier: uuid.UUID) -> Any:
    from aaf2.auid import AUID

    return AUID(str(identifier))


def _identity(path: Path) -> str:
    """What a wav is: its size, and all that stands before its samples, its own identifier among it."""
    head = hashlib.sha256(_head(path)).hexdigest()
    return f"{path.name} {path.stat().st_size} {head}"


def _head(path: Path) -> bytes:
    from foleygen.media import wav_chunks

    place = wav_chunks.places(path).get(b"data")
    if place is None:
        raise ClipError(f"{printable(path)}: is no wav any more", "run 'foleygen add-sound' again, with --stems")
    with open(path, "rb") as file:
        return file.read(place.offset)


def _summary(path: Path) -> bytes:
    """The wav's header: RIFF, ``fmt `` and the first eight bytes of its samples' chunk."""
    from foleygen.media import wav_chunks

    head = _head(path)
    form = wav_chunks.places(path)[b"fmt "]
    return head[:12] + head[form.offset - 8 : form.offset + form.size] + head[-8:]


def _samples(path: Path) -> int:
    """How many samples a mono wav has."""
    import soundfile

    try:
        return int(soundfile.info(path).frames)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ClipError(f"{printable(path)}: is no wav any more", "run 'foleygen add-sound' again") from error
