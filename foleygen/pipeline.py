"""One clip, one soundtrack: frames, features, latents, mels, sound, stitched and muxed.

Windows of several clips share a batch; a clip that fails leaves its outcome behind and never stops the others. In
memory at a time are the features of one clip, the sound of one batch, and at most 64 MiB of each unfinished track.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio.stitch import Stitcher, Window, plan_windows
from foleygen.config import RenderSettings
from foleygen.engine import Engine, WindowKey, explained, out_of_memory
from foleygen.errors import FoleygenError, SetupError
from foleygen.features.cache import FeatureCache, feature_key
from foleygen.features.extract import PREPROCESSING_VERSION, extract
from foleygen.media.frames import FrameRequest, FrameRule, read
from foleygen.media.mux import mux
from foleygen.media.probe import ClipInfo
from foleygen.media.source import printable

IN_MEMORY_BYTES = 64 * 1024**2
"""A soundtrack up to this size (17 minutes at 16 kHz) waits for its mux in memory, a longer one on disk."""
CHUNK = 1 << 16

__all__ = ["Engine", "Job", "Outcome", "Progress", "WindowResult", "render", "render_window", "soundtrack"]


@dataclass(frozen=True)
class Job:
    """A clip and where its copy with sound goes."""

    info: ClipInfo
    output: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job; ``error`` is None when the output exists."""

    job: Job
    seconds: float
    duration: float
    windows: int
    cached_windows: int
    stages: Mapping[str, float]
    audio_codec: str
    warnings: tuple[str, ...]
    error: FoleygenError | None


@dataclass(frozen=True)
class Progress:
    """``done`` is the share (0..1) of the clip's work; ``stage`` what is being done."""

    clip: Path
    stage: str
    done: float
    clip_seconds: float


@dataclass(frozen=True)
class WindowResult:
    """One window for a preview: samples, its mel (mels, frames) in [0, 1], and motion per frame at ``motion_rate``."""

    samples: NDArray[np.float32]
    sample_rate: int
    mel: NDArray[np.float32]
    motion: NDArray[np.float32]
    motion_rate: float


Report = Callable[[Progress], None]
STAGE_SHARE = {"features": 0.45, "sampling": 0.45, "muxing": 0.1}


def render(
    jobs: Iterable[Job], engine: Engine, settings: RenderSettings, cache: FeatureCache | None, progress: Report
) -> Iterator[Outcome]:
    """Make every job's output; yields one Outcome each, in order of completion.

    A batch is always ``settings.batch_size`` windows, whose sums are rounded alike whoever shares it; only where memory
    runs out is it halved. Raises UsageError for an overlap that is not shorter than the window.
    """
    plan_windows(1, engine.bundle.window_samples, _overlap(engine, settings))
    pending: list[_Piece] = []
    for item in _pieces(jobs, engine, settings, cache, progress):
        if isinstance(item, Outcome):
            yield item
            continue
        pending.append(item)
        if len(pending) == settings.batch_size:
            yield from _finish(pending, engine, settings, progress)
            pending = []
    if pending:
        yield from _finish(pending, engine, settings, progress)


def render_window(
    info: ClipInfo, engine: Engine, settings: RenderSettings, at_s: float, seconds: float
) -> WindowResult:
    """One window that begins ``at_s`` seconds into the clip, cut to ``seconds``; no cache, no file."""
    bundle = engine.bundle
    start = Fraction(round(at_s * bundle.sample_rate), bundle.sample_rate)
    request = FrameRequest(0, start, bundle.encoder.num_frames)
    ((_, frames),) = read(info, [request], bundle.encoder.frame_rate, bundle.encoder.frame_size, _rule(engine))
    ((_, features),) = extract([(0, frames)], engine.encode, engine.device)
    keys = [WindowKey(settings.seed, info.content_id, int(start * bundle.sample_rate), settings.take)]
    latents = engine.latents(torch.from_numpy(features)[None], keys, settings.steps, settings.guidance)
    mels = engine.mels(latents)
    wanted = min(seconds, float(info.duration - start), bundle.window_samples / bundle.sample_rate)
    count = max(1, round(wanted * bundle.sample_rate))
    columns = -(-count // bundle.mel.hop_length)
    motion = np.abs(np.diff(frames.astype(np.float32).mean(axis=3), axis=0, prepend=frames[:1].mean(axis=3)))
    shown = max(1, round(wanted * float(bundle.encoder.frame_rate)))
    return WindowResult(
        samples=engine.sounds(mels, keys)[0].numpy()[:count],
        sample_rate=bundle.sample_rate,
        mel=mels[0].cpu().numpy()[:, :columns],
        motion=motion.mean(axis=(1, 2))[:shown].astype(np.float32),
        motion_rate=float(bundle.encoder.frame_rate),
    )


def soundtrack(
    info: ClipInfo, engine: Engine, settings: RenderSettings, cache: FeatureCache | None = None
) -> NDArray[np.float32]:
    """The whole soundtrack in memory, (round(duration * sample_rate),) at the bundle's rate; writes no file."""
    track = _track(Job(info, info.path), engine, settings, time.monotonic())
    features = _features(track, engine, cache, _unheard)
    joined = []
    for window, vectors in zip(track.windows, features, strict=True):
        (samples,) = _sound([_Piece(track, window, vectors)], engine, settings, _unheard)
        joined.append(_joined(track, window, samples))
    return np.concatenate(joined)


def _unheard(progress: Progress) -> None:
    """For callers who do not ask how far it is."""


@dataclass
class _Track:
    """A clip on its way: its windows, its growing soundtrack, its clock."""

    job: Job
    windows: list[Window]
    stitcher: Stitcher
    spool: IO[bytes]
    started: float
    cached: int = 0
    done: int = 0
    shown: float = 0.0
    audio_codec: str = ""
    failed: FoleygenError | None = None
    warnings: list[str] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def is_heard(self) -> bool:
        return self.done == len(self.windows)

    def report(self, progress: Report, stage: str, share: float) -> None:
        """Tell that ``share`` (0..1) of ``stage`` is done; never less than before, also when work is repeated."""
        before = sum(list(STAGE_SHARE.values())[: list(STAGE_SHARE).index(stage)])
        self.shown = max(self.shown, min(1.0, before + STAGE_SHARE[stage] * share))
        progress(Progress(self.job.info.path, stage, self.shown, float(self.job.info.duration)))


@dataclass(frozen=True)
class _Piece:
    """One window of a track with the features of its pictures (F, C)."""

    track: _Track
    window: Window
    features: NDArray[np.float32]

    def key(self, settings: RenderSettings) -> WindowKey:
        return WindowKey(settings.seed, self.track.job.info.content_id, self.window.start, settings.take)


def _pieces(
    jobs: Iterable[Job], engine: Engine, settings: RenderSettings, cache: FeatureCache | None, progress: Report
) -> Iterator[_Piece | Outcome]:
    for job in jobs:
        track = _track(job, engine, settings, time.monotonic())
        features: list[NDArray[np.float32]] = []
        with _failing(track):
            track.report(progress, "features", 0.0)
            features = _features(track, engine, cache, progress)
        if track.failed is not None:
            yield _outcome(track)
            continue
        for window, vectors in zip(track.windows, features, strict=True):
            if track.failed is None:
                yield _Piece(track, window, vectors)


def _track(job: Job, engine: Engine, settings: RenderSettings, started: float) -> _Track:
    total = max(1, round(job.info.duration * engine.bundle.sample_rate))
    windows = plan_windows(total, engine.bundle.window_samples, _overlap(engine, settings))
    spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - closed by _outcome
    return _Track(job, windows, Stitcher(total, windows), spool, started)


def _overlap(engine: Engine, settings: RenderSettings) -> int:
    """Samples that neighbouring windows share."""
    return round(settings.overlap_s * engine.bundle.sample_rate)


@contextmanager
def _failing(*tracks: _Track) -> Iterator[None]:
    """Whatever goes wrong inside is the failure of ``tracks``, except that nobody listens any more."""
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        for track in tracks:
            track.failed = explained(error, track.job.info.path)


def _features(track: _Track, engine: Engine, cache: FeatureCache | None, progress: Report) -> list[NDArray[np.float32]]:
    """The features of every window, from the cache where it has them; one decode serves all that it lacks."""
    info, encoder = track.job.info, engine.bundle.encoder
    rate = engine.bundle.sample_rate
    length = Fraction(encoder.num_frames) / encoder.frame_rate
    starts = [Fraction(window.start, rate) for window in track.windows]
    keys = [
        feature_key(info.content_id, start, length, engine.bundle.encoder_hash, PREPROCESSING_VERSION)
        for start in starts
    ]
    found: dict[int, NDArray[np.float32]] = {}
    if cache is not None:
        found = {index: array for index, key in enumerate(keys) if (array := cache.get(key)) is not None}
    track.cached = len(found)
    requests = [
        FrameRequest(index, start, encoder.num_frames) for index, start in enumerate(starts) if index not in found
    ]
    if requests:
        frames = read(
            info, requests, encoder.frame_rate, encoder.frame_size, _rule(engine), on_warning=track.warnings.append
        )
        timed = _timed(frames, track.stages, "frames")
        before = time.monotonic()
        for index, array in extract(timed, engine.encode, engine.device):
            found[index] = array
            if cache is not None:
                cache.put(keys[index], array)
            track.report(progress, "features", len(found) / len(track.windows))
        track.stages["features"] += time.monotonic() - before - track.stages["frames"]
    track.report(progress, "features", 1.0)
    return [found[index] for index in range(len(track.windows))]


def _finish(pieces: list[_Piece], engine: Engine, settings: RenderSettings, progress: Report) -> Iterator[Outcome]:
    """Sound for a batch of windows; every track that has its last window now is muxed."""
    pieces = [piece for piece in pieces if piece.track.failed is None]
    tracks = list({id(piece.track): piece.track for piece in pieces}.values())
    # The size of a batch decides how its sums are rounded, so a last batch that is not full is filled by repetition.
    filled = pieces + pieces[-1:] * (settings.batch_size - len(pieces))
    sounds: list[NDArray[np.float32]] = []
    with _failing(*tracks):
        sounds = _sound(filled, engine, settings, progress)
    for piece, samples in zip(pieces, sounds, strict=False):
        if piece.track.failed is None:
            with _failing(piece.track):
                _keep(piece, samples, progress)
    for track in tracks:
        if track.failed is None and track.is_heard:
            with _failing(track):
                _mux(track, engine, settings, progress)
        if track.failed is not None or track.is_heard:
            yield _outcome(track)


def _keep(piece: _Piece, samples: NDArray[np.float32], progress: Report) -> None:
    track = piece.track
    track.spool.write(_joined(track, piece.window, samples).tobytes())
    track.done += 1
    track.report(progress, "sampling", track.done / len(track.windows))


def _joined(track: _Track, window: Window, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples in [-1, 1] that are final once ``window`` is there."""
    if not np.isfinite(samples).all():
        fact = f"{printable(track.job.info.path)}: the model gave values that are not finite"
        raise SetupError(fact, "use --precision fp32, or check the weights with 'foleygen models verify'")
    finished = track.stitcher.push(window.index, samples)
    return np.clip(finished, -1, 1, out=finished)  # loud windows that overlap may add up to more


def _sound(
    pieces: list[_Piece], engine: Engine, settings: RenderSettings, progress: Report
) -> list[NDArray[np.float32]]:
    """Samples of each piece. A batch that does not fit in memory is halved until it does."""
    if not pieces:
        return []
    try:
        return _sound_at_once(pieces, engine, settings, progress)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error) or len(pieces) == 1:
            raise
    # Outside the handler, where the failed attempt's tensors are let go.
    middle = len(pieces) // 2
    halves = (pieces[:middle], pieces[middle:])
    return list(chain.from_iterable(_sound(half, engine, settings, progress) for half in halves))


def _sound_at_once(
    pieces: list[_Piece], engine: Engine, settings: RenderSettings, progress: Report
) -> list[NDArray[np.float32]]:
    keys = [piece.key(settings) for piece in pieces]
    features = torch.from_numpy(np.stack([piece.features for piece in pieces]))
    tracks = {id(piece.track): piece.track for piece in pieces}
    windows = Counter(number for number, _ in {(id(piece.track), piece.window.index) for piece in pieces})

    def on_step(step: int, steps: int) -> None:
        for number, track in tracks.items():
            done = track.done + windows[number] * step / steps
            track.report(progress, "sampling", done / len(track.windows))

    with _clocked(pieces, "sampling"):
        latents = engine.latents(features, keys, settings.steps, settings.guidance, on_step)
    with _clocked(pieces, "decoding"):
        mels = engine.mels(latents)
    with _clocked(pieces, "vocoding"):
        sounds = engine.sounds(mels, keys)
    return [sound.numpy() for sound in sounds]


def _mux(track: _Track, engine: Engine, settings: RenderSettings, progress: Report) -> None:
    track.report(progress, "muxing", 0.0)
    before = time.monotonic()
    track.spool.seek(0)
    metadata = {"comment": f"sound by foleygen, model {engine.bundle.name}, seed {settings.seed}"}
    report = mux(
        track.job.info,
        _chunks(track.spool),
        engine.bundle.sample_rate,
        track.job.output,
        audio=settings.audio,
        metadata=metadata,
    )
    track.audio_codec = report.audio_codec
    track.warnings.extend(report.warnings)
    track.stages["muxing"] += time.monotonic() - before
    track.report(progress, "muxing", 1.0)


def _outcome(track: _Track) -> Outcome:
    track.spool.close()
    info = track.job.info
    return Outcome(
        job=track.job,
        seconds=time.monotonic() - track.started,
        duration=float(info.duration),
        windows=len(track.windows),
        cached_windows=track.cached,
        stages=dict(track.stages),
        audio_codec=track.audio_codec,
        warnings=(*info.warnings, *track.warnings),
        error=track.failed,
    )


def _chunks(spool: IO[bytes]) -> Iterator[NDArray[np.float32]]:
    while block := spool.read(CHUNK * 4):
        yield np.frombuffer(block, dtype=np.float32)


def _rule(engine: Engine) -> FrameRule:
    return FrameRule[engine.bundle.encoder.frame_rule.upper()]


def _timed(
    frames: Iterator[tuple[int, NDArray[np.uint8]]], stages: dict[str, float], name: str
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    while True:
        before = time.monotonic()
        item = next(frames, None)
        stages[name] += time.monotonic() - before
        if item is None:
            return
        yield item


@contextmanager
def _clocked(pieces: list[_Piece], stage: str) -> Iterator[None]:
    before = time.monotonic()
    yield
    share = (time.monotonic() - before) / len(pieces)
    for piece in pieces:
        piece.track.stages[stage] += share
