"""A finished clip's takes -> the clip again: another take, level, mix or container, without any model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen import regular
from foleygen.errors import ClipError, printable
from foleygen.facts import MARK, Loudness, bed_file, comment, take_file
from foleygen.record import fit, sidecar
from foleygen.record.finding import Finished, finished, source_of
from foleygen.record.schema import Sidecar, SoundSettings, TakeRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foleygen.media.mixdown import Level
    from foleygen.media.mux import SideTrack
    from foleygen.media.probe import ClipInfo
    from foleygen.media.wav import Recording

AGAIN = "run 'foleygen add-sound' again"
DELIVERY = ("audio", "duck_db", "loudness_lufs", "true_peak_dbtp", "ambience_level_db")
"""What of the settings decides how the sound that was made is put into the clip, and nothing else."""


@dataclass(frozen=True)
class Remade:
    """A finished clip that was written again; its sidecar is written, too."""

    output: Path
    sidecar: Sidecar
    loudness: Loudness
    warnings: tuple[str, ...]


def remake(
    clip: Finished, number: int, settings: SoundSettings, output: Path | None = None, *, locked: bool = False
) -> Remade:
    """Write ``clip`` again with its take ``number``, delivered as ``settings`` says, to ``output`` if that is another.

    The source's picture and the wav of the take, edited or not, go into it. Raises ClipError for files that are not
    what they were, and for a clip that is locked unless ``locked`` ones are meant too.
    """
    from foleygen.media import wav
    from foleygen.media.mux import mux

    place, record = output or clip.output, clip.sidecar
    if record.locked and not locked:
        raise ClipError(f"{printable(clip.output)}: is locked", "free it with 'foleygen unlock'")
    path = clip.wav(number)
    if path is None:
        raise ClipError(
            f"{printable(take_file(clip.output, number))}: is not there", f"{AGAIN}, with --stems or --takes"
        )
    info = _source(clip)
    _refuse_another(clip, info)
    recording = wav.recording(path, settings.channels)
    take = record.takes[number - 1]
    bed_gain = _bed_gain(record, take, settings)
    report = mux(
        info,
        _heard(clip, recording),
        recording.sample_rate,
        place,
        channels=settings.channels,
        audio=settings.audio,
        duck_db=settings.duck_db or 0.0,
        level=_level(settings),
        side=_ambience(clip, bed_gain),
        metadata={"comment": comment(record.model, settings.seed, number)},
    )
    gains = _gains(record, settings) | {number: round(report.gain_db, 3)}
    takes = tuple(replace(each, gain_db=gains[each.number]) for each in record.takes)
    bed = None if record.bed is None else replace(record.bed, gain_db=round(bed_gain, 3))
    made = replace(
        record, takes=takes, bed=bed, picked=number, audio_codec=report.audio_codec, settings=settings, locked=False
    )
    sidecar.write(place, made.document(), report.seal)
    return Remade(place, made, report.loudness, report.warnings)


def ready(
    output: Path, document: Mapping[str, Any] | None, identity: Mapping[str, Any], content_id: str
) -> tuple[Finished, SoundSettings] | None:
    """What ``output`` can be remade from, and with which settings; None where the models must make it.

    That is the finished clip itself, whose sidecar says ``document``, or the same in another container, if nothing but
    DELIVERY tells it from ``identity`` (see ``fit.identity``), and the wavs that it needs are there.
    """
    found = (output, document) if document is not None else _sibling(output)
    if found is None or not isinstance(found[1].get("settings"), dict):
        return None
    try:
        return _ready(*found, identity, content_id)
    except (OSError, ClipError):
        return None


def _ready(
    output: Path, document: Mapping[str, Any], identity: Mapping[str, Any], content_id: str
) -> tuple[Finished, SoundSettings] | None:
    asked = identity["settings"]
    same = {**asked, **{name: document["settings"].get(name) for name in DELIVERY}}
    if fit.fit_of(output, document, {**identity, "settings": same}).reason_for(content_id) is not None:
        return None
    found = finished(output, document)
    record = found.sidecar
    if found.wav(record.picked) is None or (record.bed is not None and not _bed_is_there(found)):
        return None
    return found, replace(record.settings, **{name: asked[name] for name in DELIVERY})


def _sibling(output: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """The finished clip of the same name in another container."""
    short = output.with_name(output.stem.removesuffix(MARK) + f"{MARK}.json")
    found = sidecar.read_at(short)
    return found if found is not None and found[0] != output and found[0].stem == output.stem else None


def _bed_is_there(clip: Finished) -> bool:
    bed = clip.sidecar.bed
    return bed is not None and bed.file is not None and bed_file(clip.output).is_file()


def _gains(record: Sidecar, settings: SoundSettings) -> dict[int, float]:
    """What each take gets in the clip: what it had, unless the level asked for is another one."""
    was, level = record.settings, _level(settings)
    if (was.loudness_lufs, was.true_peak_dbtp) == (settings.loudness_lufs, settings.true_peak_dbtp):
        return {take.number: take.gain_db for take in record.takes}
    if level is None:
        return {take.number: 0.0 for take in record.takes}
    return {take.number: round(level.gain(_loudness(take))[0], 3) for take in record.takes}


def _bed_gain(record: Sidecar, take: TakeRecord, settings: SoundSettings) -> float:
    """As it was; where the level of Foley or bed is another one, as a run with these settings would have it."""
    bed, was = record.bed, record.settings
    if bed is None:
        return 0.0
    decides = ("loudness_lufs", "true_peak_dbtp", "ambience_level_db")
    if all(getattr(was, name) == getattr(settings, name) for name in decides) or settings.ambience_level_db is None:
        return bed.gain_db
    from foleygen.audio.level import bed_gain_db

    foley = _loudness(take).after(_gains(record, settings)[take.number])
    return bed_gain_db(Loudness(bed.loudness_lufs, None, bed.true_peak_dbtp), foley, settings.ambience_level_db)


def _loudness(take: TakeRecord) -> Loudness:
    return Loudness(take.loudness_lufs, take.loudness_range_lu, take.true_peak_dbtp)


def _ambience(clip: Finished, gain_db: float) -> SideTrack | None:
    """The track with the clip's ambience. Raises ClipError where its wav is gone."""
    from foleygen.media import wav
    from foleygen.media.mixdown import Scaled
    from foleygen.media.mux import SideTrack
    from foleygen.media.soundtrack import AMBIENCE_TITLE

    if clip.sidecar.bed is None:
        return None
    path = bed_file(clip.output)
    if not _bed_is_there(clip):
        raise ClipError(f"{printable(path)}: the wav of its ambience is not there", f"{AGAIN}, with --stems or --takes")
    channels = clip.sidecar.settings.channels
    recording = wav.recording(path, channels)
    chunks = Scaled(_heard(clip, recording), gain_db)
    return SideTrack(AMBIENCE_TITLE, chunks, recording.sample_rate, channels)


def _heard(clip: Finished, recording: Recording) -> Iterable[NDArray[np.float32]]:
    """What lies under the picture."""
    from foleygen.media.bwf import Part
    from foleygen.media.timecode import nominal_rate

    found = clip.sidecar
    handle_s = found.handle_pictures / nominal_rate(found.frame_rate)
    rate = recording.sample_rate
    return Part(recording, round(handle_s * rate), round(Fraction(found.duration_s) * rate)) if handle_s else recording


def _source(clip: Finished) -> ClipInfo:
    """The clip that the finished one was made from. Raises ClipError unless it is still the same picture."""
    from foleygen.media.probe import probe

    source = source_of(clip.output, clip.sidecar.source) or Path(os.devnull)
    try:
        info = probe(source)
    except ClipError as error:
        raise ClipError(
            f"{printable(clip.output)}: its source cannot be read ({error.message})", f"put it back, or {AGAIN}"
        ) from error
    if info.content_id != clip.sidecar.content_id:
        raise ClipError(
            f"{printable(source)}: shows another picture than when {printable(clip.output)} was made", AGAIN
        )
    return info


def _refuse_another(clip: Finished, source: ClipInfo) -> None:
    """Only what foleygen wrote is written again, whatever the sidecar says. Raises ClipError."""
    from foleygen.media.probe import probe

    if clip.seal != regular.seal(clip.output):
        raise ClipError(f"{printable(clip.output)}: changed since it was made", f"move it, and {AGAIN}")
    if not _same_picture(probe(clip.output), source):
        raise ClipError(f"{printable(clip.output)}: shows another picture than its source", f"move it, and {AGAIN}")


def _same_picture(one: ClipInfo, other: ClipInfo) -> bool:
    if ("mpegts" in one.container) == ("mpegts" in other.container):
        return one.content_id == other.content_id
    # Transport streams pack the same pictures in packets of other bytes.
    size = (one.width, one.height, one.frame_count) == (other.width, other.height, other.frame_count)
    return size and abs(one.duration - other.duration) * one.average_rate < 1


def _level(settings: SoundSettings) -> Level | None:
    """The rule of the run's ``--loudness``."""
    if settings.loudness_lufs is None or settings.true_peak_dbtp is None:
        return None
    from foleygen.audio.level import LoudnessTarget, gain_db
    from foleygen.media.mixdown import Level

    target = LoudnessTarget(settings.loudness_lufs, settings.true_peak_dbtp)
    return Level(partial(gain_db, target=target), target.true_peak_dbtp)
