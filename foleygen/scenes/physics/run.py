"""Steps a world through time and hears its contacts: which bodies meet, when, and how hard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import SetupError
from foleygen.scenes.physics.world import LEAD_S, STEP_S, Plan

QUIETEST_M_S = 0.13
"""Change of speed below which a contact is not heard."""

BLOW = round(0.010 / STEP_S)
"""Steps over which a contact's force is summed: longer than a blow."""

DEAF = round(0.025 / STEP_S)
"""Steps for which a pair that was heard is not heard again."""

FASTEST_M_S = 40.0
"""Beyond this speed the solver has lost the scene."""


@dataclass(frozen=True)
class Impact:
    """Geoms ``first`` and ``second`` meet at ``time_s``; ``speed`` (m/s) is the impulse over the reduced ``mass``."""

    time_s: float
    speed: float
    mass: float
    first: str
    second: str
    place: tuple[float, float, float]


@dataclass(frozen=True)
class Run:
    """States ``qpos`` (T, nq) at every STEP_S and what was heard; ``bodies`` (T, B, 3): where what can touch was."""

    qpos: NDArray[np.float32] = field(repr=False)
    bodies: NDArray[np.float32] = field(repr=False)
    impacts: tuple[Impact, ...]


@dataclass(frozen=True)
class _Touches:
    """All contacts of a run, one row each: step, the two geoms, normal force (N), place (m)."""

    step: NDArray[np.int64]
    geoms: NDArray[np.int64]
    force: NDArray[np.float64]
    place: NDArray[np.float64]


def engine() -> ModuleType:
    """MuJoCo. Raises SetupError without it."""
    try:
        import mujoco
    except ImportError as error:
        message = "style physics: MuJoCo is not installed"
        raise SetupError(message, "run pip install 'foleygen[train]'") from error
    module: ModuleType = mujoco
    return module


def compiled(plan: Plan) -> Any:
    """The plan as an mjModel, with its textures."""
    mujoco = engine()
    model = mujoco.MjModel.from_xml_string(plan.xml)
    for name, picture in plan.textures.items():
        index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_TEXTURE, name)
        start = int(model.tex_adr[index])
        model.tex_data[start : start + picture.size] = picture.reshape(-1)
    return model


def simulate(plan: Plan, duration_s: float) -> Run | None:
    """The world from 0 to ``duration_s``; None where the solver loses it."""
    mujoco = engine()
    model = compiled(plan)
    data = mujoco.MjData(model)
    steps = int(np.ceil(duration_s / STEP_S)) + 2
    qpos = np.empty((steps, model.nq), np.float32)
    moving = np.flatnonzero((model.body_weldid[model.geom_bodyid] > 0) & (model.geom_contype > 0))
    bodies = np.empty((steps, len(moving), 3), np.float32)
    controls = np.array([drive.angle[:steps] for drive in plan.drives])
    for drive in plan.drives:
        data.qpos[model.joint(drive.joint).qposadr] = drive.angle[0]
    held, due = _launches(model, data, plan)
    rows: list[tuple[int, Any, Any, Any]] = []
    for step in range(steps):
        for place, speed, velocity in due.pop(step, ()):
            held.pop(place, None)
            data.qvel[speed : speed + 6] = velocity
        for place, (speed, pose) in held.items():
            data.qpos[place : place + 7] = pose
            data.qvel[speed : speed + 6] = 0
        if len(controls):
            data.ctrl[:] = controls[:, step]
        qpos[step] = data.qpos
        mujoco.mj_step(model, data)
        bodies[step] = data.geom_xpos[moving]
        if data.ncon:
            touch = data.contact
            firm = touch.efc_address >= 0
            if firm.any():
                rows.append((step, touch.geom[firm], data.efc_force[touch.efc_address[firm]], touch.pos[firm]))
    if not np.isfinite(qpos).all() or np.abs(np.diff(bodies, axis=0)).max(initial=0) > FASTEST_M_S * STEP_S:
        return None
    return Run(qpos, bodies, tuple(_heard(mujoco, model, _joined(rows), steps, plan.voices)))


def _launches(model: Any, data: Any, plan: Plan) -> tuple[dict[int, Any], dict[int, list[Any]]]:
    """Held poses by address, and what is set at which step."""
    held: dict[int, Any] = {}
    due: dict[int, list[Any]] = {}
    for launch in plan.launches:
        joint = int(model.body(launch.body).jntadr[0])
        place, speed = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        if launch.held:
            held[place] = (speed, data.qpos[place : place + 7].copy())
        velocity = np.array([*launch.velocity, *launch.spin])
        due.setdefault(round(launch.time_s / STEP_S), []).append((place, speed, velocity))
    return held, due


def _joined(rows: list[tuple[int, Any, Any, Any]]) -> _Touches:
    if not rows:
        return _Touches(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros(0), np.zeros((0, 3)))
    counts = [len(force) for _, _, force, _ in rows]
    return _Touches(
        np.repeat([step for step, _, _, _ in rows], counts),
        np.sort(np.concatenate([geoms for _, geoms, _, _ in rows]).astype(np.int64), axis=1),
        np.concatenate([force for _, _, force, _ in rows]),
        np.concatenate([place for _, _, _, place in rows]),
    )


def _heard(mujoco: ModuleType, model: Any, touches: _Touches, steps: int, voices: dict[str, int]) -> Iterator[Impact]:
    """The impacts of all pairs of which at least one has a voice."""
    for first, second in np.unique(touches.geoms, axis=0).tolist():
        names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_GEOM, int(geom)) for geom in (first, second)]
        if not any(name in voices for name in names):
            continue
        mass = _reduced(model, first, second)
        mine = (touches.geoms == (first, second)).all(1)
        force = np.bincount(touches.step[mine], touches.force[mine], steps).astype(np.float64)
        for step, impulse in onsets(force, QUIETEST_M_S * mass):
            near = np.flatnonzero(mine & (touches.step >= step) & (touches.step < step + BLOW))
            x, y, z = touches.place[near].mean(0)
            yield Impact(step * STEP_S, impulse / mass, mass, names[0], names[1], (float(x), float(y), float(z)))


def _reduced(model: Any, first: int, second: int) -> float:
    """Reduced mass (kg) of the bodies of two geoms; what is fixed is infinitely heavy."""
    inverse = 0.0
    for geom in (first, second):
        body = int(model.geom_bodyid[geom])
        if model.body_weldid[body]:
            inverse += 1 / float(model.body_mass[body])
    return 1 / inverse if inverse else 1.0


def onsets(force: NDArray[np.float64], quietest: float) -> list[tuple[int, float]]:
    """Blows in one pair's normal force (N, every STEP_S): the step at which each begins, its impulse (N s).

    What rests or slides presses evenly: the load before a blow is taken off, so that a plank that slaps down is heard
    although its edge never left the floor. Blows weaker than ``quietest`` (N s) do not count.
    """
    total = np.concatenate([np.zeros(3 * BLOW), np.cumsum(force), np.full(BLOW, force.sum())]) * STEP_S
    steps = np.arange(len(force))
    ahead = total[steps + 4 * BLOW - 1] - total[steps + 3 * BLOW - 1]
    load = (total[steps + 3 * BLOW - 1] - total[steps + BLOW - 1]) / 2
    sudden = ahead - load
    found, step = [], round(LEAD_S / STEP_S)
    while step < len(force):
        late = np.flatnonzero(sudden[step:] > quietest)
        if not len(late):
            break
        begin = step + int(late[0])
        window = sudden[begin : begin + DEAF]
        best = begin + int(window.argmax())
        peak = force[best : best + BLOW]
        rest = load[begin] / (BLOW * STEP_S)
        onset = begin + int(np.flatnonzero(force[begin : best + BLOW] >= rest + 0.1 * (peak.max() - rest))[0])
        found.append((onset, float(window.max())))
        step = max(onset, best) + DEAF
    return found
