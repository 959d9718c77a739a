"""A clip's pictures, without any sound: how much moves, how suddenly it stops, and where the encoder expects a hit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio.stitch import Window, joint
from foleygen.cues.cue import sheet
from foleygen.engines.foley import Engine
from foleygen.facts import Cue, CueSheet
from foleygen.features import stops
from foleygen.features.cache import FeatureCache, feature_key
from foleygen.media.frames import FrameRequest, read
from foleygen.media.probe import ClipInfo
from foleygen.pipeline.hits import THRESHOLD, hits
from foleygen.pipeline.jobs import Job
from foleygen.pipeline.pictures import View, features_of, frame_rule, views
from foleygen.pipeline.tracks import Track, failing
from foleygen.settings import RenderSettings

SOURCE = "spot"
"""Where cues come from that were seen."""
_ONSETS = 2
"""The column of the onsets, after stops.MOTION and stops.STOPS."""


@dataclass(frozen=True)
class Sight:
    """What is seen at each of ``rate`` steps a second, the first at the first picture; (n,) each."""

    onsets: NDArray[np.float32]
    """Logits of a sound that begins there."""
    stops: NDArray[np.float32]
    """Pixels a frame by which the picture's blocks became slower, on average."""
    motion: NDArray[np.float32]
    """Their speed, pixels a frame."""
    rate: float


def look(info: ClipInfo, engine: Engine, settings: RenderSettings, cache: FeatureCache | None) -> Sight:
    """Look at a clip once; what an earlier run has seen of it is not decoded again.

    Raises FoleygenError: BundleError where the bundle's encoder has no onsets to tell.
    """
    settings = replace(settings, handles=0.0)
    track = Track(Job(info, info.path), engine.bundle.sample_rate)
    seen: list[tuple[Window, NDArray[np.float32]]] = []
    with failing(track), closing(views(track, engine, settings, cache)) as found:
        for view in found:
            seen.append((view.window, _seen(view, engine, cache)))
    track.close()
    if track.failed is not None:
        raise track.failed
    seconds = engine.bundle.window_samples / engine.bundle.sample_rate
    rate = len(seen[0][1]) / seconds
    whole = np.concatenate(list(_parts(seen, rate, track, ceil(float(info.duration) * rate))))
    return Sight(whole[:, _ONSETS], whole[:, stops.STOPS], whole[:, stops.MOTION], rate)


def cues_in(
    info: ClipInfo, seen: Sight, delay_s: float, threshold: float = THRESHOLD, max_rate: float | None = None
) -> CueSheet:
    """Where a clip that was ``seen`` seems to sound, ``delay_s`` later; what that moves out of the clip is left out."""
    found = hits(seen.onsets, seen.stops, seen.rate, threshold, max_rate)
    cues = [Cue(hit.seconds + delay_s, confidence=hit.confidence) for hit in found]
    return sheet([cue for cue in cues if 0 <= cue.seconds < info.duration], source=SOURCE)


def spotted(job: Job, engine: Engine, settings: RenderSettings, cache: FeatureCache | None) -> Job:
    """The job with the cues that are seen in its clip; without cues where nothing is seen. Raises FoleygenError."""
    found = cues_in(job.info, look(job.info, engine, settings, cache), settings.audio_delay)
    return replace(job, own=replace(job.own, cues=found)) if found.cues else job


def _parts(
    seen: list[tuple[Window, NDArray[np.float32]]], rate: float, track: Track, total: int
) -> Iterator[NDArray[np.float32]]:
    """Of each window the steps at which it, and not a neighbour, is heard."""
    done = 0
    for index, (window, values) in enumerate(seen):
        last = index + 1 == len(seen)
        end = total if last else min(total, round(joint(window, seen[index + 1][0]) / track.sample_rate * rate))
        first = round(window.start / track.sample_rate * rate)
        yield values[done - first : end - first]
        done = end


def _seen(view: View, engine: Engine, cache: FeatureCache | None) -> NDArray[np.float32]:
    """Motion, stops and onsets of one window, (steps, 3)."""
    features = features_of(view, engine, cache)
    onsets = engine.onsets(torch.from_numpy(features)[None])[0].numpy()
    moved = _moved(view, engine, cache)
    places = np.arange(len(onsets)) * len(moved) / len(onsets)
    columns = [np.interp(places, np.arange(len(moved)), moved[:, column]) for column in range(moved.shape[1])]
    return np.stack([*columns, onsets], axis=1).astype(np.float32)


def _moved(view: View, engine: Engine, cache: FeatureCache | None) -> NDArray[np.float32]:
    """``stops.motion_and_stops`` of a window, remembered like its features."""
    info, encoder = view.track.job.info, engine.bundle.encoder
    start = Fraction(view.window.start, engine.bundle.sample_rate)
    length = Fraction(encoder.num_frames) / encoder.frame_rate
    key = feature_key(info.content_id, start, length, f"stops on {encoder.frame_size} pixels", stops.VERSION)
    found = None if cache is None else cache.get(key)
    if found is not None:
        return found
    frames = view.frames
    if frames is None:
        request = FrameRequest(0, start, encoder.num_frames)
        ((_, frames),) = read(info, [request], encoder.frame_rate, encoder.frame_size, frame_rule(engine))
    found = stops.motion_and_stops(frames)
    if cache is not None:
        cache.put(key, found)
    return found
