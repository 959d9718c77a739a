"""Finished takes to the clip's copy with sound: measured, written as stems, brought to their level, muxed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from os import SEEK_END
from pathlib import Path
from threading import Event
from typing import IO

import numpy as np
from numpy.typing import NDArray

from foleygen import __version__
from foleygen.audio import level
from foleygen.audio.delay import delayed
from foleygen.audio.level import LoudnessTarget
from foleygen.engines.foley import Engine
from foleygen.facts import SAMPLE_RATE, Bed, Take, bed_file, take_file
from foleygen.media import bwf, timecode, waveform
from foleygen.media.loudness import Meter, measure
from foleygen.media.mux import SideTrack, mux
from foleygen.media.soundtrack import AMBIENCE_TITLE
from foleygen.pipeline.jobs import Report
from foleygen.pipeline.tracks import Stopped, TakeTrack, Track, track_samples
from foleygen.settings import RenderSettings

CHUNK = 1 << 16
UNMEASURED_LUFS = -23.0
"""The Foley's loudness for the bed's level where it cannot be measured: silent, or shorter than 0.4 s."""
BED_PEAK_DBTP = -1.0
"""No bed is raised above this true peak."""


class Spooled:
    """The samples of a spool in chunks (n,), from the beginning at each iteration; ends with Stopped if the batch does.

    They come ``late`` samples later, within as many samples. One iteration at a time.
    """

    def __init__(self, spool: IO[bytes], stopped: Event, late: int = 0) -> None:
        self._spool, self._stopped, self._late = spool, stopped, late

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return delayed(self._read(), self._late, self._spool.seek(0, SEEK_END) // 4) if self._late else self._read()

    def _read(self) -> Iterator[NDArray[np.float32]]:
        self._spool.seek(0)
        while block := self._spool.read(CHUNK * 4):
            if self._stopped.is_set():
                raise Stopped
            yield np.frombuffer(block, dtype=np.float32)


def loudness_target(settings: RenderSettings) -> LoudnessTarget | None:
    """The level of the finished clips; None leaves it as it is. Raises UsageError for a target nobody knows."""
    return level.target(settings.loudness, settings.true_peak)


def _spooled(track: Track, take: TakeTrack, settings: RenderSettings, stopped: Event) -> Spooled:
    """A take as it is delivered."""
    return Spooled(take.spool, stopped, round(settings.audio_delay * track.spool_rate))


def deliver(track: Track, engine: Engine, settings: RenderSettings, stopped: Event, tell: Report) -> None:
    """Write a heard track's stems, then the clip with its first take; both or, when one fails, neither."""
    track.report(tell, "muxing", 0.0)
    with track.clocked("metering"):
        takes = [_measured(track, take, settings, stopped) for take in track.takes]
        bed = _measured_bed(track, takes[0], settings, stopped)
    with _removed_on_failure() as written:
        if takes[0].stem is not None:
            with track.clocked("stems"):
                for stem in _stems(track, takes, bed, engine, settings, stopped):
                    written.append(stem)
        with track.clocked("muxing"):
            _mux(track, takes[0], bed, engine, settings, stopped)
    track.report(tell, "muxing", 1.0)
    track.delivered, track.delivered_bed = tuple(takes), bed


def _measured(track: Track, take: TakeTrack, settings: RenderSettings, stopped: Event) -> Take:
    meter = Meter(track.spool_rate)

    def heard() -> Iterator[NDArray[np.float32]]:
        for chunk in _spooled(track, take, settings, stopped):
            meter.push(chunk)
            yield chunk

    peaks = waveform.peaks(heard(), track_samples(track.job.info, track.spool_rate))
    loudness, target = meter.result(), loudness_target(settings)
    delayed_onsets = (onset + settings.audio_delay for onset in take.onsets)
    return Take(
        number=take.number,
        loudness=loudness,
        gain_db=level.gain_db(loudness, target)[0] if target is not None else 0.0,
        onsets=tuple(onset for onset in delayed_onsets if 0 <= onset < track.job.info.duration),
        peaks=peaks,
        stem=take_file(track.job.output, take.number) if settings.stems or settings.takes > 1 else None,
    )


def _measured_bed(track: Track, foley: Take, settings: RenderSettings, stopped: Event) -> Bed | None:
    """The bed with the gain that puts it ``ambience_level`` dB above the Foley's loudness, as that is in the clip."""
    if track.bed is None:
        return None
    loudness = measure(Spooled(track.bed.spool, stopped), track.bed.sample_rate)
    gain = 0.0
    if loudness.integrated_lufs is not None and loudness.true_peak_dbtp is not None:
        own = foley.loudness.integrated_lufs
        above = UNMEASURED_LUFS if own is None else own + foley.gain_db
        wanted = above + settings.ambience_level - loudness.integrated_lufs
        gain = min(wanted, BED_PEAK_DBTP - loudness.true_peak_dbtp)
    stem = bed_file(track.job.output) if foley.stem is not None else None
    return Bed(track.bed.prompt, track.bed.tags, loudness, gain, stem)


def _stems(
    track: Track, takes: list[Take], bed: Bed | None, engine: Engine, settings: RenderSettings, stopped: Event
) -> Iterator[Path]:
    """Write the wav file of each take, and of the bed; gives each path as soon as it is there."""
    info, bundle = track.job.info, engine.bundle
    reference, warnings = timecode.time_reference(info)
    track.warnings.extend(warnings)
    for take, grown in zip(takes, track.takes, strict=True):
        assert take.stem is not None
        facts = [f"foleygen {__version__}", f"model {bundle.name}", f"seed {settings.seed}", f"take {take.number}"]
        if not bundle.commercial:
            facts.append(f"not for commercial use ({bundle.licence})")
        bwf.write(
            take.stem,
            _spooled(track, grown, settings, stopped),
            track.spool_rate,
            round(info.duration * SAMPLE_RATE),
            time_reference=reference,
            originator="foleygen",
            description=f"Foley for {info.path.name}, take {take.number}",
            coding_history=bwf.history(*facts),
        )
        yield take.stem
    if bed is not None and bed.stem is not None and track.bed is not None:
        bwf.write(
            bed.stem,
            Spooled(track.bed.spool, stopped),
            track.bed.sample_rate,
            round(info.duration * SAMPLE_RATE),
            time_reference=reference,
            originator="foleygen",
            description=f"Ambience for {info.path.name}: {bed.prompt}",
            coding_history=bwf.history(f"foleygen {__version__}", f"seed {settings.seed}"),
        )
        yield bed.stem


def _mux(track: Track, take: Take, bed: Bed | None, engine: Engine, settings: RenderSettings, stopped: Event) -> None:
    target = loudness_target(settings)
    report = mux(
        track.job.info,
        _spooled(track, track.takes[0], settings, stopped),
        track.spool_rate,
        track.job.output,
        audio=settings.audio,
        duck_db=settings.duck,
        loudness=take.loudness,
        level=None if target is None else partial(level.gain_db, target=target),
        side=None if bed is None else _side(track, bed, stopped),
        metadata={"comment": f"sound by foleygen, model {engine.bundle.name}, seed {settings.seed}"},
    )
    track.audio_codec = report.audio_codec
    track.loudness = report.loudness
    track.warnings.extend(report.warnings)


def _side(track: Track, bed: Bed, stopped: Event) -> SideTrack:
    assert track.bed is not None
    factor = np.float32(10 ** (bed.gain_db / 20))
    chunks = (chunk * factor for chunk in Spooled(track.bed.spool, stopped))
    return SideTrack(AMBIENCE_TITLE, chunks, track.bed.sample_rate)


@contextmanager
def _removed_on_failure() -> Iterator[list[Path]]:
    """A list for what is written; it goes again if the clip does not get its sound."""
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise
