"""One of N parts of a batch: dealt over the whole sorted list before anything is skipped, so that no clip is lost."""

from __future__ import annotations

import hashlib
import heapq
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from foleygen.batch.discover import Clip
from foleygen.batch.frozen import Frozen
from foleygen.errors import FoleygenError, UsageError
from foleygen.settings import MAX_PIXELS


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count``, counted from 1."""

    index: int
    count: int


def parse(text: str) -> Shard:
    """``I/N`` as a Shard. Raises UsageError."""
    index, _, count = text.partition("/")
    if not (_is_number(index) and _is_number(count) and 1 <= int(index) <= int(count)):
        raise UsageError(f"--shard: {text!r} is not I/N with I from 1 to N", "give for example --shard 2/8")
    return Shard(int(index), int(count))


def in_order(clips: Iterable[Clip]) -> Sequence[Clip]:
    """The clips sorted by the bytes of their paths: the same in every shard, whatever its locale."""
    return clips if isinstance(clips, Frozen) else sorted(clips, key=lambda clip: os.fsencode(clip.path))


def deal(count: int, shard: Shard, lengths: Sequence[float] | None = None) -> Sequence[int]:
    """The numbers of this shard's clips of ``count``, in order: every N-th, or about an N-th of the seconds.

    With ``lengths`` the longest clip that is left goes to the shard with the least.
    """
    if lengths is None:
        return range(shard.index - 1, count, shard.count)
    loads = [(0.0, number) for number in range(shard.count)]
    own = []
    for number in sorted(range(count), key=lambda number: (-lengths[number], number)):
        load, owner = loads[0]
        heapq.heapreplace(loads, (load + lengths[number], owner))
        if owner == shard.index - 1:
            own.append(number)
    return sorted(own)


def lengths_of(clips: Sequence[Clip], max_pixels: int = MAX_PIXELS) -> Sequence[float]:
    """The seconds of each, read from the file's header where no list has told; 0 for what cannot be read."""
    if isinstance(clips, Frozen) and not any(map(math.isnan, clips.seconds)):
        return clips.seconds
    return [seconds_of(clip, max_pixels) or 0.0 for clip in clips]


def seconds_of(
    clip: Clip, max_pixels: int = MAX_PIXELS, on_error: Callable[[FoleygenError], None] | None = None
) -> float | None:
    """What a list told of the clip's length, else what its header announces; None, and ``on_error``, if it has none."""
    if clip.seconds is not None:
        return clip.seconds
    from foleygen.media.length import header_seconds

    try:
        return header_seconds(clip.path, max_pixels)
    except FoleygenError as error:
        if on_error is not None:
            on_error(error)
        return None


def fingerprint(clips: Sequence[Clip]) -> str:
    """A hash of the whole list, by which shards of one batch know each other."""
    digest = hashlib.sha256()
    paths = iter(clips.paths if isinstance(clips, Frozen) else [os.fsencode(clip.path) for clip in clips])
    while some := list(islice(paths, 4096)):
        digest.update(b"\0".join(some) + b"\0")
    return digest.hexdigest()


def folder_of(clips: Sequence[Clip]) -> Path:
    """The one that holds all the clips."""
    # What the first and the last path begin with, all between them begin with.
    ends = [clips[0], clips[-1]] if clips and isinstance(clips, Frozen) else clips
    return Path(os.path.commonpath([os.path.abspath(clip.path.parent) for clip in ends] or [os.getcwd()]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
