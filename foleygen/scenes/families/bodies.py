"""Bodies that fall, bounce, collide and topple."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foleygen.scenes.motion import ballistic, bounces, ease, rhythm
from foleygen.scenes.shapes import Array, Rng, Surface
from foleygen.scenes.stage import Stage

_RESTITUTION = {"rubber": 0.78, "metal": 0.6, "glass": 0.62, "ceramic": 0.5, "plastic": 0.68, "leather": 0.7}


def bounce(stage: Stage) -> None:
    """One to three balls fall, rebound until they rest, and roll away."""
    rng = stage.rng
    for number in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
        radius = float(np.exp(rng.uniform(np.log(0.09), np.log(0.26))))
        voice = stage.voice("strike", radius * rng.uniform(0.6, 1.2))
        surface = stage.surface()
        restitution = float(np.clip(_RESTITUTION.get(stage.material, 0.45) + rng.normal(0, 0.06), 0.3, 0.88))
        distance = float(rng.uniform(0.85, 1.5)) if rng.random() < 0.6 else 1.0
        start = rng.uniform(0.05, 0.7) + number * rng.uniform(0, 1.0)
        while start < stage.duration_s - 0.5 and len(stage.hits) < 25:
            start = _throw(stage, radius, restitution, distance, float(start), voice, surface)


def _throw(
    stage: Stage, radius: float, restitution: float, distance: float, start: float, voice: int, surface: Surface
) -> float:
    """One ball from its release to its way out of the picture; returns when the next may come."""
    rng, times = stage.rng, stage.times
    gravity, height = rng.uniform(4.0, 13.0), rng.uniform(0.5, 1.6)
    contacts, speeds = bounces(start, height, gravity, restitution, stage.duration_s - 0.1, 0.2)
    strongest = speeds[0] if speeds else 1.0
    count = sum(speed > 0.22 * strongest for speed in speeds)
    contacts, speeds = contacts[:count], speeds[:count]
    if not contacts:
        return stage.duration_s
    lifted = ballistic(times, start, height, gravity, contacts, speeds, restitution)
    lifted[times >= contacts[-1] + 0.02] *= 0.25  # too weak to hear, so hardly to be seen
    first_x = rng.uniform(-0.75, 0.75)
    speed_x = (rng.uniform(-0.75, 0.75) - first_x) / max(0.6, contacts[-1] - start)
    leave = contacts[-1] + rng.uniform(0.3, 1.5)
    x = first_x + speed_x * (np.clip(times, start, leave) - start)
    away = np.sign(speed_x + 1e-6) * np.maximum(times - leave, 0) * (abs(speed_x) + 1.0)
    x = x + away
    squash = np.ones(len(times))
    soft = stage.material in ("rubber", "leather", "plastic")
    if soft:
        for contact, speed in zip(contacts, speeds, strict=True):
            squash -= 0.25 * speed / strongest * np.exp(-(((times - contact) / 0.025) ** 2))
    screen_x, y, scale = stage.project(x, lifted + radius * squash, distance)
    shown = ((times >= max(0.0, start - 0.3)) & (np.abs(x) < 3)).astype(np.float32)
    _, floor, _ = stage.project(0.0, 0.0, distance)
    stage.shadow(screen_x, lifted * shown + 20 * (1 - shown), radius * scale, y=floor)
    stage.add(
        screen_x, y, radius * scale / squash, radius * scale * squash, surface,
        kind="ellipse" if soft else "box", angle=0.0 if soft else -x / radius, alpha=shown, depth=radius,
        z=distance - 1,
    )  # fmt: skip
    for contact, speed in zip(contacts, speeds, strict=True):
        stage.hit(contact, (speed / strongest) * min(1.0, 0.45 + strongest / 8), voice)
    return leave + float(rng.uniform(0.3, 2.2))


def drop(stage: Stage) -> None:
    """Things let go over a floor or a table: a hard landing, a rebound or two, and rest."""
    rng, times = stage.rng, stage.times
    if rng.random() < 0.5:
        stage.horizon = stage.level + 0.15
        stage.table(stage.level)
    moments = rhythm(rng, stage.duration_s, gap_s=0.45, most=9, start_s=0.4)
    places = rng.permutation(np.linspace(-0.75, 0.75, len(moments)))
    held = rng.random() < 0.5
    flesh = stage.flesh()
    for moment, place in zip(moments, places, strict=True):
        half_a, half_b = rng.uniform(0.07, 0.24), rng.uniform(0.07, 0.2)
        voice = stage.voice("strike", (half_a + half_b) * rng.uniform(0.6, 1.1))
        gravity, height = rng.uniform(5, 13), rng.uniform(0.35, 1.3)
        start = float(moment) - float(np.sqrt(2 * height / gravity))
        restitution = rng.uniform(0.12, 0.38)
        contacts, speeds = bounces(start, height, gravity, restitution, stage.duration_s - 0.05, 0.2)
        keep = max(1, sum(speed > 0.24 * speeds[0] for speed in speeds)) if speeds else 0
        contacts, speeds = contacts[:keep], speeds[:keep]
        lifted = ballistic(times, start, height, gravity, contacts, speeds, restitution)
        lifted[times >= contacts[-1] + 0.01] = 0
        turn = rng.normal(0, 1.2) * (1 - ease((times - start) / max(0.05, contacts[-1] - start)))
        base = half_b + np.abs(np.sin(turn)) * (half_a - half_b)
        arrives = start - rng.uniform(0.15, 0.6)
        shown = (times >= arrives).astype(np.float32)
        y = stage.level + base + lifted
        stage.shadow(float(place), lifted + 20 * (1 - shown), half_a)
        kind = str(rng.choice(["box", "box", "ellipse", "polygon"]))
        stage.add(
            float(place), y, half_a, half_b, stage.surface(relief=str(rng.choice(["bevel", "round", "flat"]))),
            kind=kind, corner=float(rng.choice([0.05, 0.3, 1.0])), corners=_hull(rng), angle=turn, alpha=shown,
        )  # fmt: skip
        if held:
            up = 1.6 * ease((times - start) / 0.5) + 1.2 * (1 - ease((times - arrives) / 0.2))
            stage.add(float(place), y[0] * 0 + stage.level + height + base + half_b + 0.03 + up, 0.08, 0.05, flesh)
        for contact, speed in zip(contacts, speeds, strict=True):
            stage.hit(contact, (speed / speeds[0]) * min(1.0, 0.35 + speeds[0] / 6), voice)


def _hull(rng: Rng) -> Array:
    """A convex polygon in units of its half sizes, counter-clockwise, lowest at -1."""
    angles = np.sort((np.arange(6) + rng.uniform(-0.3, 0.3, 6)) * np.pi / 3 - np.pi / 2)
    points = np.stack([np.cos(angles), np.sin(angles)], 1)
    hull: Array = (points / np.abs(points).max(0)).astype(np.float32)
    return hull


def collide(stage: Stage) -> None:
    """Balls or pucks on a table: a shot, collisions with each other and with the sides."""
    rng, times = stage.rng, stage.times
    count = int(rng.integers(1, 6))
    radius = float(rng.uniform(0.07, 0.15))
    stage.from_above = True
    width, depth = rng.uniform(0.7, 0.95), rng.uniform(0.5, 0.85)
    rim = stage.surface(relief="bevel")
    for x, y, a, b in ((0, depth, width, 0), (0, -depth, width, 0), (width, 0, 0, depth), (-width, 0, 0, depth)):
        stage.add(x + 0.06 * np.sign(x), y + 0.06 * np.sign(y), a + 0.12 * (a > 0) + 0.06 * (a == 0),
                  b + 0.06 * (b == 0), rim, corner=0.2, depth=0.15)  # fmt: skip
    voices = [stage.voice("strike", radius * rng.uniform(0.4, 0.9)) for _ in range(count + 1)]
    place = _scatter(rng, count, radius, width, depth)
    tracks = np.empty((count, 2, len(times)), np.float32)
    clock, last = 0.0, 0
    while clock < stage.duration_s and len(stage.hits) < 25:
        shot = min(clock + rng.uniform(0.3, 1.2), stage.duration_s)
        begin = int(shot * 1000) + 1
        tracks[:, :, last:begin] = place[:, :, None]
        speed, friction = rng.uniform(1.0, 3.5), rng.uniform(0.5, 1.4)
        velocity = _aim(rng, place, speed)
        stage.hit(shot, 0.3 + 0.15 * speed, voices[-1])
        pause = float(rng.uniform(1.2, 3.0))
        end = min(len(times), begin + int(pause * 1000))
        travelled = (1 - np.exp(-friction * (times[begin:end] - shot))) / friction
        path, events = _table_physics(place, velocity, radius, width, depth, travelled)
        tracks[:, :, begin:end] = path
        for at, force, first in events:
            when = shot - np.log(max(1e-6, 1 - friction * at)) / friction
            force = force * np.exp(-friction * (when - shot)) / speed
            if when < shot + pause and force > 0.16:
                stage.hit(float(when), min(1.0, force * (0.5 + 0.15 * speed)), voices[first])
        place = path[:, :, -1].astype(np.float64) if path.shape[2] else place
        last, clock = end, shot + pause
    tracks[:, :, last:] = place[:, :, None]
    for index in range(count):
        x, y = tracks[index]
        stage.add(x + 0.03, y - 0.04, radius, radius, _dark(stage), alpha=0.4, soft=0.03, shade=False, depth=0.0)
        stage.add(x, y, radius, radius, stage.surface(), angle=(x + y) / radius, depth=radius)


def _aim(rng: Rng, place: Array, speed: float) -> Array:
    """Velocities (n, 2) after a shot that sends one ball, mostly towards another."""
    mover, heading = int(rng.integers(len(place))), rng.uniform(0, 2 * np.pi)
    others = [index for index in range(len(place)) if index != mover]
    if others and rng.random() < 0.8:
        way = place[others[int(rng.integers(len(others)))]] - place[mover]
        heading = np.arctan2(way[1], way[0]) + rng.normal(0, 0.06)
    velocity = np.zeros((len(place), 2))
    velocity[mover] = speed * np.cos(heading), speed * np.sin(heading)
    return velocity


def _dark(stage: Stage) -> Surface:
    return replace(stage.surface("rubber"), colour=(0.0, 0.0, 0.0), second=(0.0, 0.0, 0.0))


def _scatter(rng: Rng, count: int, radius: float, width: float, depth: float) -> Array:
    places: list[Array] = []
    for _ in range(400):
        trial = rng.uniform(-1, 1, 2) * (width - 1.5 * radius, depth - 1.5 * radius)
        if all(np.hypot(*(trial - other)) > 2.4 * radius for other in places):
            places.append(trial)
        if len(places) == count:
            break
    while len(places) < count:
        places.append(np.array([0.0, 5.0 + len(places)]))
    return np.array(places)


def _table_physics(
    place: Array, velocity: Array, radius: float, width: float, depth: float, clock: Array
) -> tuple[Array, list[tuple[float, float, int]]]:
    """Frictionless discs in a box: positions (n, 2, T) at ``clock`` and (instant, normal speed, body) of each contact.

    Friction that slows everything alike is a change of clock, so the caller warps time instead.
    """
    place, velocity = place.copy(), velocity.copy()
    count, walls = len(place), np.array([width - radius, depth - radius])
    path = np.empty((count, 2, len(clock)), np.float32)
    events: list[tuple[float, float, int]] = []
    now, end, done = 0.0, float(clock[-1]) if len(clock) else 0.0, 0
    while True:
        best, pair = np.inf, (0, 0, -1)
        for i in range(count):
            for axis in range(2):
                if abs(velocity[i, axis]) > 1e-9:
                    reach = (np.sign(velocity[i, axis]) * walls[axis] - place[i, axis]) / velocity[i, axis]
                    if reach < best:
                        best, pair = max(0.0, float(reach)), (i, axis, -1)
            for j in range(i):
                gap, speed = place[i] - place[j], velocity[i] - velocity[j]
                b, c, s = gap @ speed, gap @ gap - 4 * radius**2, speed @ speed
                if b < 0 and b * b > s * c:
                    reach = (-b - np.sqrt(b * b - s * c)) / s
                    if reach < best:
                        best, pair = max(0.0, float(reach)), (i, -1, j)
        until = min(now + best, end + 1e-9)
        upto = int(np.searchsorted(clock, until, side="right"))
        path[:, :, done:upto] = place[:, :, None] + velocity[:, :, None] * (clock[done:upto] - now)
        done = upto
        if now + best >= end or len(events) > 40:
            path[:, :, done:] = place[:, :, None] + velocity[:, :, None] * (clock[done:] - now)
            return path, events
        place += velocity * best
        now += best
        i, axis, j = pair
        if j < 0:
            events.append((now, abs(float(velocity[i, axis])), i))
            velocity[i, axis] *= -0.85
        else:
            normal = (place[i] - place[j]) / (2 * radius)
            closing = float((velocity[i] - velocity[j]) @ normal)
            events.append((now, -closing, i))
            velocity[i] -= 0.97 * closing * normal
            velocity[j] += 0.97 * closing * normal


def dominoes(stage: Stage) -> None:
    """A row of slabs, each knocking over the next (held out from training)."""
    rng, times = stage.rng, stage.times
    count = int(rng.integers(4, 11))
    gap = 1.5 / count
    height, thick = rng.uniform(0.4, 0.7), gap * rng.uniform(0.12, 0.2)
    lean = np.arcsin(min(0.95, (gap - 2 * thick) / height))
    start = rng.uniform(0.3, 0.31 + 0.3 * stage.duration_s)
    moments = start + np.cumsum(rng.uniform(0.12, 0.45) * rng.uniform(0.8, 1.2, count))
    voice = stage.voice("strike", height * rng.uniform(0.2, 0.5))
    forces = np.clip(rng.normal(0.6, 0.12, count), 0.3, 1.0)
    final = np.pi / 2 - 0.55
    for index in range(count - 1, -1, -1):
        begin = moments[index - 1] if index else moments[0] - 0.5
        hit = moments[index]
        part = np.clip((times - begin) / (hit - begin), 0, 1)
        after = np.clip((times - hit) / 0.6, 0, 1)
        angle = -(lean * part**2.2 + (final - lean) * ease(after) * (index < count - 1))
        if index == count - 1:
            angle = -(np.pi / 2) * part**2.2
        foot = -0.75 + gap * index
        x = foot + height / 2 * np.sin(-angle)
        y = stage.level + height / 2 * np.cos(angle) + thick * np.abs(np.sin(angle))
        stage.add(x, y, thick, height / 2, stage.surface(relief="bevel"), angle=angle, corner=0.1)
        stage.hit(float(hit), float(forces[index]), voice)
