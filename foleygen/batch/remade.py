"""A clip whose sound is there, delivered anew without the models -> its event."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from foleygen.batch.events import ClipDone
from foleygen.batch.plan import Planned
from foleygen.facts import Loudness, Take
from foleygen.record import markers, sidecar
from foleygen.record.remaking import remake

if TYPE_CHECKING:
    from foleygen.record.finding import Finished
    from foleygen.record.schema import Sidecar, SoundSettings
    from foleygen.settings import Settings


def remade(item: Planned, finished: Finished, sound: SoundSettings, settings: Settings) -> ClipDone:
    """Write the clip from the take that ``finished`` has; the event that it is done. Raises ClipError."""
    began = time.monotonic()
    made = remake(finished, finished.sidecar.picked, sound, item.output)
    for form in settings.markers or ():
        markers.of_record(item.output, made.sidecar, form)
    seconds, record = time.monotonic() - began, made.sidecar
    return ClipDone(
        clip=item.clip.path,
        output=item.output,
        sidecar=sidecar.path_for(item.output),
        duration=record.duration_s,
        seconds=seconds,
        stages={"muxing": seconds},
        windows=len(record.windows),
        cached_windows=len(record.windows),
        audio_codec=record.audio_codec,
        loudness=made.loudness,
        warnings=made.warnings,
        takes=_takes(finished, record),
    )


def _takes(finished: Finished, record: Sidecar) -> tuple[Take, ...]:
    return tuple(
        Take(
            number=take.number,
            loudness=Loudness(take.loudness_lufs, take.loudness_range_lu, take.true_peak_dbtp),
            file_gain_db=take.file_gain_db,
            gain_db=take.gain_db,
            onsets=take.onsets_s,
            peaks=take.peaks,
            stem=finished.wav(take.number),
        )
        for take in record.takes
    )
