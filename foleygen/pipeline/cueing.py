"""A clip's cues and words as the models take them: one track for each window, and whether its sound keeps to it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from foleygen.audio.obedience import judged
from foleygen.cues.cue import moved
from foleygen.cues.words import understand
from foleygen.engines.foley import Engine
from foleygen.errors import BundleError
from foleygen.facts import CueSheet, Obedience
from foleygen.features import cues as features
from foleygen.features.cues import CueTrack, ToldStretch, Words
from foleygen.settings import AS_THE_RUN, ClipSettings

ATTEMPTS = 3
"""How often a window that does not keep to its cues is made again, each time from other noise."""


def told(own: ClipSettings, start_s: float, engine: Engine, delay_s: float = 0.0) -> CueTrack | None:
    """The track of the window at ``start_s`` of a clip; None where nothing is said of the clip.

    The sound is moved by ``delay_s`` afterwards, its cues are meant for then. Raises UsageError for words that the
    bundle does not know, BundleError for one that cannot be told anything.
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
    return features.track_of(
        _spoken(sheet, vocabulary),
        grid,
        vocabulary,
        start_s=start_s,
        known=None if sheet.known is None else [(one.start_s, one.end_s) for one in sheet.known],
        family=family,
        material=material,
        picture=own.picture,
        lasting=[ToldStretch(one.start_s, one.end_s, *_meant(one.sound, vocabulary)) for one in sheet.lasting],
    )


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
