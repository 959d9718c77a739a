"""Pictures from bodies: anti-aliased signed-distance shapes with shading, drawn for all instants at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foleygen.scenes.shapes import TILE, Array, Body, Surface, sample


@dataclass(frozen=True)
class View:
    """Where the camera looks: centre (units) and zoom (1 shows -1..1 of the shorter side), each (T,)."""

    x: Array
    y: Array
    zoom: Array


@dataclass(frozen=True)
class Light:
    """``direction`` (3,): unit vector towards the light (x right, y up, z to the viewer)."""

    direction: tuple[float, float, float]
    ambient: float
    diffuse: float


class Drawable(Protocol):
    """Whatever knows how to draw itself on a canvas at the canvas's times."""

    def draw(self, canvas: Canvas) -> None: ...


class Canvas:
    """Float pictures (T, H, W, 3) of the scene plane at ``times`` (s), seen through ``view``."""

    def __init__(self, times: NDArray[np.float64], view: View, width: int, height: int, light: Light) -> None:
        self.times, self.view, self.light = times, view, light
        self.width, self.height = width, height
        self.half = min(width, height) / 2
        self.scale: Array = (view.zoom * self.half).astype(np.float32)
        self.pixels: Array = np.zeros((len(times), height, width, 3), np.float32)

    def column(self, x: Array) -> Array:
        """Pixel column of scene x, both (T,)."""
        return self.width / 2 + (x - self.view.x) * self.scale

    def row(self, y: Array) -> Array:
        """Pixel row of scene y, both (T,)."""
        return self.height / 2 - (y - self.view.y) * self.scale

    def scene_x(self) -> Array:
        """Scene x of every pixel column: (T, W)."""
        pixels = np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2
        return self.view.x[:, None] + pixels[None] / self.scale[:, None]

    def scene_y(self) -> Array:
        """Scene y of every pixel row: (T, H)."""
        pixels = self.height / 2 - (np.arange(self.height, dtype=np.float32) + 0.5)
        return self.view.y[:, None] + pixels[None] / self.scale[:, None]

    def blend(self, colour: Array, alpha: Array, frames: NDArray[np.int64] | None = None) -> None:
        """Lay ``colour`` (broadcast to (T, H, W, 3)) over the pictures with ``alpha`` (T, H, W)."""
        target = self.pixels if frames is None else self.pixels[frames]
        target += alpha[..., None] * (colour - target)
        if frames is not None:
            self.pixels[frames] = target

    def draw(self, body: Body) -> None:
        """Lay one body over the pictures, touching only the pixels around it."""
        times = self.times
        x, y = self.column(sample(body.x, times)), self.row(sample(body.y, times))
        a = np.maximum(sample(body.a, times) * self.scale, 0.3)
        b = np.maximum(sample(body.b, times) * self.scale, 0.3)
        angle, alpha = sample(body.angle, times), sample(body.alpha, times)
        turn = angle.astype(np.float64)  # float32 trigonometry rounds differently for one frame and for many
        cosine, sine = np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)
        soft = body.soft * self.scale + 0.5
        if body.corners is not None and body.corners.ndim == 3:
            a_reach, b_reach = a * np.abs(body.corners[:, 0]).max(), b * np.abs(body.corners[:, 1]).max()
        else:
            a_reach, b_reach = a, b
        reach_x = np.abs(a_reach * cosine) + np.abs(b_reach * sine) + soft + 0.5
        reach_y = np.abs(a_reach * sine) + np.abs(b_reach * cosine) + soft + 0.5
        seen = (alpha > 0.004) & (x + reach_x > 0) & (x - reach_x < self.width)
        seen &= (y + reach_y > 0) & (y - reach_y < self.height)
        frames = np.flatnonzero(seen)
        if not len(frames):
            return
        window_x = min(self.width, int(np.ceil(2 * reach_x[frames].max())) + 1)
        window_y = min(self.height, int(np.ceil(2 * reach_y[frames].max())) + 1)
        left = np.clip(np.floor(x[frames] - window_x / 2), 0, self.width - window_x).astype(np.int64)
        top = np.clip(np.floor(y[frames] - window_y / 2), 0, self.height - window_y).astype(np.int64)
        dx = left[:, None] + np.arange(window_x) + 0.5 - x[frames, None]
        dy = y[frames, None] - (top[:, None] + np.arange(window_y) + 0.5)
        dx, dy = dx.astype(np.float32)[:, None, :], dy.astype(np.float32)[:, :, None]
        c, s = cosine[frames, None, None], sine[frames, None, None]
        u, v = c * dx + s * dy, c * dy - s * dx
        a, b = a[frames, None, None], b[frames, None, None]
        scale = self.scale[frames, None, None]
        distance = _distance(body, u, v, a, b, times[frames])
        if body.kind != "box":  # approximate distances must not leak past the window
            distance = np.maximum(distance, np.abs(u) - a_reach[frames, None, None])
            distance = np.maximum(distance, np.abs(v) - b_reach[frames, None, None])
        edge = soft[frames, None, None] if body.soft else np.float32(0.5)
        cover = np.clip(0.5 - distance / (2 * edge), 0, 1) * (alpha[frames] * body.surface.opacity)[:, None, None]
        colour = _colour(body, u, v, a, b, c, s, scale, distance, self.light)
        if window_x == self.width and window_y == self.height:
            self.blend(colour, cover, None if len(frames) == len(times) else frames)
            return
        rows = (frames[:, None] * self.height + top[:, None] + np.arange(window_y)) * self.width
        index = rows[:, :, None] + (left[:, None] + np.arange(window_x))[:, None, :]
        flat = self.pixels.reshape(-1, 3)
        under = flat[index]
        flat[index] = under + cover[..., None] * (colour - under)


def draw_item(canvas: Canvas, item: Body | Drawable) -> None:
    """Lay a body, a floor or any other drawable over the pictures."""
    if isinstance(item, Body):
        canvas.draw(item)
    else:
        item.draw(canvas)


def _distance(body: Body, u: Array, v: Array, a: Array, b: Array, times: NDArray[np.float64]) -> Array:
    """Signed distance (pixels, negative inside) of local points ``u``, ``v``."""
    if body.kind == "ellipse":
        length = np.sqrt((u / a) ** 2 + (v / b) ** 2)
        slope = np.sqrt((u / (a * a)) ** 2 + (v / (b * b)) ** 2)
        return np.asarray(np.maximum(length * (length - 1) / (slope + 1e-6), -np.minimum(a, b)), np.float32)
    if body.kind == "polygon":
        assert body.corners is not None
        distance = np.full(np.broadcast_shapes(u.shape, v.shape), -1e9, np.float32)
        count = len(body.corners)
        for index in range(count):
            x0, y0 = _corner(body.corners[index], times)
            x1, y1 = _corner(body.corners[(index + 1) % count], times)
            ex, ey = (x1 - x0) * a, (y1 - y0) * b
            length = np.sqrt(ex * ex + ey * ey) + 1e-6
            np.maximum(distance, ((u - x0 * a) * ey - (v - y0 * b) * ex) / length, out=distance)
        return distance
    radius = body.corner * np.minimum(a, b)
    qx, qy = np.abs(u) - (a - radius), np.abs(v) - (b - radius)
    outside = np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2)
    return np.asarray(outside + np.minimum(np.maximum(qx, qy), 0) - radius, np.float32)


def _corner(corner: Array, times: NDArray[np.float64]) -> tuple[Array, Array]:
    """A corner of a polygon, fixed (2,) or moving (2, grid), to be broadcast against (T, H, W)."""
    if corner.ndim == 1:
        return corner[0], corner[1]
    return sample(corner[0], times)[:, None, None], sample(corner[1], times)[:, None, None]


def _colour(
    body: Body, u: Array, v: Array, a: Array, b: Array, c: Array, s: Array, scale: Array, distance: Array, light: Light
) -> Array:
    surface = body.surface
    first, second = np.array(surface.colour, np.float32), np.array(surface.second, np.float32)
    density = surface.density / scale
    column = (u * density).astype(np.int32) % TILE
    row = (v * density).astype(np.int32) % TILE
    mix = surface.texture[row, column]
    if not body.shade:
        return first + mix[..., None] * (second - first)
    shade, glint = _shading(body, u, v, a, b, c, s, distance, light)
    if surface.outline:
        shade = shade * (1 - surface.outline * np.clip(distance / scale * 40 + 1.5, 0, 1))
    colour: Array = shade[..., None] * (first + mix[..., None] * (second - first))
    if surface.gloss > 0.02:
        colour += (surface.gloss * glint)[..., None]
    return colour


def _shading(
    body: Body, u: Array, v: Array, a: Array, b: Array, c: Array, s: Array, distance: Array, light: Light
) -> tuple[Array, Array]:
    """Brightness and highlight of every local point under ``light``."""
    relief = body.surface.relief
    if relief == "flat":
        shade = np.full(np.broadcast_shapes(u.shape, v.shape), light.ambient + 0.75 * light.diffuse, np.float32)
        return shade, np.zeros_like(shade)
    if relief == "bevel":
        rim = np.clip(1 + distance / (0.35 * np.minimum(a, b) + 0.5), 0, 1) * 0.7
        nu, nv = rim * np.sign(u) * (np.abs(u) / a > np.abs(v) / b), rim * np.sign(v) * (np.abs(u) / a <= np.abs(v) / b)
    else:
        radius = np.minimum(a, b)
        nu = np.clip((np.abs(u) - (a - radius)) / radius, 0, 1) * np.sign(u)
        nv = np.clip((np.abs(v) - (b - radius)) / radius, 0, 1) * np.sign(v)
    nz = np.sqrt(np.maximum(0.0, 1 - nu * nu - nv * nv))
    lx, ly, lz = light.direction
    facing = (c * nu - s * nv) * lx + (s * nu + c * nv) * ly + nz * lz
    facing = np.clip(facing, 0, 1)
    glint = facing * facing
    glint = glint * glint
    glint = glint * glint * glint
    return (light.ambient + light.diffuse * facing).astype(np.float32), glint.astype(np.float32)


def look_through(
    pictures: Sequence[Array], which: NDArray[np.int64], reach: tuple[float, float], canvas: Canvas
) -> None:
    """Fill the canvas from still pictures (h, w, 3): frame t shows ``pictures[which[t]]``, which span
    ``-reach[0]..reach[0]`` by ``-reach[1]..reach[1]`` units; bilinear, held at the borders."""
    previous: tuple[int, float, float, float] | None = None
    last: Array | None = None
    for index in range(len(canvas.times)):
        view = canvas.view
        key = (int(which[index]), float(view.x[index]), float(view.y[index]), float(view.zoom[index]))
        if key != previous or last is None:
            last = _window(pictures[key[0]], reach, key, canvas)
            previous = key
        canvas.pixels[index] = last


def _window(picture: Array, reach: tuple[float, float], key: tuple[int, float, float, float], canvas: Canvas) -> Array:
    height, width = picture.shape[:2]
    _, x, y, zoom = key
    scale = zoom * canvas.half
    across = x + (np.arange(canvas.width) + 0.5 - canvas.width / 2) / scale
    down = y + (canvas.height / 2 - np.arange(canvas.height) - 0.5) / scale
    columns = np.clip((across / reach[0] + 1) * width / 2 - 0.5, 0, width - 1.001)
    rows = np.clip((1 - down / reach[1]) * height / 2 - 0.5, 0, height - 1.001)
    r0, c0 = rows.astype(np.int64), columns.astype(np.int64)
    pr = (rows - r0).astype(np.float32)[:, None, None]
    pc = (columns - c0).astype(np.float32)[None, :, None]
    first, last = int(c0.min()), int(c0.max()) + 2
    strip = picture[:, first:last]
    lines = strip[r0] * (1 - pr) + strip[r0 + 1] * pr
    c0 = c0 - first
    window: Array = lines[:, c0] * (1 - pc) + lines[:, c0 + 1] * pc
    return window


@dataclass(frozen=True)
class Ground:
    """A floor seen in perspective below ``horizon`` (scene y); it passes through ``level`` at distance 1."""

    horizon: float
    level: float
    surface: Surface
    light: float

    def draw(self, canvas: Canvas) -> None:
        """Lay the floor over the lower part of the pictures."""
        y = canvas.scene_y()[:, :, None]
        x = canvas.scene_x()[:, None, :]
        drop = np.maximum(self.horizon - y, 1e-3)
        distance = np.minimum((self.horizon - self.level) / drop, 40.0)
        density = self.surface.density * 0.5
        column = (x * distance * density).astype(np.int64) % TILE
        row = np.broadcast_to((distance * density * 2).astype(np.int64) % TILE, column.shape)
        mix = self.surface.texture[row, column]
        fade = np.exp(-0.12 * distance)
        mix = mix * fade + 0.4 * (1 - fade)
        first, second = np.array(self.surface.colour, np.float32), np.array(self.surface.second, np.float32)
        colour = (first + mix[..., None] * (second - first)) * (self.light * (0.75 + 0.25 * fade))[..., None]
        cover = np.clip((self.horizon - y) * canvas.scale[:, None, None] + 0.5, 0, 1)
        canvas.blend(colour.astype(np.float32), np.broadcast_to(cover, mix.shape).astype(np.float32))
