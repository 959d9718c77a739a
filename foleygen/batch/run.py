"""Clips -> finished clips with their sidecars, and a report. One bad clip never stops the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foleygen.batch import summary
from foleygen.batch.discover import Clip
from foleygen.batch.events import (
    ClipDone,
    ClipFailed,
    ClipSkipped,
    Event,
    Finished,
    Listener,
    Opened,
    Remark,
    Report,
    Started,
)
from foleygen.batch.plan import Planned, plan, spotted
from foleygen.batch.shard import Shard, deal, fingerprint, folder_of, in_order, lengths_of, parse
from foleygen.batch.telling import understood
from foleygen.errors import FoleygenError
from foleygen.record import failures
from foleygen.settings import Settings

log = logging.getLogger(__name__)

Work = Callable[[Settings, Iterable[Planned], Listener], None]
"""Brings every clip to its end: in this process, in one of its own, or elsewhere."""


def run(clips: Sequence[Clip], settings: Settings, listen: Listener, work: Work | None = None) -> Report:
    """Give every clip its soundtrack, as ``settings`` says; ``listen`` hears each event.

    The clips are worked on in this process unless ``work`` does it elsewhere. Raises UsageError for names that
    collide, SetupError or BundleError for a bundle or device that cannot be used; what concerns one clip is in the
    report.
    """
    settings, meant = understood(settings)
    choice = choose(clips, settings)
    report = Report(total=len(choice.planned), elsewhere=choice.found - len(choice.planned))
    if choice.found == 0:
        return report
    if settings.timeline is not None:
        from foleygen.record.timeline import timeline

        timeline.check(settings.timeline, settings.has_wavs)
    if choice.shard is not None and not settings.dry_run:
        summary.forget(choice.folder, choice.shard, settings.overwrite)
    for remark in [meant, *choice.remarks] if meant else choice.remarks:
        listen(Remark(remark))
    batch = _Batch(settings, report, listen)
    began = time.monotonic()
    try:
        if choice.planned:
            (work or here)(settings, batch.feed(choice.planned), batch.hear)
        _write_timeline(choice, settings, report)
    except FoleygenError as error:
        report.fatal = error
        raise
    except Exception as error:
        report.fatal = FoleygenError(str(error))
        raise
    except BaseException:
        report.interrupted = True
        raise
    finally:
        report.wall_seconds = time.monotonic() - began
        if batch.has_started or report.interrupted or not choice.planned:
            _write_summary(choice, settings, report)
            listen(Finished(report))
    return report


@dataclass(frozen=True)
class Choice:
    """What a run works on: ``planned``, of the ``found`` clips that it was given."""

    planned: list[Planned]
    found: int
    remarks: list[str] = field(default_factory=list)
    """What there is to say of it."""
    shard: Shard | None = None
    folder: Path = Path()
    """Where the shard's summary goes."""
    list_hash: str = ""


def choose(clips: Sequence[Clip], settings: Settings) -> Choice:
    """The clips of this run: its shard of them, and of those only what failed before if that is asked.

    Dealing comes before any skipping, so that the shards of a batch fit together whenever each is run. Raises
    UsageError.
    """
    own = None if settings.shard is None else parse(settings.shard)
    whole = clips if own is None else in_order(clips)
    planned = plan(whole, settings, None if own is None else _dealt(whole, own, settings))
    if settings.retry_failed:
        planned = [item for item in planned if failures.read(item.output) is not None]
    planned, remarks = spotted(planned, settings, others=len(whole) > 1)
    if own is None:
        return Choice(planned, len(whole), remarks)
    folder = folder_of(whole) if settings.output is None else settings.output
    return Choice(planned, len(whole), remarks, own, folder, fingerprint(whole))


def _dealt(whole: Sequence[Clip], own: Shard, settings: Settings) -> Sequence[int]:
    """The numbers of the clips of this shard."""
    lengths = lengths_of(whole, settings.max_pixels) if settings.balance == "duration" else None
    return deal(len(whole), own, lengths)


def _write_summary(choice: Choice, settings: Settings, report: Report) -> None:
    if choice.shard is None or settings.dry_run:
        return
    try:
        summary.write(choice.folder, summary.of_report(report, choice.shard, choice.list_hash))
    except FoleygenError as error:
        log.warning("%s", error)


def _write_timeline(choice: Choice, settings: Settings, report: Report) -> None:
    made = {*report.done, *report.skipped}
    outputs = [item.output for item in choice.planned if item.output in made]
    if settings.timeline is not None and outputs and not settings.dry_run:
        from foleygen.record.timeline import timeline

        timeline.write(settings.timeline, outputs, timeline.Options(settings.timeline_paths, settings.aaf))
        report.timeline = settings.timeline


def here(settings: Settings, planned: Iterable[Planned], listen: Listener) -> None:
    """Work in this process."""
    from foleygen.batch.worker import Worker, load_bundle

    Worker(settings, load_bundle(settings)).work(planned, listen)


class _Batch:
    def __init__(self, settings: Settings, report: Report, listen: Listener) -> None:
        self._settings = settings
        self._report = report
        self._listen = listen
        self.has_started = False

    def feed(self, planned: Iterable[Planned]) -> Iterator[Planned]:
        """The clips, until too many have failed."""
        for item in planned:
            if self._is_enough():
                return
            yield item

    def hear(self, event: Event) -> None:
        """Count the event, remember or forget a failure, and tell it on."""
        self._report.hear(event)
        if isinstance(event, Opened) and not self.has_started:
            self.has_started = True
            self._listen(Started(self._report.total, event.model))
        if not self._settings.dry_run:
            if isinstance(event, ClipFailed):
                failures.write(event.clip, event.output, event.error)
            elif isinstance(event, ClipDone | ClipSkipped):
                failures.clear(event.output)
        self._listen(event)

    def _is_enough(self) -> bool:
        most = 1 if self._settings.fail_fast else self._settings.max_failures
        return most is not None and len(self._report.failed) >= most
