"""What is said of a clip, and what the model made sound -> the hits, and what goes on, that a library is to play."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foleygen.audio.onsets import PEAK_RADIUS_S
from foleygen.cues.words import Sound, understand
from foleygen.facts import OBEYED_S
from foleygen.settings import ClipSettings

NO_WORDS = Sound(None, None)


@dataclass(frozen=True)
class Hit:
    """One moment that is to be heard."""

    seconds: float
    """After the clip's first picture."""
    strength: float | None = None
    """0 to 1; None: as loud as the model has it."""
    words: str | None = None
    is_told: bool = True
    """It is a cue; else the model has it of its own accord."""

    @property
    def sound(self) -> Sound:
        """What its words mean."""
        return NO_WORDS if self.words is None else understand(self.words)

    @property
    def is_steady(self) -> bool:
        """It goes on, as rain does, and is no hit: the model has it."""
        return self.sound.goes_on


@dataclass(frozen=True)
class Going:
    """A stretch in which something goes on, such as rain; seconds after the clip's first picture."""

    start_s: float
    end_s: float
    words: str
    is_told: bool = True
    """Somebody said from when to when; else it is all of the clip, and as loud as the model has it from moment to
    moment."""

    @property
    def sound(self) -> Sound:
        """What its words mean."""
        return understand(self.words)


def going(own: ClipSettings) -> list[Going]:
    """What goes on in a clip: where its cues say so or, where nobody gave any, all through if its words do."""
    told = () if own.cues is None else own.cues.lasting
    found = [Going(one.start_s, one.end_s, one.sound) for one in told]
    if own.sound is not None and (own.cues is None or own.spotted):
        found.append(Going(-math.inf, math.inf, own.sound, is_told=False))
    return sorted((one for one in found if one.sound.goes_on), key=lambda one: (one.start_s, one.words))


def hits(own: ClipSettings, onsets: Sequence[float]) -> list[Hit]:
    """The cues of a clip, and those of the model's ``onsets`` (s, ascending) that no cue decides on; in order.

    Without cues that is all of them.
    """
    cues = () if own.cues is None else own.cues.cues
    told = [Hit(cue.seconds, cue.strength, cue.sound or own.sound) for cue in cues]
    free = [Hit(onset, None, _words(own, onset), is_told=False) for onset in onsets if _is_free(own, onset)]
    return sorted([*told, *free], key=lambda hit: (hit.seconds, hit.words or ""))


def extras(own: ClipSettings, onsets: Sequence[float]) -> Iterator[float]:
    """Those of ``onsets`` that nobody asked for, where the cues that somebody gave were to be all there is."""
    if own.cues is None or own.spotted:
        return
    for onset in onsets:
        if own.cues.is_known(onset) and not own.cues.between(onset - OBEYED_S, onset + OBEYED_S):
            yield onset


def _words(own: ClipSettings, onset: float) -> str | None:
    return (None if own.cues is None else own.cues.lasting_at(onset)) or own.sound


def _is_free(own: ClipSettings, onset: float) -> bool:
    if own.cues is None:
        return True
    near = own.cues.between(onset - PEAK_RADIUS_S, onset + PEAK_RADIUS_S)
    return not near and not own.cues.is_known(onset)
