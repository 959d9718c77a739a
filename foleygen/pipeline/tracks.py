"""A clip on its way through the pipeline, and the failures that stay its own."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import IO

from foleygen.audio.stitch import Stitcher, Window
from foleygen.engines.device import explained
from foleygen.errors import FoleygenError
from foleygen.facts import UNMEASURED, Bed, Loudness, Played, Take, WindowFact
from foleygen.media.timecode import nominal_rate
from foleygen.pipeline.extent import handle_pictures, track_samples
from foleygen.pipeline.jobs import Job, Outcome, Progress, Report
from foleygen.regular import Seal
from foleygen.sampling.noise import WindowKey
from foleygen.settings import RenderSettings

IN_MEMORY_BYTES = 8 * 1024**2
"""The takes of a clip up to this size (two minutes at 16 kHz) wait for their mux in memory, longer ones on disk."""
STAGE_SHARE = {"features": 0.45, "sampling": 0.45, "muxing": 0.1}


class Stopped(BaseException):
    """The batch ends before its time: a thread of it leaves its work, which is nobody's failure."""


@dataclass
class TakeTrack:
    """One version of a clip's sound as it grows: float32 samples in ``spool``, onsets in seconds."""

    number: int
    stitcher: Stitcher
    spool: IO[bytes]
    onsets: list[float] = field(default_factory=list)
    played: list[Played] = field(default_factory=list)
    """What of it comes from a library."""
    channels: int = 1
    """In its spool, where they take turns."""


@dataclass
class BedTrack:
    """A clip's ambience: float32 samples at ``sample_rate`` Hz in ``spool``."""

    prompt: str
    tags: tuple[str, ...]
    sample_rate: int
    spool: IO[bytes]


@dataclass
class Track:
    """A clip on its way: its windows, its growing takes, its clock."""

    job: Job
    sample_rate: int
    channels: int = 1
    """Of what is delivered; a sound of one channel is in the middle of two."""
    windows: list[Window] = field(default_factory=list)
    takes: list[TakeTrack] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    """Of the noise of each window, in the first take."""
    redone: dict[int, int] = field(default_factory=dict)
    """The same of windows, by index, that were made again because they did not keep to their cues."""
    started: float = field(default_factory=time.monotonic)
    cached: int = 0
    seen: int = 0
    """Windows that have their features."""
    sounded: int = 0
    """Windows that are joined to their take, over all takes."""
    shown: float = 0.0
    audio_codec: str = ""
    gain_db: float = 0.0
    """What the finished clip adds to its first take."""
    loudness: Loudness = UNMEASURED
    seal: Seal | None = None
    """Of its output, as it was written."""
    stems_sha256: dict[str, str] = field(default_factory=dict)
    """Of the samples of its wavs, by their names."""
    delivered: tuple[Take, ...] = ()
    """Its takes, once its output is there."""
    bed: BedTrack | None = None
    delivered_bed: Bed | None = None
    widened_rate: int | None = None
    """Hz of the takes' spools once they have their full bandwidth, or a library has played in them."""
    handle_pictures: int = 0
    """Pictures for which the sound begins before the first one, and goes on after the last."""
    repaired: int = 0
    """Joints that were composed anew, over all takes."""
    failed: FoleygenError | None = None
    warnings: list[str] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        if self.job.ahead is not None:
            self.started = self.job.ahead.began

    def plan(self, windows: list[Window], settings: RenderSettings) -> None:
        """Begin every take, in these windows."""
        self.handle_pictures = handle_pictures(self.job.info, settings)
        samples = self.samples(self.sample_rate)
        share = IN_MEMORY_BYTES // settings.takes
        self.takes = [
            TakeTrack(number, Stitcher(samples, windows, settings.seams == "joint"), spool(share))
            for number in range(settings.take, settings.take + settings.takes)
        ]
        self.replan(windows, settings)

    def replan(self, windows: list[Window], settings: RenderSettings) -> None:
        """Other windows than planned; those that have been seen, and the one after, stay as they were."""
        for take in self.takes:
            take.stitcher.replan(windows)
        content_id = self.job.info.content_id
        self.seeds = [
            WindowKey(settings.seed, content_id, window.start, settings.take).noise_seed for window in windows
        ]
        self.windows = windows

    def handle(self, rate: int) -> int:
        """Samples at ``rate`` Hz before the first picture."""
        return round(self.handle_s * rate)

    @property
    def handle_s(self) -> Fraction:
        """Seconds of sound before the first picture."""
        return self.handle_pictures / nominal_rate(self.job.info.average_rate)

    def samples(self, rate: int) -> int:
        """Of its whole sound at ``rate`` Hz, with what comes before and after the picture."""
        return track_samples(self.job.info, rate) + 2 * self.handle(rate)

    def start_s(self, window: Window) -> Fraction:
        """When a window begins, in seconds after the first picture; before it where there is sound before it."""
        return Fraction(window.start - self.handle(self.sample_rate), self.sample_rate)

    @property
    def spool_rate(self) -> int:
        """Hz of the samples in the takes' spools."""
        return self.widened_rate or self.sample_rate

    @property
    def rows(self) -> int:
        """Windows to be sounded, over all takes."""
        return len(self.windows) * len(self.takes)

    @property
    def is_heard(self) -> bool:
        return self.sounded == self.rows

    def report(self, tell: Report, stage: str, share: float) -> None:
        """Tell that ``share`` (0..1) of ``stage`` is done; never less than before, also when work is repeated."""
        windows, rows = max(1, len(self.windows)), max(1, self.rows)
        shares = {"features": self.seen / windows, "sampling": self.sounded / rows, stage: share}
        done = sum(STAGE_SHARE[name] * value for name, value in shares.items())
        self.shown = max(self.shown, min(1.0, done))
        tell(Progress(self.job.info.path, stage, self.shown, float(self.job.info.duration)))

    def clocked(self, stage: str) -> AbstractContextManager[None]:
        """The seconds inside count as ``stage``'s."""
        return clocked(stage, [self])

    def outcome(self) -> Outcome:
        """What became of it; its spools are closed."""
        self.close()
        info = self.job.info
        rate = self.sample_rate
        # A track that failed may still be planned again by the thread that reads it.
        planned = zip(self.windows, self.seeds, strict=True) if self.failed is None else ()
        seeds = ((window, self.redone.get(window.index, seed)) for window, seed in planned)
        facts = (WindowFact(float(self.start_s(window)), window.length / rate, seed) for window, seed in seeds)
        return Outcome(
            job=replace(self.job, ahead=None),
            seconds=time.monotonic() - self.started,
            duration=float(info.duration),
            windows=len(self.windows),
            cached_windows=self.cached,
            stages=dict(self.stages),
            audio_codec=self.audio_codec,
            warnings=(*info.warnings, *self.warnings),
            error=self.failed,
            takes=self.delivered,
            loudness=self.loudness,
            window_facts=tuple(facts),
            bed=self.delivered_bed,
            handle_pictures=self.handle_pictures,
            repaired_joints=self.repaired,
            seal=self.seal,
        )

    def close(self) -> None:
        for take in self.takes:
            take.spool.close()
        if self.bed is not None:
            self.bed.spool.close()


def spool(max_bytes: int) -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=max_bytes)


def window_key(track: Track, window: Window, take: TakeTrack, settings: RenderSettings, attempt: int = 0) -> WindowKey:
    """What the noise of one window of one take depends on; a window that is made again has another ``attempt``."""
    return WindowKey(settings.seed, track.job.info.content_id, window.start, take.number).again(attempt)


@contextmanager
def clocked(stage: str, tracks: Sequence[Track]) -> Iterator[None]:
    """The seconds inside count as ``stage``'s, an equal share for each of ``tracks``; those of a failure for none."""
    before = time.monotonic()
    yield
    share = (time.monotonic() - before) / len(tracks)
    for track in tracks:
        track.stages[stage] += share


@contextmanager
def failing(*tracks: Track) -> Iterator[None]:
    """Whatever goes wrong inside is the failure of ``tracks``, except that nobody listens any more."""
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        for track in tracks:
            track.failed = explained(error, track.job.info.path)
