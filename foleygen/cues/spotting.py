"""What is said of each clip of a batch: its cues, found by name or given, and its words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from foleygen.cues import files, text, words
from foleygen.cues.clock import ClipClock
from foleygen.cues.cue import filled
from foleygen.cues.formats import midi
from foleygen.cues.marker import Markers, placed
from foleygen.cues.sources import OtherClipError
from foleygen.errors import ClipError, UsageError, printable
from foleygen.settings import ClipSettings, is_list
from foleygen.strict import Reader

AUTO = "auto"
"""The cues beside a clip, where there are any; else what is seen in its picture."""
SPOT = "spot"
"""What is seen in its picture, also where there are others."""
_MOST_NAMES = 3


@dataclass(frozen=True)
class Spotting:
    """The same before the clip is seen; can be handed to another process."""

    markers: Markers | None = None
    start: str | None = None
    """What the markers' clock reads at the first picture; None: what the clip's own does."""
    fill: bool = False
    """The picture may add to the cues."""
    sound: str | None = None
    picture: bool = True
    problem: ClipError | None = None
    """Why the cues that lie beside the clip cannot be used."""
    spotted: bool = False
    """Its cues are found when its picture is seen."""

    @property
    def catid(self) -> str:
        """The category of its sounds in the Universal Category System, as far as words tell."""
        markers = () if self.markers is None else self.markers.markers
        return words.catid_of([self.sound, *(marker.sound for marker in markers)])

    @property
    def is_clocked(self) -> bool:
        """Whether ``settled`` needs the clip's clock, or has something to say against it."""
        return self.markers is not None or self.problem is not None or (self.sound is None and not self.picture)

    @property
    def without_markers(self) -> ClipSettings:
        """What is set where no markers are given."""
        return ClipSettings(None, self.sound, self.picture, self.spotted)

    def settled(self, clock: ClipClock) -> tuple[ClipSettings, tuple[str, ...]]:
        """What is set for the clip with that ``clock``, and what to warn of.

        Raises ClipError for times beyond it, and for cues beside it that cannot be used.
        """
        if self.problem is not None:
            raise self.problem
        if self.markers is None and self.sound is None and not self.picture:
            fact = f"{printable(clock.name)}: has neither cues nor words, and its picture is not to be used"
            raise ClipError(fact, "give it cues with --cues or words with --sound")
        if self.markers is None:
            return self.without_markers, ()
        there = placed(self.markers, clock, self.start)
        found = there.cues
        given = sum(not marker.is_stretch for marker in self.markers.markers)
        doubles = given - len(found.cues)
        each = f"{doubles} of its {given} cues fall within 10 ms of another one of the same sound and count as it"
        notes = (*((f"{found.source}: {each}",) if doubles else ()), *there.remarks())
        return ClipSettings(filled(found) if self.fill else found, self.sound, self.picture), notes


NOTHING = Spotting()


@dataclass
class Spotter:
    """Finds what is said of each clip; ``cues`` is AUTO, SPOT, a file, a folder, or None."""

    cues: str | None = AUTO
    sound: str | None = None
    """Words, or a YAML file of them by clip."""
    fill: bool = False
    picture: bool = True
    notes: Path | None = None
    """What MIDI notes stand for."""
    start: str | None = None
    _found: list[str] = field(default_factory=list)
    _without: list[str] = field(default_factory=list)
    _named: set[str] = field(default_factory=set)
    _problems: int = 0
    """Clips beside which there are cues that cannot be used."""

    def of(self, clip: Path, mirror: Path = Path(), others: bool = False, sound: str | None = None) -> Spotting:
        """What is said of ``clip``; ``others`` says that it is not alone in its batch, ``sound`` are words of its own.

        Raises UsageError, but not for cues that were found beside the clip: they are that clip's problem.
        """
        sounds, for_all = self._sounds, self.sound_of(clip)  # what cannot be read is told, also where it is not needed
        sound = sound or for_all
        if self.cues == SPOT:
            return Spotting(sound=sound, picture=self.picture, spotted=True)
        try:
            path = self._path(clip, mirror)
            markers = None if path is None else self._markers(path, clip, others, sounds)
        except UsageError as error:
            if self.cues != AUTO:
                raise
            self._problems += 1
            return Spotting(sound=sound, picture=self.picture, problem=ClipError(error.message, error.remedy))
        if markers is not None:
            self._found.append(printable(markers.path.name))
            return Spotting(markers, self.start, self.fill, sound, self.picture)
        if self.cues not in (AUTO, None):
            self._without.append(printable(clip.name))
        return Spotting(sound=sound, picture=self.picture, spotted=self.cues == AUTO and self.picture)

    def remarks(self) -> list[str]:
        """What is to be said of the batch, one line each, once all of its clips were asked for."""
        lines = [f"cues from {_some(self._found)}"] if self._found else []
        if self._without:
            lines.append(f"no cues for {_some(self._without)}: there the picture decides")
        if isinstance(self._words, Mapping) and (unused := [name for name in self._words if name not in self._named]):
            lines.append(f"{printable(str(self.sound))}: names {_some(unused)}, which is none of these clips")
        if (idle := self._idle()) and not self._found and not self._problems:
            lines.append(f"warning: no cues are given for these clips, so that {', '.join(idle)} changes nothing")
        return lines

    def _idle(self) -> list[str]:
        """The options that were given and say something of cues."""
        given = {"--fill": self.fill, "--cues-start": self.start is not None, "--midi-map": self.notes is not None}
        return [option for option, is_given in given.items() if is_given]

    def _path(self, clip: Path, mirror: Path) -> Path | None:
        """The file with the cues of ``clip``."""
        if self.cues is None:
            return None
        if self.cues == AUTO:
            return files.beside(clip)
        given = Path(self.cues)
        if not given.is_dir():
            return given
        return files.beside(clip, given / mirror) or files.beside(clip, given)

    def _markers(self, path: Path, clip: Path, others: bool, sounds: Mapping[int, str]) -> Markers | None:
        is_one_file = self.cues != AUTO and path == Path(str(self.cues))
        if is_one_file and others and path.exists() and not files.speaks_of_many(path):
            fact = f"{printable(path)}: has the cues of one clip, and there are more"
            raise UsageError(fact, f"name the clip, or give a folder with a NAME{files.MARK}.csv for each")
        try:
            return files.read(path, clip.name, sounds)
        except OtherClipError:
            if others:
                return None
            raise

    @cached_property
    def _sounds(self) -> Mapping[int, str]:
        return {} if self.notes is None else midi.note_map(self.notes)

    @cached_property
    def _words(self) -> Mapping[str, str] | str | None:
        """Words for all, or by the name of the clip."""
        if self.sound is None:
            return None
        if not is_list(self.sound):
            return text.sound_of(self.sound, "--sound")
        return _listed(Path(self.sound))

    def sound_of(self, clip: Path) -> str | None:
        """Words for all of ``clip``. Raises UsageError."""
        if not isinstance(self._words, Mapping):
            return self._words
        name = next((name for name in (clip.name, clip.stem) if name in self._words), None)
        if name is None:
            return None
        self._named.add(name)
        return self._words[name]


def check_learnt(own: ClipSettings, known: Collection[str], clip: str) -> None:
    """Raises ClipError for words in ``own`` that a model does not know; ``known`` are its families and materials."""
    for sound in dict.fromkeys([own.sound, *(() if own.cues is None else own.cues.sounds)]):
        if sound is not None:
            try:
                words.understand(sound, known)
            except UsageError as error:
                raise ClipError(f"{printable(clip)}: {error.message}", error.remedy) from error


def _listed(path: Path) -> Mapping[str, str]:
    """Words by clip, from YAML. Raises UsageError."""
    found = {}
    for name, sound in Reader(UsageError).mapping(path).items():
        where = f"{printable(path)}: {printable(str(name))}"
        if not isinstance(sound, str):
            raise UsageError(f"{where} is not followed by words for a sound", "write NAME: WORDS, a line for each clip")
        found[str(name)] = text.sound_of(sound, where)
    return found


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
