"""Recorded one-shots and loops in place of synthesis: which recording fits which family and material."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from foleygen.scenes.shapes import Array, Rng
from foleygen.scenes.sound import BANK_RATE

Reader = Callable[[Path], tuple[NDArray[np.floating], int]]

_IMPACTS = ("bounce", "collide", "hammer", "knock", "drop", "chop", "crockery", "dominoes")

_RULES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    (r"smash.*(glass)|interface-sounds-glass", (*_IMPACTS, "crockery"), "glass"),
    (r"smash.*ceramic", _IMPACTS, "ceramic"),
    (r"smash.*(wood-furn|door-wood)|tool-axe", (*_IMPACTS, "door"), "wood"),
    (r"perc-door|close-door-(door-wood|window)|close-door-fence", ("door",), "wood"),
    (r"vehicle-close", ("door",), "metal"),
    (r"smash.*(metal)|cowbell|perc-impact", _IMPACTS, "metal"),
    (r"smash.*plastic|interface-sounds-(drop|pluck)", _IMPACTS, "plastic"),
    (r"smash.*(brick|concrete)", _IMPACTS, "stone"),
    (r"melee-hit-flesh.*(small-bash|default)", ("clap", *_IMPACTS), "leather"),
    (r"__(bd|sn)__|drum-(bass|heavy|snare|tom)", ("drum",), "skin"),
    (r"drum-(cymbal|splash|cowbell)|__ride__", ("drum",), "metal"),
    (r"walk-(t-gravel|t-rock)", ("footsteps",), "stone"),
    (r"walk-t-floor", ("footsteps",), "wood"),
    (r"walk-metal", ("footsteps",), "metal"),
    (r"walk-(t-carpet|grass)", ("footsteps",), "cloth"),
    (r"walk-barefoot", ("footsteps",), "leather"),
    (r"walk-(t-)?water", ("footsteps", "splash"), "water"),
    (r"interface-sounds-scratch", ("sand", "saw"), None),
    (r"interface-sounds-(click|tick|select|toggle|switch)", ("typing",), "plastic"),
    (r"clock", ("clock",), None),
    (r"perc-snap", ("clap",), "leather"),
)

_LOOPS: tuple[tuple[str, str], ...] = (
    (r"esc10__rain|heavyrain|RAINSTORM", "rain"),
    (r"fire-crackling", "fire"),
    (r"sea-waves", "waves"),
    (r"chainsaw|helicopter", "engine"),
    (r"flurries|SNOWSTORM", "wind"),
)


@dataclass(frozen=True)
class _Row:
    file: str
    families: tuple[str, ...]
    material: str | None
    loop: bool


class RecordingBank:
    """Recordings by name, which says what they are good for; ``read`` decodes one to samples (n,) or (n, channels),
    and its rate in Hz, when it is first used.
    """

    def __init__(self, files: Mapping[str, Path], read: Reader) -> None:
        self._files, self._read = files, read
        self._loaded: dict[tuple[str, bool], Array | None] = {}
        self._rows = [row for file in files for row in _rows(file)]

    def __len__(self) -> int:
        return len(self._rows)

    def pick(self, rng: Rng, family: str, material: str, count: int) -> list[Array]:
        """Up to ``count`` one-shots for a family and material: attack at sample 0, peak 1, BANK_RATE; often empty."""
        rows = [
            row for row in self._rows if not row.loop and family in row.families and row.material in (None, material)
        ]
        chosen = [rows[int(i)] for i in rng.permutation(len(rows))[:count]]
        found = (self._load(row) for row in chosen)
        return [samples for samples in found if samples is not None]

    def loop(self, rng: Rng, family: str) -> Array | None:
        """A steady recording for a continuous family, if there is one."""
        rows = [row for row in self._rows if row.loop and family in row.families]
        return self._load(rows[int(rng.integers(len(rows)))]) if rows else None

    def _load(self, row: _Row) -> Array | None:
        key = (row.file, row.loop)
        if key not in self._loaded:
            samples, rate = self._read(self._files[row.file])
            mono = np.asarray(samples, np.float64)
            mono = mono.mean(axis=1) if mono.ndim > 1 else mono
            shared = gcd(int(rate), BANK_RATE)
            mono = resample_poly(mono, BANK_RATE // shared, int(rate) // shared)
            one_shot = partial(isolate, longest_s=0.25 if "clock" in row.families else 1.5)
            self._loaded[key] = steady(mono) if row.loop else one_shot(mono)
        return self._loaded[key]


def _rows(file: str) -> list[_Row]:
    shots = [_Row(file, families, material, False) for rule, families, material in _RULES if re.search(rule, file)]
    return shots + [_Row(file, (family,), None, True) for rule, family in _LOOPS if re.search(rule, file)]


def isolate(samples: NDArray[np.float64], longest_s: float) -> Array | None:
    """The first sound in a recording, from its attack on, peak 1, faded out at ``longest_s``; None if silent."""
    level = np.abs(samples)
    peak = float(level.max()) if len(level) else 0.0
    if peak < 1e-4:
        return None
    loud = np.flatnonzero(level > 0.35 * peak)[0]
    quiet = np.flatnonzero(level[: loud + 1] < 0.08 * peak)
    begin = max(0, int(loud) - int(0.02 * BANK_RATE), int(quiet[-1]) if len(quiet) else 0)
    piece = samples[begin : begin + int(longest_s * BANK_RATE)].copy()
    fade = min(len(piece), int(0.02 * BANK_RATE))
    piece[len(piece) - fade :] *= np.linspace(1, 0, fade)
    return np.asarray(piece / np.abs(piece).max(), np.float32)


def steady(samples: NDArray[np.float64]) -> Array | None:
    """The recording without its silent ends, and with its slow level changes evened out, to be looped."""
    window = BANK_RATE // 4
    if len(samples) < 2 * window:
        return None
    power = np.convolve(samples**2, np.ones(window) / window, mode="same")
    heard = power > 0.02 * np.quantile(power, 0.9)
    samples = samples[heard] / np.sqrt(power[heard] + 1e-9)
    return samples.astype(np.float32) if len(samples) > window else None
