"""A walker's feet, and clocks."""

from __future__ import annotations

import numpy as np

from foleygen.scenes.motion import Times, ease, rhythm, steps_to, strengths, two_links
from foleygen.scenes.shapes import Array, any_surface
from foleygen.scenes.stage import Stage


def footsteps(stage: Stage) -> None:
    """A walker, whole or from the hips down, walking across, on the spot (camera alongside) or marching to us."""
    rng, times = stage.rng, stage.times
    moments = _gait(stage)
    forces = strengths(rng, len(moments))
    close = rng.random() < 0.5
    hip_height = rng.uniform(0.95, 1.3) if close else rng.uniform(0.5, 0.7)
    stage.level = float(rng.uniform(-0.85, -0.6))
    stage.horizon = stage.level + float(rng.uniform(0.1, 0.9))
    stride = hip_height * rng.uniform(0.3, 0.55)
    march = rng.random() < 0.2
    travel = 0.0 if march or rng.random() < 0.5 else min(stride, 1.5 / max(1, len(moments)))
    body = np.cumsum(np.full(len(moments) + 1, travel)) - travel * len(moments) / 2
    body_x = steps_to(times, list(moments - 0.25), list(body), 0.45) + rng.uniform(-0.1, 0.1)
    stage.focus = None if travel else (0.0, stage.level + 0.4)
    bob = np.zeros(len(times))
    for moment in moments:
        bob += np.exp(-(((times - moment - 0.03) / 0.09) ** 2))
    hip_y = stage.level + hip_height * 0.96 - 0.05 * hip_height * bob
    trousers, shoe, skin = stage.sleeve(), any_surface(rng, "round"), stage.flesh()
    facing, thick = 1 if travel or rng.random() < 0.5 else -1, hip_height * rng.uniform(0.07, 0.12)
    reach = 0.1 if march else stride / 2
    for side in (1, 0):
        own = moments[side::2]
        foot_x, lift = _foot(stage, own, moments, body_x, reach * facing, 0.0 if march else 1.0)
        apart = (0.22 * hip_height if march else 0.03) * (1 if side else -1)
        x, y = foot_x + apart, stage.level + thick * 0.7 + lift * hip_height * (0.45 if march else 0.28)
        hip = (body_x + apart * 0.7, hip_y)
        knee = two_links(hip, (x, y + thick * 0.5), hip_height * 0.45, hip_height * 0.47, facing)
        stage.shadow(x, y - stage.level - thick * 0.7, thick * 1.6)
        stage.bar(hip, knee, thick, trousers)
        stage.bar(knee, (x, y + thick * 0.5), thick * 0.8, trousers if close or rng.random() < 0.7 else skin)
        toe = 0.0 if march else facing * thick
        tilt = facing * 0.6 * lift * (not march)
        stage.add(x + toe, y, thick * (1.1 if march else 1.9), thick * 0.7, shoe, angle=tilt, corner=0.7, depth=thick)
    if not close:
        _torso(stage, body_x, hip_y, hip_height, moments)
    stage.hit_all(moments, forces, stage.voice("step", rng.uniform(0.15, 0.35)))


def _gait(stage: Stage) -> Times:
    """Heel strikes (s): steady walks and runs with halts, or single slow steps."""
    rng = stage.rng
    if rng.random() < 0.2:
        return rhythm(rng, stage.duration_s, 0.3, 16, 0.4)
    beat = float(np.exp(rng.uniform(np.log(0.27), np.log(0.8))))
    moments: list[float] = []
    clock = float(rng.uniform(0.3, 1.2))
    while clock < stage.duration_s - 0.1 and len(moments) < 25:
        moments.append(clock)
        clock += beat * rng.normal(1.0, 0.05)
        if rng.random() < 0.06:
            clock += rng.uniform(0.6, 2.0)
    return np.array(moments)


def _foot(stage: Stage, own: Array, moments: Array, body_x: Array, reach: float, swing: float) -> tuple[Array, Array]:
    """A foot's x and lift (0..1): it lands ``reach`` before the body at its own moments and stays until its next."""
    times = stage.times
    x, lift = body_x - 0.0, np.zeros(len(times))
    if not len(own):
        return x, lift
    place = np.interp(own, times, body_x) + reach
    x = np.full(len(times), place[0])
    drift = np.ptp(body_x) < 1e-3 and swing
    for index, moment in enumerate(own):
        later = own[index + 1] if index + 1 < len(own) else None
        before = moments[moments < moment]
        swing_s = min(0.5, 0.95 * (moment - (before[-1] if len(before) else moment - 0.4)))
        part = (times - moment + swing_s) / swing_s
        now = (part >= 0) & (part < 1)
        start = x[np.searchsorted(times, moment - swing_s) - 1] if moment > swing_s else place[0] - reach
        x[now] = start + (place[index] - start) * ease(part[now])
        x[part >= 1] = place[index]
        falling = np.clip((part - 0.5) / 0.5, 0, 1)
        lift[now] = (np.where(part < 0.5, ease(part * 2), 1 - falling**2.2))[now]
        if drift:
            stand = (later - 0.45 * (later - moment) if later else moment + 0.6) - moment
            slide = np.clip((times - moment) / max(0.1, stand), 0, 1)
            x[part >= 1] = (place[index] - 2 * reach * slide)[part >= 1]
    return x, lift


def _torso(stage: Stage, x: Array, hip_y: Array, height: float, moments: Array) -> None:
    rng, times = stage.rng, stage.times
    clothes, skin = stage.sleeve(), stage.flesh()
    top = hip_y + height * 0.75
    phase = np.interp(times, moments, np.arange(len(moments)) * np.pi) if len(moments) > 1 else times * 0
    swing = rng.uniform(0.1, 0.5) * np.cos(phase) * height
    stage.bar((x + swing * 0.8, hip_y), (x, top), height * 0.06, skin)
    stage.bar((x, hip_y), (x, top), height * 0.16, clothes)
    stage.add(x, top + height * 0.38, height * 0.13, height * 0.17, skin, kind="ellipse")
    stage.bar((x, top), (x - swing, hip_y + 0.02), height * 0.07, clothes)


def clock(stage: Stage) -> None:
    """A clock whose hand jumps at each tick, or an escapement that rocks."""
    rng, times = stage.rng, stage.times
    stage.from_above = True
    beat = float(rng.choice([0.25, 0.5, 1.0, 1.0, rng.uniform(0.3, 1.4)]))
    ticks = np.arange(rng.uniform(0.1, 0.1 + beat), stage.duration_s - 0.1, beat)[:25]
    if rng.random() < 0.3:
        ticks = rhythm(rng, stage.duration_s, 0.25)
    forces = np.clip(rng.normal(0.6, 0.05, len(ticks)), 0.2, 1)
    radius = rng.uniform(0.5, 0.85)
    x, y = rng.uniform(-0.1, 0.1, 2)
    face, rim, ink = any_surface(rng), stage.surface(), any_surface(rng)
    stage.add(x, y, radius * 1.1, radius * 1.1, rim, depth=0.05)
    stage.add(x, y, radius, radius, face, depth=0.06)
    for hour in range(12):
        angle = hour * np.pi / 6
        stage.add(x + 0.85 * radius * np.cos(angle), y + 0.85 * radius * np.sin(angle), 0.05, 0.018, ink, angle=angle)
    jump = float(rng.choice([np.pi / 30, np.pi / 15, np.pi / 6]))
    turned = np.zeros(len(times))
    for tick in ticks:
        since = times - tick
        turned += jump * (1 - np.exp(-np.maximum(since, 0) / 0.012) * np.cos(110 * np.maximum(since, 0))) * (since >= 0)
    for length, width, rate in ((0.5, 0.035, 0.002), (0.75, 0.028, 0.02), (0.85, rng.uniform(0.015, 0.03), 1.0)):
        pointing = rng.uniform(0, 2 * np.pi) - rate * turned
        tip = (x + length * radius * np.cos(pointing), y + length * radius * np.sin(pointing))
        tail = (x - 0.15 * radius * np.cos(pointing), y - 0.15 * radius * np.sin(pointing))
        stage.bar(tail, tip, width, any_surface(rng))
    if rng.random() < 0.4:
        rock = steps_to(times, list(ticks), [0.25 * (-1) ** k for k in range(len(ticks) + 1)], 0.03)
        stage.add(x, y - radius * 0.55, radius * 0.3, 0.05, rim, angle=rock, corner=0.5)
        stage.add(x + 0.6 * rock, y - radius * 0.75, 0.07, 0.07, rim)
    stage.hit_all(ticks, forces, stage.voice("tick", rng.uniform(0.015, 0.05)))
