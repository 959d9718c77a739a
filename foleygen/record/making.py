"""What the pipeline made of a clip -> its record: the sidecar's fields, rounded as they are kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from foleygen import __version__
from foleygen.record.fit import sound_settings
from foleygen.record.schema import BedRecord, Sidecar, TakeRecord

if TYPE_CHECKING:
    from foleygen.facts import Bed, Played, Take
    from foleygen.pipeline import Outcome
    from foleygen.pipeline.voices.shelf import Shelf
    from foleygen.settings import Settings
    from foleygen.weights.ambience import AmbienceBundle
    from foleygen.weights.bundle import Bundle


def record_of(
    outcome: Outcome,
    source: Path,
    settings: Settings,
    bundle: Bundle,
    ambience: AmbienceBundle | None = None,
    shelf: Shelf | None = None,
) -> Sidecar:
    """The record of the finished ``outcome`` of the clip ``source``."""
    info = outcome.job.info
    warnings = outcome.warnings
    if not bundle.commercial:
        warnings += (f"these weights are for non-commercial use only ({bundle.licence}), and so is this sound",)
    elif ambience is not None and not ambience.commercial:
        warnings += (f"the ambience's weights are for non-commercial use only ({ambience.licence})",)
    return Sidecar(
        source=_relative(source, outcome.job.output.parent),
        source_stamp=info.stamp,
        content_id=info.content_id,
        duration_s=outcome.duration,
        frame_rate=info.average_rate,
        timecode=info.timecode,
        width=info.width,
        height=info.height,
        windows=outcome.window_facts,
        takes=tuple(take_record(take) for take in outcome.takes),
        bed=_bed_record(outcome.bed, ambience) if outcome.bed is not None and ambience is not None else None,
        repaired_joints=outcome.repaired_joints,
        handle_pictures=outcome.handle_pictures,
        stems_format=settings.stems_format if any(take.stem for take in outcome.takes) else None,
        picked=1,
        bundle=bundle.hash,
        model=bundle.name,
        licence=bundle.licence,
        commercial=bundle.commercial,
        settings=sound_settings(settings, bundle, ambience, shelf),
        version=__version__,
        audio_codec=outcome.audio_codec,
        cached_windows=outcome.cached_windows,
        seconds=round(outcome.seconds, 3),
        stages_s={stage: round(seconds, 3) for stage, seconds in outcome.stages.items()},
        warnings=warnings,
        own=outcome.job.own,
        library=None if shelf is None else _relative(shelf.index.root, outcome.job.output.parent),
    )


def take_record(take: Take) -> TakeRecord:
    """A take as the sidecar keeps it: levels to 0.01 dB, times to 10 µs."""
    loudness = take.loudness
    return TakeRecord(
        number=take.number,
        file=None if take.stem is None else take.stem.name,
        sound_sha256=take.stem_sha256,
        loudness_lufs=_rounded(loudness.integrated_lufs),
        loudness_range_lu=_rounded(loudness.range_lu),
        true_peak_dbtp=_rounded(loudness.true_peak_dbtp),
        file_gain_db=round(take.file_gain_db, 3),
        gain_db=round(take.gain_db, 3),
        onsets_s=tuple(round(onset, 5) for onset in take.onsets),
        peaks=tuple(round(peak, 4) for peak in take.peaks),
        missed_s=() if take.obedience is None else take.obedience.missed,
        extra_s=() if take.obedience is None else tuple(round(onset, 5) for onset in take.obedience.extra),
        silent=() if take.obedience is None else take.obedience.silent,
        played=tuple(_played(one) for one in take.played),
    )


def _played(one: Played) -> Played:
    def tidy(seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds, 5)

    seconds, file_s = round(one.seconds, 5), round(one.file_s, 5)
    rounded = replace(one, seconds=seconds, file_s=file_s, gain_db=round(one.gain_db, 2), cents=round(one.cents, 1))
    return replace(rounded, until_s=tidy(one.until_s), file_until_s=tidy(one.file_until_s))


def _bed_record(bed: Bed, ambience: AmbienceBundle) -> BedRecord:
    return BedRecord(
        prompt=bed.prompt,
        tags=bed.tags,
        file=None if bed.stem is None else bed.stem.name,
        loudness_lufs=_rounded(bed.loudness.integrated_lufs),
        true_peak_dbtp=_rounded(bed.loudness.true_peak_dbtp),
        file_gain_db=round(bed.file_gain_db, 3),
        gain_db=round(bed.gain_db, 3),
        model=ambience.name,
        licence=ambience.licence,
        commercial=ambience.commercial,
    )


def _rounded(level: float | None) -> float | None:
    return None if level is None else round(level, 2)


def _relative(source: Path, folder: Path) -> str:
    """``source`` as seen from ``folder``, past symbolic links to either's folder."""
    place = os.path.join(os.path.realpath(source.parent), source.name)
    return os.path.relpath(place, os.path.realpath(folder))
