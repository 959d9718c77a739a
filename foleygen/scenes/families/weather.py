"""Steady sources: engines and wheels, fire, wind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foleygen.scenes.motion import ease, wander
from foleygen.scenes.render import Canvas
from foleygen.scenes.shapes import TILE, TRACK_RATE, Array, any_surface, fractal, hsv, sample
from foleygen.scenes.sound import Bed
from foleygen.scenes.stage import Stage


def engine(stage: Stage) -> None:
    """A wheel with spokes, often with a rod and a piston, that speeds up and slows down."""
    rng, times = stage.rng, stage.times
    speed = np.clip(rng.uniform(0.4, 1.4) + wander(rng, times, rng.uniform(0.05, 0.5), 8.0), 0.0, 2.6)
    if rng.random() < 0.35:
        on = rng.uniform(0.05, 0.6) * stage.duration_s
        speed = speed * ease((times - on) / 1.0)
    turned = -2 * np.pi * np.cumsum(speed) / TRACK_RATE * rng.uniform(0.6, 1.2)
    radius = rng.uniform(0.35, 0.6)
    x, y = rng.uniform(-0.3, 0.2), stage.level + radius + 0.05
    tyre, hub, spoke = stage.surface("rubber"), stage.surface(), stage.surface()
    if rng.random() < 0.5:
        stage.add(x, y + radius * 0.9, radius * 1.7, radius * 0.7, any_surface(rng, "bevel"), corner=0.4, depth=0.3)
    stage.add(x, y, radius, radius, tyre, depth=0.1)
    stage.add(x, y, radius * 0.78, radius * 0.78, any_surface(rng), depth=0.11)
    for index in range(int(rng.integers(2, 6))):
        stage.add(x, y, radius * 0.76, rng.uniform(0.02, 0.06), spoke, angle=turned + index * np.pi / 4.0, corner=0.3)
    stage.add(x, y, radius * 0.18, radius * 0.18, hub, depth=0.15)
    if rng.random() < 0.5:
        crank = (x + 0.6 * radius * np.cos(turned), y + 0.6 * radius * np.sin(turned))
        rod = crank[0] + np.sqrt(0.9**2 - (crank[1] - y) ** 2)
        level_y = np.full(len(times), y, np.float32)
        stage.bar(crank, (rod, level_y), 0.03, spoke)
        stage.add(rod, y, 0.1, 0.08, hub, corner=0.2)
    shake = 0.02 * np.clip(speed, 0, 1)
    housing = any_surface(rng, "bevel")
    stage.add(x + radius + 0.5, y + shake * np.sin(60 * times), 0.2, 0.3, housing, corner=0.1, depth=0.2)
    level = np.clip(speed, 0, 2.6) / 2.6
    stage.intensity = level.astype(np.float32)
    pulse = (rng.uniform(15, 60) * (0.3 + speed)).astype(np.float32)
    seed, top_hz = int(rng.integers(2**31)), float(rng.uniform(600, 3000))
    stage.beds.append(Bed("motor", stage.intensity, seed, 60.0, top_hz, pulse_hz=pulse))


@dataclass(frozen=True)
class Flames:
    """Fire on a hearth at (x, y): ``height`` (units) over time, ``texture`` climbing at ``speed``."""

    x: float
    y: float
    width: float
    height: Array
    texture: Array
    speed: float
    hue: float

    def draw(self, canvas: Canvas) -> None:
        x, y = canvas.scene_x()[:, None, :] - self.x, canvas.scene_y()[:, :, None] - self.y
        times = canvas.times.astype(np.float32)[:, None, None]
        height = sample(self.height, canvas.times)[:, None, None]
        row = np.broadcast_to(((self.speed * times - y) * 45).astype(np.int64) % TILE, (len(times), canvas.height, 1))
        column = np.broadcast_to(((x + 0.05 * np.sin(5 * y - 6 * times)) * 60).astype(np.int64) % TILE,
                                 (len(times), canvas.height, canvas.width))  # fmt: skip
        noise = self.texture[row, column]
        up = y / height
        heat = 1.15 - (np.abs(x) / self.width) ** 2 * (1 + up) - up * 0.9 - 0.9 * noise * (0.3 + np.clip(up, 0, 1))
        heat = np.clip(heat * 1.8, 0, 1) * np.clip(y * 12 + 1, 0, 1)
        red, gold = np.array(hsv(self.hue, 1.0, 1.0), np.float32), np.array([1.0, 0.95, 0.6], np.float32)
        colour = red + heat[..., None] ** 2 * (gold - red)
        glow = np.exp(-(x**2 + y**2) / 0.8) * 0.25 * height
        canvas.pixels += glow[..., None] * red
        canvas.blend(colour, np.clip(heat * 2.2, 0, 1))


def fire(stage: Stage) -> None:
    """A fire on logs that flares and sinks; it roars with its height and crackles."""
    rng, times = stage.rng, stage.times
    size = np.clip(rng.uniform(0.4, 0.9) + wander(rng, times, rng.uniform(0.1, 0.35), 6.0), 0.15, 1.5)
    flicker = 1 + 0.12 * wander(rng, times, 1.0, 0.3)
    y = stage.level + 0.1
    for side in (-1, 1, 0):
        stage.add(0.15 * side, y - 0.03 * abs(side), 0.45, 0.07, stage.surface("wood"), angle=0.25 * side)
    stage.items.append(Flames(
        float(rng.uniform(-0.1, 0.1)), y, float(rng.uniform(0.3, 0.55)),
        (size * np.clip(flicker, 0.5, 1.5)).astype(np.float32), fractal(rng, 1.5), float(rng.uniform(1.2, 2.4)),
        float(rng.uniform(0.01, 0.07)),
    ))  # fmt: skip
    stage.add(-0.05, y - 0.08, 0.4, 0.06, stage.surface("wood"), angle=-0.15)
    stage.intensity = (size / 1.5).astype(np.float32)
    seed = int(rng.integers(2**31))
    stage.beds.append(Bed("noise", stage.intensity, seed, 60.0, float(rng.uniform(300, 900))))
    stage.beds.append(Bed("crackle", stage.intensity * 2.5, seed + 1, 1200.0, 7000.0, float(rng.uniform(6, 25))))


def wind(stage: Stage) -> None:
    """Grass, a tree or a flag bends and shakes with the gusts."""
    rng, times = stage.rng, stage.times
    gust = np.clip(0.4 + wander(rng, times, rng.uniform(0.2, 0.4), 4.0), 0.02, 1.2)
    side = float(rng.choice([-1, 1]))
    plants = int(rng.integers(5, 14))
    leaf = replace(any_surface(rng, "round"), colour=hsv(rng.uniform(0.15, 0.4), 0.6, rng.uniform(0.3, 0.8)))
    for index in range(plants):
        root = rng.uniform(-0.95, 0.95)
        tall = rng.uniform(0.25, 0.8)
        quiver = 0.25 * np.sin(times * rng.uniform(5, 11) + index)
        sway = -side * gust * (0.5 + quiver) + 0.05 * np.sin(2 * times + index)
        angle = np.pi / 2 + sway
        end = (root + tall * np.cos(angle), stage.level + tall * np.sin(angle))
        stage.bar((root, stage.level), end, rng.uniform(0.015, 0.04), leaf)
        if rng.random() < 0.4:
            head = any_surface(rng, "round")
            stage.add(end[0], end[1], rng.uniform(0.06, 0.16), rng.uniform(0.05, 0.12), head, angle=sway)
    if rng.random() < 0.6:
        pole, top = rng.uniform(-0.6, 0.6), rng.uniform(0.4, 0.8)
        stage.bar((pole, top), (pole, stage.level - 0.3), 0.025, stage.surface("metal"))
        strips, cloth = 7, stage.surface("cloth", "flat")
        for strip in range(strips):
            part = (strip + 0.5) / strips
            flap = np.sin(times * 9 * (1 + 0.1 * index) - part * 6) * gust * 0.12 * part
            droop = (1 - np.clip(gust, 0, 1)) * part * 0.5
            x = pole + side * 0.7 * part * (0.35 + 0.65 * np.clip(gust, 0, 1))
            stage.add(x, top - 0.17 + flap - droop, 0.065, 0.17, cloth, corner=0.0, depth=0.02)
    stage.intensity = gust.astype(np.float32)
    seed = int(rng.integers(2**31))
    stage.beds.append(Bed("noise", stage.intensity, seed, 60.0, float(rng.uniform(250, 700))))
    stage.beds.append(Bed("noise", stage.intensity**2 * 0.4, seed + 1, 400.0, 2500.0))
