"""From a seed to a clip: the scene's family, its backdrop, its camera, its sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from foleygen.errors import UsageError
from foleygen.scenes.backdrop import Backdrop, dress
from foleygen.scenes.camera import Camera, develop, handheld, still
from foleygen.scenes.catalogue import (
    CONTINUOUS,
    DRAW_WEIGHTS,
    FAMILIES,
    FAMILY_MATERIALS,
    TRAINING_FAMILIES,
    VERSION,
    training_materials,
)  # fmt: skip
from foleygen.scenes.families import BUILDERS
from foleygen.scenes.footage import Footage
from foleygen.scenes.foreign import Ink, Solids, painter
from foleygen.scenes.physics.perform import perform
from foleygen.scenes.physics.pictures import Film
from foleygen.scenes.physics.setups import SETUPS
from foleygen.scenes.recordings import RecordingBank
from foleygen.scenes.render import Canvas, Light, View, draw_item
from foleygen.scenes.shapes import Array, Rng, sample
from foleygen.scenes.sound import Bed, Hit, Room, SoundPlan
from foleygen.scenes.stage import Item, Stage

STYLES = ("train", "clean", "foreign", "physics")
PIXELS_AT_ONCE = 1_200_000
UNDAMAGED = 0.2
"""Share of the physics scenes that a perfect camera films."""

NOWHERE = Backdrop(np.zeros((1, 1, 3), np.float32), 0)
"""The backdrop of scenes whose model holds their own."""


@dataclass(frozen=True)
class Event:
    """Something is heard and seen at ``time_s``; ``strength`` in 0.15..1; ``recorded``: a recording plays."""

    time_s: float
    strength: float
    material: str
    recorded: bool


@dataclass(frozen=True)
class Scene:
    """A clip that can be shot at any size and instant. ``source_rate`` (frames per second) is what it was filmed at."""

    seed: int
    family: str
    material: str
    style: str
    duration_s: float
    events: tuple[Event, ...]
    source_rate: float
    items: tuple[Item, ...] = field(repr=False)
    backdrop: Backdrop = field(repr=False)
    camera: Camera = field(repr=False)
    light: Light = field(repr=False)
    plan: SoundPlan = field(repr=False)
    level: Array = field(repr=False)
    painter: Ink | Solids | Film | None = field(default=None, repr=False)

    def intensity(self, times_s: NDArray[np.float64]) -> Array:
        """Loudness envelope to expect at ``times_s``, 0..1 order, same shape."""
        return sample(self.level, np.asarray(times_s, np.float64))

    def frames(self, times_s: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
        """Pictures at these instants: (T, height, width, 3). A picture depends on its instant alone."""
        times = np.asarray(times_s, np.float64)
        chunk = max(1, PIXELS_AT_ONCE // (width * height))
        shot = np.empty((len(times), height, width, 3), np.uint8)
        baked = [] if self.painter else self.backdrop.bake(self.items[: self.backdrop.baked], width, height, self.light)
        for first in range(0, len(times), chunk):
            now = times[first : first + chunk]
            shot[first : first + chunk] = self._shoot(now, width, height, baked)
        return shot

    def resampled_frames(self, rate: float, count: int, size: int) -> NDArray[np.uint8]:
        """The clip shot at ``source_rate``, then blended linearly in time to instants n / ``rate``:
        (count, size, size, 3)."""
        position = np.arange(count) / rate * self.source_rate
        most = max(0, int(np.ceil(self.duration_s * self.source_rate)) - 1)
        position = np.minimum(position, most)
        first = int(position[-1]) + 2
        shot = self.frames(np.arange(min(first, most + 1)) / self.source_rate, size, size)
        below = position.astype(np.int64)
        above = np.minimum(below + 1, len(shot) - 1)
        part = np.round((position - below) * 256).astype(np.uint16)[:, None, None, None]
        blended: NDArray[np.uint16] = shot[below] * (np.uint16(256) - part)
        blended += shot[above] * part
        blended += np.uint16(127)
        return (blended >> 8).astype(np.uint8)

    def sound(self, sample_rate: int = 16000) -> Array:
        """The soundtrack, mono: (round(duration * sample_rate),) float32, peak below 1."""
        return self.plan.render(sample_rate)

    def _draw(self, times: NDArray[np.float64], view: View, width: int, height: int, baked: list[Array]) -> Array:
        if self.painter is not None:
            return self.painter.paint(self.items, self.light, times, view, width, height)
        canvas = Canvas(times, view, width, height, self.light)
        self.backdrop.fill(canvas, baked)
        for item in self.items[self.backdrop.baked :]:
            draw_item(canvas, item)
        return canvas.pixels

    def _shoot(self, times: NDArray[np.float64], width: int, height: int, baked: list[Array]) -> NDArray[np.uint8]:
        view = self.camera.view(times)
        shutter = self.camera.shutter / self.camera.rate
        instants = [-shutter / 3, shutter / 3] if shutter else [0.0]
        total: Array | None = None
        for instant in instants:
            pixels = self._draw(np.clip(times + instant, 0, self.duration_s), view, width, height, baked)
            total = pixels if total is None else total + pixels
        assert total is not None
        if len(instants) > 1:
            total *= np.float32(1 / len(instants))
        return develop(self.camera, total, times)


def compose(
    seed: int, *, family: str | None = None, material: str | None = None, duration_s: float = 8.192,
    style: str = "train", bank: RecordingBank | None = None, footage: Footage | None = None,
) -> Scene:  # fmt: skip
    """The clip that ``seed`` stands for. Without ``family`` and ``material`` they are drawn from the training ones.

    Raises UsageError for an unknown family, material or style, or a material that the family cannot have; SetupError
    for the style ``physics`` without MuJoCo.
    """
    if style not in STYLES:
        raise UsageError(f"{style}: no such style", f"use one of {', '.join(STYLES)}")
    rng = np.random.default_rng([seed, VERSION, STYLES.index(style)])
    family, material = _choose(rng, family, material, tuple(SETUPS) if style == "physics" else FAMILIES)
    film: Film | None = None
    if style == "physics":
        stage, film = perform((seed, VERSION, 13), family, material, duration_s, footage)
    else:
        stage = Stage(np.random.default_rng([seed, VERSION, 11]), family, material, duration_s)
        BUILDERS[family](stage)
    hits = sorted(_record(stage, rng, bank), key=lambda hit: hit.time_s)
    camera = _camera(rng, stage, style, seed)
    backdrop, items = NOWHERE, list[Item]()
    if film is None:
        backdrop, items = dress(rng, stage, footage if style == "train" else None, plain=style != "train")
    plan = SoundPlan(
        duration_s, tuple(stage.voices), tuple(hits), _beds(stage, rng, bank), _room(rng, style),
        float(rng.uniform(0.3, 0.95)),
    )  # fmt: skip
    events = tuple(
        Event(hit.time_s, hit.strength, stage.voices[hit.voice].material, hit.recording is not None) for hit in hits
    )
    return Scene(
        seed, family, material, style, duration_s, events, camera.rate, tuple(items), backdrop, camera, stage.light,
        plan, _level(stage, hits), painter(rng, items, stage.times) if style == "foreign" else film,
    )  # fmt: skip


def _camera(rng: Rng, stage: Stage, style: str, seed: int) -> Camera:
    undamaged = style == "clean" or (style == "physics" and rng.random() < UNDAMAGED)
    return still(stage.duration_s, 30.0, seed) if undamaged else handheld(rng, stage.times, stage.focus)


def _choose(rng: Rng, family: str | None, material: str | None, families: tuple[str, ...]) -> tuple[str, str]:
    if family is None:
        names = [
            name for name in TRAINING_FAMILIES
            if name in families and (material is None or material in FAMILY_MATERIALS[name])
        ]  # fmt: skip
        if not names:
            raise UsageError(f"{material}: no family has this material", "see foleygen.scenes.MATERIALS")
        weights = np.array([DRAW_WEIGHTS.get(name, 1.0) for name in names])
        family = str(rng.choice(names, p=weights / weights.sum()))
    if family not in families:
        raise UsageError(f"{family}: no such family of scenes", f"use one of {', '.join(families)}")
    if material is None:
        material = str(rng.choice(training_materials(family)))
    if material not in FAMILY_MATERIALS[family]:
        allowed = ", ".join(FAMILY_MATERIALS[family])
        raise UsageError(f"{family}: there is none of {material}", f"use one of {allowed}")
    return family, material


def _record(stage: Stage, rng: Rng, bank: RecordingBank | None) -> Sequence[Hit]:
    """Recordings in place of the synthesis for all, some or none of the hits."""
    share = float(rng.choice([0.0, 0.5, 1.0], p=[0.18, 0.17, 0.65]))
    if bank is None or not share or not stage.hits:
        return stage.hits
    takes = bank.pick(rng, stage.family, stage.material, int(rng.integers(1, 4)))
    if not takes:
        return stage.hits
    return [
        replace(hit, recording=takes[int(rng.integers(len(takes)))]) if rng.random() < share else hit
        for hit in stage.hits
    ]


def _beds(stage: Stage, rng: Rng, bank: RecordingBank | None) -> tuple[Bed, ...]:
    if bank is not None and stage.beds and stage.intensity is not None and rng.random() < 0.5:
        loop = bank.loop(rng, stage.family)
        if loop is not None:
            start = int(rng.integers(len(loop)))
            return (Bed("recording", stage.intensity, 0, recording=np.roll(loop, -start)),)
    return tuple(stage.beds)


def _room(rng: Rng, style: str) -> Room:
    seed = int(rng.integers(2**31))
    if style == "clean":
        return Room(seed=seed)
    wet = rng.random() < 0.65
    return Room(
        float(np.exp(rng.uniform(np.log(0.12), np.log(1.2)))) if wet else 0.0,
        float(rng.uniform(0.05, 0.5)) if wet else 0.0,
        float((rng.random() < 0.3) * rng.uniform(0.0005, 0.006)),
        seed,
    )


def _level(stage: Stage, hits: Sequence[Hit]) -> Array:
    if stage.family in CONTINUOUS and stage.intensity is not None:
        return stage.intensity
    total = np.zeros(len(stage.times), np.float32)
    for hit in hits:
        since = stage.times - hit.time_s
        total += np.where(since >= 0, hit.strength * np.exp(-np.maximum(since, 0) / 0.15), 0).astype(np.float32)
    return total
