"""Batches for the adapter of cues and words: who is told what, beside which picture.

N rows, T frames, C channels of features, X channels of cues and words, (Z, H, W) latents, K the most events of a scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.features.cues import CueGrid, CueTrack, Stretch, ToldCue, Words, pack, track_of
from foleygen.training.cues.examples import FAMILIES, MATERIALS, MOST_EVENTS, Examples
from foleygen.training.cues.recipe import KINDS, CueMix
from foleygen.training.loop import Batch, DrawBatch

SCENES = ("picture", "picture cues", "picture words", "picture cues words", "wrong cues", "cues", "cues words", "words")
"""Which of a scene's picture, or a wrong one, its cues and its words are given, where one scene alone is meant."""

Halves = NDArray[np.float16]
Rng = np.random.Generator
Scene = tuple[int, NDArray[np.float32], NDArray[np.float32]]
Row = tuple[Halves, NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Told:
    """What one row is to sound like, and what is known of it; the words are those of its frames."""

    latents: Halves
    times: NDArray[np.float32]
    strengths: NDArray[np.float32]
    families: NDArray[np.int16]
    materials: NDArray[np.int16]


def make_draw(examples: Examples, grid: CueGrid, mix: CueMix, mel_rate: float, device: str = "cpu") -> DrawBatch:
    """(latents (N, Z, H, W), features (N, T, C), cues and words (N, T, X), hits (N, K)).

    ``hits`` are, at ``mel_rate`` frames per second, the mel frames of the events whose strength is told, -1 for none.
    """
    table = Table(examples, grid, mix, mel_rate)

    def draw(generator: torch.Generator, count: int) -> Batch:
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        rows = [table.row(rng) for _ in range(count)]
        columns = [np.stack(column) for column in zip(*rows, strict=True)]
        columns[0] = columns[0].astype(np.float32)
        return tuple(torch.from_numpy(column).to(device) for column in columns)

    return draw


class Table:
    """Draws rows from examples."""

    def __init__(self, examples: Examples, grid: CueGrid, mix: CueMix, mel_rate: float) -> None:
        self._examples, self._grid, self._mix, self._mel_rate = examples, grid, mix, mel_rate
        self._words = Words(FAMILIES, MATERIALS)
        self._shares = np.array(mix.shares) / sum(mix.shares)
        struck = np.isfinite(examples.times[:, 0])
        everything = np.arange(len(struck))
        self._pictured = everything[: examples.pictured]
        self._with_events = everything[struck]
        self._pictured_with_events = self._pictured[struck[: examples.pictured]]
        self._everything = everything
        features = examples.features[0].astype(np.float32)
        self._centre, self._spread = features.mean(axis=(0, 1)), features.std(axis=(0, 1))

    def row(self, rng: Rng) -> Row:
        """Latents (Z, H, W), features (T, C), cues and words (T, X), and the mel frames of told strengths (K,)."""
        kind = KINDS[int(rng.choice(len(KINDS), p=self._shares))]
        if kind == "silence":
            return self._silence(rng)
        if kind.startswith("picture"):
            return self._seen(rng, cues=kind == "picture_cues")
        return self._unseen(rng, picture=kind == "wrong_cues", cues=kind != "blind_words")

    def untold(self, rng: Rng) -> NDArray[np.float32]:
        """Features (T, C) of a window that is told nothing: a scene's, or such as no scene gives."""
        return self._picture(rng, None, None)

    def scene(self, rng: Rng) -> Scene:
        """Number, features (T, C), and cues and words (T, X) of a scene that may be told nothing; never of two."""
        kind = str(rng.choice(SCENES))
        cues, words = "cues" in kind, "words" in kind
        picture, wrong = kind.startswith("picture"), kind.startswith("wrong")
        index = int(rng.choice(self._fitting(picture, cues)))
        told = self._told(index)
        track = self._track(self._cues(rng, told), None) if cues else self._track((), ())
        track = replace(track, picture=picture or wrong)
        features = self._nothing()
        if wrong:
            features = self._picture(rng, index, int(self._examples.families[index]))
        elif picture:
            features = self._some(rng, index)
        return index, features, pack(_worded(rng, track, told) if words else track)

    def _fitting(self, picture: bool, cues: bool) -> NDArray[np.int64]:
        """The numbers of scenes with a picture, with events."""
        if picture:
            return self._pictured_with_events if cues else self._pictured
        return self._with_events if cues else self._everything

    def _silence(self, rng: Rng) -> Row:
        """Nothing is to be heard, and that is known."""
        picture = rng.random() < 0.7
        track = track_of((), self._grid, self._words, picture=picture)
        return self._examples.silence, self._picture(rng, None, None) * picture, pack(track), self._hits(())

    def _seen(self, rng: Rng, cues: bool) -> Row:
        """A scene and its own picture."""
        index = int(rng.choice(self._fitting(picture=True, cues=cues)))
        told = self._told(index)
        view = int(rng.integers(len(self._examples.features)))
        known: Sequence[Stretch] | None = None
        kept = self._cues(rng, told)
        if cues and rng.random() < self._mix.partly:
            known, kept = self._partly(rng, kept)
        track = self._track(kept, known) if cues else self._track((), ())
        if not cues or rng.random() < self._mix.worded:
            track = _worded(rng, track, told)
        return (
            told.latents,
            self._examples.features[view, index].astype(np.float32),
            pack(track),
            self._hits(kept if cues else ()),
        )

    def _unseen(self, rng: Rng, picture: bool, cues: bool) -> Row:
        """A scene, or two in one window, beside a wrong picture or none."""
        index = int(rng.choice(self._fitting(picture=False, cues=cues)))
        told, spliced = self._told(index), rng.random() < self._mix.spliced
        if spliced:
            other = int(rng.choice(self._fitting(picture=False, cues=cues)))
            told = self._joined(rng, told, self._told(other))
        kept = self._cues(rng, told) if cues else ()
        track = replace(self._track(kept, None if cues else ()), picture=picture)
        share = self._mix.worded if picture else self._mix.worded_blind
        worded = not cues or spliced or rng.random() < share
        if worded:
            track = _worded(rng, track, told)
        family = None if worded else int(self._examples.families[index])
        features = self._picture(rng, index, family) if picture else self._nothing()
        return told.latents, features, pack(track), self._hits(kept)

    def _told(self, index: int) -> Told:
        found, count = self._examples, self._grid.frames
        struck = np.isfinite(found.times[index])
        return Told(
            found.latents[index],
            found.times[index][struck],
            found.strengths[index][struck],
            np.full(count, found.families[index], np.int16),
            np.full(count, found.materials[index], np.int16),
        )

    def _joined(self, rng: Rng, first: Told, second: Told) -> Told:
        """The beginning of one and the end of the other, cut at a token column."""
        columns = self._grid.frames // self._grid.frames_per_column
        cut = int(rng.integers(columns // 4, 3 * columns // 4))
        frame, time = cut * self._grid.frames_per_column, cut * self._grid.frames_per_column * self._grid.frame_s
        latent = cut * first.latents.shape[2] // columns
        before, after = first.times < time, second.times >= time
        return Told(
            np.concatenate([first.latents[..., :latent], second.latents[..., latent:]], axis=2),
            np.concatenate([first.times[before], second.times[after]]),
            np.concatenate([first.strengths[before], second.strengths[after]]),
            np.concatenate([first.families[:frame], second.families[frame:]]),
            np.concatenate([first.materials[:frame], second.materials[frame:]]),
        )

    def _cues(self, rng: Rng, told: Told) -> tuple[ToldCue, ...]:
        """The events as an editor would mark them: a little off, with strengths or without."""
        late = rng.uniform(-self._mix.jitter_s, self._mix.jitter_s, len(told.times))
        gain = 10 ** (rng.uniform(-1, 1, len(told.times)) / 20)
        with_strengths = rng.random() < self._mix.strengths
        return tuple(
            ToldCue(float(time + off), float(np.clip(strength * by, 0, 1)) if with_strengths else None)
            for time, off, strength, by in zip(told.times, late, told.strengths, gain, strict=True)
        )

    def _partly(self, rng: Rng, cues: tuple[ToldCue, ...]) -> tuple[Sequence[Stretch], tuple[ToldCue, ...]]:
        """Cues known in one stretch, or some of them around themselves alone; and those that are told."""
        if rng.random() < 0.5:
            begin = float(rng.uniform(0, 0.7 * self._grid.seconds))
            end = begin + float(rng.uniform(0.15, 0.6) * self._grid.seconds)
            return [(begin, end)], tuple(cue for cue in cues if begin <= cue.time_s <= end)
        return (), tuple(cue for cue in cues if rng.random() < 0.5)

    def _track(self, cues: Sequence[ToldCue], known: Sequence[Stretch] | None) -> CueTrack:
        return track_of(cues, self._grid, self._words, known=known)

    def _picture(self, rng: Rng, index: int | None, family: int | None) -> NDArray[np.float32]:
        """Features (T, C) of a picture that is not of this sound; ``family``: of the same kind, if there is one."""
        if rng.random() < self._mix.strange:
            return self._strange(rng)
        if index is not None and index < self._examples.pictured and rng.random() < 0.25:
            least = min(round(1.0 / self._grid.frame_s), self._grid.frames // 3)
            turned = int(rng.integers(least, self._grid.frames - least))
            rolled: NDArray[np.float32] = np.roll(self._some(rng, index), turned, axis=0)
            return rolled
        if family is not None:
            alike = self._pictured[self._examples.families[self._pictured] == family]
            if len(alike := alike[alike != index]):
                return self._some(rng, int(rng.choice(alike)))
        return self._some(rng, int(rng.choice(self._pictured)))

    def _some(self, rng: Rng, index: int) -> NDArray[np.float32]:
        view = int(rng.integers(len(self._examples.features)))
        features: NDArray[np.float32] = self._examples.features[view, index].astype(np.float32)
        return features

    def _strange(self, rng: Rng) -> NDArray[np.float32]:
        """What no scene gives: noise, two scenes at once, a scene in noise, one moment for good."""
        first, second = (self._some(rng, int(rng.choice(self._pictured))) for _ in range(2))
        noise = self._spread * rng.standard_normal(first.shape).astype(np.float32)
        made = (
            self._centre + noise * np.float32(rng.uniform(0.3, 1.2)),
            first + noise * np.float32(rng.uniform(0.2, 1.0)),
            first + (second - first) * np.float32(rng.uniform(0.2, 0.8)),
            np.broadcast_to(first[int(rng.integers(len(first)))], first.shape) + 0.1 * noise,
        )
        chosen: NDArray[np.float32] = made[int(rng.integers(len(made)))].astype(np.float32)
        return chosen

    def _hits(self, cues: Sequence[ToldCue]) -> NDArray[np.int64]:
        """The mel frames of cues with a strength, (K,), -1 for none."""
        told = [round(max(0.0, cue.time_s) * self._mel_rate) for cue in cues if cue.strength is not None]
        hits = np.full(MOST_EVENTS, -1, np.int64)
        hits[: len(told)] = told[:MOST_EVENTS]
        return hits

    def _nothing(self) -> NDArray[np.float32]:
        return np.zeros(self._examples.features.shape[2:], np.float32)


def _worded(rng: Rng, track: CueTrack, told: Told) -> CueTrack:
    """With the words of the scene: both, or one of them."""
    both = rng.random()
    families = told.families if both < 0.85 else np.zeros_like(told.families)
    materials = told.materials if both < 0.7 or both >= 0.85 else np.zeros_like(told.materials)
    return replace(track, family=families, material=materials)
