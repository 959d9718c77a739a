"""A track whose windows are joined -> the same with its hits played by a library, at 48 kHz."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from threading import Event

import numpy as np
from numpy.typing import NDArray

from foleygen.facts import SAMPLE_RATE, Played
from foleygen.media.channels import centred, frames
from foleygen.media.resample import resampled
from foleygen.pipeline.deliver import Spooled
from foleygen.pipeline.tracks import IN_MEMORY_BYTES, TakeTrack, Track, spool
from foleygen.pipeline.voices.own import OwnSound
from foleygen.pipeline.voices.player import Player, Take
from foleygen.pipeline.voices.shelf import Shelf
from foleygen.settings import RenderSettings, Voice


def play(track: Track, shelf: Shelf, settings: RenderSettings, stopped: Event) -> None:
    """Put every take, as it is heard with the library, in the place of what the models made.

    Depends on the seed, the picture, the take and the library. Ends with Stopped if the batch does.
    """
    with track.clocked("playing"):
        for take in track.takes:
            player = _played(track, take, shelf, settings, stopped)
            take.channels = track.channels
            track.warnings.extend(remark for remark in player.remarks() if remark not in track.warnings)
    track.widened_rate = SAMPLE_RATE


@dataclass(frozen=True)
class Voiced:
    """A sound in memory with its hits played: samples, (S,) or (2, S), at 48 kHz, and what was played."""

    samples: NDArray[np.float32]
    played: tuple[Played, ...]
    events: tuple[int, ...]
    """In the library, of each that was played."""
    onsets: tuple[float, ...]
    lasting: tuple[Played, ...] = ()
    """What goes on, and was played."""


def voiced(
    samples: NDArray[np.float32], rate: int, take: Take, shelf: Shelf, voice: Voice, channels: int = 1
) -> Voiced:
    """The same for the sound ``samples`` (S,) at ``rate`` Hz, in so many ``channels``."""
    player = Player(shelf, voice, take, OwnSound(BytesIO(samples.tobytes()), rate), channels)
    own = resampled([samples], rate, SAMPLE_RATE, round(len(samples) * SAMPLE_RATE / rate))
    made = np.concatenate([centred(chunk, channels) for chunk in player.sound(own)], axis=-1)
    lasting = tuple(player.ongoing.played)
    return Voiced(made, tuple(player.played), tuple(player.events), tuple(player.onsets()), lasting)


def _played(track: Track, take: TakeTrack, shelf: Shelf, settings: RenderSettings, stopped: Event) -> Player:
    delay, rate = settings.audio_delay, track.spool_rate
    asked = Take(
        own=track.job.own,
        onsets=tuple(onset + delay for onset in take.onsets),
        offset_s=float(track.handle_s) - delay,
        key=(settings.seed, track.job.info.content_id, take.number),
        duration_s=float(track.job.info.duration),
    )
    player = Player(shelf, settings.voice, asked, OwnSound(take.spool, rate), track.channels)
    own = resampled(Spooled(take.spool, stopped), rate, SAMPLE_RATE, track.samples(SAMPLE_RATE))
    made = spool(IN_MEMORY_BYTES // len(track.takes))
    try:
        for chunk in player.sound(own):
            made.write(frames(centred(chunk, track.channels)))
    except BaseException:
        made.close()
        raise
    take.spool.close()
    take.spool = made
    take.onsets = [onset - delay for onset in player.onsets()]
    ordered = sorted((*player.played, *player.ongoing.played), key=lambda one: one.seconds)
    take.played = [one for one in ordered if 0 <= one.seconds < track.job.info.duration]
    return player
