"""Water: a dripping tap, things thrown in, waves on a beach, rain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foleygen.scenes.motion import rhythm, strengths, wander
from foleygen.scenes.render import Canvas
from foleygen.scenes.shapes import TILE, Array, Surface, any_surface, sample
from foleygen.scenes.sound import Bed
from foleygen.scenes.stage import Stage


@dataclass(frozen=True)
class Ripples:
    """Rings that spread on a flat water surface from (x, y) after each instant; flattened by ``tilt``."""

    instants: tuple[float, ...]
    forces: tuple[float, ...]
    x: tuple[float, ...]
    y: float
    tilt: float
    speed: float
    top: float

    def draw(self, canvas: Canvas) -> None:
        x, y = canvas.scene_x()[:, None, :], canvas.scene_y()[:, :, None]
        for instant, force, centre in zip(self.instants, self.forces, self.x, strict=True):
            since = canvas.times - instant
            frames = np.flatnonzero((since >= 0) & (since < 1.0))
            if not len(frames):
                continue
            age = since[frames].astype(np.float32)[:, None, None]
            radius = np.hypot(x[frames] - centre, (y[frames] - self.y) / self.tilt)
            wave = (radius - self.speed * age - 0.02) / (0.05 + 0.04 * age)
            height = np.exp(-(wave**2)) * np.cos(3.0 * wave) * (force * np.exp(-2.5 * age) * 0.8)
            height = height * (y[frames] < self.top)
            canvas.pixels[frames] += (height * 0.6)[..., None]


def _pool(stage: Stage, top: float) -> None:
    water = stage.surface("water", "flat")
    stage.add(0.0, top - 2.0, 3.0, 2.0, water, corner=0.0, depth=1.0)


def _ripples(stage: Stage, hits: Array, forces: Array, x: Array, y: float, top: float) -> None:
    stage.items.append(Ripples(
        tuple(map(float, hits)), tuple(map(float, forces)), tuple(map(float, x)), y,
        float(stage.rng.uniform(0.2, 0.6)), float(stage.rng.uniform(0.4, 0.9)), top,
    ))  # fmt: skip


def _spray(stage: Stage, hit: float, force: float, x: float, y: float, count: int, surface: Surface) -> None:
    """Droplets thrown up at a splash, falling back."""
    rng, times = stage.rng, stage.times
    since = times - hit
    for _ in range(count):
        up, across = force * rng.uniform(1.0, 2.6), rng.normal(0, 0.45) * force
        height = up * since - 0.5 * 7.0 * since**2
        shown = ((since >= 0) & (height >= -0.02)).astype(np.float32)
        size = rng.uniform(0.015, 0.045)
        stage.add(x + across * since, y + np.clip(height, 0, 3), size, size * 1.3, surface, alpha=shown, depth=size)


def drip(stage: Stage) -> None:
    """Drops grow on a tap or a leaf, fall and ring in the water, or tap on a lid."""
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.3, 16, 0.5)
    forces = strengths(rng, len(hits))
    top = rng.uniform(-0.6, -0.2)
    x, spout = rng.uniform(-0.3, 0.3), rng.uniform(0.4, 0.8)
    wet = stage.material == "water"
    if wet:
        _pool(stage, top + 0.18)
    else:
        stage.add(x, top - 0.2, rng.uniform(0.3, 0.7), 0.2, stage.surface(relief="bevel"), corner=0.1)
    pipe = stage.surface(str(rng.choice(["metal", "plastic", "leather"])))
    stage.bar((x, spout + 0.08), (x, spout + 0.3), 0.08, pipe)
    stage.bar((x, spout + 0.3), (x + 0.9, spout + 0.35), 0.08, pipe)
    gravity = rng.uniform(6, 12)
    fall_s = float(np.sqrt(2 * (spout - top) / gravity))
    water = stage.surface("water")
    if wet:
        _ripples(stage, hits, forces, np.full(len(hits), x), top, top + 0.18)
    for hit, force in zip(hits, forces, strict=True):
        size = 0.03 + 0.035 * force
        since = times - (hit - fall_s)
        y = spout - 0.5 * gravity * np.clip(since, 0, fall_s) ** 2
        grow = np.clip((since + 0.35) / 0.35, 0.05, 1)
        shown = ((since > -0.3) & (times < hit)).astype(np.float32)
        stretch = 1 + 0.12 * gravity * np.clip(since, 0, fall_s)
        stage.add(x, y, size * grow, size * grow * stretch, water, alpha=shown, kind="ellipse", depth=size)
        _spray(stage, float(hit), force * 0.6, x, top, 3, water)
    stage.hit_all(hits, forces, stage.voice("drop" if wet else "strike", rng.uniform(0.012, 0.04) if wet else 0.2))


def splash(stage: Stage) -> None:
    """Stones thrown into a pond."""
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.5, 10, 0.5)
    forces = strengths(rng, len(hits))
    top, y = rng.uniform(0.0, 0.4), rng.uniform(-0.5, -0.1)
    _pool(stage, top)
    places = rng.uniform(-0.6, 0.6, len(hits))
    _ripples(stage, hits, forces * 1.4, places, y, top)
    white = any_surface(rng)
    white = Surface((0.9, 0.95, 1.0), (0.6, 0.75, 0.85), white.texture, relief="round", gloss=0.4, opacity=0.8)
    for hit, force, place in zip(hits, forces, places, strict=True):
        size = 0.05 + 0.12 * force * rng.uniform(0.6, 1.2)
        since = times - hit
        speed, across, gravity = rng.uniform(1.0, 3.0), rng.normal(0, 0.8), rng.uniform(4, 9)
        early = np.minimum(since, 0)
        shown = ((since < 0) & (since > -1.2)).astype(np.float32)
        stage.add(place + across * early, y - speed * early - 0.5 * gravity * early**2 * 0 + 0.3 * gravity * early**2,
                  size, size, stage.surface("stone"), alpha=shown, angle=3 * early, depth=size)  # fmt: skip
        column = np.exp(-np.maximum(since, 0) / 0.18) * np.clip(since / 0.05, 0, 1)
        stage.add(place, y + 0.25 * force * column, size * 0.8 + 0.1 * column, 0.02 + 0.5 * force * column, white,
                  kind="ellipse", alpha=(since >= 0) * np.clip(2 * column + 0.2 * (since < 0.1), 0, 1))  # fmt: skip
        _spray(stage, float(hit), force, float(place), y, int(rng.integers(4, 9)), white)
    stage.hit_all(hits, forces, stage.voice("splash", rng.uniform(0.05, 0.3)))


@dataclass(frozen=True)
class Sea:
    """Water that runs up a beach: its edge over time follows ``front`` (units, scene y), foam along it."""

    front: Array
    water: Surface
    wiggle: float

    def draw(self, canvas: Canvas) -> None:
        x, y = canvas.scene_x()[:, None, :], canvas.scene_y()[:, :, None]
        times = canvas.times.astype(np.float32)[:, None, None]
        front = sample(self.front, canvas.times)[:, None, None]
        edge = front + self.wiggle * (np.sin(4 * x + 0.6 * times) + 0.5 * np.sin(9.7 * x - 1.1 * times))
        depth = y - edge
        row = ((depth * 60 + 12 * times).astype(np.int64)) % TILE
        column = np.broadcast_to((x * 60).astype(np.int64) % TILE, row.shape)
        mix = self.water.texture[row, column]
        first, second = np.array(self.water.colour, np.float32), np.array(self.water.second, np.float32)
        canvas.blend(first + mix[..., None] * (second - first), np.clip(depth * 12, 0, 0.9))
        foam = np.exp(-((depth / 0.05) ** 2)) + 0.4 * (mix > 0.6) * np.exp(-np.maximum(depth, 0) * 4) * (depth > 0)
        canvas.blend(np.array([0.95, 0.97, 1.0], np.float32), np.clip(foam, 0, 0.95))


def waves(stage: Stage) -> None:
    """Waves run up a beach and back; the wash is loudest as it breaks and runs up."""
    rng, times = stage.rng, stage.times
    stage.from_above = True
    period = rng.uniform(2.0, 5.5)
    phase = 2 * np.pi * (times / period + rng.random()) + wander(rng, times, 0.5, 4.0)
    size = np.clip(1 + wander(rng, times, 0.25, 6.0), 0.4, 1.7)
    front = -0.5 * size * np.sin(phase) * rng.uniform(0.5, 1.0) + rng.uniform(-0.2, 0.2)
    running = np.clip(-np.gradient(front, times), 0, None)
    level = 0.15 + running / (running.max() + 1e-6) * size / size.max()
    stage.items.append(Sea(front.astype(np.float32), stage.surface("water"), float(rng.uniform(0.02, 0.07))))
    stage.intensity = level.astype(np.float32)
    seed = int(rng.integers(2**31))
    stage.beds.append(Bed("noise", stage.intensity, seed, 120.0, float(rng.uniform(1500, 4000))))
    stage.beds.append(Bed("noise", stage.intensity**2 * 0.5, seed + 1, 1500.0, 7000.0))


@dataclass(frozen=True)
class RainField:
    """Streaks: ``x``, ``phase``, ``rank`` (0..1: a streak is there while the density exceeds it) per streak."""

    x: Array
    phase: Array
    rank: Array
    density: Array
    speed: float
    slant: float
    length: float
    strength: float

    def draw(self, canvas: Canvas) -> None:
        times = canvas.times
        density = sample(self.density, times)[:, None]
        fall = (self.phase[None] + times[:, None] * self.speed / 2.4) % 1.0
        y = (1.2 - 2.4 * fall).astype(np.float32)
        lap = np.floor(self.phase[None] + times[:, None] * self.speed / 2.4)
        x = ((self.x[None] + 0.618 * lap) % 1.0) * 3.2 - 1.6
        points = max(3, int(self.length * canvas.half))
        along = np.linspace(0, self.length, points, dtype=np.float32)
        px = canvas.width / 2 + (x[..., None] + self.slant * along) * canvas.half
        py = canvas.height / 2 - (y[..., None] + along) * canvas.half
        shown = (self.rank[None] < density)[..., None]
        shown = shown & (px >= 0) & (px < canvas.width) & (py >= 0) & (py < canvas.height)
        frame = np.broadcast_to(np.arange(len(times))[:, None, None], px.shape)[shown]
        flat = (frame * canvas.height + py[shown].astype(np.int64)) * canvas.width + px[shown].astype(np.int64)
        pixels = canvas.pixels.reshape(-1, 3)
        pixels[flat] += self.strength * (np.array([0.85, 0.9, 1.0], np.float32) - pixels[flat])


def rain(stage: Stage) -> None:
    """Rain that grows and eases off; splashes on the ground."""
    rng, times = stage.rng, stage.times
    density = np.clip(rng.uniform(0.2, 0.8) + wander(rng, times, rng.uniform(0.05, 0.35), 9.0), 0.03, 1.0)
    count = int(rng.integers(60, 160))
    stage.items.append(RainField(
        rng.random(count).astype(np.float32), rng.random(count).astype(np.float32),
        rng.random(count).astype(np.float32), density.astype(np.float32), float(rng.uniform(3.0, 6.0)),
        float(rng.normal(0, 0.2)), float(rng.uniform(0.1, 0.3)), float(rng.uniform(0.3, 0.8)),
    ))  # fmt: skip
    stage.intensity = density.astype(np.float32)
    seed = int(rng.integers(2**31))
    stage.beds.append(Bed("noise", stage.intensity, seed, 500.0, float(rng.uniform(3000, 7500))))
    stage.beds.append(Bed("crackle", stage.intensity * 2.0, seed + 1, 900.0, 6000.0, float(rng.uniform(60, 200))))
