"""What a window is told and shown: the arms that are compared, and the tracks that they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from foleygen.errors import UsageError
from foleygen.features.cues import CueGrid, CueTrack, ToldCue, Words, track_of, without_cues
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

    @property
    def says(self) -> str:
        """Its name with the guidance."""
        return self.name if self.guidance is None else f"{self.name}, guidance {self.guidance:g}"


ARMS = (
    Arm("picture"),
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


def track_for(arm: Arm, clip: ClipRecord, wrong: tuple[str, str], grid: CueGrid, words: Words) -> CueTrack | None:
    """What ``clip`` is told in this arm; ``wrong`` are the family and material of another clip. None: nothing.

    A word that the bundle has not learnt is not said. A clip without events is not told that it has none: what goes
    on for its whole length is no event.
    """
    family, material = (clip.family, clip.material) if arm.words == "right" else wrong
    spoken, seen = arm.words != "none", arm.picture != "none"
    what = family if spoken and family in words.families else None
    of = material if spoken and material in words.materials else None
    cues = cues_of(clip)
    if arm.cues and cues:
        return track_of(cues, grid, words, family=what, material=of, picture=seen)
    if what is None and of is None and seen:
        return None
    return without_cues(grid, words, family=what, material=of, picture=seen)


def cues_of(clip: ClipRecord) -> list[ToldCue]:
    """The audible events of a scene, with their strengths."""
    pairs = zip(clip.times, clip.strengths, strict=True)
    return [ToldCue(time, strength) for time, strength in pairs if strength >= AUDIBLE]
