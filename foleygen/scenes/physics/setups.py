"""What can happen in a physics scene: one function per setup, several to a family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from foleygen.scenes.motion import rhythm
from foleygen.scenes.physics.world import STEP_S, Vector, World
from foleygen.scenes.shapes import any_surface

SHAPES = ("sphere", "box", "box", "capsule", "cylinder")


def falls(world: World) -> None:
    """Things let go in the air, one after another; they land, rebound and come to rest."""
    rng = world.rng
    top = _stand(world)
    moments = rhythm(rng, world.stage.duration_s - 0.4, gap_s=0.4, most=8, start_s=0.35)
    places = rng.permutation(np.linspace(-0.55, 0.55, len(moments)))
    for moment, x in zip(moments, places, strict=True):
        shape, size = _thing(world)
        y, height = rng.uniform(-0.25, 0.25), rng.uniform(0.3, 0.95)
        body = world.solid(shape, size, (x, y, top + height + max(size)), turn=rng.uniform(-1.5, 1.5, 3))
        fall_s = float(np.sqrt(2 * height / world.gravity))
        world.launch(body, max(0.05, float(moment) - fall_s), spin=_spin(world, 3.0))


def throws(world: World) -> None:
    """Balls thrown in from a side that bounce, some over steps."""
    rng = world.rng
    world.floor()
    if rng.random() < 0.35:
        surface = world.stage.surface()
        for step in range(3):
            world.fixed("box", (0.2, 0.6, 0.09 * (3 - step)), (-0.7 + 0.4 * step, 0, 0.09 * (3 - step)), surface)
    clock = rng.uniform(0.0, 0.5)
    while clock < world.stage.duration_s - 1.0:
        radius = float(np.exp(rng.uniform(np.log(0.06), np.log(0.15))))
        side = 1.0 if rng.random() < 0.65 else -1.0
        start = (-side * rng.uniform(0.9, 1.2), rng.uniform(-0.3, 0.3), rng.uniform(0.7, 1.2))
        body = world.solid("sphere", (radius,), start)
        away: Vector = (side * rng.uniform(0.35, 0.8), rng.normal(0, 0.08), rng.uniform(-0.3, 0.8))
        world.launch(body, clock, away, _spin(world, 4.0))
        clock += rng.uniform(1.0, 3.2)


def drops_ball(world: World) -> None:
    """One to four balls let go over one place each; they bounce until they rest."""
    rng = world.rng
    top = _stand(world)
    count = int(rng.integers(1, 5))
    for x in rng.permutation(np.linspace(-0.5, 0.5, count)) if count > 1 else (0.0,):
        radius = float(np.exp(rng.uniform(np.log(0.07), np.log(0.17))))
        body = world.solid("sphere", (radius,), (x, rng.uniform(-0.2, 0.2), top + radius + rng.uniform(0.4, 1.1)))
        world.launch(body, rng.uniform(0.1, 0.6 * world.stage.duration_s), (rng.normal(0, 0.08), 0, 0))


def topple(world: World) -> None:
    """Planks on end, far from each other; each is tipped and slaps down."""
    rng = world.rng
    top = _stand(world)
    moments = rhythm(rng, world.stage.duration_s - 1.2, gap_s=0.5, most=5, start_s=0.3)
    places = np.linspace(-0.6, 0.6, len(moments)) if len(moments) > 1 else np.zeros(1)
    gap = 1.2 / max(1, len(moments) - 1)
    for moment, x in zip(rng.permutation(moments), places, strict=True):
        half = (min(0.14, 0.32 * gap) * rng.uniform(0.6, 1), rng.uniform(0.02, 0.05), rng.uniform(0.18, 0.36))
        shape = "box" if rng.random() < 0.8 else "cylinder"
        size: tuple[float, ...] = half if shape == "box" else (half[1] + 0.015, half[2])
        body = world.solid(shape, size, (x, rng.uniform(-0.3, 0.3), top + half[2]), turn=(0, 0, rng.normal(0, 0.3)))
        push = float(rng.choice([-1, 1]) * np.sqrt(world.gravity / half[2]) * rng.uniform(0.35, 0.6))
        world.launch(body, float(moment), (0, -push * half[2], 0), (push, 0, 0), held=False)


def stack(world: World) -> None:
    """A tower that a thrown ball knocks over; more balls follow."""
    rng = world.rng
    top = _stand(world, wide=0.9)
    height = top
    for _ in range(int(rng.integers(3, 7))):
        half = (rng.uniform(0.08, 0.16), rng.uniform(0.08, 0.14), rng.uniform(0.04, 0.1))
        shape = str(rng.choice(["box", "box", "cylinder"]))
        world.solid(shape, half if shape == "box" else half[1:], (rng.normal(0, 0.015), 0, height + half[2]))
        height += 2 * half[2]
    for moment in rhythm(rng, world.stage.duration_s - 1.0, gap_s=1.0, most=4, start_s=0.4):
        radius, aim = rng.uniform(0.06, 0.1), rng.uniform(top + 0.12, max(top + 0.2, height - 0.05))
        side, flight = float(rng.choice([-1, 1])), rng.uniform(0.35, 0.5)
        start = (side * 1.5, rng.normal(0, 0.04), aim)
        body = world.solid("sphere", (radius,), start)
        world.launch(body, max(0.0, moment - flight), (-side * 1.4 / flight, 0, world.gravity * flight / 2))


def ledge(world: World) -> None:
    """Things roll or slide along a table and fall off its edge."""
    rng = world.rng
    world.floor()
    top = rng.uniform(0.35, 0.6)
    surface = any_surface(rng)
    world.fixed("box", (0.55, 0.4, top / 2), (-0.6, 0, top / 2), surface)
    for moment in rhythm(rng, world.stage.duration_s - 1.6, gap_s=0.8, most=5, start_s=0.1):
        shape, size = _thing(world, shapes=("sphere", "sphere", "cylinder"))
        lying = (np.pi / 2, 0, 0) if shape == "cylinder" else (0, 0, 0)
        body = world.solid(shape, size, (-1.05, rng.uniform(-0.25, 0.25), top + size[0]), turn=lying)
        speed = rng.uniform(0.8, 1.5)
        spin = (0.0, speed / size[0], 0.0) if shape == "sphere" else (0.0, 0.0, -speed / size[0])
        world.launch(body, float(moment), (speed, 0, 0), spin)


def table(world: World) -> None:
    """Balls or pucks on a table with a rim, shot into each other and the sides."""
    rng = world.rng
    world.floor(-0.6)
    world.slip = float(rng.uniform(0.06, 0.35))
    wide, deep = rng.uniform(0.55, 0.8), rng.uniform(0.4, 0.6)
    world.fixed("box", (wide + 0.06, deep + 0.06, 0.03), (0, 0, -0.03), any_surface(rng))
    rim, tall = world.stage.surface(), rng.uniform(0.04, 0.08)
    for x, y, a, b in ((wide, 0, 0.04, deep), (-wide, 0, 0.04, deep), (0, deep, wide, 0.04), (0, -deep, wide, 0.04)):
        world.fixed("box", (a + 0.04 * (a > 0.1), b + 0.04 * (b > 0.1), tall), (x, y, tall), rim)
    puck = rng.random() < 0.5
    radius = float(rng.uniform(0.06, 0.11))
    size: tuple[float, ...] = (radius, rng.uniform(0.02, 0.045)) if puck else (radius,)
    places = _scattered(world, int(rng.integers(2, 7)), radius, wide - 0.06, deep - 0.06)
    names = [world.solid("cylinder" if puck else "sphere", size, (x, y, size[-1] + 0.001)) for x, y in places]
    for number, moment in enumerate(rhythm(rng, world.stage.duration_s - 0.5, gap_s=0.8, most=6, start_s=0.15)):
        shot = number % len(names)
        aim = places[(shot + 1) % len(names)] if number == 0 and len(names) > 1 else rng.uniform(-0.5, 0.5, 2)
        way = np.asarray(aim) - places[shot]
        x, y = way / max(1e-3, float(np.hypot(*way))) * rng.uniform(1.0, 2.6)
        world.launch(names[shot], float(moment), (float(x), float(y), 0.0), held=False)


def cradle(world: World) -> None:
    """Hanging balls side by side; those drawn aside swing back and clack."""
    rng = world.rng
    world.floor()
    count, radius, length = int(rng.integers(2, 6)), rng.uniform(0.07, 0.12), rng.uniform(0.45, 0.9)
    hang = length + radius + rng.uniform(0.05, 0.2)
    drawn = max(1, int(rng.integers(1, count)))
    away = rng.uniform(0.5, 1.1)
    for index in range(count):
        name, x = world.name("body"), (index - (count - 1) / 2) * 2 * (radius + 0.001)
        start = away if index < drawn else 0.0
        world.voices[name] = world.stage.voice("strike", radius * rng.uniform(0.6, 1.2))
        string = _rod(0.008, (0, 0, -length), "")
        ball = world.geom(name, "sphere", (radius,), world.stage.surface(), place=(0, 0, -length))
        world.part(
            f'<body name="{name}" pos="{x:.4f} 0 {hang:.4f}" euler="0 {start:.4f} 0"><joint type="hinge" axis="0 1 0" '
            f'damping="0.0005"/>{string}{ball}</body>'
        )
    beam = (count * radius + 0.15, 0.03, 0.025)
    world.fixed("box", beam, (0, 0, hang + 0.02), any_surface(rng), touches=False)


def pendulum(world: World) -> None:
    """A heavy bob swings into bodies that stand in its way."""
    rng = world.rng
    world.floor()
    length, radius = rng.uniform(0.6, 0.9), rng.uniform(0.08, 0.14)
    hang = length + radius + 0.03
    name, side = world.name("body"), float(rng.choice([-1, 1]))
    world.voices[name] = world.stage.voice("strike", radius)
    rod = _rod(0.012, (0, 0, -length), "")
    bob = world.geom(name, "sphere", (radius,), world.stage.surface(), place=(0, 0, -length), material="metal")
    world.part(
        f'<body name="{name}" pos="0 0 {hang:.4f}" euler="0 {side * rng.uniform(0.8, 1.4):.4f} 0"><joint type="hinge" '
        f'axis="0 1 0" damping="0.001"/>{rod}{bob}</body>'
    )
    if rng.random() < 0.5:
        wide, tall = rng.uniform(0.1, 0.18), hang - length + rng.uniform(0.02, 0.2)
        world.fixed("box", (wide, 0.2, tall / 2), (side * (0.02 + radius + wide), 0, tall / 2), world.stage.surface())
        return
    for number in range(int(rng.integers(2, 5))):
        shape = str(rng.choice(["box", "sphere", "cylinder"]))
        half = float(rng.uniform(0.06, 0.1))
        sizes = {"box": (half, half, half * 1.3), "sphere": (half,), "cylinder": (half, half * 1.4)}
        size: tuple[float, ...] = sizes[shape]
        world.solid(shape, size, (side * (0.06 + radius + half + 0.3 * number), rng.normal(0, 0.02), size[-1]))


def striker(world: World) -> None:
    """An arm of one or two links with a head that strikes a block again and again."""
    rng, stage = world.rng, world.stage
    top = _stand(world)
    half = (rng.uniform(0.12, 0.22), rng.uniform(0.1, 0.18), rng.uniform(0.05, 0.12))
    block = world.name("fixed")
    world.part(world.geom(block, "box", half, stage.surface(), place=(0, 0, top + half[2])))
    world.voices[block] = stage.voice("strike", max(half) * rng.uniform(0.6, 1.1))
    level = top + 2 * half[2]
    first, second = rng.uniform(0.28, 0.4), rng.uniform(0.3, 0.45)
    links = 2 if rng.random() < 0.6 else 1
    flesh, head = stage.flesh(), any_surface(rng)
    radius, reach = rng.uniform(0.04, 0.07), first * (links == 2) + second
    joints = [world.name("joint") for _ in range(links)]
    size: tuple[float, ...] = (rng.uniform(0.035, 0.07), rng.uniform(0.07, 0.12))
    if rng.random() >= 0.7:
        size = (rng.uniform(0.06, 0.1),)
    tip = world.geom(
        world.name("head"), "cylinder" if len(size) == 2 else "sphere", size, head, place=(second, 0, 0),
        material="metal",
    )  # fmt: skip
    hinge = '<joint name="{}" type="hinge" axis="0 1 0" armature="0.01"/>'
    forearm = _rod(radius * 0.6, (second, 0, 0), f'material="{world.look(flesh)}"', mass=0.3)
    text = f"{hinge.format(joints[-1])}{forearm}{tip}"
    if links == 2:
        upper = _rod(radius, (first, 0, 0), f'material="{world.look(stage.sleeve())}"', mass=0.5)
        text = f'{hinge.format(joints[0])}{upper}<body pos="{first:.3f} 0 0" gravcomp="1">{text}</body>'
    side = np.pi if rng.random() < 0.5 else 0.0
    x = -np.cos(side) * (reach - rng.uniform(0, 0.3) * half[0])
    world.part(f'<body pos="{x:.4f} 0 {level + size[-1]:.4f}" euler="0 0 {side:.4f}" gravcomp="1">{text}</body>')
    hits = rhythm(rng, stage.duration_s, gap_s=0.3, most=20, start_s=0.4)
    for number, joint in enumerate(joints):
        raised = rng.uniform(0.5, 1.0) if number == 0 else rng.uniform(0.2, 0.6)
        angle = _swing(world, hits, float(raised), deeper=0.25)
        world.servo(joint, angle, 60.0 if links == 1 or number else 90.0, 3.5)


def _swing(world: World, hits: np.ndarray, raised: float, deeper: float) -> np.ndarray:
    """The commanded angle of a striker's joint: raised, down through the surface at each hit, up again."""
    times = np.arange(int(np.ceil(world.stage.duration_s / STEP_S)) + 2) * STEP_S
    angle = np.full(len(times), -raised)
    for hit, gap in zip(hits, np.diff(hits, append=hits[-1] + 1), strict=True):
        force = world.rng.uniform(0.5, 1.0)
        angle[(times >= hit - 0.12) & (times < hit + min(0.05, 0.2 * gap))] = deeper * force
        angle[(times >= hit + min(0.05, 0.2 * gap)) & (times < hit + gap - 0.12)] = -raised * world.rng.uniform(0.5, 1)
    return angle


def _rod(radius: float, end: Vector, look: str, mass: float = 0.0) -> str:
    """The text of a capsule from a body's origin to ``end`` that touches nothing."""
    x, y, z = end
    return (
        f'<geom type="capsule" size="{radius:.4f}" fromto="0 0 0 {x:.4f} {y:.4f} {z:.4f}" {look} contype="0" '
        f'conaffinity="0" mass="{mass}"/>'
    )


def _stand(world: World, wide: float = 0.75) -> float:
    """A floor, with a table on it in half of the scenes; returns the height of what things fall on."""
    rng = world.rng
    world.floor()
    if rng.random() < 0.5:
        return 0.0
    top, slab = rng.uniform(0.3, 0.6), 0.03
    surface = any_surface(rng)
    world.fixed("box", (wide, 0.45, slab), (0, 0, top - slab), surface)
    for x in (-0.9, 0.9):
        world.fixed("box", (0.04, 0.35, (top - 2 * slab) / 2), (x * wide, 0, (top - 2 * slab) / 2), surface)
    return float(top)


def _thing(world: World, shapes: tuple[str, ...] = SHAPES) -> tuple[str, tuple[float, ...]]:
    """A shape and its size (m)."""
    rng, shape = world.rng, str(world.rng.choice(shapes))
    half = np.exp(rng.uniform(np.log(0.06), np.log(0.15), 3))
    if shape == "sphere":
        return shape, (float(half[0]) * 1.15,)
    if shape == "box":
        return shape, (float(half[0]), float(half[1]), float(half[2]))
    return shape, (float(half[0]) * 0.8, float(half[1]) * 1.2)


def _spin(world: World, most: float) -> Vector:
    x, y, z = world.rng.normal(0, most / 2, 3)
    return float(x), float(y), float(z)


def _scattered(world: World, count: int, radius: float, wide: float, deep: float) -> np.ndarray:
    """Up to ``count`` places (n, 2) that do not touch."""
    places: list[np.ndarray] = []
    for _ in range(300):
        trial = world.rng.uniform(-1, 1, 2) * (wide - radius, deep - radius)
        if all(np.hypot(*(trial - other)) > 2.3 * radius for other in places):
            places.append(trial)
        if len(places) == count:
            break
    return np.array(places)


SETUPS: dict[str, tuple[Callable[[World], None], ...]] = {
    "drop": (falls, topple, stack, ledge),
    "bounce": (throws, drops_ball),
    "collide": (table, cradle, pendulum),
    "hammer": (striker,),
}
"""The setups of each family that physics has."""
