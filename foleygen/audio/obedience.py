"""Whether a sound begins where it was told to, and nowhere else. Times are seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foleygen.audio.onsets import PEAK_RADIUS_S, match
from foleygen.facts import OBEYED_S, Obedience


def judged(cues: Sequence[float], onsets: Sequence[float], is_known: Callable[[float], bool]) -> Obedience:
    """Which ``cues`` have no onset, and which ``onsets`` nobody asked for where ``is_known`` says that cues decide.

    Both ascending. Two sounds nearer than PEAK_RADIUS_S are heard as one, so a cue that near to an obeyed one is obeyed
    with it.
    """
    if not len(cues):
        return Obedience(0, (), tuple(onset for onset in onsets if is_known(onset)))
    found = match(onsets, cues, OBEYED_S)
    obeyed = [cues[index] for index in found.true_index]
    paired = set(found.found_index.tolist())
    missed = (cue for index, cue in enumerate(cues) if index not in set(found.true_index.tolist()))
    return Obedience(
        len(cues),
        tuple(cue for cue in missed if all(abs(cue - other) > PEAK_RADIUS_S for other in obeyed)),
        tuple(onset for index, onset in enumerate(onsets) if index not in paired and is_known(onset)),
    )
