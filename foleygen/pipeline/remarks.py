"""What is to be said of a finished sound: how it keeps to its cues, and that it is all but silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from foleygen.audio.obedience import judged
from foleygen.cues.words import understand
from foleygen.errors import printable
from foleygen.facts import APART_S, Lasting, Obedience, Take
from foleygen.settings import ClipSettings

QUIET_LUFS = -60.0
"""At or below this a clip has no sound to speak of."""
_MOST_TIMES = 5


def obedience(own: ClipSettings, onsets: Sequence[float], silent: tuple[Lasting, ...] = ()) -> Obedience | None:
    """How the ``onsets`` of a whole clip, in seconds after its first picture, keep to its cues; None without any.

    ``silent`` are the stretches in which their sound is not heard.
    None too where cues are seen and the clip's words ask for what goes on all through: it begins at none of them.
    """
    if own.cues is None or (own.spotted and own.sound is not None and understand(own.sound).goes_on):
        return None
    found = judged([cue.seconds for cue in own.cues.cues], onsets, own.cues.is_known)
    return replace(found, spotted=own.spotted, lasting=len(own.cues.lasting), silent=silent)


def remarks(own: ClipSettings, heard: Take) -> Iterator[str]:
    """Sentences on the take that is in the finished clip; none where all is well."""
    found = heard.obedience
    if found is not None and found.faults and not found.spotted:
        near = _near(own, found)
        yield f"{', '.join(_faults(found, near))}; {', or '.join(_remedies(found, near))}"
        return
    level = heard.loudness.integrated_lufs
    peak = heard.loudness.true_peak_dbtp
    if level is None and peak is not None and peak > QUIET_LUFS:
        return  # too short to be measured
    if level is None or level <= QUIET_LUFS:
        yield _silence(own, level)


def _near(own: ClipSettings, found: Obedience) -> int:
    """How many of the missed cues are too near to another one to be told from it."""
    cues = [] if own.cues is None else [cue.seconds for cue in own.cues.cues]
    return sum(any(0 < abs(cue - missed) < APART_S - 1e-6 for cue in cues) for missed in found.missed)


def _faults(found: Obedience, near: int) -> Iterator[str]:
    if found.given:
        yield f"{found.kept} of {found.given} cues are kept"
    if found.missed:
        some = "" if near == len(found.missed) else f"{near} of them "
        why = f", {some}nearer than {APART_S * 1000:.0f} ms to another cue and not told from it" if near else ""
        yield f"nothing begins at {_times(found.missed)}{why}"
    if found.extra:
        yield f"something that nobody asked for begins at {_times(found.extra)}"
    if found.silent:
        first, others = found.silent[0], len(found.silent) - 1
        more = f" (nor of {others} more stretch{'' if others == 1 else 'es'})" if others else ""
        yield f"nothing is heard of {printable(first.sound)} from {first.start_s:.3f} to {first.end_s:.3f} s{more}"


def _remedies(found: Obedience, near: int) -> Iterator[str]:
    if near:
        yield f"leave {APART_S * 1000:.0f} ms between cues"
    if near < len(found.missed):
        yield "move those cues"
    if any(not understand(one.sound).goes_on for one in found.silent):
        yield "give cues in place of the stretch"
    if near < found.faults:
        yield "try another --seed"


def _silence(own: ClipSettings, level: float | None) -> str:
    how = "is silent" if level is None else f"is all but silent ({level:.0f} LUFS)"
    unseen = f"{how}: nothing is seen in it that would sound; say when and what with --cues and --sound"
    if own.cues is None:
        return unseen
    if own.cues.cues:
        kept = f"{how}, though it keeps to its cues; say what sounds with --sound, or beside each cue"
        return unseen if own.spotted else kept
    if own.cues.known:
        first, others = own.cues.known[0], len(own.cues.known) - 1
        more = f" (and {others} more)" if others else ""
        asked = f"its cues ask for nothing from {first.start_s:.3f} to {first.end_s:.3f} s{more}"
        return f"{how}: {asked}, and nothing is seen elsewhere that would sound; add cues, or make the stretch shorter"
    return unseen if own.cues.lasting or own.cues.known is not None else f"{how}, as its cues ask for nothing"


def _times(seconds: Sequence[float]) -> str:
    more = f" and {len(seconds) - _MOST_TIMES} more" if len(seconds) > _MOST_TIMES else ""
    return ", ".join(f"{time:.3f}" for time in seconds[:_MOST_TIMES]) + " s" + more
