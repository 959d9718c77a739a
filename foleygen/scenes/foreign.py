"""A second set of pictures, drawn by other means than the training's: ray-cast solids and ink drawings.

Never used in training; it tells whether a model has learnt motion and contact or one renderer's looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from foleygen.scenes.motion import Times, wander
from foleygen.scenes.render import Canvas, Ground, Light, View, draw_item
from foleygen.scenes.shapes import Array, Body, Rng, hsv, sample
from foleygen.scenes.stage import Item

MOST_SOLIDS = 40
Vector = tuple[Array, Array, Array]


@dataclass(frozen=True)
class Ink:
    """Lines where the picture changes and hatching where it is dark, on ``paper``; lines waver at ``boil_hz``."""

    paper: tuple[float, float, float]
    ink: tuple[float, float, float]
    spacing: float
    wash: float
    boil_hz: float
    seed: int

    def paint(
        self, items: Sequence[Item], light: Light, times: NDArray[np.float64], view: View, width: int, height: int
    ) -> Array:
        """Pictures (T, height, width, 3) in 0..1."""
        canvas = Canvas(times, View(0 * view.x, 0 * view.y, 0 * view.zoom + 0.9), width, height, light)
        canvas.pixels += 0.85
        for item in items:
            draw_item(canvas, item)
        pixels = np.clip(canvas.pixels, 0, 1)
        edge = np.zeros(pixels.shape[:3], np.float32)
        for axis in (1, 2):
            edge += np.abs(convolve1d(pixels, [1.0, 0.0, -1.0], axis=axis, mode="nearest")).max(axis=-1)
        grey = pixels.mean(axis=-1)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32) / canvas.half
        boil = np.floor(times * self.boil_hz)[:, None, None].astype(np.float32)
        waver = 0.02 * np.sin(9 * x + 5 * y + 2.4 * boil + self.seed % 7)
        hatch = np.sin((x + y + waver) * np.pi / self.spacing) > 2.2 * grey - 0.4
        dark = np.clip(edge * 3.5 - 0.35, 0, 1)
        dark = np.maximum(dark, 0.6 * hatch * (grey < 0.6))
        paper, ink = np.array(self.paper, np.float32), np.array(self.ink, np.float32)
        ground = paper * (1 - self.wash) + pixels * self.wash
        painted: Array = ground + dark[..., None] * (ink - ground)
        return painted


@dataclass(frozen=True)
class Solids:
    """The bodies as solids (ellipsoids, capsules, slabs), met by rays from a camera that circles slowly.

    ``yaw`` and ``pitch`` (rad) are tracks; ``palette`` one colour per body; the nearest solid wins (z-buffer).
    """

    yaw: Array
    pitch: Array
    palette: tuple[tuple[float, float, float], ...]
    sky: tuple[float, float, float]
    floor: tuple[float, float, float]
    away: float
    level: float | None = field(default=None)

    def paint(
        self, items: Sequence[Item], light: Light, times: NDArray[np.float64], view: View, width: int, height: int
    ) -> Array:
        """Pictures (T, height, width, 3) in 0..1."""
        origin, ray = self._rays(times, width, height)
        shape = (len(times), height, width)
        depth = np.full(shape, 1e9, np.float32)
        pixels = np.empty((*shape, 3), np.float32)
        pixels[:] = np.array(self.sky, np.float32)
        self._floor(items, times, origin, ray, depth, pixels)
        for body, colour in zip(_solid(items), self.palette, strict=False):
            _cast(body, np.array(colour, np.float32), light, times, origin, ray, depth, pixels)
        return pixels

    def _rays(self, times: NDArray[np.float64], width: int, height: int) -> tuple[Vector, Vector]:
        yaw, pitch = sample(self.yaw, times)[:, None, None], sample(self.pitch, times)[:, None, None]
        half = min(width, height) / 2
        x = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / half)[None, None, :] * (1.15 / self.away)
        y = ((height / 2 - np.arange(height, dtype=np.float32) - 0.5) / half)[None, :, None] * (1.15 / self.away)
        sy, cy, sp, cp = np.sin(yaw), np.cos(yaw), np.sin(pitch), np.cos(pitch)
        ray = (x * cy - y * sp * sy - cp * sy, y * cp - sp + 0 * x, -x * sy - y * sp * cy - cp * cy)
        origin = (self.away * cp * sy, self.away * sp - 0.1, self.away * cp * cy)
        return origin, ray

    def _floor(
        self, items: Sequence[Item], times: NDArray[np.float64], origin: Vector, ray: Vector, depth: Array,
        pixels: Array,
    ) -> None:  # fmt: skip
        """A chequered floor at ``level`` (or a back wall), with the shadows that lie on it."""
        upright = self.level is None
        axis, at = (2, -0.5) if upright else (1, (self.level or 0.0) - 0.01)
        reach = (at - origin[axis]) / np.where(np.abs(ray[axis]) < 1e-5, -1e-5, ray[axis])
        first = origin[0] + reach * ray[0]
        second = origin[1] + reach * ray[1] if upright else origin[2] + reach * ray[2]
        seen = (reach > 0) & (reach < 30)
        check = (np.floor(first * 3) + np.floor(second * 3)) % 2 * 0.18 + 0.82
        colour = np.array(self.floor, np.float32) * check[..., None].astype(np.float32)
        for body in items:
            if upright or not isinstance(body, Body) or body.depth > 0 or body.kind != "ellipse":
                continue
            x, a = sample(body.x, times)[:, None, None], np.maximum(sample(body.a, times), 0.02)[:, None, None]
            fall = np.clip(1.3 - np.hypot((first - x) / a, second / a), 0, 1) * sample(body.alpha, times)[:, None, None]
            colour *= (1 - fall)[..., None]
        pixels[seen] = colour[seen]
        depth[seen] = reach[seen]


def _solid(items: Sequence[Item]) -> list[Body]:
    return [item for item in items if isinstance(item, Body) and item.depth > 0 and item.shade]


def _cast(
    body: Body, colour: Array, light: Light, times: NDArray[np.float64], origin: Vector, ray: Vector, depth: Array,
    pixels: Array,
) -> None:  # fmt: skip
    x, y, a, b, angle, alpha = (
        sample(track, times)[:, None, None] for track in (body.x, body.y, body.a, body.b, body.angle, body.alpha)
    )
    a, b = np.maximum(a, 0.01), np.maximum(b, 0.01)
    c, s = np.cos(angle), np.sin(angle)
    ox, oy, oz = origin[0] - x, origin[1] - y, origin[2] + 0.6 * body.z
    start = (c * ox + s * oy, c * oy - s * ox, oz)
    way = (c * ray[0] + s * ray[1], c * ray[1] - s * ray[0], ray[2])
    thick = np.minimum(np.full_like(a, body.depth), np.maximum(a, b))
    rounded = body.kind == "box" and body.corner > 0.6
    if body.kind == "ellipse" or (rounded and float(np.max(np.maximum(a / b, b / a))) < 1.7):
        reach, normal = _ellipsoid(start, way, (a, b, np.maximum(thick, 0.4 * np.minimum(a, b))))
    elif rounded and bool((a >= b).all()):
        reach, normal = _capsule(start, way, a - b, b)
    else:
        reach, normal = _slab(start, way, (a, b, thick))
    nearer = (reach < depth) & (reach > 0) & (alpha > 0.5)
    if not nearer.any():
        return
    nx, ny, nz = (part[nearer] for part in np.broadcast_arrays(*normal, reach)[:3])
    turn_c, turn_s = np.broadcast_to(c, reach.shape)[nearer], np.broadcast_to(s, reach.shape)[nearer]
    lx, ly, lz = light.direction
    facing = np.clip((turn_c * nx - turn_s * ny) * lx + (turn_s * nx + turn_c * ny) * ly + nz * lz, 0, 1)
    pixels[nearer] = colour * (0.3 + 0.75 * facing)[:, None] + (0.3 * facing**24)[:, None]
    depth[nearer] = reach[nearer]


def _ellipsoid(start: Vector, way: Vector, half: Vector) -> tuple[Array, Vector]:
    p = [one / h for one, h in zip(start, half, strict=True)]
    d = [one / h for one, h in zip(way, half, strict=True)]
    qa = sum(one * one for one in d)
    qb = sum(one * other for one, other in zip(p, d, strict=True))
    qc = sum(one * one for one in p) - 1
    inside = qb * qb - qa * qc
    reach = np.where(inside > 0, (-qb - np.sqrt(np.maximum(inside, 0))) / qa, 1e9).astype(np.float32)
    raw = [(one + reach * other) / h for one, other, h in zip(p, d, half, strict=True)]
    length = np.sqrt(sum(one * one for one in raw)) + 1e-9
    return reach, (raw[0] / length, raw[1] / length, raw[2] / length)


def _capsule(start: Vector, way: Vector, half_length: Array, radius: Array) -> tuple[Array, Vector]:
    """A cylinder along local x with a ball at each end."""
    qa = way[1] ** 2 + way[2] ** 2
    qb = start[1] * way[1] + start[2] * way[2]
    qc = start[1] ** 2 + start[2] ** 2 - radius**2
    inside = qb * qb - qa * qc
    reach = np.where(inside > 0, (-qb - np.sqrt(np.maximum(inside, 0))) / (qa + 1e-9), 1e9).astype(np.float32)
    along = start[0] + reach * way[0]
    reach = np.where(np.abs(along) <= half_length, reach, np.float32(1e9))
    for side in (-1, 1):
        ball, _ = _ellipsoid((start[0] - side * half_length, start[1], start[2]), way, (radius, radius, radius))
        reach = np.minimum(reach, ball)
    hit = [one + np.minimum(reach, 100) * other for one, other in zip(start, way, strict=True)]
    end = np.clip(hit[0], -half_length, half_length)
    return reach, ((hit[0] - end) / radius, hit[1] / radius, hit[2] / radius)


def _slab(start: Vector, way: Vector, half: Vector) -> tuple[Array, Vector]:
    enter: Array = np.full((1, 1, 1), -1e9, np.float32)
    leave, faces = -enter, []
    for p, d, h in zip(start, way, half, strict=True):
        safe = np.where(np.abs(d) < 1e-6, 1e-6, d)
        near, far = (-np.sign(safe) * h - p) / safe, (np.sign(safe) * h - p) / safe
        faces.append((near, -np.sign(safe)))
        enter, leave = np.maximum(enter, near), np.minimum(leave, far)
    reach = np.where((enter < leave) & (enter > 0), enter, 1e9).astype(np.float32)
    parts = [np.where(near >= enter - 1e-6, side, 0.0) for near, side in faces]
    return reach, (parts[0], parts[1], parts[2])


def painter(rng: Rng, items: Sequence[Item], times: Times) -> Ink | Solids:
    """Solids where all items are bodies (and few enough), ink otherwise and now and then."""
    bodies = _solid(items)
    grounds = [item for item in items if isinstance(item, Ground)]
    others = [item for item in items if not isinstance(item, (Body, Ground))]
    bent = any(body.corners is not None and body.corners.ndim == 3 for body in bodies)
    if others or bent or len(bodies) > MOST_SOLIDS or rng.random() < 0.35:
        paper = hsv(rng.uniform(0.08, 0.16), rng.uniform(0, 0.25), rng.uniform(0.8, 1.0))
        ink = hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.0, 0.3))
        return Ink(
            paper, ink, float(rng.uniform(0.06, 0.15)), float(rng.choice([0.0, rng.uniform(0.1, 0.5)])),
            float(rng.choice([0.0, 6.0, 8.0])), int(rng.integers(2**31)),
        )  # fmt: skip
    base = rng.random()
    palette = tuple(
        hsv((base + 0.618 * index) % 1, rng.uniform(0.2, 0.9), rng.uniform(0.5, 1.0)) for index in range(len(bodies))
    )
    yaw = rng.uniform(-0.55, 0.55) + wander(rng, times, 0.05, 5.0)
    pitch = rng.uniform(0.12, 0.5) + wander(rng, times, 0.03, 5.0)
    sky = hsv(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.4, 1.0))
    floor = hsv(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.3, 0.9))
    level = grounds[0].level if grounds else None
    return Solids(
        yaw.astype(np.float32), pitch.astype(np.float32), palette, sky, floor, float(rng.uniform(2.8, 5.0)), level
    )
