"""What goes into the finished clip's new track: the Foley, alone or under the clip's own sound, at its level."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foleygen.facts import SAMPLE_RATE, Loudness
from foleygen.media import own_sound
from foleygen.media.loudness import measure
from foleygen.media.own_sound import OwnTrack
from foleygen.media.probe import ClipInfo
from foleygen.media.resample import resampled
from foleygen.media.soundtrack import TITLE
from foleygen.media.spool import Spool

CEILING_DBTP = -1.0
"""A mix whose true peak would be higher is brought down to it as a whole: nothing is clipped, nothing is squeezed."""
MAX_RAISE_DB = 12.0
"""Most by which the Foley is raised to lie at its distance under the clip's own sound."""
MIX_TITLE = "Mix"
_BLOCK = SAMPLE_RATE

MARGIN_DB = 0.03
"""What is lowered ends that far under its ceiling: true peak meters differ by as much, and rounding adds a little."""
STEP_DB = 0.001
"""Gains are told, and applied, in steps of it."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Level:
    """How loud a track shall be."""

    gain: Callable[[Loudness], tuple[float, str | None]]
    """The gain in dB for a track, from its level; and what to warn of, without the clip's name."""
    ceiling_dbtp: float = CEILING_DBTP
    """No true peak of the track is above it, as a player decodes it."""


@dataclass(frozen=True)
class Mixdown:
    """A track to be written, and what is known about it."""

    channels: int
    chunks: Iterable[Samples]
    """(n,) or (channels, n) at 48 kHz, in all round(duration * 48000) long; anew at each iteration."""
    loudness: Loudness
    """Of the track as it is written."""
    foley_gain_db: float
    own_index: int | None = None
    """Stream of the clip's own sound that the track stands in for."""
    notes: tuple[str, ...] = ()
    """What to warn of, without the clip's name."""
    title: str = TITLE
    ceiling_dbtp: float = CEILING_DBTP

    def lowered(self, by_db: float) -> Mixdown:
        """The same under one more gain."""
        return replace(
            self,
            chunks=Scaled(self.chunks, -by_db),
            loudness=self.loudness.after(-by_db),
            foley_gain_db=round(self.foley_gain_db - by_db, 3),
        )


def alone(
    info: ClipInfo,
    sound: Iterable[Samples],
    sample_rate: int,
    loudness: Loudness | None,
    level: Level | None,
    channels: int = 1,
) -> Mixdown:
    """The Foley, of so many ``channels``, as the whole track under ``level``'s gain; ``loudness``: if it is known.

    ``sound`` must be iterable again where ``loudness`` is not known.
    """
    level = level or safe("the new sound")
    loudness = loudness or measure(sound, sample_rate, channels)
    gain, note = level.gain(loudness)
    total = round(info.duration * SAMPLE_RATE)
    return Mixdown(
        channels=channels,
        chunks=Scaled(_Resampled(sound, sample_rate, total), gain),
        loudness=loudness.after(gain),
        foley_gain_db=gain,
        notes=(note,) if note else (),
        ceiling_dbtp=level.ceiling_dbtp,
    )


def mixed(
    info: ClipInfo,
    sound: Iterable[Samples],
    sample_rate: int,
    duck_db: float,
    loudness: Loudness | None,
    level: Level | None,
    foley_channels: int = 1,
) -> Mixdown:
    """The clip's own sound with the Foley ``duck_db`` under it: in stereo where either is, and what is mono in the
    middle.

    Both levels are integrated loudness over the clip, so one gain holds from end to end. Where one of them cannot be
    measured the Foley goes in as it is. A clip without own sound, or with a silent one, gets the Foley alone.
    ``sound`` is iterated several times, the own sound decoded up to three times.
    """
    track = own_sound.own_track(info)
    if track is None:
        return alone(info, sound, sample_rate, loudness, level, foley_channels)
    channels = max(foley_channels, min(track.channels, 2))
    own = measure(own_sound.blocks(info, SAMPLE_RATE, channels), SAMPLE_RATE, channels)
    if own.true_peak_dbtp is None:
        only = alone(info, sound, sample_rate, loudness, level, foley_channels)
        return replace(only, own_index=track.index)
    foley = loudness or measure(sound, sample_rate, foley_channels)
    foley_gain, notes = _ducked(own, foley, channels // foley_channels, duck_db)
    notes += _left_out(info, track)
    plain = _Sum(info, sound, sample_rate, channels, foley_gain)
    together = measure(plain, SAMPLE_RATE, channels)
    level = level or safe("the mix")
    gain, note = level.gain(together)
    return Mixdown(
        channels=channels,
        chunks=Scaled(plain, gain),
        loudness=together.after(gain),
        foley_gain_db=round(foley_gain + gain, 3),
        ceiling_dbtp=level.ceiling_dbtp,
        own_index=track.index,
        title=MIX_TITLE,
        notes=(*notes, note) if note else notes,
    )


class _Sum:
    """Own sound plus Foley under its gain, (channels, n) at 48 kHz; every iteration decodes anew."""

    def __init__(
        self, info: ClipInfo, foley: Iterable[Samples], sample_rate: int, channels: int, foley_gain_db: float
    ) -> None:
        self._info, self._foley, self._rate = info, foley, sample_rate
        self._channels, self._gain_db = channels, foley_gain_db

    def __iter__(self) -> Iterator[Samples]:
        total = round(self._info.duration * SAMPLE_RATE)
        foley = _scaled(resampled(self._foley, self._rate, SAMPLE_RATE, total), self._gain_db)
        own = own_sound.blocks(self._info, SAMPLE_RATE, self._channels)
        for below, above in zip(_reblocked(own), _reblocked(foley), strict=True):
            yield below + above


def _ducked(own: Loudness, foley: Loudness, times: int, duck_db: float) -> tuple[float, tuple[str, ...]]:
    """Gain of the Foley in the mix, where each of its channels is heard so many ``times``; and what to warn of."""
    if own.integrated_lufs is None or foley.integrated_lufs is None:
        return 0.0, ()
    # The same signal in two channels is 3 LU louder than in one (BS.1770).
    wanted = own.integrated_lufs - duck_db - (foley.integrated_lufs + 10 * math.log10(times))
    if wanted > MAX_RAISE_DB:
        below = duck_db + wanted - MAX_RAISE_DB
        return MAX_RAISE_DB, (f"the new sound is so quiet that it lies {below:.0f} dB under the clip's own",)
    return wanted, ()


def _left_out(info: ClipInfo, track: OwnTrack) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if track.channels > 2:
        notes += (f"the {track.channels} channels of its sound are stereo in the mix",)
    if info.audio_streams > 1:
        notes += (f"only the first of its {info.audio_streams} sound tracks is in the mix, the others follow it",)
    return notes


def safe(what: str) -> Level:
    """The Level where none was asked for: down, if need be, so that nothing is cut."""

    def gain(together: Loudness) -> tuple[float, str | None]:
        peak = together.true_peak_dbtp
        if peak is None or peak <= CEILING_DBTP:
            return 0.0, None
        lowered = math.ceil((peak - CEILING_DBTP + MARGIN_DB) / STEP_DB) * STEP_DB
        fact = f"{what} was lowered by {lowered:.1f} dB to keep its true peak at {CEILING_DBTP:g} dBTP"
        return -round(lowered, 3), fact

    return Level(gain)


def under_ceiling(samples: Samples, sample_rate: int) -> tuple[Samples, str | None]:
    """A whole sound, (n,) or (2, n), lowered where it would be cut; and what to tell of that."""
    gain, note = safe("it").gain(measure([samples], sample_rate, samples.ndim))
    return (samples * np.float32(10 ** (gain / 20)) if gain else samples), note


@dataclass(frozen=True)
class _Resampled:
    """``sound`` at 48 kHz, ``total`` samples long; anew at each iteration."""

    sound: Iterable[Samples]
    sample_rate: int
    total: int

    def __iter__(self) -> Iterator[Samples]:
        return resampled(self.sound, self.sample_rate, SAMPLE_RATE, self.total)


@dataclass(frozen=True)
class Scaled:
    """``sound`` under a gain; anew at each iteration."""

    sound: Iterable[Samples]
    gain_db: float

    def __iter__(self) -> Iterator[Samples]:
        return _scaled(self.sound, self.gain_db)


def _scaled(chunks: Iterable[Samples], gain_db: float) -> Iterator[Samples]:
    factor = np.float32(10 ** (gain_db / 20))
    for chunk in chunks:
        yield chunk * factor if gain_db else chunk


def _reblocked(chunks: Iterable[Samples]) -> Iterator[Samples]:
    """The same samples (last axis) in blocks of one second, the last one shorter."""
    held: list[Samples] = []
    length = 0
    for chunk in chunks:
        held.append(chunk)
        length += chunk.shape[-1]
        while length >= _BLOCK:
            joined = np.concatenate(held, axis=-1)
            yield joined[..., :_BLOCK]
            held, length = [joined[..., _BLOCK:]], length - _BLOCK
    if length:
        yield np.concatenate(held, axis=-1)


def again(sound: Iterable[Samples]) -> Iterable[Samples]:
    """The same, kept where it comes only once."""
    return Spool(sound) if iter(sound) is sound else sound
