"""Procedural clips: the same from the same seed, seen and heard at the same instants."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen import scenes
from foleygen.errors import UsageError
from foleygen.scenes.motion import grid, rhythm, strike
from foleygen.scenes.sound import Room

DISCRETE = tuple(name for name in scenes.FAMILIES if name not in scenes.CONTINUOUS)
STOPPING = ("hammer", "knock", "clap", "chop", "drop", "crockery")
STRUCK = (*STOPPING, "drum", "bounce", "door", "footsteps", "splash", "drip", "typing")
RATE = 16000
seeds = st.integers(0, 2**31 - 1)


def dry(scene: scenes.Scene) -> scenes.Scene:
    return dataclasses.replace(scene, plan=dataclasses.replace(scene.plan, room=Room(), peak=0.9))


def test_enough_families_and_materials_and_what_is_held_out() -> None:
    assert len(scenes.FAMILIES) >= 15
    assert len(scenes.MATERIALS) >= 9
    assert scenes.HELD_OUT_FAMILY in scenes.FAMILIES
    assert scenes.HELD_OUT_MATERIAL in scenes.MATERIALS
    assert set(scenes.CONTINUOUS) < set(scenes.FAMILIES)
    assert scenes.TEST_SEEDS.start == 1_000_000


@pytest.mark.parametrize("style", ["train", "clean", "foreign"])
@pytest.mark.parametrize("family", scenes.FAMILIES)
def test_a_seed_gives_the_same_bytes_and_another_seed_others(family: str, style: str) -> None:
    times = np.array([0.1, 1.234, 1.3])
    first, again, other = (scenes.compose(seed, family=family, style=style, duration_s=1.5) for seed in (7, 7, 8))
    assert first.events == again.events
    np.testing.assert_array_equal(first.frames(times, 32, 24), again.frames(times, 32, 24))
    np.testing.assert_array_equal(first.sound(), again.sound())
    assert not np.array_equal(first.frames(times, 32, 24), other.frames(times, 32, 24))


@pytest.mark.parametrize("family", scenes.FAMILIES)
def test_pictures_and_sound_have_the_asked_sizes(family: str) -> None:
    scene = scenes.compose(3, family=family, duration_s=1.25)
    assert scene.frames(np.array([0.0, 1.2]), 48, 32).shape == (2, 32, 48, 3)
    shot = scene.resampled_frames(15.625, 19, 32)
    assert shot.shape == (19, 32, 32, 3)
    assert shot.dtype == np.uint8
    assert shot.std() > 2
    for rate in (16000, 22050, 4000):
        sound = scene.sound(rate)
        assert sound.dtype == np.float32
        assert len(sound) == round(1.25 * rate)
        assert 0.0 < np.abs(sound).max() < 1
    assert 12 <= scene.source_rate <= 60


@pytest.mark.parametrize("family", DISCRETE)
def test_each_event_is_heard_within_five_milliseconds(family: str) -> None:
    """Alone and dry, a hit's sound begins at its time: silence before, energy within 5 ms after."""
    for seed in range(4):
        scene = dry(scenes.compose(seed, family=family, style="clean"))
        assert scene.events
        assert len(scene.events) <= 60
        for hit in scene.plan.hits[:6]:
            assert hit.strength >= 0.15
            plan = dataclasses.replace(scene.plan, hits=(hit,), beds=())
            sound = np.abs(plan.render(RATE))
            start = round(hit.time_s * RATE)
            assert not sound[:start].any()
            onset = np.flatnonzero(sound > 0.1 * sound.max())[0]
            assert onset - start <= 0.005 * RATE


@pytest.mark.parametrize("family", DISCRETE)
def test_events_are_ordered_inside_the_clip_and_not_too_many(family: str) -> None:
    for seed in range(8):
        scene = scenes.compose(seed, family=family)
        times = [event.time_s for event in scene.events]
        assert times
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] < scene.duration_s
        assert all(0.15 <= event.strength <= 1 for event in scene.events)


@pytest.mark.parametrize("family", STRUCK)
def test_something_moves_before_an_event_and_stops_at_it(family: str) -> None:
    """The picture changes in the 60 ms before contact; where contact stops the motion, less right after it."""
    before, after = [], []
    for seed in range(5):
        scene = scenes.compose(seed, family=family, style="clean")
        for event in scene.events[:5]:
            if not 0.3 < event.time_s < scene.duration_s - 0.2:
                continue
            times = event.time_s + np.array([-0.055, -0.005, 0.0, 0.005])
            shot = scene.frames(times, 64, 64).astype(np.float32)
            change = np.abs(np.diff(shot, axis=0)).sum((1, 2, 3))
            before.append(change[0] / 10)
            after.append(change[2])
            assert change[0] > 0, f"{family} {seed}: nothing moves before {event.time_s}"
    if family in STOPPING:
        assert np.mean(before) > np.mean(after)


@pytest.mark.parametrize("style", ["train", "foreign"])
def test_a_picture_depends_on_its_instant_alone(style: str) -> None:
    for seed in (1, 2, 5):
        scene = scenes.compose(seed, style=style, duration_s=2.0)
        times = np.arange(40) / scene.source_rate
        whole = scene.frames(times, 32, 32)
        np.testing.assert_array_equal(whole[7:9], scene.frames(times[7:9], 32, 32))
        np.testing.assert_array_equal(whole[30], scene.frames(times[30:31], 32, 32)[0])


def test_large_pictures_in_chunks_equal_single_ones() -> None:
    scene = scenes.compose(4, family="hammer", duration_s=1.0)
    times = np.linspace(0, 0.9, 7)
    whole = scene.frames(times, 480, 360)
    single = np.concatenate([scene.frames(times[i : i + 1], 480, 360) for i in range(7)])
    np.testing.assert_array_equal(whole, single)


def test_training_never_draws_what_is_held_out() -> None:
    for seed in range(250):
        scene = scenes.compose(seed, duration_s=0.6)
        assert scene.family != scenes.HELD_OUT_FAMILY
        assert scene.material != scenes.HELD_OUT_MATERIAL
        assert all(event.material != scenes.HELD_OUT_MATERIAL for event in scene.events)


def test_held_out_family_and_material_can_be_asked_for() -> None:
    assert scenes.compose(1, family=scenes.HELD_OUT_FAMILY).family == scenes.HELD_OUT_FAMILY
    scene = scenes.compose(1, family="hammer", material=scenes.HELD_OUT_MATERIAL)
    assert {event.material for event in scene.events} == {scenes.HELD_OUT_MATERIAL}


@pytest.mark.parametrize(
    "wrong", [{"family": "opera"}, {"family": "rain", "material": "wood"}, {"material": "cheese"}, {"style": "baroque"}]
)
def test_what_does_not_exist_is_a_usage_error(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        scenes.compose(0, **wrong)  # type: ignore[arg-type]


def test_bigger_bodies_sound_lower_and_harder_blows_brighter() -> None:
    def centroid(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound)) ** 2
        return float((np.arange(len(power)) * power).sum() / power.sum())

    scene = dry(scenes.compose(0, family="hammer", material="metal"))
    hit = scene.plan.hits[0]
    voice = scene.plan.voices[hit.voice]

    def render(size_m: float, strength: float) -> np.ndarray:
        voices = (dataclasses.replace(voice, size_m=size_m, seed=1),)
        hits = (dataclasses.replace(hit, strength=strength, voice=0, time_s=0.0),)
        return dataclasses.replace(scene.plan, voices=voices, hits=hits, duration_s=1.0).render(RATE)

    assert centroid(render(0.3, 0.8)) < 0.7 * centroid(render(0.1, 0.8))
    assert centroid(render(0.2, 1.0)) > centroid(render(0.2, 0.2))


@pytest.mark.parametrize("family", scenes.CONTINUOUS)
def test_steady_sources_are_as_loud_as_their_intensity(family: str) -> None:
    agreement = []
    for seed in range(4):
        scene = dry(scenes.compose(seed, family=family, style="clean"))
        assert not scene.events
        sound = scene.sound()
        frames = len(sound) // 4000
        level = np.sqrt((sound[: frames * 4000].reshape(frames, 4000) ** 2).mean(1))
        wanted = scene.intensity((np.arange(frames) + 0.5) * 0.25)
        agreement.append(np.corrcoef(level, wanted)[0, 1])
    assert np.mean(agreement) > 0.5


def test_scenes_travel_between_processes() -> None:
    scene = scenes.compose(9, family="footsteps", duration_s=1.0)
    times = np.array([0.2, 0.4])
    copy = pickle.loads(pickle.dumps(scene))
    np.testing.assert_array_equal(copy.frames(times, 32, 32), scene.frames(times, 32, 32))


@given(seeds, st.floats(1.0, 20.0), st.floats(0.1, 1.0))
@settings(max_examples=60, deadline=None)
def test_rhythms_keep_their_gap_and_stay_inside(seed: int, duration_s: float, gap_s: float) -> None:
    times = rhythm(np.random.default_rng(seed), duration_s, gap_s)
    assert 1 <= len(times) <= 25
    assert times[0] > 0
    assert times[-1] < duration_s
    assert (np.diff(times) >= gap_s - 1e-9).all()


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_strikers_touch_at_their_hits_and_nowhere_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits = rhythm(rng, 6.0, 0.2)
    height = strike(rng, grid(6.0), hits, np.full(len(hits), 0.7), rebound=0.3, rest=0.5)
    assert (height >= 0).all()
    for hit in hits:
        assert height[round(hit * 1000)] < 0.12
    away = np.ones(len(height), bool)
    for hit in hits:
        away[int(max(0, hit - 0.15) * 1000) : int((hit + 0.2) * 1000)] = False
    assert (height[away] > 0.005).all()


@pytest.fixture
def bank() -> scenes.RecordingBank:
    """Short bursts after a silence, at 44.1 kHz."""

    def read(path: Path) -> tuple[np.ndarray, int]:
        noise = np.random.default_rng(len(path.name)).standard_normal((44100, 2)) * 0.3
        if "rain" not in path.name:
            noise[:11025] = 0
            noise *= np.exp(-np.maximum(np.arange(44100) - 11025, 0) / 3000)[:, None]
        return noise, 44100

    names = ("a__smash-fail-wood-furn__1", "c__drum-tom", "esc10__rain__1")
    return scenes.RecordingBank({name: Path("sounds", f"{name}.ogg") for name in names}, read)


def test_recordings_play_at_the_event_with_their_attack(bank: scenes.RecordingBank) -> None:
    recorded = 0
    for seed in range(12):
        scene = dry(scenes.compose(seed, family="hammer", material="wood", style="clean", bank=bank))
        for hit, event in zip(scene.plan.hits, scene.events, strict=True):
            assert event.recorded == (hit.recording is not None)
            if hit.recording is not None:
                recorded += 1
                loud = np.abs(hit.recording)
                assert np.flatnonzero(loud > 0.1 * loud.max())[0] < 0.005 * RATE
    assert recorded > 5


def test_a_recording_plays_for_what_its_name_says(bank: scenes.RecordingBank) -> None:
    rng = np.random.default_rng(0)
    assert len(bank.pick(rng, "hammer", "wood", 9)) == 1
    assert bank.pick(rng, "hammer", "glass", 9) == []
    assert bank.loop(rng, "rain") is not None
    assert bank.loop(rng, "fire") is None


def test_footage_moves_behind_the_scene() -> None:
    clip = np.random.default_rng(0).integers(0, 255, (12, 40, 60, 3), dtype=np.uint8)
    footage = scenes.Footage([clip], [25.0])
    used = [scenes.compose(seed, family="clap", duration_s=1.0, footage=footage) for seed in range(8)]
    filmed = [scene for scene in used if scene.backdrop.footage]
    assert 1 <= len(filmed) < 8
    shot = filmed[0].frames(np.array([0.1, 0.3]), 32, 32).astype(float)
    assert np.abs(shot[1] - shot[0]).mean() > 1
