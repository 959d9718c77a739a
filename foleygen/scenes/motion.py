"""Trajectories that carry events: rhythms, strikes, falls, arms. Grids run at ``TRACK_RATE`` from time 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foleygen.scenes.shapes import TRACK_RATE, Array, Rng

Times = NDArray[np.float64]
Series = Sequence[float] | NDArray[np.floating[Any]]
Point = tuple[Array | float, Array | float]


def grid(duration_s: float) -> Times:
    """The times (s) at which tracks are stored."""
    return np.arange(int(np.ceil(duration_s * TRACK_RATE)) + 2) / TRACK_RATE


def rhythm(rng: Rng, duration_s: float, gap_s: float = 0.16, most: int = 25, start_s: float = 0.25) -> Times:
    """Event times: steady, swung, irregular, in bursts with long pauses, or a few lone ones."""
    start_s, end = min(start_s, 0.3 * duration_s), duration_s - min(0.15, 0.1 * duration_s)
    kind = rng.choice(["steady", "irregular", "bursts", "few"], p=[0.28, 0.32, 0.25, 0.15])
    first = start_s + rng.exponential(0.4)
    if kind == "few":
        times = np.sort(rng.uniform(start_s, end, rng.integers(1, 4)))
    elif kind == "steady":
        beat = max(gap_s, float(np.exp(rng.uniform(np.log(0.22), np.log(1.3)))))
        times = np.arange(first, end, beat)
        times = times + rng.normal(0, rng.uniform(0, 0.09) * beat, len(times))
        times = times[rng.random(len(times)) < rng.choice([1.0, 0.85, 0.7])]
    elif kind == "irregular":
        mean = float(np.exp(rng.uniform(np.log(0.25), np.log(1.2))))
        times = first + np.cumsum(gap_s + rng.exponential(mean, 64))
    else:
        pieces, clock = [], first
        while clock < end:
            count = int(rng.integers(2, 7))
            beat = rng.uniform(max(gap_s, 0.14), max(gap_s * 1.3, 0.45))
            pieces.append(clock + np.arange(count) * beat + rng.normal(0, 0.04 * beat, count))
            clock = pieces[-1][-1] + rng.uniform(0.8, 3.0)
        times = np.concatenate(pieces) if pieces else np.array([first])
    times = np.sort(times[(times > start_s) & (times < end)])
    if not len(times):
        times = np.array([rng.uniform(start_s, end)])
    kept = [float(times[0])]
    for time in times[1:]:
        if time - kept[-1] >= gap_s:
            kept.append(float(time))
    return np.array(kept[:most])


def strengths(rng: Rng, count: int) -> Times:
    """Loudness of ``count`` blows in 0.2..1: even, accented, or wildly different."""
    centre, spread = rng.uniform(0.45, 0.85), rng.choice([0.05, 0.15, 0.3])
    return np.clip(rng.normal(centre, spread, count), 0.2, 1.0)


def ease(part: Times) -> Times:
    """Minimum-jerk step from 0 to 1 over ``part`` in 0..1."""
    part = np.clip(part, 0, 1)
    return part**3 * (10 - 15 * part + 6 * part**2)


def strike(rng: Rng, times: Times, hits: Series, forces: Series, *, rebound: float = 0.3, rest: float = 0.6) -> Array:
    """Height of a striker over what it hits: 0 at each hit, about ``force`` before it, ``rest`` in pauses.

    The way down accelerates up to the contact and stops dead there (or springs back by ``rebound``), the way up is
    smooth. Some pauses hold a feint that turns back before contact.
    """
    height = np.full(times.shape, rest, np.float64)
    if not len(hits):
        return height.astype(np.float32)
    power = rng.uniform(1.5, 2.6)
    down_s = rng.uniform(0.09, 0.2)
    dwell_s = rng.uniform(0.0, 0.05)
    first, force = hits[0], forces[0]
    _down(height, times, max(0.0, first - 0.8), first, rest, 0.35 + 0.65 * force, min(down_s, first), power)
    for index, hit in enumerate(hits):
        following = hits[index + 1] if index + 1 < len(hits) else None
        gap = (following - hit) if following is not None else times[-1] - hit + 1.0
        spring = rebound * forces[index] * min(1.0, gap / 0.3)
        hold = min(dwell_s, 0.15 * gap)
        quick = min(0.12, 0.3 * gap)
        after = (times >= hit) & (times < hit + hold)
        height[after] = 0
        part = (times - hit - hold) / quick
        now = (times >= hit + hold) & (part < 1)
        height[now] = spring * (1 - (1 - part[now]) ** 2)
        begin = hit + hold + quick
        if following is None:
            _settle(height, times, begin, spring, rest)
            continue
        lift = (0.35 + 0.65 * forces[index + 1]) * min(1.0, 0.3 + gap / 0.5)
        if gap > 1.3:
            _settle(height, times, begin, spring, rest, until=following - 0.7)
            if rng.random() < 0.3 and gap > 2.0:
                middle = (times > begin + 0.5) & (times < following - 0.75)
                if middle.any():
                    swing = np.linspace(0, 2 * np.pi * max(1, int((gap - 1.25) / 0.8)), int(middle.sum()))
                    height[middle] += 0.2 * (1 - np.cos(swing))
            _down(height, times, following - 0.7, following, rest, lift, min(down_s, 0.3 * gap), power)
        else:
            _down(height, times, begin, following, spring, lift, min(down_s, 0.35 * gap), power)
    return height.astype(np.float32)


def _down(
    height: Times, times: Times, begin: float, hit: float, start: float, lift: float, down_s: float, power: float
) -> None:
    """Rise from ``start`` at ``begin`` to ``lift``, then fall to 0 at ``hit`` within ``down_s``."""
    top = max(begin, hit - down_s)
    if begin <= 0 and hit < 0.8:
        start = lift if hit < 0.3 else start
    rising = (times >= begin) & (times < top)
    if top > begin:
        height[rising] = start + (lift - start) * ease((times[rising] - begin) / (top - begin))
    falling = (times >= top) & (times < hit)
    height[falling] = lift * (1 - ((times[falling] - top) / max(1e-6, hit - top)) ** power)


def _settle(height: Times, times: Times, begin: float, start: float, rest: float, until: float = np.inf) -> None:
    now = (times >= begin) & (times < until)
    height[now] = start + (rest - start) * ease((times[now] - begin) / 0.6)


def bounces(
    start_s: float, height: float, gravity: float, restitution: float, end_s: float, weakest: float, speed: float = 0.0
) -> tuple[list[float], list[float]]:
    """Contact times (s) and speeds (units/s) of a ball let go at ``height`` (downward ``speed``) until too slow."""
    impact = float(np.sqrt(speed**2 + 2 * gravity * height))
    clock = start_s + (impact - speed) / gravity
    contacts, speeds = [], []
    while clock < end_s and impact > weakest:
        contacts.append(clock)
        speeds.append(impact)
        impact *= restitution
        clock += 2 * impact / gravity
    return contacts, speeds


def ballistic(
    times: Times, start_s: float, height: float, gravity: float, contacts: Series, speeds: Series,
    restitution: float,
) -> Array:  # fmt: skip
    """Height over the ground of that ball on the grid: held before ``start_s``, at rest after the last rebound."""
    path = np.full(times.shape, height, np.float64)
    first = contacts[0] if contacts else np.inf
    falling = (times >= start_s) & (times < first)
    since = times[falling] - start_s
    speed = (height - 0.5 * gravity * (first - start_s) ** 2) / (first - start_s) if contacts else 0.0
    path[falling] = height - speed * since - 0.5 * gravity * since**2
    for contact, impact in zip(contacts, speeds, strict=True):
        up = impact * restitution
        now = times >= contact
        since = times[now] - contact
        path[now] = np.maximum(0.0, up * since - 0.5 * gravity * since**2)
    return path.astype(np.float32)


def two_links(root: Point, tip: Point, first: float, second: float, bend: float) -> tuple[Array, Array]:
    """The joint between two links of a limb from ``root`` to ``tip``; ``bend`` of +1 or -1 picks the side."""
    dx, dy = np.asarray(tip[0] - root[0], np.float32), np.asarray(tip[1] - root[1], np.float32)
    reach = np.clip(np.hypot(dx, dy), 1e-3, (first + second) * 0.999)
    cosine = np.clip((first**2 + reach**2 - second**2) / (2 * first * reach), -1, 1)
    angle = np.arctan2(dy, dx) + bend * np.arccos(cosine)
    return (root[0] + first * np.cos(angle)).astype(np.float32), (root[1] + first * np.sin(angle)).astype(np.float32)


def wander(rng: Rng, times: Times, size: float, slowest_s: float = 3.0, terms: int = 4) -> Array:
    """Smooth aimless motion of about ``size`` (standard deviation)."""
    total = np.zeros(times.shape)
    for _ in range(terms):
        period = slowest_s * np.exp(rng.uniform(-1.4, 0.7))
        total += rng.normal() * np.sin(2 * np.pi * times / period + rng.uniform(0, 2 * np.pi))
    return np.asarray(size * total / np.sqrt(terms / 2), np.float32)


def steps_to(times: Times, instants: Series, values: Series, move_s: float) -> Array:
    """Holds ``values[i]`` until ``instants[i]``, then moves to ``values[i + 1]`` within ``move_s``, eased."""
    path = np.full(times.shape, float(values[0]))
    for instant, before, after in zip(instants, values[:-1], values[1:], strict=True):
        now = times >= instant
        path[now] = before + (after - before) * ease((times[now] - instant) / move_s)
    return path.astype(np.float32)
