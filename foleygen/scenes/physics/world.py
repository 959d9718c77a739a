"""The model of a physics scene: bodies, floor, walls and lights as MJCF. Metres, kilograms, seconds; z is up, the
camera looks along +y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foleygen.scenes.shapes import Rng, Surface, any_surface
from foleygen.scenes.stage import Stage

STEP_S = 0.001
"""Time step of the simulation, and the grid on which its states are kept."""

CONTACT_RAD_S = 420.0
"""Natural frequency of a contact: a blow lasts half a period, about 7 ms, which the time step resolves."""

LEAD_S = 0.1
"""Nothing that sounds happens earlier: bodies settle on what they stand on."""

Vector = tuple[float, float, float]
Numbers = Sequence[float] | NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Nature:
    """How a material moves: ``density`` (kg/m³, effective: things are often hollow), ``friction`` (Coulomb) and
    ``restitution`` (ratio of speeds)."""

    density: float
    friction: float
    restitution: float


NATURES: dict[str, Nature] = {
    "wood": Nature(600, 0.45, 0.45),
    "metal": Nature(2700, 0.3, 0.6),
    "glass": Nature(1800, 0.25, 0.6),
    "ceramic": Nature(1900, 0.35, 0.5),
    "plastic": Nature(500, 0.35, 0.65),
    "stone": Nature(2400, 0.6, 0.4),
    "rubber": Nature(900, 0.8, 0.78),
    "leather": Nature(500, 0.6, 0.6),
    "cloth": Nature(200, 0.8, 0.1),
    "paper": Nature(150, 0.5, 0.15),
}


@dataclass(frozen=True)
class Launch:
    """``body`` is let go (and, if it was ``held``, stays put until then) or pushed at ``time_s`` with ``velocity``
    (m/s) and ``spin`` (rad/s)."""

    body: str
    time_s: float
    velocity: Vector = (0.0, 0.0, 0.0)
    spin: Vector = (0.0, 0.0, 0.0)
    held: bool = True


@dataclass(frozen=True)
class Drive:
    """The commanded angle (rad) of a joint's servo over the clip, on the grid of STEP_S."""

    joint: str
    angle: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Plan:
    """A world ready to run: the model's text, its textures, and what is done to its bodies.

    ``voices`` maps a geom's name to the index of its voice on the stage; contacts between geoms that have none are
    silent.
    """

    xml: str
    textures: dict[str, NDArray[np.uint8]] = field(repr=False)
    launches: tuple[Launch, ...]
    drives: tuple[Drive, ...] = field(repr=False)
    voices: dict[str, int]


class World:
    """Collects the parts of a model on a ``stage``, whose random numbers, surfaces and voices it uses.

    ``slip`` scales the friction of what is made from now on.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage, self.rng = stage, stage.rng
        self.gravity = float(stage.rng.uniform(5.5, 10.5))
        self.slip = 1.0
        self.launches: list[Launch] = []
        self.drives: list[Drive] = []
        self.voices: dict[str, int] = {}
        self._textures: dict[str, NDArray[np.uint8]] = {}
        self._assets: list[str] = []
        self._parts: list[str] = []
        self._servos: list[str] = []
        self._count = 0

    def name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"

    def look(self, surface: Surface, *, repeat: float = 1.0, emission: float = 0.0) -> str:
        """A material that looks like ``surface``; returns its name."""
        name = self.name("look")
        self._texture(name, _painted(surface))
        gloss = float(np.clip(surface.gloss, 0, 1))
        alpha = max(0.62, surface.opacity)
        self._assets.append(
            f'<material name="{name}" texture="{name}" texrepeat="{repeat:.3f} {repeat:.3f}" emission="{emission:.2f}" '
            f'specular="{gloss:.2f}" shininess="{0.3 + 0.6 * gloss:.2f}" rgba="1 1 1 {min(1.0, alpha):.2f}"/>'
        )
        return name

    def _texture(self, name: str, picture: NDArray[np.uint8]) -> None:
        height, width = picture.shape[:2]
        self._textures[name] = picture
        self._assets.append(f'<texture name="{name}" type="2d" builtin="flat" width="{width}" height="{height}"/>')

    def nature(self, material: str | None = None) -> str:
        """The attributes of a geom that make it move like ``material`` (default: the clip's)."""
        nature = NATURES[material or self.stage.material]
        bounce = float(np.clip(nature.restitution + self.rng.normal(0, 0.05), 0.05, 0.85))
        decay = -np.log(bounce)
        ratio = float(decay / np.hypot(np.pi, decay))
        constant = max(2 * STEP_S, 1 / (CONTACT_RAD_S * ratio))
        slide = self.slip * nature.friction * self.rng.uniform(0.8, 1.2)
        return (
            f'density="{nature.density}" friction="{slide:.3f} 0.003 0.0008" '
            f'solref="{constant:.5f} {ratio:.4f}" solimp="0.95 0.99 0.001"'
        )

    def solid(
        self, shape: str, size: Numbers, place: Numbers, *, turn: Numbers = (0, 0, 0),
        surface: Surface | None = None, voiced: bool = True, joint: str = "<freejoint/>",
    ) -> str:  # fmt: skip
        """A body that moves; its geom bears its name. ``size`` as MJCF wants it (half lengths), ``turn`` in rad."""
        name = self.name("body")
        self._parts.append(
            f'<body name="{name}" pos="{_text(place)}" euler="{_text(turn)}">{joint}'
            f"{self.geom(name, shape, size, surface or self.stage.surface())}</body>"
        )
        if voiced:
            self.voices[name] = self.stage.voice("strike", max(size) * self.rng.uniform(0.6, 1.2))
        return name

    def geom(
        self, name: str, shape: str, size: Numbers, surface: Surface, *, place: Numbers = (0, 0, 0),
        turn: Numbers = (0, 0, 0), material: str | None = None, touches: bool = True,
    ) -> str:  # fmt: skip
        """The text of a geom."""
        rolls = 6 if shape in ("sphere", "capsule", "cylinder") else 4
        touch = f'condim="{rolls}"' if touches else 'contype="0" conaffinity="0"'
        return (
            f'<geom name="{name}" type="{shape}" size="{_text(size)}" pos="{_text(place)}" euler="{_text(turn)}" '
            f'material="{self.look(surface)}" {touch} {self.nature(material)}/>'
        )

    def part(self, text: str) -> None:
        """Something written out by the caller."""
        self._parts.append(text)

    def fixed(
        self, shape: str, size: Numbers, place: Numbers, surface: Surface, *,
        turn: Numbers = (0, 0, 0), touches: bool = True,
    ) -> str:  # fmt: skip
        """Something that never moves: a floor, a wall, a table, a step."""
        name = self.name("fixed")
        self._parts.append(self.geom(name, shape, size, surface, place=place, turn=turn, touches=touches))
        return name

    def floor(self, level: float = 0.0) -> str:
        """The ground, 12 m wide."""
        name = self.name("floor")
        surface = replace(any_surface(self.rng, "flat"), gloss=float(self.rng.uniform(0, 0.2)))
        repeat = float(np.exp(self.rng.uniform(np.log(3), np.log(16))))
        self._parts.append(
            f'<geom name="{name}" type="plane" size="6 6 0.1" pos="0 0 {level:.4f}" '
            f'material="{self.look(surface, repeat=repeat)}" condim="6" {self.nature()}/>'
        )
        return name

    def screen(self, picture: NDArray[np.uint8] | None) -> None:
        """What stands far behind: a picture that the film's own pictures may replace, or a wall."""
        glow = 1.0
        if picture is None:
            picture = _painted(any_surface(self.rng))
            glow = self.rng.uniform(0.2, 0.6)
        self._texture("screen", picture)
        self._assets.append(f'<material name="screen" texture="screen" emission="{glow:.2f}" specular="0"/>')
        self._parts.append(
            '<body name="screen" mocap="true"><geom name="screen" type="box" size="1 1 0.001" material="screen" '
            'contype="0" conaffinity="0"/></body>'
        )

    def bystander(self) -> None:
        """A mover that touches nothing and makes no sound: it swings, or glides to and fro."""
        rng, name = self.rng, self.name("mover")
        x, y, z = rng.uniform(-1.0, 1.0), rng.uniform(0.3, 1.4), rng.uniform(0.5, 1.3)
        shape = str(rng.choice(["sphere", "box", "capsule"]))
        size = rng.uniform(0.05, 0.16, 3)
        if rng.random() < 0.5:
            length = rng.uniform(0.25, 0.7)
            joint = f'<joint name="{name}" type="hinge" axis="0 1 0" damping="0" ref="{rng.uniform(-60, 60):.1f}"/>'
            hung = self.geom(name, shape, size, any_surface(rng), place=(0, 0, -length), touches=False)
            text = f'<body pos="{_text((x, y, z + length))}">{joint}{hung}</body>'
        else:
            period = rng.uniform(1.0, 4.0)
            joint = (
                f'<joint name="{name}" type="slide" axis="{_text(rng.normal(0, 1, 3))}" damping="0" '
                f'stiffness="{(2 * np.pi / period) ** 2:.3f}" springref="{rng.uniform(-0.5, 0.5):.3f}"/>'
            )
            glider = self.geom(name, shape, size, any_surface(rng), touches=False)
            text = f'<body pos="{_text((x, y, z))}" gravcomp="1">{joint}<inertial pos="0 0 0" mass="1" '
            text += f'diaginertia="0.01 0.01 0.01"/>{glider}</body>'
        self._parts.append(text)

    def servo(self, joint: str, angle: NDArray[np.floating[Any]], stiffness: float, damping: float) -> None:
        """A motor that pulls ``joint`` to ``angle`` (rad, on the grid of STEP_S)."""
        self.drives.append(Drive(joint, angle))
        self._servos.append(f'<position joint="{joint}" kp="{stiffness:.3f}" kv="{damping:.3f}"/>')

    def launch(
        self, body: str, time_s: float, velocity: Vector = (0, 0, 0), spin: Vector = (0, 0, 0), held: bool = True
    ) -> None:
        self.launches.append(Launch(body, float(time_s), velocity, spin, held))

    def plan(self) -> Plan:
        """The finished model."""
        rng, stage = self.rng, self.stage
        return Plan(
            f'<mujoco><compiler angle="radian"/><option timestep="{STEP_S}" gravity="0 0 {-self.gravity:.4f}" '
            'cone="elliptic" integrator="implicitfast"/><statistic extent="2.2" center="0 0 0.3"/>'
            f"{_visual(rng, stage.light.ambient)}<asset>{_sky(rng)}{''.join(self._assets)}</asset>"
            f"<worldbody>{_lights(rng, stage.light.diffuse)}{''.join(self._parts)}</worldbody>"
            f"<actuator>{''.join(self._servos)}</actuator></mujoco>",
            self._textures, tuple(self.launches), tuple(self.drives), self.voices,
        )  # fmt: skip


def _text(values: Numbers) -> str:
    return " ".join(f"{value:.5f}" for value in values)


def _painted(surface: Surface) -> NDArray[np.uint8]:
    """The surface's own picture: (TILE, TILE, 3)."""
    first, second = np.array(surface.colour), np.array(surface.second)
    mixed = first + surface.texture[..., None] * (second - first)
    picture: NDArray[np.uint8] = (np.clip(mixed, 0, 1) * 255 + 0.5).astype(np.uint8)
    return picture


def _visual(rng: Rng, ambient: float) -> str:
    glow = ambient * rng.uniform(0.6, 1.0)
    front = rng.uniform(0.05, 0.35)
    return (
        '<visual><quality shadowsize="512" offsamples="4" numslices="20" numstacks="12"/>'
        f'<headlight ambient="{glow:.3f} {glow:.3f} {glow:.3f}" diffuse="{front:.3f} {front:.3f} {front:.3f}" '
        'specular="0.1 0.1 0.1"/><map znear="0.02" zfar="30" shadowclip="1" shadowscale="0.7"/></visual>'
    )


def _sky(rng: Rng) -> str:
    top, bottom = rng.uniform(0.1, 1.0, 3), rng.uniform(0.1, 1.0, 3)
    return (
        f'<texture type="skybox" builtin="gradient" width="32" height="32" rgb1="{_text(top)}" rgb2="{_text(bottom)}"/>'
    )


def _lights(rng: Rng, diffuse: float) -> str:
    """A sun or a lamp that casts shadows, now and then a second lamp that does not."""
    lamps = []
    for number in range(1 + int(rng.random() < 0.3)):
        place = np.array([rng.uniform(-1.6, 1.6), rng.uniform(-2.2, 0.6), rng.uniform(1.6, 3.0)])
        way = np.array([0, 0, 0.2]) - place + rng.normal(0, 0.2, 3)
        share = 0.4 if number else 1.0
        tint = share * np.clip(diffuse * rng.uniform(0.75, 1.15) * rng.uniform(0.85, 1.0, 3), 0, 1)
        sun = rng.random() < 0.6
        cone = "" if sun else f'cutoff="{rng.uniform(40, 70):.0f}" exponent="{rng.uniform(0, 8):.1f}"'
        lamps.append(
            f'<light type="{"directional" if sun else "spot"}" pos="{_text(place)}" dir="{_text(way)}" {cone} '
            f'diffuse="{_text(tint)}" specular="0.3 0.3 0.3" castshadow="{"false" if number else "true"}"/>'
        )
    return "".join(lamps)
