"""Whether a sound begins where it was told to, and nowhere else. Times are seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from foleygen.audio.onsets import PEAK_RADIUS_S, match
from foleygen.facts import OBEYED_S, Obedience

Made = TypeVar("Made")


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


def best_of(
    made: Sequence[Made],
    faults: Callable[[Made], int],
    again: Callable[[Sequence[int], Sequence[Made], int], Sequence[Made]],
    attempts: int,
) -> list[Made]:
    """The best of each that up to ``attempts`` more make, the earlier one where two are alike.

    ``again`` gets the places of those with ``faults``, the best of all so far and the number of the attempt, from 1 on,
    and makes those places anew.
    """
    best = list(made)
    counts = [faults(one) for one in best]
    for attempt in range(1, attempts + 1):
        wrong = [place for place, count in enumerate(counts) if count]
        if not wrong:
            break
        for place, one in zip(wrong, again(wrong, best, attempt), strict=True):
            count = faults(one)
            if count < counts[place]:
                best[place], counts[place] = one, count
    return best
