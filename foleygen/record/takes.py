"""The versions of a finished clip's sound: which there are, and another one for the clip."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.errors import ClipError, UsageError, printable
from foleygen.facts import MARK, bed_file, comment, take_file
from foleygen.record import markers, sidecar
from foleygen.record.schema import Sidecar, SoundSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foleygen.media.mixdown import Level
    from foleygen.media.mux import SideTrack
    from foleygen.media.probe import ClipInfo
    from foleygen.media.wav import Recording

AGAIN = "run 'foleygen add-sound' again"


@dataclass(frozen=True)
class Finished:
    """A finished clip, and what its sidecar says."""

    output: Path
    sidecar: Sidecar
    output_bytes: int | None
    """Size of the clip as it was made."""

    def wav(self, number: int) -> Path | None:
        """The wav of a take, if it is there."""
        path = take_file(self.output, number)
        return path if self.sidecar.takes[number - 1].file is not None and path.is_file() else None


def find(clip: Path) -> Finished:
    """The finished ``clip``, or that of the source ``clip`` in the same folder. Raises ClipError."""
    if not clip.is_file():
        raise ClipError(f"{printable(clip)}: no such file", "check the path")
    document = sidecar.read(clip)
    if document is not None or clip.stem.endswith(MARK):
        return _finished(clip, document)
    outputs = dict(_finished_from(clip))
    if not outputs:
        remedy = "name the finished clip, or make one with 'foleygen add-sound'"
        raise ClipError(f"{printable(clip)}: no finished clip of it is in its folder", remedy)
    if len(outputs) > 1:
        raise UsageError(
            f"{printable(clip)}: has {len(outputs)} finished clips", f"name one: {', '.join(map(printable, outputs))}"
        )
    return _finished(*outputs.popitem())


def pick(clip: Path, number: int) -> tuple[Path, tuple[str, ...]]:
    """Make take ``number`` the sound of the finished ``clip``; its path, and what to warn of.

    Nothing is generated: the source's picture and the take's wav are written anew, with the settings of the run that
    made them. Raises UsageError for a take that there is not, ClipError for files that are not what they were.
    """
    from foleygen.media import wav
    from foleygen.media.mux import mux

    finished = find(clip)
    output, found = finished.output, finished.sidecar
    if not 1 <= number <= len(found.takes):
        have = "one take" if len(found.takes) == 1 else f"takes 1 to {len(found.takes)}"
        raise UsageError(
            f"{printable(output)}: has no take {number}, only {have}", "make more with 'foleygen add-sound --takes N'"
        )
    path = finished.wav(number)
    if path is None:
        raise ClipError(f"{printable(take_file(output, number))}: is not there", f"{AGAIN}, with --stems or --takes")
    info = _source(finished)
    _refuse_another(finished, info)
    recording = wav.recording(path)
    settings = found.settings
    report = mux(
        info,
        _heard(finished, recording),
        recording.sample_rate,
        output,
        audio=settings.audio,
        duck_db=settings.duck_db or 0.0,
        level=_level(settings),
        side=_ambience(finished),
        metadata={"comment": comment(found.model, settings.seed, number)},
    )
    gain = round(report.gain_db, 3)
    takes = tuple(replace(take, gain_db=gain) if take.number == number else take for take in found.takes)
    record = replace(found, takes=takes, picked=number, audio_codec=report.audio_codec)
    sidecar.write(output, record.document())
    markers.refresh(output, record)
    _circle(output, number, len(takes))
    return output, report.warnings


def _heard(finished: Finished, recording: Recording) -> Iterable[NDArray[np.float32]]:
    """What lies under the picture."""
    from foleygen.media.bwf import Part
    from foleygen.media.timecode import nominal_rate

    found = finished.sidecar
    handle_s = found.handle_pictures / nominal_rate(found.frame_rate)
    rate = recording.sample_rate
    return Part(recording, round(handle_s * rate), round(Fraction(found.duration_s) * rate)) if handle_s else recording


def _circle(output: Path, number: int, count: int) -> None:
    """Say in the wavs of the takes which of them the clip has."""
    from foleygen.media import ixml

    for each in range(1, count + 1):
        path = take_file(output, each)
        if path.is_file():
            ixml.circle(path, each == number)


def _ambience(finished: Finished) -> SideTrack | None:
    """The track with the clip's ambience, as it was. Raises ClipError where its wav is gone."""
    from foleygen.media import wav
    from foleygen.media.mixdown import Scaled
    from foleygen.media.mux import SideTrack
    from foleygen.media.soundtrack import AMBIENCE_TITLE

    bed = finished.sidecar.bed
    if bed is None:
        return None
    path = bed_file(finished.output)
    if bed.file is None or not path.is_file():
        raise ClipError(f"{printable(path)}: the wav of its ambience is not there", f"{AGAIN}, with --stems or --takes")
    recording = wav.recording(path)
    return SideTrack(AMBIENCE_TITLE, Scaled(_heard(finished, recording), bed.gain_db), recording.sample_rate)


def _finished(output: Path, document: Mapping[str, Any] | None) -> Finished:
    record = sidecar.checked(output, document)
    size = document.get("output_bytes") if document is not None else None
    return Finished(output, record, size if isinstance(size, int) else None)


def _finished_from(source: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The finished clips in the folder of ``source`` whose sidecars name it, with what these say."""
    for path in sorted(source.parent.glob("*.json")):
        found = sidecar.read_at(path)
        if found is not None and found[0].is_file() and _is_source(path.parent, found[1].get("source"), source):
            yield found


def _is_source(folder: Path, named: object, source: Path) -> bool:
    try:
        return isinstance(named, str) and os.path.samefile(folder / named, source)
    except (OSError, ValueError):
        return False


def _source(finished: Finished) -> ClipInfo:
    """The clip that the finished one was made from. Raises ClipError unless it is still the same picture."""
    from foleygen.media.probe import probe

    source = Path(os.path.normpath(os.path.realpath(finished.output.parent) / Path(finished.sidecar.source)))
    try:
        info = probe(source)
    except ClipError as error:
        raise ClipError(
            f"{printable(finished.output)}: its source cannot be read ({error.message})", f"put it back, or {AGAIN}"
        ) from error
    if info.content_id != finished.sidecar.content_id:
        raise ClipError(
            f"{printable(source)}: shows another picture than when {printable(finished.output)} was made", AGAIN
        )
    return info


def _refuse_another(finished: Finished, source: ClipInfo) -> None:
    """Only what foleygen wrote is written again, whatever the sidecar says. Raises ClipError."""
    from foleygen.media.probe import probe

    if finished.output_bytes != finished.output.stat().st_size:
        raise ClipError(f"{printable(finished.output)}: changed since it was made", f"move it, and {AGAIN}")
    if not _same_picture(probe(finished.output), source):
        raise ClipError(f"{printable(finished.output)}: shows another picture than its source", f"move it, and {AGAIN}")


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
