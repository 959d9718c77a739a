"""The sounds of a finished take, with what was asked for at each: for markers that people read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from foleygen.facts import OBEYED_S, Cue, Played
from foleygen.settings import ClipSettings

SAME_S = 2e-5
"""Times are kept to 10 µs."""
MISSED = "missed"
"""Opens the name of a marker where a sound was asked for and none begins."""


def named(onsets: Sequence[float], own: ClipSettings, played: Sequence[Played] = ()) -> list[Cue]:
    """Each of ``onsets`` (s) with the strength, the sound and the name of the cue that it keeps, if there is one.

    The name also says which recording is ``played`` there.
    """
    told = () if own.cues is None else own.cues.cues
    found = []
    for onset in onsets:
        cue = min(told, key=lambda one: abs(one.seconds - onset), default=None)
        if cue is None or abs(cue.seconds - onset) > OBEYED_S:
            cue = Cue(onset, sound=None if own.cues is None else own.cues.lasting_at(onset))
        parts = [part for part in (cue.name, recording_at(onset, played)) if part]
        found.append(Cue(onset, cue.strength, None, cue.sound or own.sound, "; ".join(parts)))
    return found


def recording_at(seconds: float, played: Sequence[Played]) -> str:
    """Where an editor finds what is ``played``, in order, at that time: the file, and the seconds in it; else ""."""
    index = bisect_left(played, seconds - SAME_S, key=lambda one: one.seconds)
    if index == len(played) or played[index].seconds > seconds + SAME_S:
        return ""
    one = played[index]
    said = f"{one.file.replace(';', ',')} at {one.file_s:.3f} s"
    if one.file_until_s is None:
        return said
    times = "once" if one.rounds == 1 else f"{one.rounds} times"
    return f"{said} to {one.file_until_s:.3f} s, {times}"


def missed(times: Sequence[float], own: ClipSettings) -> list[Cue]:
    """The cues at ``times``, at which nothing begins, by names that say so; none where nobody has asked for them."""
    if own.spotted:
        return []
    told = {} if own.cues is None else {cue.seconds: cue.sound for cue in own.cues.cues}
    return [Cue(time, name=f"{MISSED}: {told[time]}" if told.get(time) else MISSED) for time in times]
