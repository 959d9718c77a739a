"""YAML into frozen dataclasses, strictly: an unknown or missing key, or a value of another type, is an error."""

from __future__ import annotations

import difflib
import re
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

from foleygen.errors import FoleygenError

Section = TypeVar("Section")

_FRACTION = re.compile(r"[0-9]{1,40}(?:[./][0-9]{1,40})?")
"""Without exponents: 1e1000000000 would take the memory that its digits need."""
_WANTED = {float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Reader:
    """Reads mappings as dataclasses; what does not fit is an ``error``. ``least`` is the smallest whole number."""

    error: type[FoleygenError]
    least: int = 0

    def section(self, kind: type[Section], content: object, where: str) -> Section:
        """``content`` as the dataclass ``kind``; ``where`` opens the message of an error."""
        if not isinstance(content, Mapping):
            raise self.error(f"{where}: is not a mapping of keys to values", "correct it")
        known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
        for key in content:
            if key not in known:
                raise self.error(f"{where}: has an unknown key {key!r}", did_you_mean(str(key), known))
        hints = typing.get_type_hints(kind)
        values = {}
        for name, item in known.items():
            if name in content:
                values[name] = self._value(content[name], hints[name], f"{where}: {name}")
            elif item.default is MISSING and item.default_factory is MISSING:
                raise self.error(f"{where}: the key {name!r} is missing", "add it")
        return kind(**values)

    def mapping(self, path: Path, missing: str = "check the path") -> dict[str, Any]:
        """The mapping in a YAML file, plain types only; ``missing`` is the next step where there is no file."""
        import yaml

        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise self.error(f"{path}: does not exist", missing) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise self.error(f"{path}: cannot be read ({reason})", "correct it or fetch it again") from error
        if not isinstance(content, dict):
            raise self.error(f"{path}: is not a mapping of keys to values", "correct it or fetch it again")
        return content

    def _value(self, value: Any, hint: Any, where: str) -> Any:
        """``value`` if it is of the annotated type ``hint``, converted where YAML has no such type."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            inner = next(kind for kind in arguments if kind is not type(None))
            return None if value is None else self._value(value, inner, where)
        if origin is Literal:
            if value in arguments:
                return value
            raise self.error(f"{where} is {value!r}", f"use one of {', '.join(map(str, arguments))}")
        if is_dataclass(hint):
            return self.section(typing.cast(type[Any], hint), value, where)
        if origin is tuple and isinstance(value, list | tuple):
            return self._items(value, arguments, where)
        if origin is Mapping and isinstance(value, Mapping) and _is_plain(value):
            return dict(value)
        return self._scalar(value, hint, where)

    def _items(self, value: list[Any] | tuple[Any, ...], kinds: tuple[Any, ...], where: str) -> tuple[Any, ...]:
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            raise self.error(f"{where} has {len(value)} entries instead of {len(kinds)}", "correct it")
        return tuple(self._value(entry, kind, where) for entry, kind in zip(value, kinds, strict=True))

    def _scalar(self, value: Any, hint: Any, where: str) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        if hint is float and number:
            return float(value)
        if hint is int and number and isinstance(value, int) and value >= self.least:
            return value
        if hint is Fraction and (isinstance(value, str) or number):
            return self._fraction(value, where)
        if hint in (str, bool) and isinstance(value, hint):
            return value
        whole = "a positive whole number" if self.least > 0 else "a whole number, 0 or more"
        wanted = whole if hint is int else _WANTED.get(hint, "what belongs there")
        raise self.error(f"{where} is {value!r}, not {wanted}", "correct it")

    def _fraction(self, value: str | float, where: str) -> Fraction:
        try:
            result = Fraction(value) if not isinstance(value, str) or _FRACTION.fullmatch(value) else Fraction(0)
        except (ValueError, ZeroDivisionError):
            result = Fraction(0)
        if result <= 0:
            raise self.error(f"{where} is {value!r}, not a positive number or fraction such as 125/4", "correct it")
        return result


def plain(value: Any) -> Any:
    """``value`` in the types of YAML: dataclasses and mappings as dicts, tuples as lists, Fractions as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, Fraction) else value


def _is_plain(value: Any) -> bool:
    """Whether JSON can hold it: YAML also knows dates, sets, binary data and keys that are not text."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(entry) for entry in value)
    return value is None or isinstance(value, str | bool | int | float)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy naming the nearest of ``known``, or all of them."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(words)}"
