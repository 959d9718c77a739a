"""A clip's cues and words as the models take them: one track for each window, and whether its sound keeps to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from foleygen.audio.obedience import judged
from foleygen.audio.strikes import USUAL_DB
from foleygen.cues.cue import moved
from foleygen.cues.words import understand
from foleygen.engines.foley import Engine
from foleygen.errors import BundleError
from foleygen.facts import OBEYED_S, CueSheet, Lasting, Obedience, Stretch
from foleygen.features import cues as features
from foleygen.features.cues import CueGrid, CueTrack, Words
from foleygen.settings import AS_THE_RUN, ClipSettings

ATTEMPTS = 3
"""How often a window that does not keep to its cues is made again, each time from other noise."""
BESIDE_LUFS = -28.0
"""What goes on beside told hits is no louder: as loud as a window of usual hits. Wind alone would have 9 LU more."""
UNDER_LU = 3.0
"""How much less it has under a hit of strength 1 in it: of 15 hits of 0.5 in stretches 3 were not heard without that,
of 20 all were with it."""
USUAL, SOFT = 10 ** (USUAL_DB / 20), 0.25
"""Strengths: of hits in it that have none, and of the softest ones under which it lies."""
FADE_S = 0.1
"""In which what goes on comes, and goes."""
AT_ONCE_S = 0.02
"""What begins so soon in a clip was there before, and what ends so late goes on after it."""


@dataclass(frozen=True)
class ToldLayer:
    """A sound that goes on in stretches of a window, and is made by itself."""

    words: str
    spans: tuple[tuple[float, float], ...]
    """In which it is heard, in seconds of the window; infinite where it is not to begin, or to end, in the clip."""
    track: CueTrack
    is_steady: bool
    """It goes on by its nature, as rain does, and has no hits."""
    most_lufs: float
    """Its greatest loudness; infinite where hits are told nowhere in its clip."""


def told(own: ClipSettings, start_s: float, engine: Engine, delay_s: float = 0.0) -> CueTrack | None:
    """The track of the window at ``start_s`` of a clip; None where nothing is said of the clip.

    Stretches with a sound are silent in it, but for the cues there: ``layers`` has what goes on. The sound is moved by
    ``delay_s`` afterwards, its cues are meant for then. Raises UsageError for words that the bundle does not know,
    BundleError for one that cannot be told anything.
    """
    if replace(own, spotted=False) == AS_THE_RUN:
        return None
    grid, vocabulary = engine.cue_grid, engine.words
    if grid is None or vocabulary is None:
        fact = f"{engine.bundle.name}: cannot be told when or what sounds"
        raise BundleError(fact, "use --model tiny, or --cues none and no --sound")
    family, material = _meant(own.sound, vocabulary)
    if own.cues is None:
        return features.without_cues(grid, vocabulary, family=family, material=material, picture=own.picture)
    sheet = _early(own.cues, delay_s)
    track = features.track_of(
        _spoken(sheet, vocabulary),
        grid,
        vocabulary,
        start_s=start_s,
        known=None if sheet.known is None else [(one.start_s, one.end_s) for one in (*sheet.known, *sheet.lasting)],
        family=family,
        material=material,
        picture=own.picture,
    )
    return replace(track, given=not own.spotted)


def layers(
    own: ClipSettings, start_s: float, engine: Engine, delay_s: float = 0.0, end_s: float = math.inf
) -> list[ToldLayer]:
    """What goes on in the window at ``start_s`` of a clip of ``end_s`` seconds, by its words in order of time.

    What goes on by its nature, as rain does, is made by its words alone; of any other sound the picture says when.
    Raises UsageError for words that the bundle does not know.
    """
    grid, vocabulary = engine.cue_grid, engine.words
    if own.cues is None or not own.cues.lasting or grid is None or vocabulary is None:
        return []
    sheet = _early(own.cues, delay_s)
    found = []
    for words in dict.fromkeys(one.sound for one in sheet.lasting):
        family, material = _meant(words, vocabulary)
        steady = understand(words).goes_on
        seen = own.picture and not steady
        own_spans = [_met(one, sheet.lasting) for one in sheet.lasting if one.sound == words]
        spans = [_span(one, delay_s, end_s) for one in own_spans]
        heard = tuple((begin - start_s, end - start_s) for begin, end in spans if _is_in(begin, end, start_s, grid))
        if heard:
            track = features.without_cues(grid, vocabulary, family=family, material=material, picture=seen)
            found.append(ToldLayer(words, heard, track, steady, _most_lufs(sheet, words)))
    return found


@lru_cache(maxsize=8)
def _most_lufs(sheet: CueSheet, words: str) -> float:
    """How loud what goes on may be beside the hits that are told: in all of the clip, so that no joint is heard."""
    if not sheet.cues:
        return math.inf
    within = [
        cue.strength for cue in sheet.cues if any(one.sound == words and one.has(cue.seconds) for one in sheet.lasting)
    ]
    if not within:
        return BESIDE_LUFS
    softest = min(USUAL if strength is None else strength for strength in within)
    return BESIDE_LUFS - UNDER_LU + 20 * math.log10(max(softest, SOFT))


def _met(one: Lasting, others: Sequence[Lasting]) -> Stretch:
    """A stretch with half a fade more where another one ends or begins at once, so that they meet without a hole."""
    after = any(abs(other.end_s - one.start_s) <= AT_ONCE_S for other in others)
    before = any(abs(other.start_s - one.end_s) <= AT_ONCE_S for other in others)
    return Stretch(one.start_s - FADE_S / 2 * after, one.end_s + FADE_S / 2 * before)


def _span(one: Stretch, delay_s: float, end_s: float) -> tuple[float, float]:
    """From when to when a stretch sounds, before the delay."""
    begin = -math.inf if one.start_s + delay_s < AT_ONCE_S else one.start_s
    return begin, math.inf if one.end_s + delay_s > end_s - AT_ONCE_S else one.end_s


def _is_in(begin: float, end: float, start_s: float, grid: CueGrid) -> bool:
    return begin < start_s + grid.seconds and end > start_s


def begins(own: ClipSettings, start_s: float, delay_s: float) -> bool:
    """Whether a cue asks for a sound that is there from the first frame of a window at ``start_s``."""
    return own.cues is not None and bool(_early(own.cues, delay_s).between(start_s, start_s + OBEYED_S))


def obedience(own: ClipSettings, onsets: list[float], start_s: float, end_s: float, delay_s: float) -> Obedience:
    """How ``onsets`` in [start_s, end_s), before the delay, keep to the cues there; without cues there is no fault."""
    if own.cues is None:
        return Obedience()
    sheet = _early(own.cues, delay_s)
    return judged([cue.seconds for cue in sheet.between(start_s, end_s)], onsets, sheet.is_known)


@lru_cache(maxsize=8)
def _early(sheet: CueSheet, delay_s: float) -> CueSheet:
    """The cues of a sound that will be moved by ``delay_s``."""
    return moved(sheet, -delay_s) if delay_s else sheet


@lru_cache(maxsize=8)
def _spoken(sheet: CueSheet, vocabulary: Words) -> tuple[features.ToldCue, ...]:
    return tuple(features.ToldCue(cue.seconds, cue.strength, *_meant(cue.sound, vocabulary)) for cue in sheet.cues)


def _meant(sound: str | None, vocabulary: Words) -> tuple[str | None, str | None]:
    """Family and material of words."""
    if sound is None:
        return None, None
    return understand(sound, {*vocabulary.families, *vocabulary.materials})
