"""Tools in a hand: hammers, drumsticks, knives, saws, sanding blocks."""

from __future__ import annotations

import numpy as np

from foleygen.scenes.motion import rhythm, strengths, strike
from foleygen.scenes.shapes import Array, Surface
from foleygen.scenes.stage import Stage


def hammer(stage: Stage) -> None:
    """A hammer swings down on a block, a nail or a plate."""
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.22)
    forces = strengths(rng, len(hits))
    height = strike(rng, times, hits, forces, rebound=rng.uniform(0.1, 0.4), rest=rng.uniform(0.2, 0.8))
    top = stage.level + rng.uniform(0.1, 0.35)
    half = rng.uniform(0.12, 0.4)
    target = rng.uniform(-0.35, 0.2)
    stage.horizon = max(stage.horizon, stage.level + 0.2)
    stage.focus = (target + 0.2, top + 0.2)
    block = stage.surface(relief="bevel")
    low = stage.level - 0.05
    stage.add(target, (top + low) / 2, half, (top - low) / 2, block, corner=0.1, depth=half)
    head_a, head_b = rng.uniform(0.06, 0.12), rng.uniform(0.11, 0.2)
    if rng.random() < 0.4:
        stage.add(target, top, 0.015, 0.08, stage.surface("metal"), corner=0.5, depth=0.02)
        top += 0.08
    length = rng.uniform(0.55, 0.85)
    swing = rng.uniform(0.6, 1.3)
    lift = rng.uniform(0.05, 0.35)
    angle = swing * height
    hand_x = target + length + 0.03 * height
    hand_y = top + head_b + lift * height
    head_x, head_y = hand_x - length * np.cos(angle), hand_y + length * np.sin(angle)
    stage.shadow(head_x, (head_y - head_b - top) * 0.5, head_b, y=top - 0.02)
    stage.bar((hand_x, hand_y), (head_x, head_y), 0.035, stage.surface(str(rng.choice(["wood", "plastic", "metal"]))))
    stage.add(head_x, head_y, head_a, head_b, stage.surface(str(rng.choice(["metal", "rubber", "wood"])), "bevel"),
              angle=-angle, corner=0.25, depth=head_a)  # fmt: skip
    stage.arm((1.3, rng.uniform(-0.2, 0.9)), (hand_x, hand_y), rng.uniform(0.06, 0.1), float(rng.choice([-1, 1])))
    stage.hit_all(hits, forces, stage.voice("strike", half * rng.uniform(0.5, 1.0)))


def drum(stage: Stage) -> None:
    """One to three drums, pads or cymbals under one or two sticks."""
    rng, times = stage.rng, stage.times
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    hits = rhythm(rng, stage.duration_s, 0.14)
    forces = strengths(rng, len(hits))
    choice = rng.integers(count, size=len(hits))
    spread = np.linspace(-0.5, 0.5, count) if count > 1 else np.array([rng.uniform(-0.2, 0.2)])
    stage.horizon = max(stage.horizon, stage.level + 0.3)
    stick = stage.surface(str(rng.choice(["wood", "wood", "plastic"])))
    stage.focus = (float(spread[0]), -0.1) if count == 1 else None
    with_arms = rng.random() < 0.6
    for index in range(count):
        own = choice == index
        half = rng.uniform(0.16, 0.42 / count**0.6)
        top = rng.uniform(-0.35, 0.0)
        voice = stage.voice("drum", half * rng.uniform(0.7, 1.4))
        wobble = np.zeros(len(times))
        for hit, force in zip(hits[own], forces[own], strict=True):
            since = np.maximum(times - hit, 0)
            wobble += (times >= hit) * force * np.exp(-since / 0.12) * np.cos(2 * np.pi * 11 * since)
        x = float(spread[index])
        if stage.material == "metal":
            stage.bar((x, top), (x, -1.3), 0.02, stage.surface("metal"))
            stage.add(x, top, half, 0.03, stage.surface(), angle=0.15 * wobble, depth=half)
        else:
            shell = stage.surface(str(rng.choice(["wood", "plastic", "metal"])))
            deep = rng.uniform(0.12, 0.45)
            stage.add(x, top - deep, half, deep, shell, corner=0.1, depth=half)
            tilt = rng.uniform(0.15, 0.4)
            stage.add(x, top - 0.035 * wobble, half, half * tilt * 0.5, stage.surface(relief="flat"), kind="ellipse")
        hands = 2 if count == 1 and rng.random() < 0.5 else 1
        for hand in range(hands):
            mine = np.flatnonzero(own)[hand::hands]
            side = -1 if (hand + index) % 2 else 1
            spring, rest = rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.7)
            height = strike(rng, times, hits[mine], forces[mine], rebound=spring, rest=rest)
            _stick(stage, x + side * 0.08, top + 0.03, side, height, stick, with_arms)
        stage.hit_all(hits[own], forces[own], voice)


def _stick(stage: Stage, x: float, y: float, side: int, height: Array, surface: Surface, with_arm: bool) -> None:
    rng = stage.rng
    length, swing = rng.uniform(0.4, 0.7), rng.uniform(0.5, 1.1)
    base = rng.uniform(0.05, 0.35)
    hand = (x + side * length * np.cos(base), y + length * np.sin(base) + rng.uniform(0, 0.15) * height)
    angle = base - swing * height
    tip = (hand[0] - side * length * np.cos(angle), hand[1] - length * np.sin(angle))
    stage.bar(hand, tip, rng.uniform(0.018, 0.035), surface)
    stage.add(tip[0], tip[1], 0.035, 0.03, surface)
    if with_arm:
        stage.arm((side * 1.3, rng.uniform(0.2, 0.9)), hand, rng.uniform(0.05, 0.09), side * float(rng.choice([-1, 1])))
    else:
        stage.add(hand[0], hand[1], 0.07, 0.06, stage.flesh())


def chop(stage: Stage) -> None:
    """A knife (or an axe) goes through something on a board and stops in it."""
    rng, times = stage.rng, stage.times
    hits = rhythm(rng, stage.duration_s, 0.18)
    forces = strengths(rng, len(hits))
    height = strike(rng, times, hits, forces, rebound=rng.uniform(0.0, 0.15), rest=rng.uniform(0.2, 0.9))
    top = stage.level + rng.uniform(0.0, 0.2)
    stage.table(top - 0.06)
    stage.add(0.0, top - 0.04, rng.uniform(0.5, 0.85), 0.05, stage.surface(relief="bevel"), corner=0.3, depth=0.4)
    cut_x = rng.uniform(-0.2, 0.2)
    thick = rng.uniform(0.05, 0.13)
    stage.focus = (cut_x + 0.2, top + 0.2)
    food = stage.surface(str(rng.choice(["plastic", "rubber", "wood"])))
    stage.add(cut_x - 0.32, top + thick, 0.32, thick, food, corner=0.9)
    for hit in hits[:14]:
        since = np.clip((times - hit) / 0.15, 0, 1)
        x = cut_x + 0.02 + rng.uniform(0.05, 0.45) * since
        stage.add(x, top + thick * (1 - 0.3 * since), 0.03, thick, food, angle=-1.2 * since, alpha=(times > hit) * 1.0)
    length = rng.uniform(0.4, 0.65)
    reach = rng.uniform(0.35, 0.9)
    tilt = rng.uniform(0.0, 0.6)
    angle = tilt * height
    x, y = cut_x + 0.02, top + 0.01 + 0.07 + reach * height * (1 - tilt * 0.6)
    blade = stage.surface("metal", "bevel")
    middle = (x + (length / 2) * np.cos(angle) * 0.4, y + (length / 2) * np.sin(angle))
    stage.add(middle[0], middle[1], length / 2, 0.07, blade, angle=angle, corner=0.15, depth=0.02)
    grip = (middle[0] + (length / 2 + 0.1) * np.cos(angle), middle[1] + (length / 2 + 0.1) * np.sin(angle))
    handle = stage.surface(str(rng.choice(["wood", "plastic"])))
    stage.add(grip[0], grip[1], 0.13, 0.04, handle, angle=angle, corner=0.8)
    stage.arm((1.4, rng.uniform(-0.1, 1.0)), grip, rng.uniform(0.06, 0.1), float(rng.choice([-1, 1])))
    if rng.random() < 0.6:
        stage.arm((-1.4, rng.uniform(0.0, 0.9)), (cut_x - 0.3, top + 2 * thick + 0.02), rng.uniform(0.06, 0.1), -1.0)
    stage.hit_all(hits, forces, stage.voice("strike", rng.uniform(0.12, 0.4)))


def saw(stage: Stage) -> None:
    """A saw: loud on the push, silent on the way back."""
    _strokes(stage, both_ways=False)


def sand(stage: Stage) -> None:
    """A sanding block, a file or a brush: every stroke is heard, there and back."""
    _strokes(stage, both_ways=True)


def _strokes(stage: Stage, both_ways: bool) -> None:
    rng, times = stage.rng, stage.times
    starts = rhythm(rng, stage.duration_s, 0.36 if both_ways else 0.5, 20)
    forces = strengths(rng, len(starts))
    travel = rng.uniform(0.3, 0.7)
    place = np.full(len(times), 0.0)
    voice = stage.voice("stroke", 0.2)
    position = 0.0
    for index, start in enumerate(starts):
        gap = (starts[index + 1] if index + 1 < len(starts) else stage.duration_s + 0.5) - start
        length = min(rng.uniform(0.2, 0.5), (0.85 if both_ways else 0.5) * gap)
        target = (1.0 - position) if both_ways else 1.0
        now = times >= start
        part = np.clip((times[now] - start) / length, 0, 1)
        place[now] = position + (target - position) * (1 - (1 - part) ** 1.6)
        if both_ways:
            position = target
        else:
            back = np.clip((times - start - length - 0.02) / max(0.12, min(0.8, gap - length - 0.06)), 0, 1)
            place[times >= start + length] = 1 - (back**2 * (3 - 2 * back))[times >= start + length]
        stage.hit(float(start), float(forces[index]), voice, float(length))
    x = -0.15 + travel * (place - 0.5)
    top = stage.level + rng.uniform(0.1, 0.4)
    stage.focus = (0.1, top + 0.1)
    stage.table(stage.level)
    stage.add(rng.uniform(-0.1, 0.1), (top + stage.level) / 2, rng.uniform(0.45, 0.8), (top - stage.level) / 2,
              stage.surface(relief="bevel"), corner=0.1, depth=0.3)  # fmt: skip
    tilt = rng.uniform(-0.05, 0.45) if not both_ways else 0.0
    c, s = np.cos(tilt), np.sin(tilt)
    if both_ways:
        thick = rng.uniform(0.06, 0.11)
        tool = (x, np.full(len(times), top + thick, np.float32))
        stage.add(tool[0], tool[1], rng.uniform(0.15, 0.26), thick, stage.surface("plastic", "bevel"), corner=0.3)
        hand = (tool[0] + 0.02, tool[1] + thick + 0.05)
    else:
        tool = (x * c + 0.2, top - 0.02 + x * s)
        stage.add(tool[0], tool[1] + 0.06, 0.55, 0.08, stage.surface("metal", "flat"), angle=float(tilt), corner=0.1)
        hand = (tool[0] + 0.6 * c, tool[1] + 0.08 + 0.6 * s)
        stage.add(hand[0], hand[1], 0.1, 0.1, stage.surface("wood"), corner=0.5)
    stage.arm((1.5, rng.uniform(0.2, 1.0)), hand, rng.uniform(0.06, 0.1), float(rng.choice([-1, 1])))
