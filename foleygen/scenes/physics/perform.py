"""From a stage to a finished physics scene: a setup, its run, its hits, its camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foleygen.scenes.footage import Footage
from foleygen.scenes.motion import grid, wander
from foleygen.scenes.physics.pictures import Film
from foleygen.scenes.physics.run import Impact, Run, simulate
from foleygen.scenes.physics.setups import SETUPS
from foleygen.scenes.physics.world import STEP_S, Plan, World
from foleygen.scenes.shapes import Array
from foleygen.scenes.stage import Stage

TRIES = 40
"""Worlds drawn until one has events."""

MOST_EVENTS = 30
FARTHEST_M = 1.3
"""From the middle of the scene; what happens farther out happens off screen, and is not heard."""

MERGE_S = 0.025
MASK_S = 0.08
SHORTEST_S = 6.0
"""Worlds run at least so long; of them a shorter clip shows a stretch with an event."""

FAINTEST = 0.2
"""Share of the strongest blow below which a blow is not heard."""


@dataclass(frozen=True)
class _Blow:
    time_s: float
    force: float
    speed: float
    voice: int
    place: tuple[float, float, float]


def perform(
    seed: tuple[int, ...], family: str, material: str, duration_s: float, footage: Footage | None
) -> tuple[Stage, Film]:
    """The stage with its voices and hits, and the film. Worlds are drawn anew until something is heard.

    Raises SetupError without MuJoCo.
    """
    for attempt in range(TRIES):
        stage = Stage(np.random.default_rng([*seed, attempt]), family, material, max(duration_s, SHORTEST_S))
        plan, screened = _build(stage, footage)
        run = simulate(plan, stage.duration_s)
        blows = _audible(run.impacts, plan) if run is not None else []
        if run is None or not (1 if attempt else 2) <= len(blows) <= MOST_EVENTS:
            continue
        start_s, blows = _cut(stage, blows, duration_s)
        strongest = max(blow.speed for blow in blows)
        for blow in blows:
            stage.hit(blow.time_s - start_s, blow.force * min(1.0, 0.45 + strongest / 4), blow.voice)
        if not stage.hits:
            continue
        film = replace(_filmed(stage, plan, run, blows), start_s=start_s)
        if screened is not None:
            clip, rate = screened
            film = replace(film, footage=(clip,), rate=rate * float(stage.rng.uniform(0.5, 1.2)))
        return stage, film
    raise AssertionError(f"no world of {family} in {material} with seed {seed} is heard")


def _build(stage: Stage, footage: Footage | None) -> tuple[Plan, tuple[NDArray[np.uint8], float] | None]:
    """A world on the stage, and the footage that plays behind it with its rate, in half of the scenes."""
    world, rng = World(stage), stage.rng
    setups = SETUPS[stage.family]
    setups[int(rng.integers(len(setups)))](world)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.55, 0.3, 0.15]))):
        world.bystander()
    filmed = footage is not None and len(footage.clips) > 0 and rng.random() < 0.5
    screened = footage.pick(rng, stage.duration_s) if filmed and footage is not None else None
    world.screen(None if screened is None else screened[0][0])
    return world.plan(), screened


def _cut(stage: Stage, blows: list[_Blow], duration_s: float) -> tuple[float, list[_Blow]]:
    """Where a clip shorter than its run begins (s), and the blows in it; the stage gets its length."""
    if stage.duration_s <= duration_s:
        return 0.0, blows
    chosen = blows[int(stage.rng.integers(len(blows)))]
    latest = stage.duration_s - duration_s
    start_s = float(np.clip(chosen.time_s - stage.rng.uniform(0.3, 0.7) * duration_s, 0, latest))
    stage.duration_s, stage.times = duration_s, grid(duration_s)
    return start_s, [blow for blow in blows if start_s <= blow.time_s < start_s + duration_s]


def _audible(impacts: tuple[Impact, ...], plan: Plan) -> list[_Blow]:
    """Blows as loud as their speed (heavier ones somewhat louder), 1 the loudest: those that coincide are one, and
    those that a louder one just before them covers, or that are faint, are none."""
    impacts = tuple(impact for impact in impacts if np.hypot(*impact.place[:2]) < FARTHEST_M)
    if not impacts:
        return []
    heaviest = max(impact.mass for impact in impacts)
    blows = [
        _Blow(impact.time_s, impact.speed * (impact.mass / heaviest) ** 0.25, impact.speed, _voice(impact, plan),
              impact.place)
        for impact in sorted(impacts, key=lambda impact: impact.time_s)
    ]  # fmt: skip
    loudest = max(blow.force for blow in blows)
    kept: list[_Blow] = []
    for blow in blows:
        if kept and blow.time_s - kept[-1].time_s < MERGE_S:
            if blow.force > kept[-1].force:
                kept[-1] = blow
        elif not kept or blow.time_s - kept[-1].time_s >= MASK_S or blow.force > 0.5 * kept[-1].force:
            kept.append(blow)
    return [
        _Blow(blow.time_s, blow.force / loudest, blow.speed, blow.voice, blow.place)
        for blow in kept
        if blow.force > FAINTEST * loudest
    ]


def _voice(impact: Impact, plan: Plan) -> int:
    """The voice of the two that has one; of two, the later made."""
    return max(plan.voices.get(name, -1) for name in (impact.first, impact.second))


def _filmed(stage: Stage, plan: Plan, run: Run, blows: list[_Blow]) -> Film:
    """A camera from which all that happens around the events is seen, and large."""
    rng, places = stage.rng, _action(run, blows)
    azimuth = np.pi / 2 + rng.uniform(-0.9, 0.9)
    lowest, highest = (0.35, 1.1) if stage.family == "collide" else (0.1, 0.75)
    elevation = -rng.uniform(lowest, highest)
    front = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    up = np.cross(right, front)
    across, tall = places @ right, places @ up
    edges = [np.quantile(track, [0.04, 0.96]) for track in (across, tall)]
    middle = [float(edge.mean()) for edge in edges]
    target = middle[0] * right + middle[1] * up + float(np.median(places @ front)) * front
    reach = 0.09 + max(0.16, *(float(np.ptp(edge)) / 2 for edge in edges))
    view = float(rng.uniform(0.45, 1.1))
    distance = 0.95 * reach / np.tan(view / 2) + 0.1
    moves = rng.random() < 0.5
    sway, size = (wander(rng, stage.times, float(part), 6.0) * moves for part in rng.uniform(0.02, 0.12, 2))
    closer = np.exp(moves * rng.normal(0, 0.12) * np.linspace(-0.5, 0.5, len(stage.times)))
    return Film(
        plan, run.qpos, (float(target[0]), float(target[1]), float(target[2])), _track(azimuth + sway),
        _track(np.minimum(elevation + 0.4 * size, -0.06)), _track(distance * closer), view,
    )  # fmt: skip


def _track(values: Array) -> Array:
    return np.asarray(values, np.float32)


def _action(run: Run, blows: list[_Blow]) -> Array:
    """Places (N, 3) that the picture must hold: the contacts, and the bodies that move shortly before and after."""
    places = [np.array([blow.place for blow in blows])]
    travelled = np.linalg.norm(np.diff(run.bodies, axis=0, prepend=run.bodies[:1]), axis=2) / STEP_S
    for blow in blows:
        steps = np.arange(round((blow.time_s - 0.25) / STEP_S), round((blow.time_s + 0.12) / STEP_S), 30)
        steps = np.clip(steps, 0, len(run.bodies) - 1)
        around, quick = run.bodies[steps], travelled[steps] > 0.05
        near = np.linalg.norm(around - np.array(blow.place), axis=2) < 0.5
        places.append(around[quick & near])
    return np.concatenate(places)
