"""Jobs to outcomes: clips are read ahead, windows of several clips share a batch, finished takes are muxed behind.

In memory at a time are a few windows of pictures that wait for the models, the sound of one batch, and at most 8 MiB
of each unfinished track.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import prod
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foleygen.audio.stitch import plan_windows
from foleygen.engines.foley import Engine
from foleygen.features.cache import FeatureCache
from foleygen.pipeline.channels import delivered
from foleygen.pipeline.deliver import deliver, loudness_target
from foleygen.pipeline.jobs import Job, Outcome, Progress, Report
from foleygen.pipeline.pictures import View, features_of, overlap, views
from foleygen.pipeline.sight import Glance, glance, sight_of, spotted
from foleygen.pipeline.sound import Sampler, Sounding, keep
from foleygen.pipeline.switching import often
from foleygen.pipeline.threads import AllRead, Begun, Ended, Inbox, Room
from foleygen.pipeline.tracks import IN_MEMORY_BYTES, Stopped, Track, failing, spool
from foleygen.settings import RenderSettings

if TYPE_CHECKING:
    from foleygen.engines.composer import Composer
    from foleygen.pipeline.voices.shelf import Shelf

READ_AHEAD = 4
"""Windows of pictures that wait for the models, or as many as are in a batch, besides the one at hand; some MB each."""
MUX_BEHIND = 64
"""Windows of sound that wait to be muxed (2 MiB per minute), or those of one longer clip."""


def render(
    jobs: Iterable[Job],
    engine: Engine,
    settings: RenderSettings,
    cache: FeatureCache | None,
    progress: Report,
    composer: Composer | None = None,
    shelf: Shelf | None = None,
) -> Generator[Outcome, None, None]:
    """Make every job's output; yields one Outcome each, in order of completion.

    The models run in the thread that iterates; ``jobs`` is drawn from in another, a few clips ahead, and ``progress``
    is called from both and a third, never twice at once. Closing the generator stops all of them: no thread and no
    part of a file is left. ``composer`` makes the bed, the full bandwidth and the repaired seams that ``settings`` ask
    for, ``shelf`` is the library that plays if their voice is not the model's. Raises UsageError for an overlap that is
    not shorter than the window or a loudness that is none, and whatever ``jobs`` raises.
    """
    plan_windows(1, engine.bundle.window_samples, overlap(engine, settings))
    loudness_target(settings)
    batch = _Batch(jobs, engine, settings, cache, progress, composer, shelf)
    try:
        yield from batch.outcomes()
    finally:
        batch.stop()


@dataclass
class _Held:
    """The windows of a clip whose cues are known when all of it was seen; their features, 66 kB each, are on disk where
    they are many."""

    seen: list[Glance] = field(default_factory=list)
    _features: IO[bytes] = field(default_factory=lambda: spool(IN_MEMORY_BYTES))
    _shape: tuple[int, ...] = ()

    def add(self, view: View, features: NDArray[np.float32], engine: Engine, cache: FeatureCache | None) -> None:
        with view.track.clocked("features"):
            self.seen.append(glance(view, features, engine, cache))
        self._shape = features.shape
        self._features.write(features.astype(np.float32).tobytes())

    def features(self) -> Iterator[NDArray[np.float32]]:
        """(F, C) of each window, in order; it is done with afterwards."""
        with self._features as file:
            file.seek(0)
            for _ in self.seen:
                yield np.frombuffer(file.read(4 * prod(self._shape)), np.float32).reshape(self._shape)

    def close(self) -> None:
        self._features.close()


class _Batch:
    """The three threads of a batch, and the tracks between them."""

    def __init__(
        self,
        jobs: Iterable[Job],
        engine: Engine,
        settings: RenderSettings,
        cache: FeatureCache | None,
        progress: Report,
        composer: Composer | None,
        shelf: Shelf | None,
    ) -> None:
        self._jobs, self._engine, self._settings, self._cache = jobs, engine, settings, cache
        self._composer, self._shelf = composer, shelf
        self._channels = delivered(settings.channels, shelf)
        self._progress, self._progress_lock = progress, threading.Lock()
        self._sampler = Sampler(engine, settings, self._tell)
        self._inbox = Inbox()
        self._heard: SimpleQueue[Track | None] = SimpleQueue()
        self._unseen, self._unmuxed = Room(max(READ_AHEAD, settings.batch_size)), Room(MUX_BEHIND)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._open: dict[int, Track] = {}
        self._held: dict[int, _Held] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"foleygen {name}", daemon=True)
            for name, work in (("reading", self._read), ("delivering", self._deliver))
        ]

    def outcomes(self) -> Iterator[Outcome]:
        """Runs the models on what the reading thread has seen; raises what went wrong with the batch as a whole."""
        with often():
            yield from self._outcomes()

    def _outcomes(self) -> Iterator[Outcome]:
        for thread in self._threads:
            thread.start()
        reading = True
        try:
            while reading or self._open:
                match self._inbox.get():
                    case Begun(track):
                        self._open[id(track)] = track
                    case View() as view:
                        self._sound(view)
                    case AllRead():
                        reading = False
                        self._keep(self._sampler.finish())
                    case Ended():
                        pass  # it is told below, if it is not told yet
                yield from self._ended()
        except Stopped:
            assert self._error is not None
            raise self._error from None

    def stop(self) -> None:
        """End all threads, wherever they are, and wait for them."""
        self._halt()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for track in self._open.values():
            self._let_go(track)
            track.close()

    def _halt(self) -> None:
        self._stopped.set()
        self._unseen.close()
        self._unmuxed.close()
        self._inbox.close()
        self._heard.put(None)

    def _tell(self, progress: Progress) -> None:
        with self._progress_lock:
            self._progress(progress)

    def _sound(self, view: View) -> None:
        """One window through the models, with others that wait for a full batch."""
        track = view.track
        features = None
        if id(track) in self._open:
            with failing(track):
                features = features_of(view, self._engine, self._cache)
                if track.job.own.spotted:
                    self._held.setdefault(id(track), _Held()).add(view, features, self._engine, self._cache)
        self._unseen.give_back()
        if features is None or track.failed is not None:
            return
        track.seen += 1
        track.report(self._tell, "features", track.seen / len(track.windows))
        if not track.job.own.spotted:
            self._keep(self._sampler.push(track, view.window, features))
        elif view.window.index + 1 == len(track.windows):
            self._sound_spotted(track, self._held.pop(id(track)))

    def _sound_spotted(self, track: Track, held: _Held) -> None:
        """A clip that was seen to its end, and so has its cues."""
        with failing(track):
            seen = sight_of(track, held.seen, self._engine)
            own = spotted(track.job.own, track.job.info.duration, seen, self._settings.audio_delay)
            track.job = replace(track.job, own=own)
        for (window, _), features in zip(held.seen, held.features(), strict=True):
            if track.failed is None:
                self._keep(self._sampler.push(track, window, features))
        held.close()

    def _keep(self, soundings: Iterator[Sounding]) -> None:
        for sounding in soundings:
            track = sounding.row.track
            if track.failed is not None:
                continue
            with failing(track):
                keep(sounding, self._tell)
            if track.failed is None and track.is_heard and self._composer is not None:
                from foleygen.pipeline.composing import compose

                with failing(track):
                    compose(track, self._composer, self._engine, self._settings)
            if track.failed is None and track.is_heard:
                self._unmuxed.take(track.sounded)
                self._heard.put(track)

    def _ended(self) -> Iterator[Outcome]:
        for track in [track for track in self._open.values() if track.failed is not None or track.delivered]:
            del self._open[id(track)]
            self._let_go(track)
            yield track.outcome()

    def _let_go(self, track: Track) -> None:
        held = self._held.pop(id(track), None)
        if held is not None:
            held.close()

    def _run(self, work: Callable[[], None]) -> None:
        """A thread's life; what is not the fault of a clip ends the batch."""
        try:
            work()
        except Stopped:
            pass
        except BaseException as error:
            self._error = self._error or error
            self._halt()

    def _read(self) -> None:
        for job in self._jobs:
            track = Track(job, self._engine.bundle.sample_rate, self._channels)
            self._inbox.put(Begun(track))
            with failing(track):
                self._look_at(track)
            if track.failed is not None:
                self._inbox.put(Ended(track))
            if self._stopped.is_set():
                return
        self._inbox.put(AllRead())

    def _look_at(self, track: Track) -> None:
        """Decode a track window by window, as there is room for them; its failure in another thread is the end."""
        engine, settings = self._engine, self._settings
        track.report(self._tell, "features", 0.0)
        with closing(views(track, engine, settings, self._cache)) as seen:
            for view in seen:
                self._unseen.take()
                self._inbox.put(view)
                if track.failed is not None:
                    return

    def _deliver(self) -> None:
        while (track := self._heard.get()) is not None:
            with failing(track):
                if self._shelf is not None:
                    from foleygen.pipeline.voices.play import play

                    play(track, self._shelf, self._settings, self._stopped)
                deliver(track, self._engine, self._settings, self._stopped, self._tell)
            self._unmuxed.give_back(track.sounded)
            self._inbox.put(Ended(track), urgent=True)
