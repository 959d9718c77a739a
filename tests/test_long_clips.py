"""Clips of many windows: made jointly group by group, and with their joints off the shot changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundles import SAMPLE_RATE, WINDOW
from clips import decoded_sound, write_clip

from foleygen.audio.stitch import plan_windows
from foleygen.engines.foley import Engine
from foleygen.evaluation import long_clips, seams
from foleygen.features.cache import FeatureCache
from foleygen.media.probe import probe
from foleygen.pipeline import Job, Outcome, render, soundtrack
from foleygen.pipeline.pictures import choose_windows, overlap
from foleygen.pipeline.sound import Sampler
from foleygen.pipeline.tracks import Track
from foleygen.sampling.joint import GROUP
from foleygen.sampling.noise import WindowKey
from foleygen.settings import RenderSettings

COLUMN = 2048
JOINT = RenderSettings(overlap=0.25, seams="joint", batch_size=1)
OVERLAP = 4096
"""0.25 s in whole columns."""


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 s of a shot: 11 windows, more than a group."""
    return write_clip(tmp_path_factory.mktemp("clips") / "long.mp4", frames=one_colour(200, 60), count=200)


@pytest.fixture(scope="module")
def two_shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.8 s with a shot change after 0.88 s, where the first two windows of one shot would overlap."""
    frames = [*one_colour(22, 20), *one_colour(48, 220)]
    return write_clip(tmp_path_factory.mktemp("clips") / "two.mp4", frames=frames, count=70)


def one_colour(count: int, shade: int) -> list[np.ndarray]:
    pictures = [np.full((48, 64, 3), (shade, 90, 130), np.uint8) for _ in range(count)]
    for number, picture in enumerate(pictures):
        picture[10:20, number % 50 : number % 50 + 8] = 230
    return pictures


def run(
    clips: Sequence[Path], folder: Path, engine: Engine, settings: RenderSettings, cache: FeatureCache | None = None
) -> list[Outcome]:
    jobs = [Job(probe(clip), folder / f"{clip.stem}.foley.mov") for clip in clips]
    outcomes = list(render(jobs, engine, settings, cache, lambda progress: None))
    assert [outcome.error for outcome in outcomes] == [None] * len(clips)
    return outcomes


def heard(outcome: Outcome) -> np.ndarray:
    return decoded_sound(outcome.job.output)[0]


def starts_of(outcome: Outcome) -> list[float]:
    return [fact.start_s for fact in outcome.window_facts]


def changed(settings: RenderSettings, **changes: Any) -> RenderSettings:
    return RenderSettings(**{**settings.__dict__, **changes})


def test_the_pipeline_makes_what_the_measure_of_seams_makes(engine, long_clip):
    """Two ways through the same engine: windows as they come in groups, and all of a clip's features at once."""
    samples = soundtrack(probe(long_clip), engine, JOINT)
    (clip,) = long_clips.from_files([long_clip], engine, JOINT, lambda path, error: None)
    assert len(clip.windows) == 11 > GROUP
    np.testing.assert_array_equal(samples, seams.soundtracks(clip, engine, JOINT.seed)["joint"])
    assert samples.shape == (8 * SAMPLE_RATE,)
    assert np.isfinite(samples).all()
    assert not np.array_equal(samples, seams.soundtracks(clip, engine, JOINT.seed)["crossfade"])


def test_neighbours_made_jointly_say_the_same(engine, long_clip):
    """Their mels agree where windows overlap, also from one group to the next, but for the autoencoder's edges."""
    (clip,) = long_clips.from_files([long_clip], engine, JOINT, lambda path, error: None)
    keys = [WindowKey(0, clip.content_id, window.start, 1) for window in clip.windows]
    first, tie = engine.joint_latents(clip.features[:GROUP], keys[:GROUP], OVERLAP // COLUMN)
    second, _ = engine.joint_latents(clip.features[GROUP:], keys[GROUP:], OVERLAP // COLUMN, tie)
    latents = torch.cat([first, second])
    alone = engine.latents(clip.features, keys)
    for before in range(10):
        assert torch.equal(latents[before, ..., -2:], latents[before + 1, ..., :2])
        assert (alone[before, ..., -2:] - alone[before + 1, ..., :2]).abs().mean() > 0.1
    sounds = engine.joint_sounds(engine.decode(latents), keys, OVERLAP)
    strangers = engine.sounds(engine.decode(latents), keys)
    settled = OVERLAP - engine.bundle.mel.n_fft // 2
    for before in range(10):
        assert likeness(sounds[before, -OVERLAP:][:settled], sounds[before + 1, :settled]) > 0.7
        assert likeness(strangers[before, -OVERLAP:][:settled], strangers[before + 1, :settled]) < 0.3


def likeness(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def test_other_clips_and_takes_are_not_heard(engine, long_clip, two_shots, tmp_path):
    short = write_clip(tmp_path / "short.mp4", count=10)
    (alone,) = run([long_clip], tmp_path / "alone", engine, changed(JOINT, batch_size=3))
    together = run([short, long_clip, two_shots], tmp_path / "all", engine, changed(JOINT, batch_size=3, takes=2))
    (same,) = [outcome for outcome in together if outcome.job.info.path == long_clip]
    np.testing.assert_array_equal(heard(alone), heard(same))


def test_a_clip_of_one_window_sounds_the_same_either_way(engine, tmp_path):
    info = probe(write_clip(tmp_path / "short.mp4", count=10))
    faded = soundtrack(info, engine, changed(JOINT, seams="crossfade"))
    np.testing.assert_array_equal(faded, soundtrack(info, engine, JOINT))


def test_no_more_than_a_group_is_held_whatever_the_length(engine, long_clip, tmp_path):
    """Windows of a clip of 400 s: sounds come out by the group, and only what ties the next one stays."""
    info = replace(probe(long_clip), duration=Fraction(400))
    track = Track(Job(info, long_clip), SAMPLE_RATE)
    track.plan(choose_windows(info, engine, JOINT), JOINT)
    sampler = Sampler(engine, JOINT, lambda progress: None)
    features = np.zeros((16, 16), np.float32)
    given = 0
    for window in track.windows[:40]:
        given += len(list(sampler.push(track, window, features)))
        assert given == (window.index + 1) // GROUP * GROUP
        (run,) = sampler._runs.values()
        assert len(run.waiting) < GROUP
        assert all(tie.states.shape == (3, 4, 16, 2) for tie in run.ties.values())
        assert all(samples.numel() == WINDOW for samples in run.sounds.values())
    track.close()


class Cramped(Engine):
    """Has memory for two windows at a time."""

    def joint_latents(self, *arguments: Any) -> Any:
        made = super().joint_latents(*arguments)
        if arguments[4] > 2:
            torch.empty(1 << 55, dtype=torch.uint8)  # more than any machine's address space
        return made


def test_memory_that_runs_out_halves_what_goes_through_the_model(engine, long_clip, tmp_path):
    (expected,) = run([long_clip], tmp_path / "two", engine, changed(JOINT, batch_size=2))
    (outcome,) = run(
        [long_clip], tmp_path / "four", Cramped(engine.bundle, "cpu", "fp32"), changed(JOINT, batch_size=8)
    )
    np.testing.assert_array_equal(heard(outcome), heard(expected))


@pytest.mark.parametrize("way", ["joint", "crossfade"])
def test_the_window_after_a_shot_change_begins_there(engine, two_shots, tmp_path, way):
    settings = changed(JOINT, seams=way)
    (outcome,) = run([two_shots], tmp_path, engine, settings)
    samples = overlap(engine, settings)
    planned = plan_windows(round(2.8 * SAMPLE_RATE), WINDOW, samples, [14080])
    assert [window.start / SAMPLE_RATE for window in planned] == starts_of(outcome)
    assert starts_of(outcome)[1] == 0.88
    assert len(heard(outcome)) == round(Fraction(14, 5) * 48000)


def test_no_cuts_keeps_the_grid(engine, two_shots, tmp_path):
    (outcome,) = run([two_shots], tmp_path, engine, changed(JOINT, cuts=False))
    assert starts_of(outcome) == [index * (WINDOW - OVERLAP) / SAMPLE_RATE for index in range(4)]


def test_the_shots_share_nothing(engine, two_shots, tmp_path):
    """Past a shot change, the sound is the same whatever came before it, but for the noise, which knows its clip."""
    info = probe(two_shots)
    whole = soundtrack(info, engine, JOINT)
    windows = plan_windows(len(whole), WINDOW, OVERLAP, [14080])
    (clip,) = long_clips.from_files([two_shots], engine, JOINT, lambda path, error: None)
    assert list(clip.windows) == windows
    keys = [WindowKey(0, info.content_id, window.start, 1) for window in windows]
    latents, _ = engine.joint_latents(clip.features[1:], keys[1:], OVERLAP // COLUMN, None, 1)
    (first, *_) = engine.joint_sounds(torch.cat([engine.decode(row[None]) for row in latents]), keys[1:], OVERLAP)
    alone = slice(14080 + 128, windows[2].start)
    np.testing.assert_array_equal(whole[alone], first[128 : windows[2].start - 14080].numpy())


def test_shot_changes_are_remembered_with_the_features(engine, two_shots, tmp_path):
    """The second run decodes nothing and has the same windows; another overlap uses what it can."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(two_shots.read_bytes())
    cache = FeatureCache(tmp_path / "cache")
    (cold,) = run([clip], tmp_path / "cold", engine, JOINT, cache)
    (warm,) = run([clip], tmp_path / "warm", engine, JOINT, cache)
    assert (cold.cached_windows, warm.cached_windows) == (0, 4)
    assert starts_of(cold) == starts_of(warm)
    assert "frames" not in warm.stages or warm.stages["frames"] == 0
    np.testing.assert_array_equal(heard(cold), heard(warm))
    (other,) = run([clip], tmp_path / "other", engine, changed(JOINT, overlap=0.4), cache)
    assert other.cached_windows == 2
    assert 0.88 in starts_of(other)


def test_an_overlap_is_rounded_to_columns_only_where_windows_are_made_jointly(engine):
    assert overlap(engine, JOINT) == OVERLAP
    assert overlap(engine, changed(JOINT, seams="crossfade", overlap=0.26)) == 4160
    assert overlap(engine, changed(JOINT, overlap=0.26)) == OVERLAP
    assert overlap(engine, changed(JOINT, overlap=0)) == 0


@pytest.mark.parametrize("shared_s", [0, 0.6, 0.9])
def test_any_overlap_covers_the_clip(engine, two_shots, shared_s):
    """Also more than half a window, where three and more windows sound at once."""
    info = probe(two_shots)
    for way in ("joint", "crossfade"):
        samples = soundtrack(info, engine, changed(JOINT, overlap=shared_s, seams=way))
        assert samples.shape == (round(2.8 * SAMPLE_RATE),)
        assert np.isfinite(samples).all()
        assert np.square(samples.reshape(-1, 1600)).mean(axis=1).min() > 1e-6
