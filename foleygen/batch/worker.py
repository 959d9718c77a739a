"""Everything that one process does with its clips: probe, decide, make the sound, write the sidecar."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.batch.events import (
    ClipDone,
    ClipFailed,
    ClipPlanned,
    ClipProgress,
    ClipSkipped,
    ClipStarted,
    Event,
    Listener,
    Loading,
    Opened,
)
from foleygen.batch.loading import batch_size, feature_cache, load_ambience, load_engine, load_library
from foleygen.batch.plan import Planned
from foleygen.batch.remade import remade
from foleygen.batch.standing import DONE, Standing, kept, standing
from foleygen.batch.telling import as_told, check_sound
from foleygen.errors import FoleygenError, check_stop
from foleygen.facts import stamp
from foleygen.record import claims, failures, fit, markers, sidecar
from foleygen.record.making import record_of
from foleygen.settings import ClipSettings, Settings

if TYPE_CHECKING:
    from foleygen.engines.composer import Composer
    from foleygen.media.probe import ClipInfo
    from foleygen.pipeline import Engine, Job, Outcome, Progress
    from foleygen.weights.bundle import Bundle

log = logging.getLogger(__name__)


class Worker:
    """Works on clips with one bundle; its models are loaded when the first clip needs them, and stay."""

    def __init__(self, settings: Settings, bundle: Bundle) -> None:
        self._settings = settings
        self._bundle = bundle
        self._ambience = load_ambience(settings)
        self._shelf = load_library(settings)
        check_sound(settings, bundle)
        self._engine: Engine | None = None
        self._composer: Composer | None = None
        self._at_work: dict[Path, Planned] = {}
        self._stale: dict[Path, tuple[Path, ...]] = {}

    def work(self, planned: Iterable[Planned], listen: Listener) -> None:
        """Bring every clip to its end, which is one of events.ENDS.

        ``planned`` is read ahead of the work, maybe by another thread; ``listen`` is called by one thread at a time.
        """
        lock = threading.Lock()

        def tell(event: Event) -> None:
            with lock:
                listen(event)

        tell(Opened(self._bundle.name, None if self._bundle.commercial else self._bundle.licence))
        jobs = self._jobs(planned, tell)
        first = next(jobs, None)
        if first is not None:
            with self._begun(first) as begun:
                self._render(chain([begun], jobs), tell)

    def _jobs(self, planned: Iterable[Planned], tell: Listener) -> Iterator[Job]:
        """The clips that need work, probed one by one as they are asked for; the others end here."""
        for item in planned:
            check_stop()
            try:
                job = self._job(item, tell)
            except FoleygenError as error:
                tell(failed(item.clip.path, item.output, error))
            except Exception as error:
                from foleygen.engines.device import explained

                log.debug("%s", item.clip.path, exc_info=True)
                tell(failed(item.clip.path, item.output, explained(error, item.clip.path)))
            else:
                if job is not None:
                    yield job

    def _begun(self, first: Job) -> AbstractContextManager[Job]:
        """The first clip, decoded while the models are loaded, unless they are or it must be alone."""
        from foleygen.pipeline.ahead import begun

        if self._engine is not None or self._at_work[first.output].alone:
            return nullcontext(first)
        return begun(first, self._bundle, self._settings.render_settings(1), feature_cache(self._settings))

    def _render(self, jobs: Iterable[Job], tell: Listener) -> None:
        engine = self._loaded(tell)
        from foleygen.pipeline import render

        render_settings = self._settings.render_settings(batch_size(self._settings, str(engine.device)))

        def progress(now: Progress) -> None:
            tell(ClipProgress(now.clip, now.stage, now.done, now.clip_seconds))

        cache = feature_cache(self._settings)
        with closing(render(jobs, engine, render_settings, cache, progress, self._composer, self._shelf)) as outcomes:
            for outcome in outcomes:
                self._finish(outcome, tell)

    def _loaded(self, tell: Listener) -> Engine:
        if self._engine is None:
            tell(Loading(done=False))
            self._engine = load_engine(self._settings, self._bundle)
            if self._ambience is not None:
                from foleygen.engines.composer import Composer, Precision

                precision: Precision = "bf16" if self._settings.precision == "bf16" else "fp32"
                self._composer = Composer.load(self._ambience, self._settings.device, precision)
            tell(Loading(done=True))
        return self._engine

    def _job(self, item: Planned, tell: Listener) -> Job | None:
        """The clip if it needs work; None if it is done or would be."""
        from foleygen.media.probe import probe
        from foleygen.pipeline import Job

        if item.problem is not None:
            raise item.problem
        document = sidecar.read(item.output)
        if self._is_done(item, document):
            self._skip(item, tell)
            return None
        info = probe(item.clip.path, self._settings.max_pixels)
        try:
            own, notes = self._own(item, info)
        except FoleygenError as error:
            stays = kept(item.output, document, self._settings, error.message)
            if stays is None:
                raise
            self._skip(item, tell, stays)
            return None
        identity = self._identity(own)
        found = standing(item.output, document, identity, info.content_id, self._settings)
        if found.stays is not None:
            self._skip(item, tell, found)
            return None
        reason = found.reason or failures.reason(item.output)
        if self._settings.dry_run:
            tell(ClipPlanned(item.clip.path, item.output, reason, found.overwrites))
            return None
        if found.ready is not None:
            tell(ClipStarted(item.clip.path, item.output, float(info.duration), reason))
            tell(remade(item, *found.ready, self._settings))
            return None
        self._at_work[item.output] = item
        self._stale[item.output] = found.stale
        tell(ClipStarted(item.clip.path, item.output, float(info.duration), reason))
        return Job(replace(info, warnings=info.warnings + notes), item.output, own)

    def _identity(self, own: ClipSettings) -> dict[str, Any]:
        return fit.identity(self._settings, self._bundle, self._ambience, own, self._shelf)

    def _own(self, item: Planned, info: ClipInfo) -> tuple[ClipSettings, tuple[str, ...]]:
        """What is set for the clip alone, and what to warn of. Raises ClipError for cues that are not the clip's."""
        from foleygen.cues.clock import ClipClock

        said, notes = item.spotting.settled(ClipClock.of(info))
        return self._joined(item, said), notes

    def _joined(self, item: Planned, said: ClipSettings) -> ClipSettings:
        """What the clip brought with it, and what was said of it."""
        own = ClipSettings(**{**item.clip.own.chosen(), **said.chosen()})
        own = replace(own, spotted=own.spotted and own.cues is None and own.picture)
        return as_told(own, self._bundle, self._settings, item.clip.path)

    def _is_done(self, item: Planned, document: Mapping[str, Any] | None) -> bool:
        """Whether the finished clip stays, as its sidecar and the clip's time of change tell."""
        # Cues are said in the clip's own clock, which is known when it has been read.
        if self._settings.overwrite or item.spotting.is_clocked or document is None or not item.output.exists():
            return False
        own = self._joined(item, item.spotting.without_markers)
        identity = self._identity(own)
        return fit.fit_of(item.output, document, identity).stays(item.clip.path)

    def _skip(self, item: Planned, tell: Listener, found: Standing = DONE) -> None:
        """The finished clip stays; markers that it lacks are written from its sidecar."""
        forms = () if found.is_kept or self._settings.dry_run else self._settings.markers or ()
        for form in forms:
            if not os.path.lexists(markers.path_for(item.output, form)):
                markers.of_record(item.output, sidecar.load(item.output), form)
        tell(ClipSkipped(item.clip.path, item.output, found.stays or "", found.is_kept))

    def _finish(self, outcome: Outcome, tell: Listener) -> None:
        job = outcome.job
        item, stale = self._at_work.pop(job.output), self._stale.pop(job.output)
        error = outcome.error
        if error is None:
            try:
                record = record_of(outcome, item.clip.path, self._settings, self._bundle, self._ambience, self._shelf)
                with withdrawn_on_failure(outcome):
                    written = sidecar.write(job.output, record.document(), outcome.seal)
                claims.clear(job.output, stale, record)
                if not job.output.exists():
                    log.warning("%s: was moved away or removed as soon as it was written", job.output)
                for form in self._settings.markers or ():
                    markers.of_record(job.output, record, form)
            except Exception as unwritten:
                from foleygen.engines.device import explained

                error = explained(unwritten, job.output)
        tell(failed(job.info.path, job.output, error) if error is not None else done(outcome, written))


@contextmanager
def withdrawn_on_failure(outcome: Outcome) -> Iterator[None]:
    """The finished clip and its wavs go again if its sidecar cannot be written: all of them are there, or none.

    A file that somebody has touched since stays.
    """
    made = [(outcome.job.output, outcome.seal.stamp)] if outcome.seal is not None else []
    made += [(one.stem, stamp(one.stem)) for one in (*outcome.takes, outcome.bed) if one is not None and one.stem]
    try:
        yield
    except BaseException:
        for path, as_written in made:
            if as_written is not None and stamp(path) == as_written:
                with suppress(OSError):
                    path.unlink()
        raise


def failed(clip: Path, output: Path, error: FoleygenError) -> ClipFailed:
    """The event of ``error``, with its traceback as text."""
    return ClipFailed(clip, output, error, "".join(traceback.format_exception(error)))


def done(outcome: Outcome, written: Path) -> ClipDone:
    """The event of a clip whose sidecar is ``written``."""
    return ClipDone(
        clip=outcome.job.info.path,
        output=outcome.job.output,
        sidecar=written,
        duration=outcome.duration,
        seconds=outcome.seconds,
        stages=dict(outcome.stages),
        windows=outcome.windows,
        cached_windows=outcome.cached_windows,
        audio_codec=outcome.audio_codec,
        loudness=outcome.loudness,
        warnings=outcome.warnings,
        takes=outcome.takes,
    )
