"""What stands behind and before the action: walls, floors, footage, clutter, silent movers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from foleygen.scenes.footage import Footage
from foleygen.scenes.motion import wander
from foleygen.scenes.render import Canvas, Ground, Light, View, draw_item, look_through
from foleygen.scenes.shapes import TILE, Array, Body, Rng, any_surface, fractal, material_surface
from foleygen.scenes.stage import Item, Stage

REACH = 1.75
"""Half the side of the baked background, in half sides of the picture."""


@dataclass(frozen=True)
class Backdrop:
    """``wall`` (TILE, TILE, 3) fills the picture behind the first ``baked`` items, which never move; or the first of
    ``footage`` (T, h, w, 3) plays at ``rate`` frames per second, back and forth, behind all items."""

    wall: Array
    baked: int
    footage: tuple[NDArray[np.uint8], ...] = field(default=(), repr=False)
    rate: float = 0.0
    gain: float = 1.0

    def bake(self, items: Sequence[Item], width: int, height: int, light: Light) -> list[Array]:
        """The still pictures to look at through the camera."""
        if self.footage:
            return [frame.astype(np.float32) * (self.gain / 255) for frame in self.footage[0]]
        zoom = np.array([1 / REACH], np.float32)
        zero = np.zeros(1, np.float32)
        canvas = Canvas(np.zeros(1), View(zero, zero, zoom), int(width * REACH * 1.1), int(height * REACH * 1.1), light)
        rows = (np.linspace(0, TILE - 1, canvas.height)).astype(np.int64)
        columns = (np.linspace(0, TILE - 1, canvas.width)).astype(np.int64)
        canvas.pixels[0] = self.wall[rows][:, columns]
        for item in items:
            draw_item(canvas, item)
        return [canvas.pixels[0]]

    def fill(self, canvas: Canvas, baked: list[Array]) -> None:
        """Put the background on every picture."""
        short = min(canvas.width, canvas.height)
        reach = (REACH * canvas.width / short, REACH * canvas.height / short)
        if not self.footage:
            look_through(baked, np.zeros(len(canvas.times), np.int64), reach, canvas)
            return
        count = len(baked)
        turn = np.round(canvas.times * self.rate).astype(np.int64) % max(1, 2 * count - 2)
        which = np.minimum(turn, 2 * count - 2 - turn) if count > 1 else turn
        look_through(baked, which, (reach[0] * 0.62, reach[1] * 0.62), canvas)


def dress(rng: Rng, stage: Stage, footage: Footage | None, plain: bool) -> tuple[Backdrop, list[Item]]:
    """The backdrop of a stage and all items in drawing order, clutter and silent movers included."""
    items: list[Item] = list(stage.items)
    ground = not stage.from_above and (stage.family != "waves")
    if plain:
        behind: list[Item] = [_floor(stage, rng)] if ground else []
        return _still(rng, behind + items, simple=True), behind + items
    filmed = footage is not None and len(footage.clips) > 0 and rng.random() < 0.6
    behind = [_floor(stage, rng)] if ground and (not filmed or rng.random() < 0.4) else []
    behind += _clutter(rng, stage) if rng.random() < 0.7 else []
    movers = _movers(rng, stage, int(rng.choice([0, 1, 2, 3], p=[0.45, 0.3, 0.15, 0.1])))
    front = [mover for mover in movers if rng.random() < 0.25]
    middle = [mover for mover in movers if not any(mover is other for other in front)]
    veil = _occluders(rng) if rng.random() < 0.2 else []
    items = behind + list(middle) + items + list(front) + veil
    if filmed and footage is not None:
        clip, rate = footage.pick(rng, stage.duration_s)
        wall = np.zeros((TILE, TILE, 3), np.float32)
        return Backdrop(wall, 0, (clip,), rate * rng.uniform(0.5, 1.2), float(rng.uniform(0.5, 1.0))), items
    return _still(rng, items, simple=rng.random() < 0.2), items


def _still(rng: Rng, items: Sequence[Item], simple: bool) -> Backdrop:
    count = 0
    for item in items:
        if not (isinstance(item, Ground) or (isinstance(item, Body) and item.static)):
            break
        count += 1
    return Backdrop(_wall(rng, simple), count)


def _wall(rng: Rng, simple: bool) -> Array:
    """A wall: plain, patterned, or a busy coloured picture, with light falling off: (TILE, TILE, 3)."""
    first, second = any_surface(rng), any_surface(rng)
    y, x = np.mgrid[-1:1:128j, -1:1:128j].astype(np.float32)
    fall = 1 + rng.uniform(-0.35, 0.35) * x + rng.uniform(-0.35, 0.35) * y
    base = np.array(first.colour, np.float32)
    if simple:
        return np.asarray(base * fall[..., None], np.float32)
    picture = base + first.texture[..., None] * (np.array(first.second, np.float32) - base)
    if rng.random() < 0.5:
        mask = np.clip((fractal(rng, rng.uniform(1.2, 2.5)) - 0.5) * rng.uniform(2, 12) + 0.5, 0, 1)[..., None]
        start = np.array(second.colour)
        other = start + second.texture[..., None] * (np.array(second.second) - start)
        picture = picture * (1 - mask) + other * mask
    contrast = rng.uniform(0.3, 1.0)
    picture = picture.mean((0, 1)) + contrast * (picture - picture.mean((0, 1)))
    return np.asarray(np.clip(picture * fall[..., None], 0, 1), np.float32)


def _floor(stage: Stage, rng: Rng) -> Ground:
    kind = str(rng.choice(["wood", "stone", "cloth", "any"]))
    surface = any_surface(rng) if kind == "any" else material_surface(rng, kind, "flat")
    if stage.family == "footsteps":
        surface = stage.surface(relief="flat")
    return Ground(stage.horizon, stage.level, surface, float(rng.uniform(0.6, 1.1)))


def _clutter(rng: Rng, stage: Stage) -> list[Item]:
    """Things that stand about and never move."""
    placed: list[Item] = []
    for _ in range(int(rng.integers(1, 7))):
        a, b = np.exp(rng.uniform(np.log(0.05), np.log(0.5), 2))
        y = rng.uniform(-1, 1) if stage.from_above or rng.random() < 0.4 else stage.level + b
        surface = any_surface(rng, str(rng.choice(["flat", "bevel", "round"])))
        placed.append(Body(
            float(rng.uniform(-1.3, 1.3)), float(y), float(a), float(b), surface,
            kind=str(rng.choice(["box", "box", "ellipse"])), angle=float(rng.normal(0, 0.3) * (rng.random() < 0.4)),
            corner=float(rng.choice([0.0, 0.2, 1.0])), z=0.5,
        ))  # fmt: skip
    return placed


def _movers(rng: Rng, stage: Stage, count: int) -> list[Body]:
    """Silent things that move smoothly: passing, swaying, turning, hovering."""
    times, movers = stage.times, []
    for _ in range(count):
        a, b = np.exp(rng.uniform(np.log(0.05), np.log(0.35), 2))
        x0, y0 = rng.uniform(-0.9, 0.9), rng.uniform(-0.7, 0.9)
        kind = rng.choice(["wander", "pass", "sway", "turn"])
        x, y, angle = np.full(len(times), x0), np.full(len(times), y0), np.full(len(times), rng.uniform(0, 3))
        if kind == "wander":
            x, y = x + wander(rng, times, 0.25), y + wander(rng, times, 0.2)
        elif kind == "pass":
            x = x0 + rng.normal(0, 0.5) * (times - rng.uniform(0, stage.duration_s))
            y = y + wander(rng, times, 0.03, 0.8)
        elif kind == "sway":
            swing = rng.uniform(0.2, 0.8) * np.sin(2 * np.pi * times / rng.uniform(0.7, 3) + rng.uniform(0, 6))
            length = rng.uniform(0.3, 1.0)
            x, y, angle = x0 + length * np.sin(swing), y0 + length * (1 - np.cos(swing)), swing
        else:
            angle = rng.normal(0, 2) * times + wander(rng, times, 0.5)
        surface = any_surface(rng, str(rng.choice(["flat", "round", "bevel"])))
        if rng.random() < 0.4:
            surface = material_surface(rng, "flesh")
        movers.append(Body(
            x.astype(np.float32), y.astype(np.float32), float(a), float(b), surface,
            kind=str(rng.choice(["box", "ellipse"])), angle=angle.astype(np.float32),
            corner=float(rng.choice([0.1, 0.5, 1.0])), z=0.4,
        ))  # fmt: skip
    return movers


def _occluders(rng: Rng) -> list[Item]:
    """Something close to the lens at the picture's side."""
    side = float(rng.choice([-1, 1]))
    wide = rng.uniform(0.1, 0.3)
    surface = replace(any_surface(rng, "round"), opacity=float(rng.uniform(0.7, 1.0)))
    x, y, tall = side * float(rng.uniform(0.75, 1.1)), float(rng.uniform(-0.6, 0.6)), float(rng.uniform(0.3, 1.8))
    return [Body(x, y, wide, tall, surface, angle=float(rng.normal(0, 0.3)), corner=0.7, soft=0.04, z=-0.5)]
