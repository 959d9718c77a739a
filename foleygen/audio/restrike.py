"""Hits that were told and did not come are struck again, with the attack of one of the same words that did.

A hit soon after another is what a transformer with a token column for a quarter of a second leaves out most. Editors
lay in the hit before once more, and fade what still rings under it; so does this, on the mel.

B mel bands, L columns, K hits, R of them struck again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foleygen.audio.mel import DB_PER_UNIT
from foleygen.audio.onsets import flux, from_nothing, least_flux
from foleygen.audio.strikes import AHEAD, APART, Strikes

Mel = NDArray[np.float32]

MARGIN = 1.25
"""Of the rise that a detector needs: a hit that rises less is not heard for sure."""
AROUND = 2
"""Mel frames about a hit in which it rises."""
NEAR = 1
"""The same of one that is struck again, whose place is known."""
LENGTH = 24
"""Mel frames that are laid in at most, 0.4 s; the second half fades, and all that its donor does not have."""
FADE_DB, BEFORE_NEXT_DB = 40.0, 12.0
"""By which it fades to its end, and to the next hit, which damps it as far as it needs."""
FADING = 3
"""Mel frames before a hit over which what rings is damped, as a body is by the blow that comes, if it would hide it."""
STEP_DB, MOST_DB = 1.5, 21.0
"""It is damped by as many steps as the hit needs to be heard, and comes back while the hit rings."""


def restruck(mel: Mel, strikes: Strikes) -> tuple[Mel, NDArray[np.intp]]:
    """The mel (B, L) on the scale of decibels with its missing hits, and their numbers (R,); itself where none is."""
    rises = flux(mel)
    needed = MARGIN * least_flux(rises)
    rises[0] = max(rises[0], from_nothing(mel))
    places, heard = _rises(rises, strikes.frames)
    there = heard >= needed
    made, gaps, again = mel.copy(), np.diff(strikes.frames, append=mel.shape[1] + AHEAD), []
    for hit in np.flatnonzero(~there & (np.diff(strikes.frames, prepend=-APART) >= APART)).tolist():
        donors = np.flatnonzero(there & (strikes.words == strikes.words[hit]))
        if len(donors):
            rise, room = _chosen(donors, hit, gaps, places)
            frame = int(strikes.frames[hit])
            _lay_in(made, _patch(mel, frame, int(gaps[hit]), rise, room), frame, needed)
            again.append(hit)
    return made if again else mel, np.array(again, np.intp)


def bared(mel: Mel, strikes: Strikes, again: NDArray[np.intp]) -> Mel:
    """The mel (B, L) in which what rings before the hits ``again`` (R,), struck before they got their levels, does not
    hide them; itself where it hides none."""
    made = mel.copy()
    for frame in strikes.frames[again].tolist():
        first, end = max(0, frame - 2 * AHEAD - FADING + 1), max(0, frame - AHEAD)
        share = (np.arange(first, end) - end + 1 + FADING) / FADING
        _damp(made, slice(first, end), share, made[:, :0], frame, MARGIN * least_flux(flux(made)))
    return made


def _rises(rises: NDArray[np.float64], frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where hits rise most, about their frames (K,), and by how much (K,)."""
    near = np.clip(frames[:, None] + np.arange(-AROUND, AROUND + 1), 0, len(rises) - 1)
    best = rises[near].argmax(axis=1)
    places = near[np.arange(len(frames)), best]
    return places, rises[places]


def _chosen(donors: NDArray[np.intp], hit: int, gaps: NDArray[np.int64], places: NDArray[np.int64]) -> tuple[int, int]:
    """Where the hit rises that is laid in, and how long it is alone: the nearest with room, else the longest."""
    roomy = donors[gaps[donors] >= min(LENGTH // 2, gaps[hit])]
    donor = roomy[np.abs(roomy - hit).argmin()] if len(roomy) else donors[gaps[donors].argmax()]
    return int(places[donor]), int(gaps[donor])


def _patch(mel: Mel, frame: int, gap: int, rise: int, room: int) -> Mel:
    """What is laid in from where the hit at ``frame`` rises to where the next one does after ``gap`` frames, (B, n).

    It is the hit that rises at ``rise`` and is alone for ``room`` frames, and what it ends with where it is too short.
    Of one at the window's very beginning the attack is cut.
    """
    rise += max(0, AHEAD - frame)
    count = min(LENGTH, gap, mel.shape[1] - max(0, frame - AHEAD))
    own = mel[:, rise : rise + max(1, min(count, room))]
    last = own.shape[1]
    patch = np.pad(own, ((0, 0), (0, count - last)), mode="edge")
    begin = min(count // 2, last - 1)
    fade_db = BEFORE_NEXT_DB if count == gap else FADE_DB
    fade = np.clip((np.arange(count) - begin) / (count - begin), 0, 1) * fade_db / DB_PER_UNIT
    return np.asarray(patch - fade.astype(np.float32), np.float32)


def _lay_in(made: Mel, patch: Mel, frame: int, needed: float) -> None:
    """Put a ``patch`` over what rings at ``frame``, damped by as little as makes it rise by ``needed``."""
    begin = max(0, frame - AHEAD)
    first, end = max(0, begin - FADING), begin + patch.shape[1]
    places = np.arange(first, end) - begin
    share = np.minimum(1 + (places + 1) / FADING, 1 - (places - AHEAD) / max(1, patch.shape[1] - AHEAD))
    _damp(made, slice(first, end), share, patch, frame, needed)


def _damp(made: Mel, ringing: slice, share: NDArray[np.float64], patch: Mel, frame: int, needed: float) -> None:
    """Damp columns by a ``share``, 1 for all, of as little as makes the hit at ``frame`` rise by ``needed``.

    Over their end lies a ``patch``.
    """
    rise, before = max(0, frame - AHEAD), made[:, ringing].copy()
    units = (np.clip(share, 0, 1) / DB_PER_UNIT).astype(np.float32)
    laid = slice(ringing.stop - patch.shape[1], ringing.stop)
    for depth in np.arange(0.0, MOST_DB + STEP_DB, STEP_DB, dtype=np.float32):
        made[:, ringing] = np.where(before > 0, np.maximum(before - depth * units, 0), before)
        np.maximum(made[:, laid], patch, out=made[:, laid])
        if flux(made[:, max(0, rise - NEAR - 1) : rise + NEAR + 2]).max() >= needed:
            return
