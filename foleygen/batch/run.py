"""A planned batch -> finished clips with their sidecars, and a report. One bad clip never stops the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen import __version__
from foleygen.batch import sidecar
from foleygen.batch.discover import Clip
from foleygen.batch.plan import Planned, plan
from foleygen.batch.report import (
    ClipDone,
    ClipFailed,
    ClipPlanned,
    ClipProgress,
    ClipSkipped,
    ClipStarted,
    Finished,
    Listener,
    Report,
    Started,
)
from foleygen.config import RenderSettings, Settings
from foleygen.errors import ClipError, FoleygenError

if TYPE_CHECKING:
    from foleygen.features.cache import FeatureCache
    from foleygen.media.probe import ClipInfo
    from foleygen.pipeline import Engine, Job, Outcome
    from foleygen.weights.bundle import Bundle

log = logging.getLogger(__name__)

GPU_BATCH = 8
"""Windows at once on a GPU by ``--batch-size auto``; one on the CPU, where more gains nothing."""


def run(clips: Sequence[Clip], settings: Settings, listen: Listener) -> Report:
    """Give every clip its soundtrack, as ``settings`` says; ``listen`` hears each event.

    Raises UsageError for names that collide, SetupError or BundleError for a bundle or device that cannot be used;
    what concerns one clip is in the report.
    """
    planned = plan(clips, settings)
    report = Report(total=len(planned))
    began = time.monotonic()
    if not planned:
        return report
    bundle = load_bundle(settings)
    report.non_commercial = None if bundle.commercial else bundle.licence
    batch = _Batch(settings, bundle, report, listen)
    listen(Started(len(planned), bundle.name))
    try:
        batch.render(batch.jobs(planned))
    except BaseException as error:
        report.interrupted = not isinstance(error, Exception)
        raise
    finally:
        report.wall_seconds = time.monotonic() - began
        listen(Finished(report))
    return report


def load_bundle(settings: Settings) -> Bundle:
    """The bundle that ``settings.model`` names, verified."""
    from foleygen.weights import bundle, store

    return bundle.load(store.resolve(settings.model))


def load_engine(settings: Settings, bundle: Bundle) -> Engine:
    """The bundle on its device."""
    from foleygen.pipeline import Engine

    return Engine.load(bundle, settings.device, settings.precision)


def feature_cache(settings: Settings) -> FeatureCache | None:
    """The user's feature cache, or None with ``--no-cache``."""
    if not settings.cache:
        return None
    from foleygen.features.cache import FeatureCache, default_root

    return FeatureCache(default_root())


def batch_size(settings: Settings, device: str) -> int:
    """Windows at once: as asked, else what suits the device."""
    return settings.batch_size or (1 if device.startswith("cpu") else GPU_BATCH)


@dataclass
class _Batch:
    settings: Settings
    bundle: Bundle
    report: Report
    listen: Listener
    identities: dict[Path, Mapping[str, Any]] = field(default_factory=dict)

    def jobs(self, planned: Sequence[Planned]) -> Iterator[Job]:
        """The clips that need work, probed one by one as they are asked for; the others end here."""
        for item in planned:
            try:
                info = self._probed(item)
            except FoleygenError as error:
                self._fail(item.clip.path, error)
            except Exception as error:
                from foleygen.engine import explained

                log.debug("%s", item.clip.path, exc_info=True)
                self._fail(item.clip.path, explained(error, item.clip.path))
            else:
                if info is not None:
                    yield self._job(info, item.output)

    def render(self, jobs: Iterator[Job]) -> None:
        """Work through ``jobs``; the engine is loaded only if there is one."""
        first = next(jobs, None)
        if first is None:
            return
        from foleygen.pipeline import render

        engine = load_engine(self.settings, self.bundle)
        render_settings = self.settings.render_settings(batch_size(self.settings, str(engine.device)))
        cache = feature_cache(self.settings)
        progress = lambda progress: self.listen(ClipProgress(progress))  # noqa: E731
        for outcome in render(chain([first], jobs), engine, render_settings, cache, progress):
            self._finish(outcome)

    def _job(self, info: ClipInfo, output: Path) -> Job:
        from foleygen.pipeline import Job

        return Job(info, output)

    def _probed(self, item: Planned) -> ClipInfo | None:
        """The clip's facts if it needs work; None if it is done or would be."""
        from foleygen.media.probe import probe

        if item.problem is not None:
            raise item.problem
        info = probe(item.clip.path)
        identity = self._identity(info.content_id)
        reason = self._reason_to_redo(item.output, identity)
        if reason is None and item.output.exists():
            self.report.skipped.append(item.output)
            self.listen(ClipSkipped(item.clip.path, item.output, "done already, with the same settings"))
            return None
        if self.settings.dry_run:
            self.report.planned.append(item.output)
            self.listen(ClipPlanned(item.clip.path, item.output, reason))
            return None
        self.identities[item.output] = identity
        self.listen(ClipStarted(item.clip.path, item.output, float(info.duration), reason))
        return info

    def _reason_to_redo(self, output: Path, identity: Mapping[str, Any]) -> str | None:
        """Why the finished ``output`` is redone; None if it stays, or is not there. Raises ClipError for a stranger."""
        if not output.exists():
            return None
        if self.settings.overwrite:
            return "--overwrite was given"
        reason = sidecar.difference(output, identity)
        if sidecar.read(output) is None and not output.stem.endswith(sidecar.MARK):
            raise ClipError(
                f"{output}: exists and was not made by foleygen", "move it, or allow it to be lost with --overwrite"
            )
        return reason

    def _identity(self, content_id: str) -> dict[str, Any]:
        """What decides the sound and the file; compared with the sidecar's."""
        sampling = self.bundle.sampling
        settings = self.settings
        return {
            "content_id": content_id,
            "bundle": self.bundle.hash,
            "settings": {
                "seed": settings.seed,
                "take": RenderSettings.take,
                "steps": sampling.num_inference_steps if settings.steps is None else settings.steps,
                "guidance": sampling.guidance_scale if settings.guidance is None else settings.guidance,
                "overlap": settings.overlap,
                "precision": settings.precision,
                "audio": settings.audio,
            },
            "version": __version__,
        }

    def _finish(self, outcome: Outcome) -> None:
        job = outcome.job
        identity = self.identities.pop(job.output)
        if outcome.error is not None:
            return self._fail(job.info.path, outcome.error)
        try:
            written = sidecar.write(job.output, {**self._document(outcome), **identity})
        except FoleygenError as error:
            return self._fail(job.info.path, error)
        self.report.done.append(job.output)
        self.report.clip_seconds += outcome.duration
        self.listen(ClipDone(outcome, written))
        return None

    def _document(self, outcome: Outcome) -> dict[str, Any]:
        info = outcome.job.info
        return {
            "input": info.path.name,
            "duration_s": outcome.duration,
            "timecode": info.timecode,
            "windows": outcome.windows,
            "cached_windows": outcome.cached_windows,
            "audio_codec": outcome.audio_codec,
            "model": self.bundle.name,
            "licence": self.bundle.licence,
            "commercial": self.bundle.commercial,
            "seconds": round(outcome.seconds, 3),
            "stages_s": {stage: round(seconds, 3) for stage, seconds in outcome.stages.items()},
            "warnings": list(outcome.warnings),
        }

    def _fail(self, clip: Path, error: FoleygenError) -> None:
        self.report.failed.append((clip, error))
        self.listen(ClipFailed(clip, error))
