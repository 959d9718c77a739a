"""Bodies and surfaces: what stands in a scene, as data. Scene units: the shorter side of the picture is 2, y is up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Rng = np.random.Generator
Track = float | Array
"""A constant, or values on the grid of ``TRACK_RATE`` from time 0."""

TRACK_RATE = 1000.0
"""Hz of the grid on which moving quantities are stored."""

TILE = 128
"""Pixels a side of a surface's texture."""


def sample(track: Track, times: NDArray[np.float64]) -> Array:
    """The track at ``times`` (s), linear between grid points, held at the ends: (T,)."""
    if isinstance(track, (int, float)):
        return np.full(times.shape, track, np.float32)
    position = np.clip(times * TRACK_RATE, 0, len(track) - 1.001)
    below = position.astype(np.int64)
    part = (position - below).astype(np.float32)
    return track[below] * (1 - part) + track[below + 1] * part


def is_static(track: Track) -> bool:
    return isinstance(track, (int, float))


@dataclass(frozen=True)
class Surface:
    """``texture`` (TILE, TILE) in 0..1 mixes ``colour`` and ``second`` (RGB in 0..1).

    ``density`` is the texture's pixels per unit; ``relief`` picks the normals: flat, bevel, round (ball,
    cylinder). ``gloss`` is the highlight's strength.
    """

    colour: tuple[float, float, float]
    second: tuple[float, float, float]
    texture: Array = field(repr=False)
    density: float = 64.0
    relief: str = "round"
    gloss: float = 0.3
    opacity: float = 1.0
    outline: float = 0.0


@dataclass(frozen=True)
class Body:
    """A shape with its pose over time.

    ``kind``: ``box`` (half sizes ``a`` along its own x, ``b`` along its own y, corner radius ``corner`` as a share of
    the smaller half size: 1 gives discs and capsules), ``ellipse``, or ``polygon`` (convex, ``corners`` (N, 2)
    counter-clockwise in units of (a, b)). ``angle`` in radians. ``alpha`` 0..1 over time. ``soft`` widens the edge
    (units). ``depth`` is the half thickness for renderers with a third dimension, ``z`` the distance behind the
    plane of action.
    """

    x: Track
    y: Track
    a: Track
    b: Track
    surface: Surface
    kind: str = "box"
    angle: Track = 0.0
    corner: float = 1.0
    corners: Array | None = None
    alpha: Track = 1.0
    soft: float = 0.0
    depth: float = 0.1
    z: float = 0.0
    shade: bool = True

    @property
    def static(self) -> bool:
        return all(is_static(track) for track in (self.x, self.y, self.a, self.b, self.angle, self.alpha))


def fractal(rng: Rng, slope: float = 1.6, stretch: float = 1.0, size: int = TILE) -> Array:
    """Periodic 1/f^slope noise in 0..1, drawn out along x by ``stretch``: (size, size)."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    fy = np.fft.fftfreq(size)[:, None]
    fx = np.fft.rfftfreq(size)[None, :] * stretch
    radius = np.sqrt(fx**2 + fy**2)
    radius[0, 0] = 1.0
    spectrum /= radius**slope
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=(size, size))
    low, high = np.quantile(noise, [0.02, 0.98])
    return np.asarray(np.clip((noise - low) / (high - low + 1e-9), 0, 1), np.float32)


def pattern(rng: Rng, kind: str, size: int = TILE) -> Array:
    """A periodic texture in 0..1: (size, size)."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    if kind == "plain":
        return fractal(rng, 2.0, size=size) * 0.25
    if kind == "grain":
        bend = fractal(rng, 2.4, 4.0, size)
        return np.asarray(0.5 + 0.5 * np.sin(2 * np.pi * (rng.integers(4, 12) * y + 2.5 * bend)), np.float32)
    if kind == "brushed":
        return fractal(rng, 0.6, 14.0, size)
    if kind == "speckle":
        return np.asarray(np.clip(fractal(rng, 0.4, 1.0, size) * 2.2 - 0.6, 0, 1), np.float32)
    if kind == "cloud":
        return fractal(rng, rng.uniform(1.2, 2.2), 1.0, size)
    if kind == "stripes":
        count = int(rng.integers(2, 9))
        wave = np.sin(2 * np.pi * (count * x + int(rng.integers(-2, 3)) * y))
        return np.asarray(np.clip(wave * 3 + 0.5, 0, 1), np.float32)
    if kind == "checker":
        count = int(rng.integers(2, 7))
        return np.asarray((np.floor(x * 2 * count) + np.floor(y * 2 * count)) % 2, np.float32)
    if kind == "weave":
        count = int(rng.integers(8, 20))
        wave = np.sin(2 * np.pi * count * x) * np.sin(2 * np.pi * count * y)
        return np.asarray(0.5 + 0.5 * wave, np.float32)
    if kind == "bricks":
        rows = int(rng.integers(3, 8))
        shift = (np.floor(y * rows * 2) % 2) * 0.5
        joint = (np.mod(y * rows * 2, 1) < 0.16) | (np.mod(x * rows + shift, 1) < 0.09)
        return np.where(joint, 1.0, 0.45 * fractal(rng, 1.4, 1.0, size)).astype(np.float32)
    if kind == "dots":
        count = int(rng.integers(3, 9))
        radius = np.hypot(np.mod(x * count, 1) - 0.5, np.mod(y * count, 1) - 0.5)
        return np.asarray(np.clip((0.3 - radius) * 14 + 0.5, 0, 1), np.float32)
    raise ValueError(f"unknown pattern {kind}")


PATTERNS = ("plain", "grain", "brushed", "speckle", "cloud", "stripes", "checker", "weave", "bricks", "dots")

Range = tuple[float, float]

_LOOKS: dict[str, tuple[Range, Range, Range, tuple[str, ...], float, float]] = {
    # hue range, saturation range, value range, patterns, gloss, opacity
    "wood": ((0.05, 0.11), (0.35, 0.75), (0.35, 0.85), ("grain", "brushed"), 0.1, 1.0),
    "metal": ((0.52, 0.68), (0.0, 0.18), (0.5, 0.95), ("brushed", "plain"), 0.9, 1.0),
    "glass": ((0.40, 0.60), (0.05, 0.4), (0.7, 1.0), ("plain",), 1.0, 0.55),
    "ceramic": ((0.02, 0.13), (0.02, 0.5), (0.6, 1.0), ("plain", "stripes", "dots"), 0.7, 1.0),
    "plastic": ((0.0, 1.0), (0.6, 1.0), (0.5, 1.0), ("plain", "plain", "stripes"), 0.5, 1.0),
    "stone": ((0.05, 0.15), (0.0, 0.2), (0.3, 0.75), ("speckle", "cloud"), 0.05, 1.0),
    "rubber": ((0.0, 1.0), (0.0, 0.9), (0.1, 0.55), ("plain", "stripes"), 0.1, 1.0),
    "skin": ((0.09, 0.14), (0.05, 0.25), (0.75, 1.0), ("cloud", "plain"), 0.1, 1.0),
    "leather": ((0.02, 0.08), (0.3, 0.8), (0.15, 0.6), ("cloud", "speckle"), 0.2, 1.0),
    "cloth": ((0.0, 1.0), (0.2, 0.9), (0.3, 0.9), ("weave", "stripes", "checker"), 0.0, 1.0),
    "paper": ((0.08, 0.16), (0.0, 0.2), (0.8, 1.0), ("plain", "stripes"), 0.0, 1.0),
    "water": ((0.45, 0.62), (0.3, 0.8), (0.3, 0.8), ("cloud",), 0.8, 0.8),
    "flesh": ((0.03, 0.09), (0.25, 0.65), (0.3, 0.98), ("plain", "cloud"), 0.1, 1.0),
}


def hsv(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """RGB in 0..1."""
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    rgb = value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return float(rgb[0]), float(rgb[1]), float(rgb[2])


def material_surface(rng: Rng, material: str, relief: str = "round") -> Surface:
    """A surface that looks like ``material``, drawn anew each time."""
    hues, saturations, values, patterns, gloss, opacity = _LOOKS[material]
    hue, saturation, value = rng.uniform(*hues), rng.uniform(*saturations), rng.uniform(*values)
    if material == "metal" and rng.random() < 0.3:  # brass and copper
        hue, saturation = rng.uniform(0.04, 0.14), rng.uniform(0.4, 0.7)
    contrast = rng.uniform(0.2, 0.7)
    darker = value * (1 - contrast) if value > 0.4 else min(1.0, value + contrast * 0.6)
    return Surface(
        hsv(hue % 1, saturation, value),
        hsv((hue + rng.normal(0, 0.02)) % 1, min(1.0, saturation * 1.1), darker),
        pattern(rng, str(rng.choice(patterns))),
        density=float(rng.uniform(40, 110)),
        relief=relief,
        gloss=gloss * rng.uniform(0.5, 1.2),
        opacity=min(1.0, opacity * rng.uniform(0.85, 1.2)),
        outline=float(rng.random() < 0.2) * rng.uniform(0.3, 0.9),
    )


def any_surface(rng: Rng, relief: str = "flat") -> Surface:
    """A surface of no particular material: clutter, walls, clothes."""
    hue, saturation, value = rng.random(), rng.random() ** 1.5, rng.uniform(0.1, 1.0)
    other = float(np.clip(value + rng.normal(0, 0.35), 0, 1))
    second = hsv(rng.random() if rng.random() < 0.3 else hue, rng.random(), other)
    kind = str(rng.choice(PATTERNS))
    return Surface(
        hsv(hue, saturation, value), second, pattern(rng, kind), density=float(rng.uniform(20, 110)), relief=relief,
        gloss=float(rng.uniform(0, 0.4)),
    )  # fmt: skip
