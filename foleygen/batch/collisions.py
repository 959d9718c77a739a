"""Clips -> those whose outputs may be in the way of another clip, told from the names, without a look at any file."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from foleygen.batch.frozen import Frozen, split


@dataclass(frozen=True)
class Form:
    """A template as bytes: ``pattern`` takes the stem, the suffix without its dot, or both, as ``fields`` says."""

    pattern: bytes
    fields: tuple[bool, ...]
    """True for the stem, False for the suffix."""

    def of(self, stem: bytes, suffix: bytes) -> bytes:
        return self.pattern % tuple(stem if is_stem else suffix[1:] for is_stem in self.fields)


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
    """Numbers of the clips whose outputs, but for their suffixes, are another's output or input, and of those others."""
    mirrors = output is None or not clips.is_absolute
    outputs = ((folder if mirrors else b"") + form.of(stem, suffix) for folder, stem, suffix in map(split, clips.paths))
    return shared(outputs, _inputs(clips, output))


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
    for path in clips.paths:
        place = here + path
        if place.startswith(there):
            folder, stem, _ = split(place[len(there) :])
            yield folder + stem
        else:
            yield b""


def _folder(path: str | Path) -> bytes:
    return os.fsencode(os.path.abspath(path)).rstrip(b"/") + b"/"
