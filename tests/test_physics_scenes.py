"""Physics scenes: contacts are the events, at their exact times; pictures where GL works off screen."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen import scenes
from foleygen.errors import SetupError, UsageError
from foleygen.scenes.physics import pictures
from foleygen.scenes.physics.perform import FARTHEST_M, MERGE_S
from foleygen.scenes.physics.run import Run, onsets, simulate
from foleygen.scenes.physics.setups import SETUPS
from foleygen.scenes.physics.world import NATURES, STEP_S, World
from foleygen.scenes.sound import Room
from foleygen.scenes.stage import Stage

RATE = 16000
pytest.importorskip("mujoco", reason="MuJoCo is not installed")


def gl_works() -> bool:
    try:
        pictures._projector()
    except SetupError:
        return False
    return True


needs_gl = pytest.mark.skipif(not gl_works(), reason="no OpenGL without a window here")


def dropped(height: float, material: str, seed: int = 3, shape: str = "sphere", duration_s: float = 3.0) -> tuple[
    float, Run
]:  # fmt: skip
    """A body let go at 0.5 s over a floor: when it should land, and its run."""
    stage = Stage(np.random.default_rng(seed), "drop", material, duration_s)
    world = World(stage)
    world.floor()
    size = (0.1,) if shape == "sphere" else (0.1, 0.08, 0.05)
    body = world.solid(shape, size, (0, 0, size[-1] + height))
    world.launch(body, 0.5)
    world.screen(None)
    run = simulate(world.plan(), duration_s)
    assert run is not None
    return 0.5 + float(np.sqrt(2 * height / world.gravity)), run


@pytest.mark.parametrize("material", ["wood", "rubber", "stone", "cloth"])
@pytest.mark.parametrize("height", [0.2, 0.9])
def test_a_falling_ball_lands_when_gravity_says(material: str, height: float) -> None:
    lands, run = dropped(height, material)
    assert abs(run.impacts[0].time_s - lands) < 0.003


def test_rebounds_come_when_the_speeds_say_and_grow_weaker() -> None:
    """Between two contacts a ball flies for 2 v / g, v its speed after the first, about restitution times before."""
    _, run = dropped(0.9, "rubber")
    times = np.array([impact.time_s for impact in run.impacts])
    speeds = [impact.speed for impact in run.impacts]
    assert len(times) >= 4
    assert speeds == sorted(speeds, reverse=True)
    ratios = np.diff(times)[1:] / np.diff(times)[:-1]
    assert np.all(np.abs(ratios[:3] - NATURES["rubber"].restitution) < 0.15)


@pytest.mark.parametrize("shape", ["sphere", "box"])
def test_what_has_come_to_rest_is_silent(shape: str) -> None:
    lands, run = dropped(0.4, "stone", shape=shape, duration_s=5.0)
    assert run.impacts
    assert max(impact.time_s for impact in run.impacts) < lands + 1.5
    assert np.abs(run.bodies[-1000:] - run.bodies[-1]).max() < 1e-3


def test_a_plank_that_slaps_down_is_heard_although_it_never_left_the_floor() -> None:
    stage = Stage(np.random.default_rng(0), "drop", "wood", 3.0)
    world = World(stage)
    world.floor()
    body = world.solid("box", (0.1, 0.03, 0.3), (0, 0, 0.3))
    world.launch(body, 0.5, (0, -0.9, 0), (3.0, 0, 0), held=False)
    world.screen(None)
    run = simulate(world.plan(), 3.0)
    assert run is not None
    strongest = max(run.impacts, key=lambda impact: impact.speed)
    flat = np.flatnonzero(run.bodies[:, 0, 2] < 0.06)[0] * STEP_S
    assert abs(strongest.time_s - flat) < 0.05
    assert strongest.time_s > 0.6


@given(st.floats(0, 30), st.floats(2, 40), st.integers(150, 600), st.integers(3, 8))
@settings(max_examples=60, deadline=None)
def test_a_blow_on_top_of_a_steady_load_is_one_onset(load: float, blow: float, start: int, length: int) -> None:
    force = np.full(1000, load)
    shape = np.sin(np.pi * (np.arange(length) + 0.5) / length)
    force[start : start + length] += 100 * blow * shape
    ((step, impulse),) = onsets(force, 0.1)
    assert 0 <= step - start <= 1
    assert impulse == pytest.approx(100 * blow * shape.sum() * STEP_S, rel=0.05)
    assert onsets(np.full(1000, load), 0.1) == []


@pytest.mark.parametrize("family", SETUPS)
def test_events_are_inside_apart_and_heard_within_five_milliseconds(family: str) -> None:
    for seed in range(3):
        scene = scenes.compose(seed, family=family, style="physics")
        times = np.array([event.time_s for event in scene.events])
        assert 1 <= len(times) <= 30
        assert np.all(np.diff(times) >= MERGE_S - 1e-9)
        assert times[0] > 0
        assert times[-1] < scene.duration_s
        assert all(0.15 <= event.strength <= 1 for event in scene.events)
        for hit in scene.plan.hits[:3]:
            plan = dataclasses.replace(scene.plan, hits=(hit,), room=Room())
            sound = np.abs(plan.render(RATE))
            start = round(hit.time_s * RATE)
            assert not sound[:start].any()
            onset = np.flatnonzero(sound > 0.1 * sound.max())[0]
            assert onset - start <= 0.005 * RATE


def test_a_seed_gives_the_same_events_and_sound_and_another_seed_others() -> None:
    first, again, other = (scenes.compose(seed, style="physics", duration_s=6.5) for seed in (7, 7, 8))
    assert first.events == again.events
    np.testing.assert_array_equal(first.sound(), again.sound())
    assert first.events != other.events


def test_short_clips_have_an_event_too() -> None:
    for seed in range(4):
        scene = scenes.compose(seed, style="physics", duration_s=1.25)
        assert scene.events
        assert len(scene.sound()) == 20000


def test_training_draws_neither_the_held_out_material_nor_the_held_out_family() -> None:
    for seed in range(12):
        scene = scenes.compose(seed, style="physics", duration_s=1.0)
        assert scene.family in SETUPS
        assert scenes.HELD_OUT_MATERIAL not in {scene.material, *(event.material for event in scene.events)}
    with pytest.raises(UsageError):
        scenes.compose(0, family=scenes.HELD_OUT_FAMILY, style="physics")
    asked = scenes.compose(1, family="hammer", material=scenes.HELD_OUT_MATERIAL, style="physics")
    assert {event.material for event in asked.events} == {scenes.HELD_OUT_MATERIAL}


def test_every_material_of_its_families_has_a_nature() -> None:
    for family in SETUPS:
        assert set(scenes.FAMILY_MATERIALS[family]) <= set(NATURES)


def test_without_mujoco_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(SetupError, match=r"foleygen\[train\]"):
        scenes.compose(0, style="physics")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have one GL")
def test_without_gl_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(pictures, "LIBRARIES", {"egl": ("libNoSuchGL.so",)})
    with pytest.raises(SetupError, match="libegl1"):
        pictures.backend()


@needs_gl
def test_pictures_have_the_asked_sizes_and_depend_on_their_instant_alone() -> None:
    scene = scenes.compose(5, style="physics", duration_s=2.0)
    times = np.arange(8) / 10
    whole = scene.frames(times, 48, 32)
    assert whole.shape == (8, 32, 48, 3)
    assert whole.dtype == np.uint8
    assert whole.std() > 2
    np.testing.assert_array_equal(whole[3:5], scene.frames(times[3:5], 48, 32))
    np.testing.assert_array_equal(whole, scenes.compose(5, style="physics", duration_s=2.0).frames(times, 48, 32))
    assert scene.resampled_frames(15.625, 10, 32).shape == (10, 32, 32, 3)


@needs_gl
def test_two_scenes_may_take_turns() -> None:
    first, second = (scenes.compose(seed, style="physics", duration_s=1.0) for seed in (1, 2))
    times = np.array([0.2, 0.6])
    alone = first.frames(times, 32, 32)
    second.frames(times, 64, 48)
    np.testing.assert_array_equal(first.frames(times, 32, 32), alone)


@needs_gl
def test_scenes_travel_between_processes() -> None:
    scene = scenes.compose(9, style="physics", duration_s=1.0)
    times = np.array([0.2, 0.4])
    copy = pickle.loads(pickle.dumps(scene))
    np.testing.assert_array_equal(copy.frames(times, 32, 32), scene.frames(times, 32, 32))


@needs_gl
@pytest.mark.parametrize("family", SETUPS)
def test_pictures_move_at_the_events(family: str) -> None:
    """Around a contact the picture changes more than where nothing goes on."""
    moving, still = [], []
    for seed in range(4):
        scene = steady(scenes.compose(seed, family=family, style="physics"))
        for event in sorted(scene.events, key=lambda event: -event.strength)[:2]:
            shot = scene.frames(event.time_s + np.array([-0.06, -0.01]), 64, 64).astype(np.float32)
            moving.append(np.abs(shot[1] - shot[0]).mean())
        shot = scene.frames(np.array([0.0, 0.05]), 64, 64).astype(np.float32)
        still.append(np.abs(shot[1] - shot[0]).mean())
    assert min(moving) > 0
    assert np.mean(moving) > np.median(still)


def steady(scene: scenes.Scene) -> scenes.Scene:
    """The scene filmed by a camera that neither moves nor degrades."""
    from foleygen.scenes.camera import still

    assert isinstance(scene.painter, pictures.Film)
    film = dataclasses.replace(
        scene.painter,
        azimuth=scene.painter.azimuth * 0 + scene.painter.azimuth[0],
        elevation=scene.painter.elevation * 0 + scene.painter.elevation[0],
        distance=scene.painter.distance * 0 + scene.painter.distance[0],
    )
    return dataclasses.replace(scene, painter=film, camera=still(scene.duration_s, 30.0, 0))


@needs_gl
def test_footage_plays_behind_the_bodies_the_right_way_up() -> None:
    """A picture that is red at the top and green at the left, on a screen that nothing hides."""
    picture = np.zeros((1, 60, 96, 3), np.uint8)
    picture[:, :20, :, 0] = 255
    picture[:, 20:, :30, 1] = 255
    stage = Stage(np.random.default_rng(3), "drop", "wood", 1.0)
    world = World(stage)
    world.solid("sphere", (0.01,), (0, 0, -5))
    world.screen(picture[0])
    flat = np.ones(2, np.float32)
    qpos = np.array([[0, 0, -5, 1, 0, 0, 0]], np.float32)
    film = pictures.Film(world.plan(), qpos, (0, 0, 0), flat * 2.1, flat * -0.3, flat * 2, 0.6, (picture,), 25.0)
    zero = np.zeros(1, np.float32)
    shot = film.paint((), stage.light, np.zeros(1), scenes_view(zero), 96, 64)[0]
    assert shot[5, 48, 0] > 0.9 > 0.1 > shot[5, 48, 1]
    assert shot[50, 10, 1] > 0.9 > 0.1 > shot[50, 10, 0]
    assert shot[50, 80].max() < 0.1


def scenes_view(zero: np.ndarray) -> object:
    from foleygen.scenes.render import View

    return View(zero, zero, zero + 1)


def test_what_is_heard_is_near_the_middle() -> None:
    scene = scenes.compose(11, family="bounce", style="physics")
    assert isinstance(scene.painter, pictures.Film)
    assert np.hypot(*scene.painter.target[:2]) < 2 * FARTHEST_M


def test_a_dataset_of_physics_scenes(tmp_path: Path) -> None:
    from foleygen.training.data import dataset

    config = dataset.DatasetConfig(count=2, style="physics", num_frames=64, pictures=gl_works(), frame_size=32)
    made = dataset.make(tmp_path / "data", config, workers=1)
    assert len(made) == 2
    assert all(clip.times for clip in made.clips)
    if made.frames is not None:
        assert np.asarray(made.frames[0]).std() > 1
