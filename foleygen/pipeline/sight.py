"""A clip's pictures, without any sound: how much moves, how suddenly it stops, and where the encoder expects a hit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio.stitch import Window, joint
from foleygen.cues.cue import filled, sheet
from foleygen.engines.foley import Engine
from foleygen.facts import Cue, CueSheet
from foleygen.features import stops
from foleygen.features.cache import FeatureCache
from foleygen.media.ahead import Ahead
from foleygen.media.frames import FrameRequest, read
from foleygen.media.probe import ClipInfo
from foleygen.pipeline.hits import THRESHOLD, hits
from foleygen.pipeline.jobs import Job
from foleygen.pipeline.pictures import View, features_of, frame_rule, stops_key, views
from foleygen.pipeline.tracks import Track, failing
from foleygen.settings import ClipSettings, RenderSettings

SURE = 0.75
"""A clip one of whose cues is as sure as that sounds at its cues alone."""
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


class Seen(NamedTuple):
    """One window: its frames (T, S, S, 3) uint8 and their features (F, C)."""

    frames: NDArray[np.uint8]
    features: NDArray[np.float32]


Watch = Callable[[Fraction, Seen], None]


def look(
    info: ClipInfo,
    engine: Engine,
    settings: RenderSettings,
    cache: FeatureCache | None,
    ahead: Ahead | None = None,
    watch: Watch | None = None,
) -> Sight:
    """Look at a clip once; what an earlier run has seen of it is not decoded again.

    ``ahead`` are its pictures where somebody has begun to decode them; ``watch`` is told of every window that is
    decoded, and when it begins. Raises FoleygenError: BundleError where the bundle's encoder has no onsets to tell.
    """
    settings = replace(settings, handles=0.0)
    track = Track(Job(info, info.path, ClipSettings(spotted=True), ahead), engine.bundle.sample_rate)
    seen: list[Glance] = []
    with failing(track), closing(views(track, engine, settings, cache)) as found:
        for view in found:
            features = features_of(view, engine, cache)
            seen.append(glance(view, features, engine, cache))
            if watch is not None and view.frames is not None:
                watch(track.start_s(view.window), Seen(view.frames, features))
    track.close()
    if track.failed is not None:
        raise track.failed
    return sight_of(track, seen, engine)


Glance = tuple[Window, NDArray[np.float32]]
"""A window, and its motion, stops and onsets, (steps, 3)."""


def sight_of(track: Track, seen: Sequence[Glance], engine: Engine) -> Sight:
    """What is seen in a track, from all of its windows in order; sound before and after the picture has none."""
    seconds = engine.bundle.window_samples / engine.bundle.sample_rate
    rate = len(seen[0][1]) / seconds
    handle = round(float(track.handle_s) * rate)
    total = ceil(float(track.job.info.duration) * rate)
    whole = np.concatenate(list(_parts(seen, rate, track, total + 2 * handle)))[handle : handle + total]
    return Sight(whole[:, _ONSETS], whole[:, stops.STOPS], whole[:, stops.MOTION], rate)


def sight_of_window(frames: NDArray[np.uint8], features: NDArray[np.float32], engine: Engine) -> Sight:
    """What is seen in the ``frames`` (T, S, S, 3) of one window, whose features are (F, C)."""
    seen = _columns(features, stops.motion_and_stops(frames), engine)
    rate = len(seen) * engine.bundle.sample_rate / engine.bundle.window_samples
    return Sight(seen[:, _ONSETS], seen[:, stops.STOPS], seen[:, stops.MOTION], rate)


def cues_in(
    duration_s: Fraction, seen: Sight, delay_s: float, threshold: float = THRESHOLD, max_rate: float | None = None
) -> CueSheet:
    """Where a clip that was ``seen`` seems to sound, ``delay_s`` later; what that moves out of the clip is left out."""
    found = hits(seen.onsets, seen.stops, seen.rate, threshold, max_rate)
    cues = [Cue(hit.seconds + delay_s, confidence=hit.confidence) for hit in found]
    return sheet([cue for cue in cues if 0 <= cue.seconds < duration_s], source=SOURCE)


def spotted(own: ClipSettings, duration_s: Fraction, seen: Sight, delay_s: float) -> ClipSettings:
    """``own`` with the cues that are seen in the clip; without cues, where the picture decides, if there are none.

    Where not one of them is sure the picture may add: what goes on, as rain does, has unsure ones.
    """
    found = cues_in(duration_s, seen, delay_s)
    if not found.cues:
        return own
    is_sure = max(cue.confidence or 0.0 for cue in found.cues) >= SURE
    return replace(own, cues=found if is_sure else filled(found))


def _parts(seen: Sequence[Glance], rate: float, track: Track, total: int) -> Iterator[NDArray[np.float32]]:
    """Of each window the steps at which it, and not a neighbour, is heard."""
    done = 0
    for index, (window, values) in enumerate(seen):
        last = index + 1 == len(seen)
        end = total if last else min(total, round(joint(window, seen[index + 1][0]) / track.sample_rate * rate))
        first = round(window.start / track.sample_rate * rate)
        yield values[done - first : end - first]
        done = end


def glance(view: View, features: NDArray[np.float32], engine: Engine, cache: FeatureCache | None) -> Glance:
    """What is seen in one window with ``features`` (F, C)."""
    return view.window, _columns(features, _moved(view, engine, cache), engine)


def _columns(features: NDArray[np.float32], moved: NDArray[np.float32], engine: Engine) -> NDArray[np.float32]:
    """Motion, stops and onsets of one window, (steps, 3), from its features and ``stops.motion_and_stops``."""
    onsets = engine.onsets(torch.from_numpy(features)[None])[0].numpy()
    places = np.arange(len(onsets)) * len(moved) / len(onsets)
    columns = [np.interp(places, np.arange(len(moved)), moved[:, column]) for column in range(moved.shape[1])]
    return np.stack([*columns, onsets], axis=1).astype(np.float32)


def _moved(view: View, engine: Engine, cache: FeatureCache | None) -> NDArray[np.float32]:
    """``stops.motion_and_stops`` of a window, remembered like its features."""
    info, encoder = view.track.job.info, engine.bundle.encoder
    key = stops_key(view.track, view.window, engine)
    found = None if cache is None else cache.get(key)
    if found is not None:
        return found
    found, frames = view.moved, view.frames
    if found is None:
        if frames is None:  # another process has evicted them since they were looked up
            request = FrameRequest(0, view.track.start_s(view.window), encoder.num_frames)
            ((_, frames),) = read(info, [request], encoder.frame_rate, encoder.frame_size, frame_rule(engine))
        found = stops.motion_and_stops(frames)
    if cache is not None:
        cache.put(key, found)
    return found
