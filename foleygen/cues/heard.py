"""The sounds of a finished take, with what was asked for at each: for markers that people read."""

from __future__ import annotations

from collections.abc import Sequence

from foleygen.facts import OBEYED_S, Cue
from foleygen.settings import ClipSettings

MISSED = "missed"
"""Opens the name of a marker where a sound was asked for and none begins."""


def named(onsets: Sequence[float], own: ClipSettings) -> list[Cue]:
    """Each of ``onsets`` (s) with the strength, the sound and the name of the cue that it keeps, if there is one."""
    told = () if own.cues is None else own.cues.cues
    found = []
    for onset in onsets:
        cue = min(told, key=lambda one: abs(one.seconds - onset), default=None)
        if cue is None or abs(cue.seconds - onset) > OBEYED_S:
            cue = Cue(onset)
        found.append(Cue(onset, cue.strength, None, cue.sound or own.sound, cue.name))
    return found


def missed(times: Sequence[float], own: ClipSettings) -> list[Cue]:
    """The cues at ``times``, at which nothing begins, by names that say so; none where nobody has asked for them."""
    if own.spotted:
        return []
    told = {} if own.cues is None else {cue.seconds: cue.sound for cue in own.cues.cues}
    return [Cue(time, name=f"{MISSED}: {told[time]}" if told.get(time) else MISSED) for time in times]
