"""What a window is told and shown: the arms that are compared, and the tracks that they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from foleygen.engines.foley import Engine
from foleygen.errors import UsageError
from foleygen.features.cues import CueGrid, CueTrack, ToldCue, Words, track_of, without_cues
from foleygen.pipeline.cueing import told
from foleygen.pipeline.sight import sight_of_window, spotted
from foleygen.settings import ClipSettings
from foleygen.strict import did_you_mean
from foleygen.training.data.dataset import ClipRecord

AUDIBLE = 0.15


@dataclass(frozen=True)
class Arm:
    """One way to ask for a sound. ``guidance`` None is the bundle's for such windows."""

    name: str
    picture: Literal["own", "other", "none"] = "own"
    cues: bool = False
    words: Literal["none", "right", "wrong"] = "none"
    guidance: float | None = None
    seen: bool = False
    """The cues are those that are seen in the picture, as without cues of an editor's."""

    @property
    def says(self) -> str:
        """Its name with the guidance."""
        return self.name if self.guidance is None else f"{self.name}, guidance {self.guidance:g}"


ARMS = (
    Arm("picture"),
    Arm("picture, seen cues", seen=True),
    Arm("picture, cues", cues=True),
    Arm("other picture, cues", "other", cues=True),
    Arm("cues", "none", cues=True),
    Arm("cues, words", "none", cues=True, words="right"),
    Arm("cues, wrong words", "none", cues=True, words="wrong"),
    Arm("picture, cues, words", cues=True, words="right"),
    Arm("other picture, cues, words", "other", cues=True, words="right"),
)


def chosen_arms(names: Sequence[str] = (), guidances: Sequence[float] = ()) -> list[Arm]:
    """The arms of these names, all of them without any, each at these guidances. Raises UsageError for no such arm."""
    known = {arm.name: arm for arm in ARMS}
    for name in names:
        if name not in known:
            raise UsageError(f"{name}: no such arm", did_you_mean(name, known))
    arms = [known[name] for name in names] or list(ARMS)
    return [replace(arm, guidance=scale) for arm in arms for scale in guidances or (None,)]


Told = tuple[str | None, str | None]
"""The family and the material that are said; None: not said."""


def words_for(arm: Arm, clip: ClipRecord, wrong: tuple[str, str], words: Words) -> Told:
    """What ``clip`` is said to be in this arm; a word that the bundle has not learnt is not said."""
    if arm.words == "none":
        return None, None
    family, material = (clip.family, clip.material) if arm.words == "right" else wrong
    return family if family in words.families else None, material if material in words.materials else None


def track_for(arm: Arm, clip: ClipRecord, wrong: tuple[str, str], grid: CueGrid, words: Words) -> CueTrack | None:
    """What ``clip`` is told in this arm; ``wrong`` are the family and material of another clip. None: nothing.

    A clip without events is not told that it has none: what goes on for its whole length is no event.
    """
    (what, of), seen = words_for(arm, clip, wrong, words), arm.picture != "none"
    cues = cues_of(clip)
    if arm.cues and cues:
        return track_of(cues, grid, words, family=what, material=of, picture=seen)
    if what is None and of is None and seen:
        return None
    return without_cues(grid, words, family=what, material=of, picture=seen)


def other_row(clips: Sequence[ClipRecord], row: int, same_family: bool) -> int:
    """Another clip's picture: of the same family if there is one and words do not say which, else the next one's."""
    order = [(row + step) % len(clips) for step in range(1, len(clips))]
    alike = [other for other in order if same_family and clips[other].family == clips[row].family]
    return (alike or order or [row])[0]


def other_word(clips: Sequence[ClipRecord], row: int) -> int:
    """A clip of another family and another material, for words that are wrong."""
    order = [(row + step) % len(clips) for step in range(1, len(clips))]
    mine = clips[row]
    found = [o for o in order if clips[o].family != mine.family and clips[o].material != mine.material]
    return (found or order or [row])[0]


def seen_track(frames: NDArray[np.uint8], features: NDArray[np.float32], engine: Engine) -> CueTrack | None:
    """What a window with ``frames`` (T, S, S, 3) and ``features`` (F, C) is told by default: the cues seen in it."""
    seconds = Fraction(engine.bundle.window_samples, engine.bundle.sample_rate)
    own = spotted(ClipSettings(spotted=True), seconds, sight_of_window(frames, features, engine), 0.0)
    return told(own, 0.0, engine)


def cues_of(clip: ClipRecord) -> list[ToldCue]:
    """The audible events of a scene, with their strengths."""
    pairs = zip(clip.times, clip.strengths, strict=True)
    return [ToldCue(time, strength) for time, strength in pairs if strength >= AUDIBLE]
