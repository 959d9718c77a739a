"""Lists and numbers as they are typed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

MOST = 1000


class Several(click.ParamType[tuple[str, ...]]):
    """Some of ``choices``, with commas between them; at least one, each once, in the order typed."""

    name = "list"

    def __init__(self, choices: Sequence[str]) -> None:
        self.choices = choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        wanted = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        for part in wanted:
            if part not in self.choices:
                self.fail(f"{part!r} is not one of {', '.join(self.choices)}", param, ctx)
        return wanted


class Number(click.FloatRange):
    """A number in a range; ``nan``, which no comparison refuses, and ``inf``, which no clip has, are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a number", param, ctx)
        return found


class Named(click.Path):
    """A path as a Path; an empty one, which would be the current folder, is none."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("is empty: name a path", param, ctx)
        return super().convert(value, param, ctx)


class Counts(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1 to MOST, with commas between them; sorted, each once."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdecimal() and len(part) <= 4 and 1 <= int(part) <= MOST for part in parts):
            self.fail(f"{value!r} is not a list of whole numbers from 1 to {MOST}, such as 8,12,16", param, ctx)
        return tuple(sorted({int(part) for part in parts}))
