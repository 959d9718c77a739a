"""The clip again, picture packets untouched, with the new sound as its default track."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.errors import ClipError, printable
from foleygen.facts import SAMPLE_RATE, Loudness
from foleygen.media import encoded
from foleygen.media.containers import Container, container_for, created, disk_errors
from foleygen.media.copying import StreamCopies
from foleygen.media.fit import advice
from foleygen.media.forms import strictness
from foleygen.media.mixdown import Level, Mixdown, again, alone, mixed
from foleygen.media.probe import ClipInfo
from foleygen.media.proof import prove
from foleygen.media.soundtrack import Soundtrack
from foleygen.media.source import opened, packets, refuse_another
from foleygen.regular import Seal
from foleygen.settings import AudioPolicy, RenderSettings

_NO_METADATA: Mapping[str, str] = MappingProxyType({})
_MAX_TIMESCALE = 1_000_000
# Written by the muxer itself, or true of the source file only.
_STALE_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "timecode", "duration"})
# Tags that the plain MP4 and QuickTime metadata boxes have a place for (libavformat/movenc.c).
_PLAIN_TAGS = frozenset(
    {"title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping"}
    | {"lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "creation_time"}
    | {"location", "make", "model", "track", "disc", "tmpo", "compilation", "gapless_playback", "hd_video"}
    | {"media_type", "season_number", "episode_sort"}
    | {f"sort_{name}" for name in ("name", "artist", "album_artist", "album", "composer", "show")}
)
_SPOKEN = re.compile("(.+)-[a-z]{3}")
"""A tag with the language of its text."""


@dataclass(frozen=True)
class SideTrack:
    """One more sound, chunks (n,) or (2, n) float32 at ``sample_rate`` Hz, on a track that players do not start with.

    Its chunks come anew at each iteration.
    """

    title: str
    chunks: Iterable[NDArray[np.float32]]
    sample_rate: int
    channels: int = 1


@dataclass(frozen=True)
class MuxReport:
    """What was written."""

    audio_codec: str
    samples_48k: int
    """Samples of the new track, at 48 kHz."""
    warnings: tuple[str, ...]
    """Without the clip\'s name."""
    loudness: Loudness
    """Of the new track as a player decodes it."""
    gain_db: float = 0.0
    """What the new sound was raised by on its way into the track."""
    seal: Seal | None = None
    """Of the file, as it was written."""


def mux(
    info: ClipInfo,
    sound: Iterable[NDArray[np.float32]],
    sample_rate: int,
    output: Path,
    *,
    channels: int = 1,
    audio: AudioPolicy = "keep",
    duck_db: float = RenderSettings.duck,
    loudness: Loudness | None = None,
    level: Level | None = None,
    side: SideTrack | None = None,
    metadata: Mapping[str, str] = _NO_METADATA,
) -> MuxReport:
    """Write the clip with ``sound``, float32 at ``sample_rate`` Hz, to ``output``.

    Its chunks are (n,), or (2, n) of two ``channels``. The kind of file follows the suffix of ``output``. The new track
    lasts exactly round(duration * 48000) samples and begins with the picture; the clip's own sound follows it
    (``keep``), is left out (``replace``) or is part of it with ``sound`` at ``duck_db`` under it (``mix``). ``side``
    follows the new track and is as long. ``level`` gives the new track's gain from its loudness; without it the track
    is lowered where its true peak would be above -1 dBTP. ``loudness`` is that of ``sound``, where the caller has it.
    The picture is never decoded; ``sound`` is iterated several times, since what a lossy encoder makes of it is
    measured first. Raises ClipError when the output is the clip itself or cannot hold its streams, RetryableError when
    the disk is full.
    """
    kind = container_for(output, info.path)
    _refuse_overwriting(info.path, output)
    sound = again(sound)
    if audio == "mix":
        made = mixed(info, sound, sample_rate, duck_db, loudness, level, channels)
    else:
        made = alone(info, sound, sample_rate, loudness, level, channels)
    main = encoded.settled(made, kind)
    beside = None if side is None else encoded.settled(_beside(info, side), kind)
    made = main.made
    seals: list[Seal] = []
    with publish(output, seals) as temporary:
        with (
            opened(info.path) as source,
            _explained_refusals(info, kind),
            disk_errors(),
            _target(temporary, kind, info, source, metadata) as target,
        ):
            clock_start = _clock_start(source)
            copies = StreamCopies(source, target, info, kind, clock_start)
            copies.add_pictures()
            first_sample = round((info.start - clock_start) * SAMPLE_RATE)
            track = Soundtrack(target, kind, first_sample, made.channels, made.title, notes=metadata)
            sounds = [(track, encoded.packets(track, main))]
            if beside is not None:
                other = Soundtrack(target, kind, first_sample, beside.made.channels, beside.made.title, default=False)
                sounds.append((other, encoded.packets(other, beside)))
            copies.add_others(sounds=_kept_sounds(source, audio, made))
            copies.add_chapters()
            target.start_encoding()
            _interleave(source, target, copies, sounds)
            copies.finish()
            picture = copies.picture_index
        copies.complete(temporary)
        lost = list(prove(info, temporary, picture, kind))
        refuse_another(info.path, info.stamp)
    notes = () if beside is None else tuple(f"{beside.made.title}: {note}" for note in beside.made.notes)
    warnings = (*copies.warnings, *lost, *made.notes, *notes)
    return MuxReport(kind.audio_codec, track.samples, warnings, made.loudness, made.foley_gain_db, seals[0])


def _beside(info: ClipInfo, side: SideTrack) -> Mixdown:
    made = alone(info, again(side.chunks), side.sample_rate, None, None, side.channels)
    return replace(made, title=side.title)


def _kept_sounds(source: InputContainer, audio: AudioPolicy, made: Mixdown) -> frozenset[int]:
    """Indices of the clip's own sound tracks that are copied: what is in the mix is not there twice."""
    own = frozenset(stream.index for stream in source.streams.audio)
    return frozenset() if audio == "replace" else own - {made.own_index}


def _interleave(
    source: InputContainer,
    target: OutputContainer,
    copies: StreamCopies,
    sounds: Sequence[tuple[Soundtrack, Iterator[list[Packet[Stream]]]]],
) -> None:
    """Write the copied packets in file order, each after the sound that plays before it."""
    for packet in packets(source, *copies.streams, clock=copies.clip_clock):
        for copied in copies.copied(packet):
            for track, waiting in sounds:
                while track.time <= copies.clock(copied):
                    ready = next(waiting, None)
                    if ready is None:
                        break
                    target.mux(ready)
            target.mux(copied)
    for _, waiting in sounds:
        for ready in waiting:
            target.mux(ready)


def _target(
    temporary: Path, kind: Container, info: ClipInfo, source: InputContainer, metadata: Mapping[str, str]
) -> AbstractContextManager[OutputContainer]:
    tags = _tags(source, info, kind, metadata)
    options = {**dict(kind.options), "strict": strictness(source, source.streams[info.video_index], kind)}
    if kind.keeps_timecode:
        options["movie_timescale"] = str(_movie_timescale(source, info))
        if any(_needs_keys(tag, tags) for tag in tags):
            options["movflags"] = "use_metadata_tags"
    return created(temporary, kind.muxer, options, tags)


def _needs_keys(tag: str, tags: Mapping[str, str]) -> bool:
    """The plain boxes have no place for this tag; a tag in a language of its own stands beside the plain one."""
    spoken = _SPOKEN.fullmatch(tag)
    return tag not in _PLAIN_TAGS | {"timecode"} and not (spoken is not None and spoken[1] in tags)


def _movie_timescale(source: InputContainer, info: ClipInfo) -> int:
    """Units per second in which tracks that begin late are placed; the usual milliseconds would round them."""
    units = source.streams[info.video_index].time_base
    both = math.lcm(SAMPLE_RATE, units.denominator) if units is not None and info.start > 0 else SAMPLE_RATE
    return both if both <= _MAX_TIMESCALE else SAMPLE_RATE


def _tags(source: InputContainer, info: ClipInfo, kind: Container, metadata: Mapping[str, str]) -> dict[str, str]:
    """The clip's own; what is said of the new sound joins them where its track has no place for it."""
    tags = {key: value for key, value in source.metadata.items() if key.lower() not in _STALE_TAGS}
    if info.timecode:
        tags["timecode"] = info.timecode
    own = {key.lower() for key in tags}
    notes = {} if kind.keeps_track_notes else metadata
    return {**tags, **{key: value for key, value in notes.items() if key not in own}}


def _clock_start(source: InputContainer) -> Fraction:
    """Seconds to take off all time stamps: MPEG streams count from anywhere, the other kinds from the clip's zero."""
    if {"mpegts", "mpeg"} & set(source.format.name.split(",")) and source.start_time is not None:
        return Fraction(source.start_time, av.time_base)
    return Fraction(0)


@contextmanager
def _explained_refusals(info: ClipInfo, kind: Container) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise ClipError(
            f"{printable(info.path)}: its streams do not fit in {kind.suffix} ({error.strerror})",
            _way_out(info, kind),
        ) from error


def _way_out(info: ClipInfo, kind: Container) -> str:
    with opened(info.path) as source:
        return advice(source, info, kind) or "export it again as H.264 or ProRes"


def _refuse_overwriting(clip: Path, output: Path) -> None:
    if output.exists() and output.samefile(clip):
        raise ClipError(f"{printable(output)}: the output is the clip itself", "choose another name or folder")
