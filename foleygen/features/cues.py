"""Cues and words of one window: when something is to be heard, how hard, and what it is.

T frames of a window (those of the picture's features), S sub-steps of a frame. Times are seconds of the clip.
"Not known" and "known: none here" are two things: where nothing is known the picture decides, where it is known that
there is no cue nothing is to be heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import UsageError
from foleygen.models.cue_layout import FELT, MIDDLE_DB, SPAN_DB, SUB_STEPS, CueLayout
from foleygen.strict import did_you_mean

SPREAD_S = 0.016
"""Standard deviation of the bump that stands for a cue."""
AROUND_S = 0.096
"""How far around a cue it is known, where only the cues are."""
WEAKEST = 0.05

Stretch = tuple[float, float]
"""From and to, in seconds of the clip."""


@dataclass(frozen=True)
class ToldCue:
    """A cue as a model is told it: something is to be heard at ``time_s``, words are a family and a material.

    ``strength`` in 0..1 as scenes have it; None where nothing is said. What people say is ``facts.Cue``.
    """

    time_s: float
    strength: float | None = None
    family: str | None = None
    material: str | None = None


@dataclass(frozen=True)
class Words:
    """What a bundle can be told: the families and materials that its adapter has learnt."""

    families: tuple[str, ...]
    materials: tuple[str, ...]

    def check(self, family: str | None, material: str | None) -> None:
        """Raises UsageError, with the nearest word, for one that is not known."""
        _number(family, self.families, "family")
        _number(material, self.materials, "material")

    def numbers(self, family: str | None, material: str | None) -> tuple[int, int]:
        """The numbers of two words from 1 on; 0 where nothing is said. Raises UsageError as ``check`` does."""
        return _number(family, self.families, "family"), _number(material, self.materials, "material")


@dataclass(frozen=True)
class CueGrid:
    """The frames of a window, and how many of them a token column of the transformer holds."""

    frames: int
    frame_s: float
    frames_per_column: int = 4
    sub_steps: int = SUB_STEPS

    @property
    def seconds(self) -> float:
        return self.frames * self.frame_s


@dataclass(frozen=True)
class CueTrack:
    """What one window is told. Words are numbers from 1 on, 0 where nothing is said."""

    presence: NDArray[np.float32]
    """(T, S): 1 at a cue, falling to 0 around it."""
    strength: NDArray[np.float32]
    """(T, S): presence times the strength as ``told_strength`` gives it."""
    known: NDArray[np.bool_]
    """(T,): the cues here are all there are."""
    strength_known: NDArray[np.bool_]
    """(T,)"""
    family: NDArray[np.int16]
    """(T,)"""
    material: NDArray[np.int16]
    """(T,)"""
    picture: bool = True
    """False: the features are not of a picture, and are not used."""
    given: bool = True
    """Somebody gave its cues; False: they were seen in the picture."""


def track_of(
    cues: Sequence[ToldCue],
    grid: CueGrid,
    words: Words,
    *,
    start_s: float = 0.0,
    known: Sequence[Stretch] | None = None,
    family: str | None = None,
    material: str | None = None,
    picture: bool = True,
) -> CueTrack:
    """The track of the window that begins at ``start_s``, from all cues of its clip.

    ``known`` are the stretches in which the cues are all there are: None for everywhere, none for the surroundings of
    the cues alone. A cue beyond them is known around itself. A cue's words hold from the start of its token column to
    the next cue with words, before the first one those of the first; ``family`` and ``material`` hold where no cue
    says otherwise. Raises UsageError for a word that ``words`` does not have, and for a time or strength that is no
    number.
    """
    _check(cues)
    ordered = sorted(cues, key=lambda cue: cue.time_s)
    presence, strength, told = _bumps(ordered, grid, start_s)
    families, materials = _spoken(ordered, grid, words, start_s, (family, material))
    there = _known(ordered, grid, start_s, known)
    return CueTrack(presence, strength, there, told, families, materials, picture)


def without_cues(
    grid: CueGrid, words: Words, *, family: str | None = None, material: str | None = None, picture: bool = True
) -> CueTrack:
    """A track that says nothing about when: words for the whole window, or that there is no picture."""
    return track_of((), grid, words, known=(), family=family, material=material, picture=picture)


def told_strength(strength: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """A strength as the model is told it: its level in units of SPAN_DB about MIDDLE_DB."""
    decibels = 20 * np.log10(np.clip(strength, WEAKEST, 1.0))
    told: NDArray[np.float64] = np.asarray((decibels - MIDDLE_DB) / SPAN_DB, np.float64)
    return told


def pack(track: CueTrack) -> NDArray[np.float32]:
    """A track as a model takes it, (T, X) as ``CueLayout`` orders the channels."""
    layout = CueLayout(track.presence.shape[1])
    behind = np.zeros((len(track.presence), layout.width), np.float32)
    behind[:, layout.presence] = track.presence
    behind[:, layout.strength] = track.strength
    behind[:, layout.known] = track.known
    behind[:, layout.strength_known] = track.strength_known
    behind[:, layout.family] = track.family
    behind[:, layout.material] = track.material
    behind[:, layout.picture] = track.picture
    return behind


def unpack(behind: NDArray[np.float32], sub_steps: int = SUB_STEPS) -> CueTrack:
    """The track that ``pack`` wrote."""
    layout = CueLayout(sub_steps)
    return CueTrack(
        presence=behind[:, layout.presence],
        strength=behind[:, layout.strength],
        known=behind[:, layout.known] > 0,
        strength_known=behind[:, layout.strength_known] > 0,
        family=behind[:, layout.family].astype(np.int16),
        material=behind[:, layout.material].astype(np.int16),
        picture=bool(behind[0, layout.picture]),
    )


def _check(cues: Sequence[ToldCue]) -> None:
    for cue in cues:
        if not np.isfinite(cue.time_s):
            raise UsageError(f"a cue is at {cue.time_s} s", "give its time in seconds")
        if cue.strength is not None and not 0 <= cue.strength <= 1:
            raise UsageError(f"the cue at {cue.time_s:g} s has the strength {cue.strength}", "give 0 to 1, or none")


def _bumps(
    cues: Sequence[ToldCue], grid: CueGrid, start_s: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Presence (T, S), strength (T, S), and where a strength is told (T,)."""
    shape = grid.frames, grid.sub_steps
    near = [cue for cue in cues if -AROUND_S < cue.time_s - start_s < grid.seconds + AROUND_S]
    if not near:
        return np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(grid.frames, np.bool_)
    instants = start_s + (np.arange(grid.frames * grid.sub_steps) + 0.5) * grid.frame_s / grid.sub_steps
    offsets = instants[:, None] - np.array([cue.time_s for cue in near])
    bumps = np.exp(-0.5 * (offsets / SPREAD_S) ** 2)  # (T S, cues)
    strongest = bumps.argmax(axis=1)
    presence = bumps.max(axis=1)
    levels = np.array([0.0 if cue.strength is None else float(told_strength(cue.strength)) for cue in near])
    given = np.array([cue.strength is not None for cue in near])
    told = (given[strongest] & (presence > FELT)).reshape(shape).any(axis=1)
    return (
        presence.reshape(shape).astype(np.float32),
        (presence * levels[strongest]).reshape(shape).astype(np.float32),
        told,
    )


def _known(
    cues: Sequence[ToldCue],
    grid: CueGrid,
    start_s: float,
    stretches: Sequence[Stretch] | None,
) -> NDArray[np.bool_]:
    if stretches is None:
        return np.ones(grid.frames, np.bool_)
    centres = start_s + (np.arange(grid.frames) + 0.5) * grid.frame_s
    known = np.zeros(grid.frames, np.bool_)
    for begin, end in stretches:
        known |= (centres >= begin) & (centres <= end)
    for cue in cues:
        known |= (centres >= cue.time_s - AROUND_S) & (centres <= cue.time_s + AROUND_S)
    return known


def _spoken(
    cues: Sequence[ToldCue], grid: CueGrid, words: Words, start_s: float, default: tuple[str | None, str | None]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The numbers of the words at every frame, (T,) each."""
    spoken = [np.full(grid.frames, number, np.int16) for number in words.numbers(*default)]
    numbered = [(cue.time_s - start_s, words.numbers(cue.family, cue.material)) for cue in cues]
    for kind, row in enumerate(spoken):
        own = [(time, numbers[kind] or int(row[0])) for time, numbers in numbered]
        said = [(time, number) for time, number in own if number]
        taken = None
        for index, (time, number) in enumerate(said):
            frame = int(np.floor(time / grid.frame_s))
            column = frame // grid.frames_per_column
            first = frame if column == taken else column * grid.frames_per_column
            row[max(0, first) if index else 0 :] = number
            taken = column
    return spoken[0], spoken[1]


def _number(word: str | None, known: Sequence[str], kind: str) -> int:
    if word is None:
        return 0
    if word not in known:
        raise UsageError(f"{word}: no such {kind} of sounds", did_you_mean(word, known))
    return known.index(word) + 1
