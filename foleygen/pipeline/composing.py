"""What the second engine adds to a track whose windows are joined: repaired joints, full bandwidth, a bed.

Runs where the models run. The takes stay in their spools; in memory are a few windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import IO

import numpy as np
from numpy.typing import NDArray

from foleygen.ambience.bandwidth import widened
from foleygen.ambience.bed import bed
from foleygen.ambience.inpaint import Ask
from foleygen.ambience.repair import CANDIDATES, plan, repaired
from foleygen.audio.stitch import joint
from foleygen.engines.composer import Composer
from foleygen.engines.foley import Engine
from foleygen.engines.words import understand
from foleygen.media.resample import resampled
from foleygen.pipeline.tracks import IN_MEMORY_BYTES, BedTrack, TakeTrack, Track, spool
from foleygen.settings import RenderSettings

CHUNK = 1 << 16
"""Samples that are read at once."""
_SAMPLE_BYTES = 4


def compose(track: Track, composer: Composer, engine: Engine, settings: RenderSettings) -> None:
    """Everything that ``settings`` want of the second engine for a track that is heard.

    Depends on the seed, the picture and the take, as the windows do; a bed is the same for all takes.
    """
    for take in track.takes:
        if settings.seams == "repair":
            with track.clocked("repairing"):
                _repair(track, take, composer, settings)
        if settings.bandwidth == "full":
            with track.clocked("widening"):
                _widen(track, take, composer, engine, settings)
    if settings.bandwidth == "full":
        track.widened_rate = composer.sample_rate
    if settings.ambience is not None:
        with track.clocked("ambience"):
            _lay_bed(track, composer, settings, settings.ambience)


def _repair(track: Track, take: TakeTrack, composer: Composer, settings: RenderSettings) -> None:
    """Compose those joints of a take anew that stand out less for it; joints on shot changes are meant to be heard."""
    rate = track.sample_rate
    total = track.samples(rate)
    for before, after in pairwise(track.windows):
        place = joint(before, after)
        found = None if after.on_cut else plan(composer, rate, total, place, (before.end - after.start) // 2)
        if found is None:
            continue
        first, last = max(0, found.begin), min(total, found.end)
        take.spool.seek(first * _SAMPLE_BYTES)
        samples = np.frombuffer(take.spool.read((last - first) * _SAMPLE_BYTES), np.float32)
        events = [onset + float(track.handle_s) - found.begin / rate for onset in take.onsets]
        key = (settings.seed, track.job.info.content_id, place, take.number)
        ask = Ask(key, None, composer.defaults, CANDIDATES)
        better = repaired(composer, samples, rate, found, events, ask)
        if better is not None:
            take.spool.seek(first * _SAMPLE_BYTES)
            take.spool.write(np.asarray(better, np.float32).tobytes())
            track.repaired += 1


def _widen(track: Track, take: TakeTrack, composer: Composer, engine: Engine, settings: RenderSettings) -> None:
    """Put a take with its full bandwidth, at the composer's rate, in the place of what the engine made."""
    info, bundle = track.job.info, engine.bundle
    total = track.samples(composer.sample_rate)
    own = resampled(_chunks(take.spool), track.sample_rate, composer.sample_rate, total)
    cutoff = min(bundle.mel.f_max, bundle.sample_rate / 2)
    ask = Ask((settings.seed, info.content_id, take.number), None, composer.defaults, 1)
    made = spool(IN_MEMORY_BYTES // len(track.takes))
    try:
        for chunk in widened(composer, own, total, cutoff, ask):
            made.write(np.asarray(chunk, np.float32).tobytes())
    except BaseException:
        made.close()
        raise
    take.spool.close()
    take.spool = made


def _lay_bed(track: Track, composer: Composer, settings: RenderSettings, prompt: str) -> None:
    words = understand(prompt, composer.bundle)
    key = (settings.seed, track.job.info.content_id, words.prompt)
    ask = Ask(key, composer.condition(words), composer.defaults, 1)
    track.bed = BedTrack(words.prompt, words.tags, composer.sample_rate, spool(IN_MEMORY_BYTES))
    for chunk in bed(composer, ask, track.samples(composer.sample_rate)):
        track.bed.spool.write(np.asarray(chunk, np.float32).tobytes())


def _chunks(source: IO[bytes]) -> Iterator[NDArray[np.float32]]:
    source.seek(0)
    while block := source.read(CHUNK * _SAMPLE_BYTES):
        yield np.frombuffer(block, np.float32)
