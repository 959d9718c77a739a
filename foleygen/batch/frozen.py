"""The bytes of a list -> its clips in order, each once; none is an object before it is asked for."""

from __future__ import annotations

import math
import operator
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

from foleygen.batch.discover import SUFFIXES, Clip, entries, sound_told
from foleygen.settings import AS_THE_RUN, ClipSettings

_SUFFIXES = frozenset(os.fsencode(suffix) for suffix in SUFFIXES)
_ODD = (b"//", b"/.", b"./")
"""What a path may have that pathlib would write in another way."""


class Frozen(Sequence[Clip]):
    """Clips sorted by the bytes of their ``paths``, which are all absolute or all below the current folder.

    Each path is written as pathlib writes it. ``seconds`` has a length for each, NaN where none is known; ``sounds``
    the words of those, by their number, that the list has any for.
    """

    def __init__(self, paths: list[bytes], seconds: array[float], sounds: Mapping[int, str] | None = None) -> None:
        self.paths = paths
        self.seconds = seconds
        self.sounds = sounds or {}

    @property
    def is_absolute(self) -> bool:
        return bool(self.paths) and self.paths[0].startswith(b"/")

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, number: int) -> Clip: ...

    @overload
    def __getitem__(self, number: slice) -> list[Clip]: ...

    def __getitem__(self, number: int | slice) -> Clip | list[Clip]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        path = Path(os.fsdecode(self.paths[number]))
        sound = self.sounds.get(number)
        own = AS_THE_RUN if sound is None else ClipSettings(sound=sound)
        return Clip(path, Path() if self.is_absolute else path.parent, self.seconds_at(number), own)

    def seconds_at(self, number: int) -> float | None:
        """What the list tells of the length."""
        seconds = self.seconds[number]
        return None if math.isnan(seconds) else seconds


def freeze(contents: Iterable[bytes], trusts_names: bool = False) -> Frozen | None:
    """The clips that ``discover`` finds in lists with these contents, sorted.

    None where that takes more than bytes: paths with ``..``, absolute ones beside relative ones, a folder. With
    ``trusts_names`` what is called like a video is none, and is not looked at. Raises UsageError for unknown words.
    """
    paths: list[bytes] = []
    seconds = array("d")
    sounds: dict[int, str] = {}
    for content in contents:
        has_odd = any(mark in content for mark in _ODD)
        for name, length, words in entries(content):
            # Nearly all lines end here: what else is asked of a line is asked a million times.
            is_video = (name[-4:].lower() in _SUFFIXES or name[-5:].lower() in _SUFFIXES) and not has_odd
            path = name if is_video else _plain(name)
            if path is None or (not (trusts_names and (is_video or _is_named_video(path))) and os.path.isdir(path)):
                return None
            if words is not None:
                sounds[len(paths)] = sound_told(words, name)
            paths.append(path)
            seconds.append(math.nan if length is None else length)
    if os.sep != "/" or sum(path.startswith(b"/") for path in paths) not in (0, len(paths)):
        return None
    return _sorted(paths, seconds, sounds)


def ends(path: bytes) -> tuple[int, int]:
    """Where its name begins, and where its stem ends, as pathlib has them."""
    begin = path.rfind(b"/") + 1
    dot = path.rfind(b".", begin + 1)
    return begin, len(path) if dot in (-1, len(path) - 1) else dot


def _is_named_video(path: bytes) -> bool:
    return path[ends(path)[1] :].lower() in _SUFFIXES


def _plain(name: bytes) -> bytes | None:
    """``name`` as pathlib writes it; None if it goes up, or begins with two slashes."""
    if not (any(mark in name for mark in _ODD) or name.endswith(b"/") or name in (b"", b".", b"..")):
        return name
    path = os.fsencode(Path(os.fsdecode(name)))
    return None if path.startswith(b"//") or b".." in path.split(b"/") else path


def _sorted(paths: list[bytes], seconds: array[float], sounds: Mapping[int, str]) -> Frozen:
    """Of lines with one path the first counts."""
    if all(map(operator.lt, paths, islice(paths, 1, None))):
        return Frozen(paths, seconds, sounds)
    order = sorted(range(len(paths)), key=paths.__getitem__)
    kept = array("q", _firsts(paths, order))
    told = {number: sounds[line] for number, line in enumerate(kept) if line in sounds} if sounds else {}
    return Frozen([paths[number] for number in kept], array("d", (seconds[number] for number in kept)), told)


def _firsts(paths: list[bytes], order: list[int]) -> Iterator[int]:
    before = None
    for number in order:
        if paths[number] != before:
            before = paths[number]
            yield number
