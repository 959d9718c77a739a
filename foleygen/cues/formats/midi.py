"""MIDI files: notes are hits, as played on pads, their velocity is the strength; marker events (FF 06) have texts.

What stands at one tick is one cue. Tempo changes count, and so do files that divide seconds instead of beats. Written
are marker events at one tempo, which is how Pro Tools, Logic and Nuendo take markers. Needs the extra ``midi``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.cues import text
from foleygen.cues.clock import ClipClock
from foleygen.cues.marker import Marker
from foleygen.cues.reading import CueFile
from foleygen.errors import SetupError, UsageError, printable
from foleygen.facts import CueSheet
from foleygen.strict import Reader

if TYPE_CHECKING:
    import mido

TICKS_PER_BEAT = 24_000
"""At TEMPO a tick is one sample at 48 kHz."""
TEMPO = 500_000
"""Microseconds a beat: 120 beats a minute, and what a file has that names no tempo."""
LOUDEST = 127
NOTES = 128
_DROP_RATE = 29
_ASYNCHRONOUS = 2
_MAGIC = b"MThd"
_MOST_TICKS = 2**48
_ENDLESS = re.compile(rb"[\x80-\xff]{4096}")
"""Of a number that long the library makes one whole number, digit by digit."""
_WRITTEN, _READ = "utf-8", "latin-1"
_NOTE = re.compile(r"([A-Ga-g])(#|b)?(-?[0-9])")
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


def recognises(head: str) -> bool:
    """Any ``.mid``."""
    return True


def read(file: CueFile) -> list[Marker]:
    """The hits and markers of a file. Raises UsageError, and SetupError without the library."""
    opened = _opened(file)
    markers = []
    for seconds, moment in _moments(opened, file):
        where = f"at {float(seconds):.3f} s"
        said = text.marker(file, where, seconds, *moment.texts)
        hits = [
            replace(said, strength=velocity / LOUDEST, sound=_sound(note, where, file) or said.sound)
            for note, velocity in moment.notes.items()
        ]
        markers += hits or [said]
        file.counted(len(markers))
    if not markers:
        raise file.error("has neither notes nor markers", "export the track with the hits")
    return markers


def write(sheet: CueSheet, clock: ClipClock) -> bytes:
    """One track with a marker event for each cue. Raises UsageError for a sheet with stretches."""
    mido = _library("markers as MIDI")
    cues = text.without_stretches(sheet, "MIDI").cues
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=TEMPO, time=0)])
    ticks = 0
    for index, cue in enumerate(cues, start=1):
        place = round(cue.seconds * 10**6 / TEMPO * TICKS_PER_BEAT)
        track.append(mido.MetaMessage("marker", text=text.line(cue, index), time=place - ticks))
        ticks = place
    made = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, charset=_WRITTEN)
    made.tracks.append(track)
    stream = io.BytesIO()
    made.save(file=stream)
    return stream.getvalue()


def note_map(path: Path) -> Mapping[int, str]:
    """What notes stand for: YAML with a number or a name such as ``C3`` (middle C, 60) for each sound.

    Raises UsageError, for words that are not known too.
    """
    reader, where = Reader(UsageError), printable(path)
    found: dict[int, str] = {}
    for key, sound in reader.mapping(path).items():
        number = _note(str(key))
        if number is None:
            fact = f"{where}: {printable(str(key))!r} is no note"
            raise UsageError(fact, f"give a number from 0 to {NOTES - 1}, or a name such as C3, F#2 or Bb1")
        if not isinstance(sound, str):
            raise UsageError(f"{where}: {printable(str(key))} is not followed by words for a sound", "correct it")
        if number in found:
            raise UsageError(f"{where}: has the note {number} twice", "remove one")
        found[number] = text.sound_of(sound, f"{where}: {printable(str(key))}")
    return found


@dataclass
class _Moment:
    """What a file has at one tick."""

    notes: dict[int, int] = field(default_factory=dict)
    """Note -> velocity."""
    texts: list[str] = field(default_factory=list)


def _library(what: str) -> Any:
    try:
        import mido
    except ImportError as error:
        raise SetupError(f"{what}: needs mido", "install it with: pip install 'foleygen[midi]'") from error
    return mido


def _opened(file: CueFile) -> mido.MidiFile:
    """The file as mido has it."""
    mido = _library(printable(file.path))
    data = file.data()
    if not data.startswith(_MAGIC) or _ENDLESS.search(data):
        raise file.error("is no MIDI file", "export it again as a standard MIDI file")
    try:
        opened = mido.MidiFile(file=io.BytesIO(data), clip=True, charset=_READ)
    except Exception as error:  # what the library raises on damaged files has no common base
        reason = " ".join(str(error).split()) or type(error).__name__
        raise file.error(f"is no MIDI file that can be read ({reason})", "export it again") from error
    if opened.type == _ASYNCHRONOUS:
        raise file.error("has tracks that each have a time of their own (type 2)", "export it as type 0 or 1")
    return opened


def _moments(opened: mido.MidiFile, file: CueFile) -> Iterator[tuple[Fraction, _Moment]]:
    """Seconds and what is there, in order."""
    moments: dict[int, _Moment] = {}
    tempos = [(0, TEMPO)]
    for track in opened.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if tick > _MOST_TICKS:
                raise file.error("has times beyond any clip", "export it again")
            if message.type == "set_tempo":
                tempos.append((tick, message.tempo))
            elif message.type in ("note_on", "marker"):
                _add(moments, tick, message)
    clock = _Ticks(opened.ticks_per_beat, sorted(tempos, key=lambda one: one[0]))
    for tick in sorted(moments):
        yield clock.seconds(tick), moments[tick]


def _add(moments: dict[int, _Moment], tick: int, message: Any) -> None:
    """A note without velocity is the end of one."""
    if message.type == "marker":
        moments.setdefault(tick, _Moment()).texts.append(_text(message.text))
    elif message.velocity > 0:
        notes = moments.setdefault(tick, _Moment()).notes
        notes[message.note] = max(message.velocity, notes.get(message.note, 0))


def _text(read: str) -> str:
    """Bytes that were read one by one: UTF-8 if they are that, else as older programs write."""
    try:
        return read.encode(_READ).decode(_WRITTEN)
    except UnicodeDecodeError:
        return read


def _sound(note: int, where: str, file: CueFile) -> str | None:
    """What the map says of a note. Raises UsageError for one that is not in it."""
    if file.sounds and note not in file.sounds:
        fact = f"{where}: the note {note} stands for no sound in --midi-map"
        raise file.error(fact, f"add a line '{note}: SOUND'")
    return file.sounds.get(note)


class _Ticks:
    """Ticks to seconds; asked in order."""

    def __init__(self, division: int, tempos: list[tuple[int, int]]) -> None:
        self._division = division
        self._tempos = tempos
        self._index = 0
        self._passed = Fraction(0)

    def seconds(self, tick: int) -> Fraction:
        """When ``tick`` is; never before the last one that was asked for."""
        if self._division < 0:
            return tick / _smpte_ticks(self._division)
        while self._index + 1 < len(self._tempos) and self._tempos[self._index + 1][0] <= tick:
            start, tempo = self._tempos[self._index]
            self._passed += self._span(self._tempos[self._index + 1][0] - start, tempo)
            self._index += 1
        start, tempo = self._tempos[self._index]
        return self._passed + self._span(tick - start, tempo)

    def _span(self, ticks: int, tempo: int) -> Fraction:
        return Fraction(ticks * tempo, max(1, self._division) * 10**6)


def _smpte_ticks(division: int) -> Fraction:
    """Ticks a second where the header divides seconds: pictures a second, negative, and ticks a picture."""
    high, low = divmod(division & 0xFFFF, 256)
    rate = 256 - high
    return max(1, low) * (Fraction(30000, 1001) if rate == _DROP_RATE else Fraction(rate))


def _note(name: str) -> int | None:
    """The number of a note given as one, or by a name in which C3 is middle C (60), as most pads count."""
    if name.isascii() and name.isdigit():
        number = int(name[:4])
    elif found := _NOTE.fullmatch(name.strip()):
        number = _STEPS[found[1].lower()] + {"#": 1, "b": -1, None: 0}[found[2]] + 12 * (int(found[3]) + 2)
    else:
        return None
    return number if 0 <= number < NOTES else None
