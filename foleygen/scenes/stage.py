"""The stage on which a family builds its scene: bodies with tracks, voices, hits, beds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from foleygen.scenes.motion import Point, Times, grid, two_links
from foleygen.scenes.render import Drawable, Ground, Light
from foleygen.scenes.shapes import Array, Body, Rng, Surface, Track, any_surface, material_surface
from foleygen.scenes.sound import Bed, Hit, Voice

Item = Body | Ground | Drawable


class Stage:
    """Collects what a family puts in a clip. ``level`` is the floor's scene y at the plane of action, ``horizon``
    where the floor ends; ``times`` is the grid of all tracks; ``focus`` is the place a close-up must show, if there is
    one."""

    def __init__(self, rng: Rng, family: str, material: str, duration_s: float) -> None:
        self.rng, self.family, self.material, self.duration_s = rng, family, material, duration_s
        self.times: Times = grid(duration_s)
        self.level = float(rng.uniform(-0.75, -0.35))
        self.horizon = self.level + float(rng.choice([rng.uniform(0.08, 0.3), rng.uniform(0.3, 1.1)]))
        self.from_above = False
        self.focus: tuple[float, float] | None = None
        self.items: list[Item] = []
        self.voices: list[Voice] = []
        self.hits: list[Hit] = []
        self.beds: list[Bed] = []
        self.intensity: Array | None = None
        azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.9)
        flat = np.sqrt(1 - height**2)
        direction = (float(flat * np.cos(azimuth)), float(0.25 + 0.6 * abs(flat * np.sin(azimuth))), float(height))
        length = float(np.linalg.norm(direction))
        ambient = float(rng.uniform(0.35, 0.65))
        self.light = Light(
            (direction[0] / length, direction[1] / length, direction[2] / length), ambient, float(rng.uniform(0.4, 0.9))
        )

    def surface(self, material: str | None = None, relief: str = "round") -> Surface:
        """A fresh surface of a material (default: the clip's)."""
        return material_surface(self.rng, material or self.material, relief)

    def flesh(self) -> Surface:
        """Skin, or a glove."""
        return self.surface("flesh") if self.rng.random() < 0.8 else any_surface(self.rng, "round")

    def sleeve(self) -> Surface:
        return replace(any_surface(self.rng, "round"), gloss=0.0)

    def add(self, x: Track, y: Track, a: Track, b: Track, surface: Surface, **more: Any) -> Body:
        """Put a body on the stage, in front of those before it."""
        body = Body(_track(x), _track(y), _track(a), _track(b), surface, **more)
        self.items.append(body)
        return body

    def bar(self, start: Point, end: Point, radius: float, surface: Surface, **more: Any) -> Body:
        """A capsule between two (moving) points."""
        x0, y0, x1, y1 = start[0], start[1], end[0], end[1]
        length = np.hypot(x1 - x0, y1 - y0)
        angle = np.unwrap(np.atleast_1d(np.arctan2(y1 - y0, x1 - x0)))
        turn: Track = float(angle[0]) if len(angle) == 1 else angle.astype(np.float32)
        return self.add((x0 + x1) / 2, (y0 + y1) / 2, length / 2 + radius, radius, surface, angle=turn, **more)

    def arm(self, shoulder: Point, hand: Point, radius: float = 0.07, bend: float = 1.0) -> None:
        """Upper arm, forearm and fist from ``shoulder`` to ``hand``."""
        far = float(np.max(np.hypot(np.asarray(hand[0]) - shoulder[0], np.asarray(hand[1]) - shoulder[1])))
        upper = far * self.rng.uniform(0.52, 0.6)
        elbow = two_links(shoulder, hand, upper, far * 1.04 - upper + 0.02, bend)
        flesh, sleeve = self.flesh(), self.sleeve()
        long_sleeve = self.rng.random() < 0.6
        self.bar(shoulder, elbow, radius * 1.15, sleeve)
        self.bar(elbow, hand, radius * 0.9, sleeve if long_sleeve else flesh)
        self.add(hand[0], hand[1], radius * 1.1, radius, flesh)

    def project(self, x: Track, height: Track, distance: Track) -> tuple[Track, Track, Track]:
        """Scene x, y and scale of a point over the floor at ``distance`` (1: the plane of action)."""
        y = self.horizon - (self.horizon - self.level - height) / distance
        return x / distance, y, 1.0 / distance

    def shadow(self, x: Track, height: Track, size: Track, scale: float = 1.0, y: Track | None = None) -> None:
        """A soft shadow on the floor under a body at ``height``, wider and fainter the higher it is."""
        high = np.maximum(np.asarray(height, np.float32), 0)
        lean = -self.light.direction[0] * 0.5
        tilt = float(np.clip((self.horizon - self.level) * 0.35, 0.05, 0.35))
        wide = size * (1 + 0.4 * high)
        black = Surface((0, 0, 0), (0, 0, 0), np.zeros((128, 128), np.float32), relief="flat")
        self.add(
            x + lean * high * scale, self.level if y is None else y, wide, wide * tilt, black, kind="ellipse",
            alpha=_track(0.55 / (1 + 2.5 * high)), soft=0.03 * scale + 0.01, shade=False, depth=0.0,
        )  # fmt: skip

    def table(self, top: float, material: str | None = None, left: float = -1.6, right: float = 1.6) -> Surface:
        """A slab whose upper edge is at scene y ``top``; returns its surface."""
        surface = self.surface(material, "bevel") if material else any_surface(self.rng, "bevel")
        if self.rng.random() < 0.5:
            thick = self.rng.uniform(0.05, 0.12)
            for x in (left * 0.6 + right * 0.4, left * 0.4 + right * 0.6):
                self.add(x + self.rng.normal(0, 0.05), top - 1.0, 0.06, 0.95, surface, corner=0.1, depth=0.06)
        else:
            thick = 0.8
        self.add((left + right) / 2, top - thick, (right - left) / 2, thick, surface, corner=0.08, depth=0.5)
        return surface

    def voice(self, kind: str, size_m: float, material: str | None = None) -> int:
        """Register a sounding body; returns its index for ``hit``."""
        self.voices.append(Voice(kind, material or self.material, float(size_m), int(self.rng.integers(2**31))))
        return len(self.voices) - 1

    def hit(self, time_s: float, strength: float, voice: int, length_s: float = 0.0) -> None:
        """An event: something is heard, and seen, at ``time_s``."""
        if 0.0 <= time_s < self.duration_s - 0.02:
            self.hits.append(Hit(float(time_s), float(np.clip(strength, 0.15, 1.0)), voice, float(length_s)))

    def hit_all(self, times: Times, forces: Times, voice: int) -> None:
        for time, force in zip(times, forces, strict=True):
            self.hit(float(time), float(force), voice)


def _track(value: object) -> Track:
    array = np.asarray(value, np.float32)
    return float(array) if array.ndim == 0 else array
