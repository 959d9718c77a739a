"""Hands at work: knocking, doors, typing, clapping, glasses and crockery."""

from __future__ import annotations

import numpy as np

from foleygen.scenes.motion import ease, rhythm, strengths, strike
from foleygen.scenes.shapes import Array, Surface, Track, any_surface
from foleygen.scenes.stage import Stage


def knock(stage: Stage) -> None:
    """Knuckles on a board, from the side or from the front."""
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.16)
    forces = strengths(rng, len(hits))
    height = strike(rng, times, hits, forces, rebound=rng.uniform(0.15, 0.5), rest=rng.uniform(0.3, 0.8))
    size = rng.uniform(0.09, 0.17)
    board = stage.surface(relief="bevel")
    y = rng.uniform(-0.3, 0.35)
    if rng.random() < 0.6:
        edge = rng.uniform(0.0, 0.45)
        stage.add(edge + 0.5, 0.0, 0.5, 1.8, board, corner=0.02, depth=0.5)
        reach = rng.uniform(0.25, 0.6)
        stage.focus = (edge - 0.2, y)
        drop = rng.uniform(-0.3, 0.3)
        hand = (edge - size - reach * height, y + drop * height)
        stage.arm((-1.4, y + rng.uniform(-0.8, 0.3)), hand, size * 0.75, float(rng.choice([-1, 1])))
        flesh = stage.flesh()
        stage.add(hand[0], hand[1], size, size * 0.85, flesh, corner=0.6, depth=size)
        stage.add(hand[0] + size * 0.5, hand[1], size * 0.5, size * 0.6, flesh, corner=0.8, depth=size)
    else:
        stage.from_above = True
        stage.add(0.0, 0.0, rng.uniform(0.6, 1.0), 1.8, board, corner=0.03, depth=0.05, z=0.3)
        x = rng.uniform(-0.3, 0.3)
        grown = 1 + rng.uniform(0.4, 1.1) * height
        drift = rng.uniform(0.2, 0.6)
        dark = any_surface(rng)
        stage.add(x + 0.15 * height, y - 0.25 * height, size * 1.05, size, dark, alpha=0.5 / (1 + 2 * height),
                  soft=0.05, shade=False, depth=0.0)  # fmt: skip
        hand = (x + 0.2 * drift * height, y - drift * 0.6 * height)
        stage.bar(hand, (hand[0] + 0.5, hand[1] - 1.3), size * 0.7, stage.sleeve())
        flesh = stage.flesh()
        stage.add(hand[0], hand[1], size * grown, size * 0.9 * grown, flesh, corner=0.5)
        for finger in (-0.6, -0.2, 0.2, 0.6):
            stage.add(hand[0] + finger * size * grown, hand[1] + 0.5 * size * grown, size * 0.19 * grown,
                      size * 0.4 * grown, flesh)  # fmt: skip
    stage.hit_all(hits, forces, stage.voice("strike", rng.uniform(0.15, 0.5)))


def door(stage: Stage) -> None:
    """A door, a drawer or a lid moves slowly open and bangs shut."""
    rng, times = stage.rng, stage.times
    bangs = rhythm(rng, stage.duration_s, 0.9, 7, 0.6)
    forces = strengths(rng, len(bangs))
    opening = np.zeros(len(times))
    before = 0.0
    for bang, force in zip(bangs, forces, strict=True):
        room = bang - before
        shut_s = min(0.45 * room, rng.uniform(0.15, 0.5) / (0.4 + force))
        wide = rng.uniform(0.5, 1.0)
        open_s = min(0.5 * room, rng.uniform(0.5, 1.5))
        start = before + rng.uniform(0.02, 0.3) * (room - shut_s - open_s)
        rising = (times >= start) & (times < bang - shut_s)
        opening[rising] = wide * ease((times[rising] - start) / open_s)
        falling = (times >= bang - shut_s) & (times < bang)
        top = opening[max(0, int((bang - shut_s) * 1000) - 1)]
        opening[falling] = top * (1 - ((times[falling] - bang + shut_s) / shut_s) ** 2)
        before = bang
    frame, leaf = any_surface(rng, "bevel"), stage.surface(relief="bevel")
    inside = any_surface(rng)
    variant = rng.choice(["hinged", "drawer", "lid", "sliding"])
    size = rng.uniform(0.4, 0.7)
    if variant == "hinged":
        _hinged(stage, opening, size, leaf, frame, inside)
    elif variant == "drawer":
        stage.add(-0.3, -0.1, 0.5, 0.8, frame, corner=0.03, depth=0.5)
        for row in (-0.55, 0.35):
            stage.add(-0.3, row, 0.42, 0.2, any_surface(rng, "bevel"), corner=0.1, depth=0.52)
        grown = 1 + 0.35 * opening
        stage.add(-0.3, -0.1, 0.42, 0.2, inside, depth=0.4)
        stage.add(-0.3 + 0.5 * opening, -0.1 - 0.15 * opening, 0.42 * grown, 0.2 * grown, leaf, corner=0.1)
        stage.add(-0.3 + 0.5 * opening, -0.1 - 0.15 * opening, 0.08 * grown, 0.03 * grown, stage.surface("metal"))
    elif variant == "lid":
        stage.add(0.0, -0.45, size, 0.3, frame, corner=0.08, depth=0.4)
        angle = 1.7 * opening
        x, y = -size + size * np.cos(angle), -0.1 + size * np.sin(angle)
        stage.add(x, y, size, 0.06, leaf, angle=angle, corner=0.4, depth=0.4)
    else:
        stage.add(-0.1, 0.0, size + 0.15, 0.95, frame, corner=0.03, depth=0.1, z=0.2)
        stage.add(-0.1, 0.0, size, 0.85, inside, depth=0.1, z=0.15)
        stage.add(-0.1 + 1.6 * size * opening, 0.0, size, 0.85, leaf, corner=0.03, depth=0.05)
        stage.add(-0.1 + 1.6 * size * opening - size * 0.8, 0.0, 0.03, 0.15, stage.surface("metal"))
    stage.hit_all(bangs, forces, stage.voice("slam", size * rng.uniform(0.5, 1.0)))


def _hinged(stage: Stage, opening: Array, size: float, leaf: Surface, frame: Surface, inside: Surface) -> None:
    """A door leaf turning about its left side, its free edge coming nearer as it opens."""
    stage.add(0.0, 0.0, size + 0.1, 0.98, frame, corner=0.03, depth=0.1, z=0.2)
    stage.add(0.0, 0.0, size, 0.9, inside, depth=0.1, z=0.15)
    turn = 1.45 * opening
    near = 1 / (1 - 0.3 * np.sin(turn))
    free = -1 + 2 * np.cos(turn) * near
    one = np.ones_like(turn)
    corners = np.stack([
        np.stack([-one, -one]), np.stack([free, -near]), np.stack([free, near]), np.stack([-one, one]),
    ]).astype(np.float32)  # fmt: skip
    stage.add(0.0, 0.0, size, 0.9, leaf, kind="polygon", corners=corners, depth=0.04)
    knob = (size * (-1 + 0.9 * (free + 1)), -0.05 * near)
    stage.add(knob[0], knob[1], 0.05 * near, 0.05 * near, stage.surface("metal"))


def typing(stage: Stage) -> None:
    """Fingers on a keyboard (or a hand on a few big buttons)."""
    rng, times = stage.rng, stage.times
    stage.from_above = True
    hits = rhythm(rng, stage.duration_s, 0.1)
    forces = strengths(rng, len(hits))
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(4, 9))
    pitch = 1.7 / columns
    plate = any_surface(rng, "bevel")
    middle = rng.uniform(0.0, 0.3)
    stage.add(0.0, middle, 0.92, rows * pitch * 0.5 + 0.06, plate, corner=0.2, depth=0.05)
    cap, dark = stage.surface(relief="bevel"), any_surface(rng)
    fingers = int(rng.integers(2, 7))
    where = np.linspace(-0.7, 0.7, fingers) + rng.normal(0, 0.04, fingers)
    used = rng.integers(fingers, size=len(hits))
    for row in range(rows):
        for column in range(columns):
            x = -0.85 + pitch * (column + 0.5)
            y = middle + pitch * (row - (rows - 1) / 2)
            stage.add(x, y, pitch * 0.42, pitch * 0.42, cap, corner=0.3, depth=0.08)
    flesh = stage.flesh()
    thick = rng.uniform(0.045, 0.08)
    voice = stage.voice("click", rng.uniform(0.04, 0.12))
    for finger in range(fingers):
        own = hits[used == finger]
        strong = forces[used == finger]
        height = strike(rng, times, own, strong, rebound=0.3, rest=rng.uniform(0.3, 0.7))
        x, y = float(where[finger]), middle + pitch * float(rng.integers(rows) - (rows - 1) / 2)
        pressed = np.zeros(len(times))
        for hit in own:
            pressed = np.maximum(pressed, (times >= hit) * (times < hit + 0.09))
        stage.add(x, y, pitch * 0.42, pitch * 0.42, any_surface(rng), alpha=0.6 * pressed, shade=False, corner=0.3)
        tip_y = y - 0.05 + 0.22 * height
        stage.add(x + 0.06 * height + 0.02, tip_y - 0.07 * height - 0.03, thick * 1.1, thick, dark, alpha=0.4,
                  soft=0.04, depth=0.0)  # fmt: skip
        root = (x * 0.75 + rng.normal(0, 0.03), middle - rows * pitch * 0.5 - 0.45 + 0.0 * height)
        stage.bar(root, (np.full(len(times), x, np.float32), tip_y), thick, flesh)
    for side in (-1, 1):
        stage.add(side * 0.42, middle - rows * pitch * 0.5 - 0.55, 0.33, 0.2, flesh, corner=0.9)
    stage.hit_all(hits, forces, voice)


def clap(stage: Stage) -> None:
    """Two palms, blocks or cymbals meet."""
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.18)
    forces = strengths(rng, len(hits))
    height = strike(rng, times, hits, forces, rebound=rng.uniform(0.1, 0.4), rest=rng.uniform(0.3, 0.9))
    x, y = rng.uniform(-0.2, 0.2), rng.uniform(-0.3, 0.3)
    reach, thick, long = rng.uniform(0.25, 0.55), rng.uniform(0.05, 0.1), rng.uniform(0.18, 0.32)
    tilt = rng.uniform(-0.5, 0.5)
    stage.focus = (x, y)
    person = rng.random() < 0.6
    if person:
        clothes = stage.sleeve()
        stage.add(x, y - 0.45, rng.uniform(0.3, 0.42), 0.75, clothes, corner=0.6, depth=0.2, z=0.3)
        stage.add(x, y + 0.62, 0.17, 0.21, stage.flesh(), kind="ellipse", depth=0.18, z=0.3)
    one_moves = rng.random() < 0.25
    for side in (-1, 1):
        moved = height * (1.6 if side > 0 else 0.1) if one_moves else height
        apart = side * (thick + reach * moved)
        angle = tilt * 0.4 + side * 0.5 * moved + np.pi / 2
        centre = (x + apart * np.cos(tilt), y + apart * np.sin(tilt) * 0.4)
        shoulder = (x + side * (0.4 if person else 1.3), y + rng.uniform(-0.3, 0.25))
        surface = stage.surface() if stage.material != "leather" else stage.flesh()
        stage.arm(shoulder, (centre[0] + side * 0.02, centre[1] - long * 0.7), 0.07, -side)
        stage.add(centre[0], centre[1], long, thick, surface, angle=angle, corner=0.7, depth=long * 0.6)
    stage.hit_all(hits, forces, stage.voice("clap" if stage.material != "metal" else "strike", rng.uniform(0.08, 0.2)))


def crockery(stage: Stage) -> None:
    """Glasses that clink, a spoon on a cup, a plate set down."""
    variant = stage.rng.choice(["clink", "spoon", "set_down"])
    stage.horizon = stage.level + 0.2
    stage.table(stage.level)
    {"clink": _clink, "spoon": _spoon, "set_down": _set_down}[str(variant)](stage)


def _vessel(stage: Stage, x: Track, y: Track, half: float, tall: float, angle: Track = 0.0) -> None:
    """A cup, a glass or a bowl standing at (x, y)."""
    rng = stage.rng
    flare = rng.uniform(0.6, 1.0)
    corners = np.array([[-flare, -1], [flare, -1], [1, 1], [-1, 1]], np.float32)
    surface = stage.surface()
    drink = np.array([[-flare * 0.85, -0.9], [flare * 0.85, -0.9], [0.88, 0.4], [-0.88, 0.4]], np.float32)
    stage.add(x, y + tall, half, tall, surface, kind="polygon", corners=corners, angle=angle, depth=half)
    if rng.random() < 0.5:
        stage.add(x, y + tall, half, tall, any_surface(rng, "round"), kind="polygon", corners=drink,
                  angle=angle, alpha=0.7, depth=half * 0.9)  # fmt: skip
    stage.add(x, y + 2 * tall, half, half * 0.22, surface, kind="ellipse", angle=angle)


def _clink(stage: Stage) -> None:
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.4, 12)
    forces = strengths(rng, len(hits))
    height = strike(rng, times, hits, forces, rebound=0.25, rest=rng.uniform(0.4, 0.9))
    half, tall, y = rng.uniform(0.12, 0.2), rng.uniform(0.15, 0.3), rng.uniform(-0.3, 0.0)
    stage.focus = (0.0, y + tall)
    only_one = rng.random() < 0.3
    for side in (-1, 1):
        away = height * (0.05 if only_one and side < 0 else 1.0)
        x = side * (half + rng.uniform(0.3, 0.5) * away)
        _vessel(stage, x, y + 0.1 * away, half, tall, -side * 0.15 * (1 - away))
        stage.arm((side * 1.4, y - 0.1), (x + side * half * 0.8, y + tall + 0.1 * away), 0.08, side)
    stage.hit_all(hits, forces, stage.voice("strike", (half + tall) * rng.uniform(0.3, 0.6)))


def _spoon(stage: Stage) -> None:
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.18)
    forces = strengths(rng, len(hits)) * 0.8
    height = strike(rng, times, hits, forces, rebound=0.4, rest=rng.uniform(0.3, 0.8))
    half, tall, x = rng.uniform(0.15, 0.32), rng.uniform(0.15, 0.4), rng.uniform(-0.4, 0.0)
    _vessel(stage, x, stage.level, half, tall)
    length, swing = rng.uniform(0.4, 0.6), rng.uniform(0.5, 1.0)
    rim = (x + half + 0.03, stage.level + 1.85 * tall)
    angle = 0.4 - swing * height
    hand = (rim[0] + length * np.cos(0.4) + 0.1 * height, rim[1] + length * np.sin(0.4) + 0.1 * height)
    tip = (hand[0] - length * np.cos(angle), hand[1] - length * np.sin(angle))
    stage.focus = (rim[0] + 0.1, rim[1])
    metal = stage.surface("metal")
    stage.bar(hand, tip, 0.02, metal)
    stage.add(tip[0], tip[1], 0.05, 0.035, metal, kind="ellipse")
    stage.arm((1.4, rng.uniform(0, 0.8)), hand, 0.07, 1.0)
    stage.hit_all(hits, forces, stage.voice("strike", half * rng.uniform(0.4, 0.8)))


def _set_down(stage: Stage) -> None:
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.7, 8)
    forces = strengths(rng, len(hits))
    height = strike(rng, times, hits, forces, rebound=0.0, rest=rng.uniform(0.4, 0.9))
    half, tall, x = rng.uniform(0.13, 0.3), rng.uniform(0.08, 0.28), rng.uniform(-0.3, 0.2)
    for side in (-1, 1):
        if rng.random() < 0.5:
            _vessel(stage, x + side * rng.uniform(0.5, 0.7), stage.level, rng.uniform(0.1, 0.18), rng.uniform(0.1, 0.3))
    stage.focus = (x, stage.level + 0.3)
    place = x + rng.uniform(-0.3, 0.3) * height
    y = stage.level + rng.uniform(0.4, 0.8) * height
    stage.shadow(place, y - stage.level, half)
    _vessel(stage, place, y, half, tall, 0.2 * height)
    stage.arm((1.4, rng.uniform(0, 0.9)), (place + half * 0.9, y + tall), 0.08, 1.0)
    stage.hit_all(hits, forces, stage.voice("strike", (half + tall) * rng.uniform(0.3, 0.6)))
