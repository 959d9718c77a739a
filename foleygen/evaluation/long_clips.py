"""Clips of several windows to measure joints on: scenes of several shots from the seeds kept for tests, and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio.stitch import plan_windows
from foleygen.engines.foley import Engine
from foleygen.errors import FoleygenError
from foleygen.evaluation.generated import audible
from foleygen.evaluation.seams import LongClip
from foleygen.media.frames import Picture
from foleygen.media.probe import probe
from foleygen.pipeline.extent import track_samples
from foleygen.pipeline.jobs import Job
from foleygen.pipeline.pictures import features_of, overlap, views
from foleygen.pipeline.tracks import Track
from foleygen.scenes import TEST_SEEDS, compose
from foleygen.scenes.catalogue import CONTINUOUS, TRAINING_FAMILIES
from foleygen.settings import RenderSettings

SHORTEST_S, LONGEST_S = 24.0, 40.0
MOST_SHOTS = 3


def from_scenes(engine: Engine, count: int, settings: RenderSettings, continuous: bool) -> Iterator[LongClip]:
    """``count`` clips of 24 to 40 s and one to three shots, of families with events or of those without."""
    for number in range(count):
        yield from_scene(engine, number, settings, continuous)


def from_scene(engine: Engine, number: int, settings: RenderSettings, continuous: bool) -> LongClip:
    """The clip ``number`` of those, whatever their count."""
    rng = np.random.default_rng([TEST_SEEDS.start, number, int(continuous)])
    seconds = float(rng.uniform(SHORTEST_S, LONGEST_S))
    shares = rng.dirichlet(np.full(1 + number % MOST_SHOTS, 8.0))
    pictures, first_frames, events = _filmed(engine, rng, [seconds * float(share) for share in shares], continuous)
    rate = Fraction(engine.bundle.sample_rate) / engine.bundle.encoder.frame_rate
    total = round(len(pictures) * rate)
    cuts = [ceil(first * rate) for first in first_frames[1:]]
    windows = plan_windows(total, engine.bundle.window_samples, overlap(engine, settings), cuts)
    return LongClip(
        content_id=f"long scene/{'continuous' if continuous else 'events'}/{number}",
        total=total,
        windows=tuple(windows),
        features=torch.stack([_encoded(pictures, int(window.start / rate), engine) for window in windows]),
        events=None if continuous else events,
    )


def _filmed(
    engine: Engine, rng: np.random.Generator, lengths_s: Sequence[float], continuous: bool
) -> tuple[Picture, list[int], NDArray[np.float64]]:
    """One scene after the other: pictures at the encoder's rate, the first picture of each, audible events in s."""
    encoder = engine.bundle.encoder
    rate = float(encoder.frame_rate)
    families = [name for name in TRAINING_FAMILIES if (name in CONTINUOUS) == continuous]
    shots: list[Picture] = []
    first_frames: list[int] = []
    events: list[float] = []
    for length in lengths_s:
        count = ceil(length * rate)
        seed = int(rng.choice(TEST_SEEDS))
        scene = compose(seed, family=str(rng.choice(families)), duration_s=count / rate)
        first_frames.append(sum(len(shot) for shot in shots))
        events += audible(
            [first_frames[-1] / rate + event.time_s for event in scene.events],
            [event.strength for event in scene.events],
        ).tolist()
        shots.append(scene.resampled_frames(rate, count, encoder.frame_size))
    return np.concatenate(shots), first_frames, np.array(events)


def from_files(
    paths: Sequence[Path],
    engine: Engine,
    settings: RenderSettings,
    on_skip: Callable[[Path, FoleygenError], None],
) -> Iterator[LongClip]:
    """The clips among ``paths`` that have more than one window; what cannot be read is told to ``on_skip``."""
    for path in paths:
        try:
            info = probe(path)
            track = Track(Job(info, path), engine.bundle.sample_rate)
            seen = []
            for view in views(track, engine, settings, None):
                if len(track.windows) == 1:
                    break
                seen.append(torch.from_numpy(features_of(view, engine, None)))
        except FoleygenError as error:
            on_skip(path, error)
            continue
        if len(seen) > 1:
            total = track_samples(info, engine.bundle.sample_rate)
            yield LongClip(info.content_id, total, tuple(track.windows), torch.stack(seen), None)


def _encoded(pictures: Picture, first: int, engine: Engine) -> torch.Tensor:
    """Features (F, C) of a window whose first picture is ``first``; the last one is held."""
    wanted = np.minimum(np.arange(first, first + engine.bundle.encoder.num_frames), len(pictures) - 1)
    with torch.inference_mode():
        return engine.encode(torch.from_numpy(pictures[wanted])[None])[0].float().cpu()
