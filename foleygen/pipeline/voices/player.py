"""What is asked of a take, the model's sound of it and a library -> the take as it is heard, and what was played.

The model's hits give way to recordings, and what goes on between them stays the model's; where nothing in the library
fits the words, so does the hit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge

import numpy as np
from numpy.typing import NDArray

from foleygen.audio.onsets import PEAK_RADIUS_S
from foleygen.errors import ClipError, printable
from foleygen.facts import OBEYED_S, SAMPLE_RATE, Played
from foleygen.library.index import GoneError
from foleygen.pipeline.voices.asked import Hit, extras, going, hits
from foleygen.pipeline.voices.choosing import RAISED_DB, Choice, chosen, ends, heard
from foleygen.pipeline.voices.lasting import Ongoing
from foleygen.pipeline.voices.mixing import Dip, Laid, mixed
from foleygen.pipeline.voices.own import OwnSound
from foleygen.pipeline.voices.recorded import BEFORE_S, Sounded, sounded
from foleygen.pipeline.voices.shelf import Shelf
from foleygen.sampling.noise import share
from foleygen.settings import ClipSettings, Voice

CENTS, VARIATION_DB = 30.0, 1.0
"""How far pitch and level of a hit differ from what was asked for, at most."""
SHARE_DB = -3.01
"""Of the model and of the recordings where both are heard: together they are as loud as either would be."""
RISE_DB = 6.0
"""What the model has of its own accord, and is no louder than that than what was before it, is no hit."""
_AHEAD_S, _GONE_S, _BACK_S = 0.02, 0.005, 0.15
"""How long before a hit the model gives way, when it has, and how long it takes to be back."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Take:
    """What playing depends on besides the sound."""

    own: ClipSettings
    onsets: tuple[float, ...]
    """When the model's sounds begin, in seconds after the clip's first picture."""
    offset_s: float
    """What makes a time on that clock one from the beginning of the sound."""
    key: tuple[object, ...]
    """What chance depends on."""
    duration_s: float = np.inf
    """Of the clip: what goes on until then goes on in what is kept after it."""


@dataclass(frozen=True)
class _Part:
    """A hit of the library, or a sound of the model that nobody asked for: where the model gives way."""

    begin: int
    at: int
    """The sample of its attack."""
    dip: Dip | None
    choice: Choice | None
    until_s: float = np.inf
    """Seconds to the next hit of its kind."""


class Player:
    """Plays one take; ``played``, ``onsets`` and ``remarks`` are known once ``sound`` is drawn to its end."""

    def __init__(self, shelf: Shelf, voice: Voice, take: Take, own: OwnSound, channels: int = 1) -> None:
        self._shelf, self._voice, self._take, self._own = shelf, voice, take, own
        self._channels = channels
        self.played: list[Played] = []
        self.events: list[int] = []
        """In the library, of each that was played."""
        self._laid: list[_Part] = []
        self._gone: dict[str, ClipError] = {}
        """Of each recording that could not be played, by its sentence."""
        self._unplayed = 0
        found = [hit for hit in hits(take.own, take.onsets) if hit.is_told or self._is_hit(hit)]
        places = self._places(found)
        self._choices = chosen(shelf, heard(found, places, own), take.key)
        self._plays_hits = any(choice.events for choice in self._choices)
        share_db = SHARE_DB if voice == "both" else None
        self.ongoing = Ongoing(shelf, own, going(take.own), take, self._kept(places), share_db, channels)
        self._parts = [] if self.is_silent else self._planned(places)

    @property
    def is_silent(self) -> bool:
        """The library has nothing for this take, which stays as it is."""
        return not (self._plays_hits or self.ongoing.is_playing)

    def sound(self, own: Iterable[Samples]) -> Iterator[Samples]:
        """The take at 48 kHz in chunks, from the model's chunks (n,) at that rate.

        Of two channels those are (2, n) in which a recording has an image; all else is in the middle.
        """
        if self.is_silent:
            return iter(own)
        laid = merge(self._sounds(), self.ongoing.sounds(), key=lambda one: one.begin)
        return mixed(own, laid, SHARE_DB if self._voice == "both" else 0.0)

    def onsets(self) -> list[float]:
        """When the sounds of the take begin, in seconds after the first picture."""
        times = np.array([one.seconds for one in (*self.played, *self.ongoing.played)])
        kept = [
            onset
            for onset in self._take.onsets
            if not (np.abs(times - onset) < PEAK_RADIUS_S).any() and not self._is_gone(onset)
        ]
        return sorted([*times.tolist(), *kept])

    def remarks(self) -> Iterator[str]:
        """What to tell of the take: what the library does not have."""
        lacking = Counter(one.hit.words for one in self._choices if not one.events and not one.hit.is_steady)
        for words, count in lacking.items():
            sounds = "one of its sounds is" if count == 1 else f"{count} of its sounds are"
            yield f"the library has nothing for {words}: {sounds} the model's"
        yield from self.ongoing.remarks()
        yield from self._endless()
        yield from self._lost()
        raised = max((*self.played, *self.ongoing.played), key=lambda one: one.gain_db, default=None)
        if raised is not None and raised.gain_db > RAISED_DB:
            count = sum(one.gain_db > RAISED_DB for one in (*self.played, *self.ongoing.played))
            hits = "a sound was" if count == 1 else f"{count} sounds were"
            most = f"{printable(raised.file)} by {raised.gain_db:.0f} dB"
            yield f"{hits} raised by more than {RAISED_DB:g} dB, with the noise of the recording: {most}"

    def _endless(self) -> Iterator[str]:
        """What to tell of given cues at which something goes on, nobody knows how long."""
        steady = [one.hit for one in self._choices if one.hit.is_told and one.hit.is_steady]
        if steady and not self._take.own.spotted:
            first, count = steady[0], len(steady)
            where = f"{first.words} at {first.seconds:.3f} s" + (f" and {count - 1} more" if count > 1 else "")
            yield f"{where}: goes on for nobody knows how long, and is the model's; say until when, as 2.0..5.5"

    def _lost(self) -> Iterator[str]:
        """What to tell of recordings that could not be played."""
        gone, unplayed = {**self._gone, **self.ongoing.gone}, self._unplayed + self.ongoing.unplayed
        if not gone:
            return
        first, *others = gone.values()
        more = f" (and so {'is' if len(others) == 1 else 'are'} {len(others)} more)" if others else ""
        instead = "the next nearest is played"
        if unplayed:
            instead += f", or the model where none is left ({unplayed})"
        # What has gone or come back is noticed by the next run; what was changed and put right is not.
        then = "run it again" if all(isinstance(one, GoneError) for one in gone.values()) else "use --overwrite"
        yield f"{first.message}{more}, and {instead}; {first.remedy}, then {then}"

    def _is_hit(self, hit: Hit) -> bool:
        """Whether what the model has of its own accord stands out of what goes on."""
        return self._own.rise_db(hit.seconds + self._take.offset_s) >= RISE_DB

    def _places(self, found: Sequence[Hit]) -> list[float]:
        """Where the model has each hit, ascending: the nearest onset, or where it should be."""
        onsets = np.asarray(self._take.onsets)
        places = []
        for hit in found:
            near = float(onsets[np.argmin(np.abs(onsets - hit.seconds))]) if len(onsets) else np.inf
            places.append((near if abs(near - hit.seconds) <= OBEYED_S else hit.seconds) + self._take.offset_s)
        return [float(place) for place in np.maximum.accumulate(places)] if places else []

    def _planned(self, places: Sequence[float]) -> list[_Part]:
        parts = []
        for choice, place, end in zip(self._choices, places, ends(places), strict=True):
            at_s = choice.hit.seconds + self._take.offset_s
            if choice.events and at_s < self._own.end_s:
                parts.append(self._part(at_s, min(place, at_s), end, choice))
        # What goes on is to begin too, where the model plays it.
        wanted = [*places, *(one.start_s + self._take.offset_s for one in going(self._take.own))]
        for onset in extras(self._take.own, self._take.onsets):
            at_s = onset + self._take.offset_s
            parts.append(self._part(at_s, at_s, min((p for p in wanted if p > at_s), default=np.inf), None))
        ordered = sorted(parts, key=lambda part: (part.begin, part.at))
        return _ended(ordered)

    def _kept(self, places: Sequence[float]) -> list[tuple[float, float]]:
        """From when to when, in seconds from the beginning of the sound, the model's own hits are to be heard."""
        return [
            (place - _AHEAD_S, self._own.quiet_from(place, end))
            for choice, place, end in zip(self._choices, places, ends(places), strict=True)
            if not choice.events and not choice.hit.is_steady
        ]

    def _part(self, at_s: float, place: float, end: float, choice: Choice | None) -> _Part:
        first = round((place - _AHEAD_S) * SAMPLE_RATE)
        if self._voice == "both" and choice is not None:
            return _Part(first, round(at_s * SAMPLE_RATE), None, choice)
        again = max(self._own.quiet_from(place, end), at_s)
        bounds = (place - _GONE_S, again, again + _BACK_S)
        return _Part(
            first, round(at_s * SAMPLE_RATE), Dip(first, *(round(bound * SAMPLE_RATE) for bound in bounds)), choice
        )

    def _sounds(self) -> Iterator[Laid]:
        """What is laid into the take, in order; what was played is noted."""
        for part in self._parts:
            if part.choice is None:
                self._laid.append(part)
                yield Laid(part.begin, part.at, np.zeros(0, np.float32), part.dip)
                continue
            made = self._sounded(part, part.choice)
            if made is not None:
                self._laid.append(part)
                yield Laid(part.begin, part.at - made.attack, made.samples, part.dip)

    def _sounded(self, part: _Part, choice: Choice) -> Sounded | None:
        """The first of the events that is still there; None where all are gone."""
        key = ("vary", *self._take.key, round(choice.hit.seconds * 1000), choice.hit.words)
        cents, louder = (limit * (2 * share(*key, limit) - 1) for limit in (CENTS, VARIATION_DB))
        level = choice.level_db + louder + (SHARE_DB if self._voice == "both" else 0.0)
        for event in choice.events:
            try:
                samples, rate, attack = self._shelf.index.sound(event, before_s=2 * BEFORE_S)
            except ClipError as error:
                self._gone[error.message] = error
                continue
            made = sounded(
                samples, rate, attack, level_db=level, cents=cents, until_s=part.until_s, channels=self._channels
            )
            self._note(choice.hit, event, made.gain_db, cents)
            return made
        self._unplayed += 1
        return None

    def _note(self, hit: Hit, event: int, gain_db: float, cents: float) -> None:
        self.events.append(event)
        one = self._shelf.recording(event)
        file_s = self._shelf.index.events[event].attack / one.sample_rate
        self.played.append(Played(hit.seconds, one.file, file_s, gain_db, cents, one.licence, one.source))

    def _is_gone(self, onset: float) -> bool:
        """Whether the model has given way there."""
        place = round((onset + self._take.offset_s) * SAMPLE_RATE)
        if self.ongoing.is_gone(place):
            return True
        return any(part.dip is not None and part.dip.begin <= place < part.dip.again for part in self._laid)


def _ended(parts: Sequence[_Part]) -> list[_Part]:
    """The same, each of which knows when the next one of its kind begins."""
    following: dict[object, int] = {}
    found = []
    for part in reversed(parts):
        if part.choice is None:
            found.append(part)
            continue
        kind = part.choice.hit.sound
        after = following.get(kind)
        later = after is not None and after > part.at
        found.append(replace(part, until_s=(after - part.at) / SAMPLE_RATE) if later and after is not None else part)
        following[kind] = part.at
    return found[::-1]
