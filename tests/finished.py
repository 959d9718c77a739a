"""Finished clips with takes, made without a model: what the pipeline hands on, from sounds that a test knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from clips import write_clip
from numpy.typing import NDArray

from foleygen.audio.level import gain_db, target
from foleygen.facts import Take, WindowFact, comment, take_file
from foleygen.media import bwf, timecode
from foleygen.media.mixdown import Level
from foleygen.media.mux import mux
from foleygen.media.probe import probe
from foleygen.media.waveform import peaks
from foleygen.pipeline import Job, Outcome, stems
from foleygen.record import sidecar
from foleygen.record.making import record_of
from foleygen.settings import Settings
from foleygen.weights import bundle

RATE = 48000


def bursts(seconds: float, *onsets: float, level: float = 0.5) -> NDArray[np.float32]:
    """Decaying 1 kHz tones (round(seconds * RATE),) that begin at ``onsets`` (s)."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros_like(time)
    for onset in onsets:
        late = np.maximum(0.0, time - onset)
        sound += level * np.sin(2 * np.pi * 1000 * late) * np.exp(-late * 8) * (time >= onset)
    return sound.astype(np.float32)


@dataclass(frozen=True)
class Made:
    """A finished clip, its source, and the sounds of its takes."""

    source: Path
    output: Path
    sounds: tuple[NDArray[np.float32], ...]


def finish(
    folder: Path,
    weights: Path,
    *,
    name: str = "shot.mov",
    source_folder: Path | None = None,
    takes: int = 3,
    settings: Settings | None = None,
    count: int = 50,
    rate: Fraction | int = 25,
    start: str | None = "01:00:00:00",
    own_sound: Sequence[int] = (),
    level: float = 0.8,
    handle_pictures: int = 0,
) -> Made:
    """``count`` pictures at ``rate`` from timecode ``start``, finished.

    Take k begins at k tenths of a second, and has ``level`` / k as its peak.
    """
    settings = settings or Settings(takes=takes)
    source = (source_folder or folder) / name
    source.parent.mkdir(parents=True, exist_ok=True)
    tags = {} if start is None else {"timecode": start}
    write_clip(source, count, rate, sound=own_sound, metadata=tags)
    info = probe(source)
    output = folder / f"{source.stem}.foley{source.suffix}"
    length = round(info.duration * RATE)
    sounds = [bursts(length / RATE, k / 10, k / 10 + 1, level=level / k) for k in range(1, takes + 1)]
    made = [
        _take(output, k, sound, settings, info, weights, handle_pictures) for k, sound in enumerate(sounds, start=1)
    ]
    wanted = target(settings.loudness, settings.true_peak)
    rule = None if wanted is None else Level(partial(gain_db, target=wanted), wanted.true_peak_dbtp)
    note = {"comment": comment("noise", settings.seed, 1)}
    filed, known = bwf.filed([sounds[0]], RATE, length, settings.stems_format)
    facts: dict[str, Any] = {"audio": settings.audio, "duck_db": settings.duck, "loudness": known}
    report = mux(info, filed, RATE, output, **facts, level=rule, metadata=note)
    made[0] = replace(made[0], gain_db=report.gain_db)
    outcome = Outcome(
        job=Job(info, output),
        seconds=0.5,
        duration=float(info.duration),
        windows=1,
        cached_windows=0,
        stages={"sampling": 0.25},
        audio_codec=report.audio_codec,
        warnings=(),
        error=None,
        handle_pictures=handle_pictures,
        takes=tuple(made),
        window_facts=(WindowFact(0.0, 1.024, 2**63 + 1),),
    )
    sidecar.write(output, record_of(outcome, source, settings, bundle.load(weights)).document())
    return Made(source, output, tuple(sounds))


def _take(  # type: ignore[no-untyped-def]
    output: Path, number: int, sound, settings: Settings, info, weights: Path, handle_pictures: int = 0
) -> Take:
    wav = take_file(output, number) if settings.stems or settings.takes > 1 else None
    filed, loudness = bwf.filed([sound], RATE, len(sound), settings.stems_format)
    level = target(settings.loudness, settings.true_peak)
    gain = 0.0 if level is None else gain_db(loudness, level)[0]
    onsets = (number / 10, number / 10 + 1)
    drawn = peaks([sound * 10 ** (filed.gain_db / 20)], len(sound), 64)
    take = Take(number, loudness, filed.gain_db, gain, onsets, drawn, wav)
    if wav is not None:
        handle = round(handle_pictures / timecode.nominal_rate(info.average_rate) * RATE)
        longer = bwf.Filed([np.pad(sound, handle)], RATE, len(sound) + 2 * handle, settings.stems_format, filed.gain_db)
        sounds = [stems.TakeSound(take, longer, bwf.Part(longer, handle, len(sound)))]
        asked = settings.render_settings(1)
        ((_, sha256),) = stems.written(Job(info, output), sounds, None, bundle.load(weights), asked, handle)
        return replace(take, stem_sha256=sha256)
    return take
