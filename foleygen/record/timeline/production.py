"""The clips' own sound as mono wavs, for timelines that hold nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foleygen import __version__
from foleygen.facts import SAMPLE_RATE, own_file
from foleygen.record.timeline.shots import Shot, Sound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foleygen.media.probe import ClipInfo

MOST_CHANNELS = 2
"""More are mixed down to stereo."""


def wavs(shot: Shot) -> tuple[Sound, ...]:
    """The own sound of ``shot``, a wav beside the finished clip for each channel, which is written where it lacks.

    A wav that had to be lowered says so by the gain of its Sound. Raises ClipError where the source cannot be read.
    """
    if shot.own is None:
        return ()
    channels = min(shot.own.channels, MOST_CHANNELS)
    return tuple(_wav(shot, shot.own, channel, channels) for channel in range(1, channels + 1))


def _wav(shot: Shot, own: Sound, channel: int, channels: int) -> Sound:
    from foleygen.media import bwf, timecode
    from foleygen.media.probe import probe

    info = probe(own.path)
    reference, _ = timecode.time_reference(info)
    path = own_file(shot.path, channel)
    sound, loudness = bwf.filed(_Channel(info, channels, channel), SAMPLE_RATE, round(info.duration * SAMPLE_RATE))
    if not path.is_file() or path.stat().st_mtime_ns < own.path.stat().st_mtime_ns:
        name = f"{info.path.name}, channel {channel} of {channels}"
        facts = [f"foleygen {__version__}", f"own sound of {name}", *bwf.told(sound, loudness)]
        bwf.write(
            path,
            sound,
            time_reference=reference,
            originator="foleygen",
            description=f"Own sound of {name}",
            coding_history=bwf.history(*facts),
            loudness=loudness,
        )
    return replace(
        own,
        path=path,
        channels=1,
        is_wav=True,
        gain_db=-sound.gain_db,
        start_s=shot.takes[0].start_s,
    )


@dataclass(frozen=True)
class _Channel:
    """One channel of a clip's own sound at 48 kHz; decoded anew at each iteration."""

    info: ClipInfo
    channels: int
    channel: int

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        import numpy as np

        from foleygen.media import own_sound

        for block in own_sound.blocks(self.info, SAMPLE_RATE, self.channels):
            yield np.ascontiguousarray(block[self.channel - 1])
