"""One of N parts of a batch: dealt over the whole sorted list before anything is skipped, so that no clip is lost."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from foleygen.batch.discover import Clip
from foleygen.batch.plan import Planned
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


def in_order(clips: Iterable[Clip]) -> list[Clip]:
    """The clips sorted by the bytes of their paths: the same in every shard, whatever its locale."""
    return sorted(clips, key=lambda clip: os.fsencode(clip.path))


def deal(planned: Sequence[Planned], shard: Shard, by_seconds: bool = False) -> list[Planned]:
    """This shard's part of ``planned``, in order: every N-th clip, or about an N-th of the seconds.

    ``by_seconds``: the longest clip that is left goes to the shard with the least; all need their seconds.
    """
    if not by_seconds:
        return list(planned[shard.index - 1 :: shard.count])
    loads = [0.0] * shard.count
    owners: dict[int, int] = {}
    lengths = [item.clip.seconds or 0.0 for item in planned]
    for number in sorted(range(len(planned)), key=lambda number: (-lengths[number], number)):
        owner = min(range(shard.count), key=lambda shard_number: (loads[shard_number], shard_number))
        loads[owner] += lengths[number]
        owners[number] = owner
    return [item for number, item in enumerate(planned) if owners[number] == shard.index - 1]


def timed(planned: Iterable[Planned], max_pixels: int = MAX_PIXELS) -> list[Planned]:
    """``planned`` with the seconds that no list has told, read from the files' headers; 0 for what cannot be read."""
    return [
        replace(item, clip=replace(item.clip, seconds=seconds_of(item.clip, max_pixels) or 0.0)) for item in planned
    ]


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


def fingerprint(planned: Iterable[Planned]) -> str:
    """A hash of the whole list, by which shards of one batch know each other."""
    digest = hashlib.sha256()
    for item in planned:
        digest.update(os.fsencode(item.clip.path) + b"\0")
    return digest.hexdigest()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
