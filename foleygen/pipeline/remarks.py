"""What is to be said of a finished sound: how it keeps to its cues, and that it is all but silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from foleygen.audio.obedience import judged
from foleygen.cues.words import understand
from foleygen.facts import Obedience, Take
from foleygen.settings import ClipSettings

QUIET_LUFS = -60.0
"""At or below this a clip has no sound to speak of."""
_MOST_TIMES = 5


def obedience(own: ClipSettings, onsets: Sequence[float]) -> Obedience | None:
    """How the ``onsets`` of a whole clip, in seconds after its first picture, keep to its cues; None without any.

    None too where cues are seen and the clip's words ask for what goes on all through: it begins at none of them.
    """
    if own.cues is None or (own.spotted and own.sound is not None and understand(own.sound).goes_on):
        return None
    found = judged([cue.seconds for cue in own.cues.cues], onsets, own.cues.is_known)
    return replace(found, spotted=own.spotted, lasting=len(own.cues.lasting))


def remarks(own: ClipSettings, heard: Take) -> Iterator[str]:
    """Sentences on the take that is in the finished clip; none where all is well."""
    found = heard.obedience
    if found is not None and found.faults and not found.spotted:
        parts = [f"{found.kept} of {found.given} cues are kept"] if found.given else []
        parts += [f"nothing begins at {_times(found.missed)}"] if found.missed else []
        parts += [f"something that nobody asked for begins at {_times(found.extra)}"] if found.extra else []
        yield f"{', '.join(parts)}; {'move those cues, or ' if found.missed else ''}try another --seed"
        return
    level = heard.loudness.integrated_lufs
    peak = heard.loudness.true_peak_dbtp
    if level is None and peak is not None and peak > QUIET_LUFS:
        return  # too short to be measured
    if level is None or level <= QUIET_LUFS:
        yield _silence(own, level)


def _silence(own: ClipSettings, level: float | None) -> str:
    how = "is silent" if level is None else f"is all but silent ({level:.0f} LUFS)"
    if own.cues is not None and not (own.cues.cues or own.cues.lasting) and own.cues.known is None:
        return f"{how}, as its cues ask for nothing"
    return f"{how}: nothing is seen in it that would sound; say when and what with --cues and --sound"


def _times(seconds: Sequence[float]) -> str:
    more = f" and {len(seconds) - _MOST_TIMES} more" if len(seconds) > _MOST_TIMES else ""
    return ", ".join(f"{time:.3f}" for time in seconds[:_MOST_TIMES]) + " s" + more
