"""Finished takes to the clip's copy with sound: measured, written as stems, brought to their level, muxed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from os import SEEK_END
from pathlib import Path
from threading import Event
from typing import IO

import numpy as np
from numpy.typing import NDArray

from foleygen.audio import level
from foleygen.audio.delay import delayed
from foleygen.audio.level import LoudnessTarget
from foleygen.engines.foley import Engine
from foleygen.facts import SAMPLE_RATE, Bed, Lasting, Take, bed_file, comment, take_file
from foleygen.media import bwf, timecode, waveform
from foleygen.media.channels import Centred, chunk_of
from foleygen.media.loudness import measure
from foleygen.media.mixdown import Level, Scaled
from foleygen.media.mux import SideTrack, mux
from foleygen.media.soundtrack import AMBIENCE_TITLE
from foleygen.pipeline import stems
from foleygen.pipeline.jobs import Report
from foleygen.pipeline.remarks import obedience, remarks
from foleygen.pipeline.stems import BedSound, TakeSound
from foleygen.pipeline.stretches import silent
from foleygen.pipeline.tracks import Stopped, TakeTrack, Track
from foleygen.settings import RenderSettings

CHUNK = 1 << 16


class Spooled:
    """The samples of a spool in chunks, (n,) or of two ``channels`` (2, n), from the beginning at each iteration; ends
    with Stopped if the batch does.

    They come ``late`` samples later, within as many samples. One iteration at a time.
    """

    def __init__(self, spool: IO[bytes], stopped: Event, late: int = 0, channels: int = 1) -> None:
        self._spool, self._stopped, self._late, self._channels = spool, stopped, late, channels

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        if not self._late:
            return self._read()
        total = self._spool.seek(0, SEEK_END) // (4 * self._channels)
        return delayed(self._read(), self._late, total, self._channels)

    def _read(self) -> Iterator[NDArray[np.float32]]:
        self._spool.seek(0)
        while block := self._spool.read(CHUNK * 4 * self._channels):
            if self._stopped.is_set():
                raise Stopped
            yield chunk_of(block, self._channels)


def loudness_target(settings: RenderSettings) -> LoudnessTarget | None:
    """The level of the finished clips; None leaves it as it is. Raises UsageError for a target nobody knows."""
    return level.target(settings.loudness, settings.true_peak)


def _spooled(track: Track, take: TakeTrack, settings: RenderSettings, stopped: Event) -> Centred:
    """A take as it is delivered."""
    late = round(settings.audio_delay * track.spool_rate)
    return Centred(Spooled(take.spool, stopped, late, take.channels), track.channels)


def deliver(track: Track, engine: Engine, settings: RenderSettings, stopped: Event, tell: Report) -> None:
    """Write a heard track's stems, then the clip with its first take; both or, when one fails, neither."""
    track.report(tell, "muxing", 0.0)
    with track.clocked("metering"):
        takes = [_measured(track, take, settings, stopped) for take in track.takes]
        bed = _measured_bed(track, takes[0].take, settings, stopped)
    track.warnings.extend(remarks(track.job.own, takes[0].take))
    with _removed_on_failure() as written:
        if takes[0].take.stem is not None:
            with track.clocked("stems"):
                track.warnings.extend(timecode.time_reference(track.job.info)[1])
                handle = track.handle(SAMPLE_RATE)
                for stem, sha256 in stems.written(track.job, takes, bed, engine.bundle, settings, handle):
                    written.append(stem)
                    track.stems_sha256[stem.name] = sha256
        with track.clocked("muxing"):
            _mux(track, takes[0], bed, engine, settings)
    track.report(tell, "muxing", 1.0)
    made = [replace(one.take, stem_sha256=_sha256(track, one.take.stem)) for one in takes]
    track.delivered = (replace(made[0], gain_db=track.gain_db), *made[1:])
    track.delivered_bed = None if bed is None else bed.bed


def _sha256(track: Track, stem: Path | None) -> str | None:
    return None if stem is None else track.stems_sha256[stem.name]


def _measured(track: Track, take: TakeTrack, settings: RenderSettings, stopped: Event) -> TakeSound:
    info, rate = track.job.info, track.spool_rate
    samples = _spooled(track, take, settings, stopped)
    sound, loudness = bwf.filed(samples, rate, _length(track), settings.stems_format, track.channels)
    heard, target = _heard(track, sound), loudness_target(settings)
    # With sound before and after the picture, the clip's level is not the wav's.
    own = measure(heard, SAMPLE_RATE, track.channels) if track.handle_pictures and target is not None else loudness
    if sound.gain_db and target is None:
        track.warnings.append(
            f"take {take.number} was lowered by {-sound.gain_db:.1f} dB to keep its true peak at -1 dBTP"
        )
    delayed_onsets = (onset + settings.audio_delay for onset in take.onsets)
    onsets = tuple(onset for onset in delayed_onsets if 0 <= onset < info.duration)
    return TakeSound(
        Take(
            number=take.number,
            loudness=loudness,
            file_gain_db=sound.gain_db,
            gain_db=level.gain_db(own, target)[0] if target is not None else 0.0,
            onsets=onsets,
            peaks=waveform.peaks(Scaled(samples, sound.gain_db), track.samples(rate)),
            stem=take_file(track.job.output, take.number) if settings.stems or settings.takes > 1 else None,
            obedience=obedience(track.job.own, onsets, _silent(track, samples)),
            played=tuple(take.played),
        ),
        sound,
        heard,
    )


def _silent(track: Track, samples: Iterable[NDArray[np.float32]]) -> tuple[Lasting, ...]:
    """The stretches of a clip in which their sound is not heard."""
    own = track.job.own
    return () if own.cues is None else silent(own.cues.lasting, samples, track.spool_rate, -float(track.handle_s))


def _length(track: Track) -> int:
    """Samples of its wavs."""
    return round(track.job.info.duration * SAMPLE_RATE) + 2 * track.handle(SAMPLE_RATE)


def _heard(track: Track, sound: bwf.Filed) -> bwf.Part:
    """What lies under the picture."""
    return bwf.Part(sound, track.handle(SAMPLE_RATE), round(track.job.info.duration * SAMPLE_RATE))


def _measured_bed(track: Track, foley: Take, settings: RenderSettings, stopped: Event) -> BedSound | None:
    """The bed with the gain that puts it ``ambience_level`` dB above the Foley's loudness, as that is in the clip."""
    if track.bed is None:
        return None
    spooled = Centred(Spooled(track.bed.spool, stopped), track.channels)
    form, rate = settings.stems_format, track.bed.sample_rate
    sound, loudness = bwf.filed(spooled, rate, _length(track), form, track.channels)
    gain = level.bed_gain_db(loudness, foley.loudness.after(foley.gain_db), settings.ambience_level)
    stem = bed_file(track.job.output) if foley.stem is not None else None
    made = Bed(track.bed.prompt, track.bed.tags, loudness, sound.gain_db, gain, stem)
    return BedSound(made, sound, _heard(track, sound))


def _mux(track: Track, first: TakeSound, bed: BedSound | None, engine: Engine, settings: RenderSettings) -> None:
    beside = None
    if bed is not None:
        beside = SideTrack(AMBIENCE_TITLE, Scaled(bed.heard, bed.bed.gain_db), SAMPLE_RATE, track.channels)
    report = mux(
        track.job.info,
        first.heard,
        SAMPLE_RATE,
        track.job.output,
        channels=track.channels,
        audio=settings.audio,
        duck_db=settings.duck,
        loudness=None if track.handle_pictures else first.take.loudness,
        level=delivered_level(loudness_target(settings)),
        side=beside,
        metadata={"comment": comment(engine.bundle.name, settings.seed, first.take.number)},
    )
    track.audio_codec, track.gain_db, track.seal = report.audio_codec, report.gain_db, report.seal
    track.loudness = report.loudness
    track.warnings.extend(report.warnings)


def delivered_level(target: LoudnessTarget | None) -> Level | None:
    """The rule that brings a finished track to ``target``."""
    return None if target is None else Level(partial(level.gain_db, target=target), target.true_peak_dbtp)


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
