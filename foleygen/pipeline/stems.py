"""Takes and beds as broadcast wavs: what they say of themselves, and their samples as the clip gets them too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foleygen import __version__
from foleygen.facts import SAMPLE_RATE, Bed, Loudness, Take
from foleygen.media import bwf, timecode
from foleygen.media.bwf import Filed, Part
from foleygen.media.ixml import Slate
from foleygen.media.probe import ClipInfo
from foleygen.media.wav_chunks import Mark
from foleygen.settings import RenderSettings
from foleygen.weights.bundle import Bundle

DAY = 24 * 3600 * SAMPLE_RATE
"""Samples; a wav that begins before midnight has its place at the end of the day."""


@dataclass(frozen=True)
class TakeSound:
    """A take, and its samples as its wav has them, or would."""

    take: Take
    sound: Filed
    heard: Part
    """What the finished clip gets of it."""


@dataclass(frozen=True)
class BedSound:
    """The bed, and its samples as its wav has them, or would."""

    bed: Bed
    sound: Filed
    heard: Part


def written(
    info: ClipInfo,
    takes: list[TakeSound],
    bed: BedSound | None,
    bundle: Bundle,
    settings: RenderSettings,
    handle: int = 0,
) -> Iterator[Path]:
    """Write the wav of each take, and of the bed; gives each path as soon as it is there.

    ``handle``: samples at 48 kHz before the first picture.
    """
    made = [f"foleygen {__version__}", f"model {bundle.name}", f"seed {settings.seed}"]
    licence = [] if bundle.commercial else [f"not for commercial use ({bundle.licence})"]
    for one in takes:
        take = one.take
        assert take.stem is not None
        facts = [*made, f"take {take.number}", *licence]
        note = f"Foley for {info.path.name}, take {take.number}"
        slate = _slate(info, settings, facts, "Foley", take.number, take.number == settings.take)
        _write(take.stem, one.sound, info, take.loudness, note, facts, slate, _marks(take, handle), handle)
        yield take.stem
    if bed is not None and bed.bed.stem is not None:
        facts = [made[0], made[2]]
        note = f"Ambience for {info.path.name}: {bed.bed.prompt}"
        slate = _slate(info, settings, [*facts, bed.bed.prompt], "Ambience", settings.take, True)
        _write(bed.bed.stem, bed.sound, info, bed.bed.loudness, note, facts, slate, (), handle)
        yield bed.bed.stem


def _write(
    path: Path,
    sound: Filed,
    info: ClipInfo,
    loudness: Loudness,
    note: str,
    facts: list[str],
    slate: Slate,
    marks: tuple[Mark, ...],
    handle: int,
) -> None:
    reference, _ = timecode.time_reference(info)
    # A clip without timecode has no place in the day, and its wav begins at its own beginning.
    reference = (reference - handle) % DAY if info.timecode is not None else reference
    bwf.write(
        path,
        sound,
        time_reference=reference,
        originator="foleygen",
        description=note,
        coding_history=bwf.history(*facts, *bwf.told(sound, loudness), form=sound.form),
        loudness=loudness,
        slate=slate,
        marks=marks,
    )


def _marks(take: Take, handle: int) -> tuple[Mark, ...]:
    samples = (handle + round(onset * SAMPLE_RATE) for onset in take.onsets)
    return tuple(Mark(sample, f"sound {number}") for number, sample in enumerate(samples, start=1))


def _slate(info: ClipInfo, settings: RenderSettings, facts: list[str], track: str, number: int, circled: bool) -> Slate:
    text = "\n".join([info.content_id, track, *facts])
    return Slate(
        scene=info.path.stem,
        take=number,
        circled=circled,
        track=track,
        note="; ".join(facts),
        uid=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32],
        frame_rate=timecode.nominal_rate(info.average_rate),
        drop_frame=info.timecode is not None and timecode.is_drop_frame(info.timecode),
        cat_id=settings.cat_id,
        creator=settings.creator,
        source=settings.source,
    )
