"""A library of synthetic recordings, and its index: what playing from one is tried with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from foleygen.facts import stamp
from foleygen.library import store
from foleygen.library.cutting import cut
from foleygen.library.event import Recording
from foleygen.library.likeness import brightness, likeness
from foleygen.library.mono import Mono
from foleygen.library.store import EVENT, STEP_DB, Entry, Store
from foleygen.regular import seal

BEFORE_S, SPACE_S = 0.1, 1.0
"""The first attack in a recording, and how far apart they are."""


@dataclass(frozen=True)
class Made:
    """A recording of hits: a decaying tone each, of these levels."""

    file: str
    family: str | None = None
    material: str | None = None
    hertz: float = 900.0
    levels: Sequence[float] = (0.5,)
    rate: int = 48000
    channels: int = 1
    """All alike, unless ``gains`` says how loud each is."""
    gains: Sequence[float] = ()
    decay_s: float = 0.05
    licence: str | None = "CC0-1.0"
    source: str | None = "me"

    def attack(self, event: int) -> int:
        return round((BEFORE_S + event * SPACE_S) * self.rate)

    def samples(self) -> NDArray[np.float32]:
        """(S, C)"""
        found = np.zeros(round(len(self.levels) * SPACE_S * self.rate), np.float32)
        for event, level in enumerate(self.levels):
            first = self.attack(event)
            seconds = np.arange(round(0.6 * self.rate)) / self.rate
            tone = level * np.exp(-seconds / self.decay_s) * np.cos(2 * np.pi * self.hertz * seconds)
            found[first : first + len(tone)] = tone
        return found[:, None] * np.array(self.gains or (1.0,) * self.channels, np.float32)


@dataclass(frozen=True)
class Noise:
    """A recording of noise that goes on, up to a frequency."""

    file: str
    family: str | None = "rain"
    material: str | None = "water"
    highest_hz: float = 8000.0
    level: float = 0.1
    seconds: float = 4.0
    rate: int = 48000
    channels: int = 1
    """None like another."""
    gains: Sequence[float] = (1.0,)
    """Of the channels."""
    seed: int = 0
    licence: str | None = "CC0-1.0"
    source: str | None = "me"

    def samples(self) -> NDArray[np.float32]:
        """(S, C)"""
        noise = np.random.default_rng(self.seed).standard_normal((round(self.seconds * self.rate), self.channels))
        spectrum = np.fft.rfft(noise, axis=0)
        spectrum[np.fft.rfftfreq(len(noise), 1 / self.rate) > self.highest_hz] = 0
        found = np.fft.irfft(spectrum, len(noise), axis=0)
        return np.asarray(self.level * found / found.std() * np.array(self.gains), np.float32)


def library(root: Path, *made: Made | Noise) -> Path:
    """Write the recordings and their index; the folder."""
    root.mkdir(parents=True, exist_ok=True)
    keeper, _ = Store.to_write(store.file_of(root), root)
    with keeper:
        for one in made:
            keeper.put(_entry(root, one) if isinstance(one, Made) else _lasting(root, one))
    return root


def _lasting(root: Path, made: Noise) -> Entry:
    path = root / made.file
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, made.samples(), made.rate, "FLOAT")
    found = cut(Mono(path))
    known = Recording(
        made.file, seal(path).sha256, made.rate, made.channels, round(made.seconds * made.rate), made.file, None,
        made.family, made.material, made.licence, made.source, found.noise_db, found.steady, found.is_stereo,
    )  # fmt: skip
    return Entry(known, stamp(path) or "", found.events, found.likenesses)


def _entry(root: Path, made: Made) -> Entry:
    path = root / made.file
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = made.samples()
    soundfile.write(path, samples, made.rate, "FLOAT")
    mono = samples.mean(axis=1)
    facts = np.zeros(len(made.levels), EVENT)
    vectors = []
    for event in range(len(made.levels)):
        attack = made.attack(event)
        end = attack + round(0.6 * made.rate)
        loud = mono[attack : attack + round(0.05 * made.rate)]
        level = 20 * np.log10(np.sqrt(np.mean(loud**2)))
        facts[event] = (attack - round(0.01 * made.rate), attack, end, level, brightness(mono, made.rate, attack))
        vectors.append(likeness(mono[:end], made.rate, attack))
    known = Recording(
        made.file, seal(path).sha256, made.rate, samples.shape[1], len(samples), made.file, None, made.family,
        made.material, made.licence, made.source, is_stereo=len(set(made.gains)) > 1,
    )  # fmt: skip
    return Entry(known, stamp(path) or "", facts, np.round(np.array(vectors) / STEP_DB).astype(np.int8))
