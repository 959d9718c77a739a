"""A wav -> its chain of mobs in an AAF: master, file, and the tape whose timecode is the clip's."""

from __future__ import annotations

import hashlib
import math
import uuid
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.errors import ClipError, printable
from foleygen.facts import SAMPLE_RATE
from foleygen.record.timeline.reel import Paths
from foleygen.record.timeline.shots import Shot, Sound
from foleygen.settings import AafMedia

if TYPE_CHECKING:
    from aaf2.file import AAFFile

NO_DATE = datetime(2000, 1, 1)


class Sources:
    """The wavs that an open file refers to, or has in it; each is described once."""

    def __init__(self, file: AAFFile, paths: Paths, media: AafMedia) -> None:
        self._file, self._paths, self._media = file, paths, media
        self._masters: dict[Path, Any] = {}

    def master(self, sound: Sound, shot: Shot) -> Any:
        """The master mob of a wav, whose slot 1 is its sound."""
        if sound.path not in self._masters:
            self._masters[sound.path] = self._described(sound, shot)
        return self._masters[sound.path]

    def _described(self, sound: Sound, shot: Shot) -> Any:
        path = sound.path
        name, known, samples = printable(path.name), identity(path), sample_count(path)
        tape = self._tape(sound, shot, samples)
        file = self.mob("SourceMob", f"{name}.PHYS", "file", known, self._media)
        origin = tape.create_source_clip(1, 0, samples, "sound")
        if self._media == "embed":
            self._embed(file, path, origin)
        else:
            self._link(file, path, origin, samples)
        master = self.mob("MasterMob", name, "master", known, self._media)
        slot = master.create_timeline_slot(SAMPLE_RATE)
        slot.name = sound.label
        slot["PhysicalTrackNumber"].value = 1
        slot.segment = file.create_source_clip(1, 0, samples, "sound")
        return master

    def _tape(self, sound: Sound, shot: Shot, samples: int) -> Any:
        """Where the sound lies in the day: an import of the finished clip, with its timecode."""
        handle = round(sound.handle_s * shot.rate)
        start = round((sound.start_s - sound.handle_s) * shot.rate)
        key = (str(shot.path.name), str(start), str(shot.rate), str(samples))
        found = self._file.content.mobs.get(mob_id("tape", *key))
        if found is not None:
            return found
        tape = self.mob("SourceMob", printable(shot.path.name), "tape", *key)
        tape.descriptor = self._file.create.ImportDescriptor()
        slot = tape.create_empty_slot(SAMPLE_RATE, "sound", 1)
        slot.segment.length = samples
        slot["PhysicalTrackNumber"].value = 1
        self.timecode(tape, shot.rate, start, shot.drop_frame, shot.frames + 2 * handle)
        return tape

    def _link(self, file: Any, path: Path, origin: Any, samples: int) -> None:
        create = self._file.create
        descriptor = create.WAVEDescriptor()
        descriptor["SampleRate"].value = SAMPLE_RATE
        descriptor["Summary"].value = bytearray(_summary(path))
        descriptor["Length"].value = samples
        descriptor["ContainerFormat"].value = self._file.dictionary.lookup_containerdef("AAF")
        locator = create.NetworkLocator()
        locator["URLString"].value = self._paths.url(path)
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

    def timecode(self, mob: Any, rate: Fraction, start: int, drop_frame: bool, frames: int) -> Any:
        """A slot of ``mob`` whose first picture of ``frames`` has the label ``start``."""
        slot = mob.create_timeline_slot(f"{rate.numerator}/{rate.denominator}")
        slot.segment = self._file.create.Timecode(math.ceil(rate), drop=drop_frame, length=frames)
        slot.segment.start = start
        return slot

    def mob(self, kind: str, name: str, *key: str) -> Any:
        """A new mob of the file, identified by ``key``."""
        mob = self._file.create.from_name(kind, name)
        mob.mob_id = mob_id(*key)
        mob["CreationTime"].value = NO_DATE
        mob["LastModified"].value = NO_DATE
        self._file.content.mobs.append(mob)
        return mob


def identifier(*key: str) -> uuid.UUID:
    """The same for the same ``key``."""
    return uuid.UUID(bytes=hashlib.sha256("\0".join(key).encode("utf-8", "surrogateescape")).digest()[:16], version=5)


def mob_id(*key: str) -> Any:
    """The same for the same ``key``."""
    from aaf2.mobid import MobID

    found = MobID.new()
    found.material = auid(identifier(*key))
    return found


def auid(identifier: uuid.UUID) -> Any:
    """As pyaaf2 has it."""
    from aaf2.auid import AUID

    return AUID(str(identifier))


def identity(path: Path) -> str:
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


def sample_count(path: Path) -> int:
    """How many samples a mono wav has."""
    import soundfile

    try:
        return int(soundfile.info(path).frames)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ClipError(f"{printable(path)}: is no wav any more", "run 'foleygen add-sound' again") from error
