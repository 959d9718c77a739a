"""Films a run: MuJoCo's renderer off screen, one GL context a process, a camera that moves."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import SetupError
from foleygen.scenes.physics.run import compiled, engine
from foleygen.scenes.physics.world import STEP_S, Plan
from foleygen.scenes.render import Light, View
from foleygen.scenes.shapes import Array, sample
from foleygen.scenes.stage import Item

FAR_M = 9.0
"""How far behind the point that the camera looks at the screen stands."""

MOST_GEOMS = 400
LIBRARIES = {"egl": ("libEGL.so.1", "libEGL.so"), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}


@dataclass(frozen=True)
class Film:
    """What a camera sees of a run.

    ``azimuth``, ``elevation`` (rad) and ``distance`` (m) from ``target`` (m) are tracks; ``field_of_view`` (rad) is
    that of the picture's shorter side. The film begins ``start_s`` into the run. The first of ``footage`` (T, h, w, 3)
    plays on the screen at ``rate`` frames per second, back and forth.
    """

    plan: Plan = field(repr=False)
    qpos: NDArray[np.float32] = field(repr=False)
    target: tuple[float, float, float]
    azimuth: Array = field(repr=False)
    elevation: Array = field(repr=False)
    distance: Array = field(repr=False)
    field_of_view: float
    footage: tuple[NDArray[np.uint8], ...] = field(default=(), repr=False)
    rate: float = 0.0
    start_s: float = 0.0

    def paint(
        self, items: Sequence[Item], light: Light, times: NDArray[np.float64], view: View, width: int, height: int
    ) -> Array:
        """Pictures (T, height, width, 3) in 0..1. ``items`` and ``light`` are in the model already.

        Raises SetupError without MuJoCo, or where no GL works off screen.
        """
        projector = _projector()
        projector.load(self.plan, width, height)
        shot = np.empty((len(times), height, width, 3), np.uint8)
        angles = [sample(track, times) for track in (self.azimuth, self.elevation, self.distance)]
        states = np.clip(np.round((times + self.start_s) / STEP_S).astype(np.int64), 0, len(self.qpos) - 1)
        for index, time_s in enumerate(times):
            azimuth, elevation, distance = (float(track[index]) for track in angles)
            pose = _Pose(
                self.target, azimuth, elevation, distance, self.field_of_view, float(view.x[index]),
                float(view.y[index]), float(view.zoom[index]),
            )  # fmt: skip
            behind = self._behind(float(time_s))
            shot[index] = projector.shoot(self.qpos[states[index]], pose, behind, width, height)
        return shot.astype(np.float32) / np.float32(255)

    def _behind(self, time_s: float) -> NDArray[np.uint8] | None:
        if not self.footage:
            return None
        count = len(self.footage[0])
        turn = round(time_s * self.rate) % max(1, 2 * count - 2)
        picture: NDArray[np.uint8] = self.footage[0][min(turn, 2 * count - 2 - turn) if count > 1 else 0]
        return picture


@dataclass(frozen=True)
class _Pose:
    target: tuple[float, float, float]
    azimuth: float
    elevation: float
    distance: float
    field_of_view: float
    x: float
    y: float
    zoom: float

    def axes(self) -> tuple[Array, Array, Array]:
        """Unit vectors to the front, the right and the top of the picture."""
        ca, sa, ce, se = (f(a) for a in (self.azimuth, self.elevation) for f in (np.cos, np.sin))
        front, right = np.array([ce * ca, ce * sa, se]), np.array([sa, -ca, 0.0])
        return front, right, np.cross(right, front)


class _Projector:
    """MuJoCo's renderer with one GL context and, in turn, the models of the films it shows."""

    def __init__(self) -> None:
        self.mujoco = engine()
        self.gl = _context()
        self.plan: Plan | None = None
        self.size = (0, 0)
        self.context: Any = None

    def load(self, plan: Plan, width: int, height: int) -> None:
        """Make ``plan`` the film to show; nothing happens if it is."""
        self.gl.make_current()
        if plan is self.plan and width <= self.size[0] and height <= self.size[1]:
            return
        if self.context is not None:
            self.context.free()
        mujoco = self.mujoco
        self.model = compiled(plan)
        self.model.vis.global_.offwidth, self.model.vis.global_.offheight = width, height
        self.data = mujoco.MjData(self.model)
        self.context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)
        self.scene, self.camera, self.option = (
            mujoco.MjvScene(self.model, MOST_GEOMS), mujoco.MjvCamera(), mujoco.MjvOption()
        )  # fmt: skip
        self.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self.texture = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_TEXTURE, "screen")
        self.screen = int(self.model.body("screen").mocapid[0])
        self.screen_geom = int(self.model.geom("screen").id)
        self.plan, self.size = plan, (width, height)

    def shoot(
        self, qpos: Array, pose: _Pose, behind: NDArray[np.uint8] | None, width: int, height: int
    ) -> NDArray[np.uint8]:
        """One picture (height, width, 3)."""
        mujoco, model, data = self.mujoco, self.model, self.data
        half = np.tan(pose.field_of_view / 2) / pose.zoom
        tall = half * max(1.0, height / width)
        front, right, up = pose.axes()
        target = np.array(pose.target) + pose.distance * np.tan(pose.field_of_view / 2) * (pose.x * right + pose.y * up)
        model.vis.global_.fovy = np.degrees(2 * np.arctan(tall))
        self.camera.lookat[:] = target
        self.camera.distance = pose.distance
        self.camera.azimuth, self.camera.elevation = np.degrees(pose.azimuth), np.degrees(pose.elevation)
        depth = pose.distance + FAR_M
        data.mocap_pos[self.screen] = target + FAR_M * front
        turn = np.stack([right, up, -front], axis=1)
        mujoco.mju_mat2Quat(data.mocap_quat[self.screen], turn.reshape(-1))
        model.geom_size[self.screen_geom, :2] = 1.05 * depth * tall * np.array([width / height, 1.0])
        if behind is not None:
            start = int(model.tex_adr[self.texture])
            model.tex_data[start : start + behind.size] = behind.reshape(-1)
            mujoco.mjr_uploadTexture(model, self.context, self.texture)
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        mujoco.mjv_updateScene(
            model, data, self.option, None, self.camera, mujoco.mjtCatBit.mjCAT_ALL.value, self.scene
        )  # fmt: skip
        frame, picture = mujoco.MjrRect(0, 0, width, height), np.empty((height, width, 3), np.uint8)
        mujoco.mjr_render(frame, self.scene, self.context)
        mujoco.mjr_readPixels(picture, None, frame, self.context)
        return picture[::-1]


_running: list[_Projector] = []


def _projector() -> _Projector:
    if not _running:
        _running.append(_Projector())
        atexit.register(_running.clear)  # MuJoCo frees its context badly once modules are gone
    return _running[0]


def _context() -> Any:
    """A current GL context without a window."""
    try:
        if sys.platform.startswith("linux"):
            kind = os.environ.get("MUJOCO_GL") or backend()
            if kind == "osmesa":
                from mujoco.osmesa import GLContext
            elif kind == "egl":
                from mujoco.egl import GLContext
            else:
                from mujoco import GLContext
        else:
            from mujoco import GLContext
        context = GLContext(64, 64)
        context.make_current()
    except SetupError:
        raise
    except Exception as error:  # each backend has errors of its own
        raise SetupError(
            f"style physics: OpenGL does not work here ({error})", "install libegl1 with Mesa, or libosmesa6"
        ) from error
    return context


def backend() -> str:
    """The kind of GL without a window whose library loads: ``egl``, else ``osmesa``. Raises SetupError without both."""
    for kind, names in LIBRARIES.items():
        for name in names:
            try:
                ctypes.CDLL(name)
            except OSError:
                continue
            return kind
    raise SetupError("style physics: neither EGL nor OSMesa is installed", "install libegl1 with Mesa, or libosmesa6")
