"""Clips -> those whose outputs may be in the way of another clip, told from the names, without a look at any file."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from string import Formatter

from foleygen.batch.frozen import Frozen, ends


@dataclass(frozen=True)
class Form:
    """A template as bytes: ``pattern`` takes the stem, the suffix without its dot, or both, as ``fields`` says."""

    pattern: bytes
    fields: tuple[bool, ...]
    """True for the stem, False for the suffix."""

    def outputs(self, paths: Iterable[bytes], mirrors: bool) -> Iterator[bytes]:
        """The output of each path without its suffix; with ``mirrors`` in the path's folder."""
        is_plain = self.fields == (True,)
        before, _, after = (self.pattern % b"\0").partition(b"\0") if is_plain else (b"", b"", b"")
        for path in paths:
            begin, end = ends(path)
            if is_plain:
                name = before + path[begin:end] + after
            else:
                name = self.pattern % tuple(path[begin:end] if stem else path[end + 1 :] for stem in self.fields)
            yield path[:begin] + name if mirrors else name


def form_of(template: str, same: dict[str, str | int]) -> Form | None:
    """``template`` with its fields that are the ``same`` for all clips filled in; None where bytes do not do.

    Raises what str.format raises for a format that does not fit.
    """
    pattern, fields = "", []
    for literal, name, form, conversion in Formatter().parse(template):
        pattern += literal.replace("%", "%%")
        if name in ("stem", "ext") and not form and not conversion:
            pattern += "%b"
            fields.append(name == "stem")
        elif name in same:
            field = f"{{{name}{'!' + conversion if conversion else ''}:{form}}}"
            pattern += field.format_map(same).replace("%", "%%")
        elif name is not None:
            return None
    return Form(os.fsencode(pattern), tuple(fields))


def suspects(clips: Frozen, form: Form, output: Path | None) -> list[int]:
    """Numbers of the clips whose outputs, but for their suffixes, are another's output or input, and of those."""
    return shared(form.outputs(clips.paths, output is None or not clips.is_absolute), _inputs(clips, output))


def shared(outputs: Iterable[bytes], inputs: Iterable[bytes]) -> list[int]:
    """Numbers at which an output is that of another number or any number's input, and those of such inputs.

    Hashes stand for the bytes: a number too many costs a look, and none is left out.
    """
    made, given = array("q", map(hash, outputs)), array("q", map(hash, inputs))
    places = set(made)
    taken = places.intersection(given)
    if len(places) == len(made) and not taken:
        return []
    uses = Counter(made)
    return [
        number
        for number, (place, source) in enumerate(zip(made, given, strict=True))
        if uses[place] > 1 or place in taken or source in taken
    ]


def _inputs(clips: Frozen, output: Path | None) -> Iterator[bytes]:
    """Each clip without its suffix, as seen from where the outputs go; nothing if it is not below."""
    here = b"" if output is None or clips.is_absolute else _folder(os.getcwd())
    there = b"" if output is None else _folder(output)
    above = there.removeprefix(here) if there.startswith(here) else b""
    first, last = _below(clips.paths, above)
    if not (there.startswith(here) or here.startswith(there)):
        first = last = 0
    yield from repeat(b"", first)
    for path in islice(clips.paths, first, last):
        place = here + path
        yield place[len(there) : len(here) + ends(path)[1]]
    yield from repeat(b"", len(clips) - last)


def _below(paths: Sequence[bytes], folder: bytes) -> tuple[int, int]:
    """Which of the sorted ``paths`` are below ``folder``, which ends with a slash or is empty."""
    if not folder:
        return 0, len(paths)
    return bisect_left(paths, folder), bisect_left(paths, folder[:-1] + b"0")  # the byte after the slash


def _folder(path: str | Path) -> bytes:
    return os.fsencode(os.path.abspath(path)).rstrip(b"/") + b"/"
