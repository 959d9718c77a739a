"""Hits that were told and did not come are struck again, with the attack of one of the same words that did.

A hit soon after another is what a transformer with a token column for a quarter of a second leaves out most. Editors
lay in the hit before once more; so does this, on the mel, where it is heard over what still rings.

B mel bands, L columns, K hits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foleygen.audio.mel import DB_PER_UNIT
from foleygen.audio.onsets import flux, least_flux
from foleygen.audio.strikes import AHEAD, Strikes

Mel = NDArray[np.float32]

MARGIN = 1.25
"""Of the rise that a detector needs: a hit that rises less is not heard for sure."""
AROUND = 2
"""Mel frames about a hit in which it rises."""
APART = 5
"""Mel frames; hits that are nearer are heard as one."""
LENGTH = 24
"""Mel frames that are laid in at most, 0.4 s; the second half fades."""
FADE_DB = 40.0
CHOKED = 2
"""Mel frames before a hit in which what rings is damped, as a body is by the blow that comes, if it would hide it."""
CHOKES_DB = (6.0, 12.0, 18.0)
"""Tried in turn until the hit is heard."""


def restruck(mel: Mel, strikes: Strikes) -> Mel:
    """The mel (B, L) on the scale of decibels with its missing hits; itself where none is missing."""
    rises = flux(mel)
    places, heard = _rises(rises, strikes.frames)
    needed = MARGIN * least_flux(rises)
    there = heard >= needed
    if there.all() or not there.any():
        return mel
    made, gaps = mel.copy(), np.diff(strikes.frames, append=mel.shape[1])
    for hit in np.flatnonzero(~there & (np.diff(strikes.frames, prepend=-APART) >= APART)):
        donors = np.flatnonzero(there & (strikes.words == strikes.words[hit]))
        if len(donors):
            frame = int(strikes.frames[hit])
            _lay_in(made, mel, frame, int(gaps[hit]), *_chosen(donors, int(hit), gaps, places))
            _choke(made, frame, needed)
    return made


def _choke(made: Mel, frame: int, needed: float) -> None:
    """Damp what rings into the hit at ``frame`` by as little as makes it rise by ``needed``."""
    rise = max(0, frame - AHEAD)
    ringing = slice(max(0, rise - CHOKED), rise)
    before = made[:, ringing].copy()
    for depth in (0.0, *CHOKES_DB):
        made[:, ringing] = np.where(before > 0, np.maximum(before - depth / DB_PER_UNIT, 0.0), before)
        if flux(made[:, max(0, rise - AROUND - 1) : rise + AROUND + 2]).max() >= needed:
            return


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


def _lay_in(made: Mel, mel: Mel, frame: int, gap: int, rise: int, room: int) -> None:
    """Put the attack that rises at ``rise`` where one at ``frame`` does, over what is there."""
    ahead = min(frame, 2 * AHEAD)  # of a hit at the window's very beginning the attack is cut
    begin, source = frame - ahead, max(0, rise + AHEAD - ahead)
    count = min(LENGTH, gap + ahead, room + ahead, made.shape[1] - begin, mel.shape[1] - source)
    fade = np.clip(2 * np.arange(count) / count - 1, 0, 1) * FADE_DB / DB_PER_UNIT
    patch = mel[:, source : source + count] - fade.astype(np.float32)
    np.maximum(made[:, begin : begin + count], patch, out=made[:, begin : begin + count])
