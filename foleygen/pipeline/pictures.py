"""A clip to its windows, and each window to its features: known from before, or decoded and encoded."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil

import numpy as np
from numpy.typing import NDArray

from foleygen.audio.stitch import Window, plan_windows
from foleygen.engines.foley import Engine
from foleygen.features import stops
from foleygen.features.cache import FeatureCache, feature_key
from foleygen.features.extract import Encoder, extract
from foleygen.media.cuts import Reel
from foleygen.media.frames import FrameRequest, FrameRule, Shot, read
from foleygen.media.probe import ClipInfo
from foleygen.media.source import refuse_another
from foleygen.pipeline.extent import handle_samples, track_samples
from foleygen.pipeline.keys import features_key, known_cuts, remember_cuts, window_length_s
from foleygen.pipeline.tracks import Track
from foleygen.settings import RenderSettings


@dataclass
class View:
    """One window as it was seen: its features (F, C) from the cache, else its ``frames`` (T, S, S, 3) uint8.

    ``moved`` is ``stops.motion_and_stops`` of the frames, where encoding them has it.
    """

    track: Track
    window: Window
    key: str
    frames: NDArray[np.uint8] | None = None
    features: NDArray[np.float32] | None = None
    moved: NDArray[np.float32] | None = None


def choose_windows(info: ClipInfo, engine: Engine, settings: RenderSettings, cuts: Sequence[int] = ()) -> list[Window]:
    """The windows of a clip, in order; ``cuts`` are the first samples of its new shots, from its first picture.

    Runs in the reading thread: no models here.
    """
    bundle = engine.bundle
    handle = handle_samples(info, settings, bundle.sample_rate)
    total = track_samples(info, bundle.sample_rate) + 2 * handle
    moved = [cut + handle for cut in cuts]
    return plan_windows(total, bundle.window_samples, overlap(engine, settings), moved)


def overlap(engine: Engine, settings: RenderSettings) -> int:
    """Samples that neighbouring windows share: whole latent columns where they are made jointly."""
    samples = round(settings.overlap * engine.bundle.sample_rate)
    if settings.seams == "joint" and samples < engine.bundle.window_samples:
        return engine.joint_overlap(samples)
    return samples


def views(
    track: Track, engine: Engine, settings: RenderSettings, cache: FeatureCache | None
) -> Generator[View, None, None]:
    """Every window of a track, in order, as it is asked for; one decode serves all that the cache lacks.

    The track is planned here, and planned again as its shot changes are found, but never a window that has been given,
    nor those that share samples with it.
    """
    info = track.job.info
    track.plan(choose_windows(info, engine, settings), settings)
    if not track.job.own.picture:
        yield from _unseen(track, engine)
        return
    if len(track.windows) == 1 or not settings.cuts:
        yield from _views(track, engine, cache)
        return
    cuts = known_cuts(info, engine.bundle, cache)
    if cuts is None:
        yield from _views_and_cuts(track, engine, settings, cache)
        return
    track.replan(choose_windows(info, engine, settings, cuts), settings)
    yield from _views(track, engine, cache)


def _unseen(track: Track, engine: Engine) -> Iterator[View]:
    """The windows of a clip whose picture has no say: nothing is decoded."""
    shape = (engine.bundle.encoder.num_features, engine.bundle.encoder.feature_dim)
    for window in track.windows:
        yield View(track, window, "", features=np.zeros(shape, np.float32))


def _views(track: Track, engine: Engine, cache: FeatureCache | None) -> Generator[View, None, None]:
    """The views of windows that stay as they are."""
    keys = [_key(track, window, engine) for window in track.windows]
    # Looked up twice, so that the features of a long clip are never held all at once.
    known = {window.index for window in track.windows if _known(track, window, engine, cache) is not None}
    missing = [window for window in track.windows if window.index not in known]
    among = _ahead(track, engine) if missing and missing[0].index == 0 else None
    decoded = _decoded(track, missing, engine, among)
    for window, key in zip(track.windows, keys, strict=True):
        features = cache.get(key) if cache is not None and window.index in known else None
        if features is not None:
            track.cached += 1
            yield View(track, window, key, features=features)
            continue
        # What another process has evicted since it was looked up is decoded by itself.
        frames = next(_decoded(track, [window], engine) if window.index in known else decoded)
        yield View(track, window, key, frames=frames)


def _views_and_cuts(
    track: Track, engine: Engine, settings: RenderSettings, cache: FeatureCache | None
) -> Generator[View, None, None]:
    """Every window of a track whose shot changes are not known yet: one decode finds them and gives the frames."""
    info, encoder, rate = track.job.info, engine.bundle.encoder, engine.bundle.sample_rate
    index = 0
    among = _ahead(track, engine)
    with closing(Reel(info, encoder.frame_size, track.warnings.append, among)) as reel:
        while index < len(track.windows):
            with track.clocked("frames"):
                found = -1
                while len(reel.cuts) != found:
                    found = len(reel.cuts)
                    reel.advance(Fraction(_decided_by(track.windows, index) - track.handle(rate), rate))
                    track.replan(choose_windows(info, engine, settings, _samples(reel.cuts, rate)), settings)
                view = _seen_on(reel, track, track.windows[index], engine, cache)
            yield view
            index += 1
    if cache is not None:
        remember_cuts(_samples(reel.cuts, rate), info, engine.bundle, cache)


def _seen_on(reel: Reel, track: Track, window: Window, engine: Engine, cache: FeatureCache | None) -> View:
    """One window of a reel that has come as far; what lies before it is forgotten."""
    encoder, start = engine.bundle.encoder, track.start_s(window)
    reel.forget(start)
    key = _key(track, window, engine)
    features = _known(track, window, engine, cache)
    if features is not None:
        track.cached += 1
        return View(track, window, key, features=features)
    request = FrameRequest(window.index, start, encoder.num_frames)
    return View(track, window, key, frames=reel.frames(request, encoder.frame_rate, frame_rule(engine)))


def _decided_by(windows: Sequence[Window], index: int) -> int:
    """The sample at which window ``index`` and all that share samples with it stay as they are."""
    last = index
    while last + 1 < len(windows) and windows[last + 1].start < windows[index].end:
        last += 1
    return max(windows[index].end, windows[max(index, last - 1)].end)


def _samples(cuts: Sequence[Fraction], sample_rate: int) -> list[int]:
    """The first sample of each new shot."""
    return [ceil(cut * sample_rate) for cut in cuts]


def features_of(view: View, engine: Engine, cache: FeatureCache | None) -> NDArray[np.float32]:
    """The features of a window, (F, C); new ones are kept for the next run. Runs where the models run."""
    if view.features is not None:
        return view.features
    assert view.frames is not None
    with view.track.clocked("features"):
        encode: Encoder = engine.encode
        if view.track.job.own.spotted and engine.takes_flow:
            flow = stops.flow_of(view.frames)
            view.moved, encode = stops.of_flow(flow), partial(engine.encode, motion=flow)
        ((_, features),) = extract([(view.window.index, view.frames)], encode, engine.device)
        if cache is not None:
            refuse_another(view.track.job.info.path, view.track.job.info.stamp)
            cache.put(view.key, features)
    return features


def frame_rule(engine: Engine) -> FrameRule:
    """How the bundle's encoder wants its frames chosen."""
    return FrameRule[engine.bundle.encoder.frame_rule.upper()]


def _key(track: Track, window: Window, engine: Engine) -> str:
    return features_key(track.job.info, track.start_s(window), engine.bundle)


def stops_key(track: Track, window: Window, engine: Engine) -> str:
    """Of ``features.stops.motion_and_stops`` of a window, in the cache."""
    length, seen_on = window_length_s(engine.bundle), f"stops on {engine.bundle.encoder.frame_size} pixels"
    return feature_key(track.job.info.content_id, track.start_s(window), length, seen_on, stops.VERSION)


def _known(track: Track, window: Window, engine: Engine, cache: FeatureCache | None) -> NDArray[np.float32] | None:
    """The features (F, C) of a window, if the cache has all that is wanted of its pictures: they are not decoded."""
    if cache is None or (features := cache.get(_key(track, window, engine))) is None:
        return None
    is_whole = not track.job.own.spotted or cache.get(stops_key(track, window, engine)) is not None
    return features if is_whole else None


def _ahead(track: Track, engine: Engine) -> Generator[Shot, None, None] | None:
    """The pictures of a clip that is being decoded already, for the first who asks."""
    ahead = track.job.ahead
    if ahead is None or not ahead.take(engine.bundle.encoder.frame_size):
        return None
    return ahead.shots(track.warnings.append)


def _decoded(
    track: Track, windows: list[Window], engine: Engine, among: Generator[Shot, None, None] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames of each window, in order; ``among`` the clip's pictures, where they are decoded elsewhere."""
    encoder = engine.bundle.encoder
    requests = [FrameRequest(window.index, track.start_s(window), encoder.num_frames) for window in windows]
    if not requests:
        return
    rule = frame_rule(engine)
    size, warn = encoder.frame_size, track.warnings.append
    frames = read(track.job.info, requests, encoder.frame_rate, size, rule, warn, among)
    while True:
        with track.clocked("frames"):
            _, pictures = next(frames, (None, None))
        if pictures is None:
            return
        yield pictures
