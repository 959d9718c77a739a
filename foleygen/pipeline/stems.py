"""Takes and beds as broadcast wavs: what they say of themselves, and their samples as the clip gets them too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foleygen import __version__
from foleygen.cues import text, words
from foleygen.cues.heard import named
from foleygen.facts import SAMPLE_RATE, Bed, Loudness, Take
from foleygen.media import bwf, timecode
from foleygen.media.bwf import Filed, Part
from foleygen.media.ixml import Slate
from foleygen.media.probe import ClipInfo
from foleygen.media.wav_chunks import Mark
from foleygen.pipeline.jobs import Job
from foleygen.settings import ClipSettings, RenderSettings
from foleygen.weights.bundle import Bundle

AMBIENCE = "AMBMisc"
"""Category of the beds in the Universal Category System."""
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
    job: Job,
    takes: list[TakeSound],
    bed: BedSound | None,
    bundle: Bundle,
    settings: RenderSettings,
    handle: int = 0,
) -> Iterator[tuple[Path, str]]:
    """Write the wav of each take, and of the bed; each path as soon as it is there, with the SHA-256 of its samples.

    ``handle``: samples at 48 kHz before the first picture.
    """
    info, cat_id = job.info, _category(job.own)
    made = [f"foleygen {__version__}", f"model {bundle.name}", f"seed {settings.seed}"]
    licence = [] if bundle.commercial else [f"not for commercial use ({bundle.licence})"]
    for one in takes:
        take = one.take
        assert take.stem is not None
        facts = [*made, f"take {take.number}", *licence]
        note = f"Foley for {info.path.name}, take {take.number}"
        outline = [str(take.peaks), str(take.onsets), *bwf.told(one.sound, take.loudness)]
        slate = _slate(info, settings, facts, outline, "Foley", take.number, cat_id)
        marks = _marks(take, job.own, handle)
        yield take.stem, _write(take.stem, one.sound, info, take.loudness, note, facts, slate, marks, handle)
    if bed is not None and bed.bed.stem is not None:
        facts = [made[0], made[2]]
        note = f"Ambience for {info.path.name}: {bed.bed.prompt}"
        outline = bwf.told(bed.sound, bed.bed.loudness)
        slate = _slate(info, settings, [*facts, bed.bed.prompt], outline, "Ambience", settings.take, AMBIENCE)
        yield bed.bed.stem, _write(bed.bed.stem, bed.sound, info, bed.bed.loudness, note, facts, slate, (), handle)


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
) -> str:
    reference, _ = timecode.time_reference(info)
    # A clip without timecode has no place in the day, and its wav begins at its own beginning.
    reference = (reference - handle) % DAY if info.timecode is not None else reference
    return bwf.write(
        path,
        sound,
        time_reference=reference,
        originator="foleygen",
        description=note,
        coding_history=bwf.history(*facts, *bwf.told(sound, loudness), form=sound.form, channels=sound.channels),
        loudness=loudness,
        slate=slate,
        marks=marks,
    )


def _marks(take: Take, own: ClipSettings, handle: int) -> tuple[Mark, ...]:
    cues = named(take.onsets, own, take.played)
    return tuple(
        Mark(handle + round(cue.seconds * SAMPLE_RATE), text.line(cue, n)) for n, cue in enumerate(cues, start=1)
    )


def _category(own: ClipSettings) -> str:
    """Of the Universal Category System, by the words for the clip."""
    return words.catid_of([own.sound, *(() if own.cues is None else own.cues.sounds)])


def _slate(
    info: ClipInfo, settings: RenderSettings, facts: list[str], outline: list[str], track: str, number: int, cat_id: str
) -> Slate:
    """``outline`` is what tells this sound from others that were made with the same ``facts``."""
    text = "\n".join([info.content_id, track, *facts, *outline])
    return Slate(
        scene=info.path.stem,
        take=number,
        circled=number == settings.take,
        track=track,
        note="; ".join(facts),
        uid=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32],
        frame_rate=timecode.nominal_rate(info.average_rate),
        drop_frame=info.timecode is not None and timecode.is_drop_frame(info.timecode),
        cat_id=cat_id,
        creator=settings.creator,
        source=settings.source,
    )
