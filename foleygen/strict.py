"""Text files and YAML, strictly: what a file may be, and how it becomes frozen dataclasses.

A file is regular, UTF-8 and of limited size. In YAML an alias, a key that stands twice, an unknown or missing key and a
value of another type are errors. Whatever is wrong is one short sentence.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from foleygen import regular
from foleygen.errors import FoleygenError

Section = TypeVar("Section")

MOST_BYTES = 2**20
"""Of a YAML file; the largest that is written here has a few kilobytes."""
_SHOWN = 80
"""Characters of a value in a message."""
_REASON = 160
_DIGITS = 4000
"""Python refuses to write whole numbers with more than 4300."""
_MEND = "correct it or fetch it again"

_FRACTION = re.compile(r"[0-9]{1,40}(?:[./][0-9]{1,40})?")
"""Without exponents: 1e1000000000 would take the memory that its digits need."""
_WANTED = {float: "a number", bool: "true or false", str: "text"}


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """The types of a dataclass' fields; evaluating their text costs more than checking what was read."""
    return typing.get_type_hints(kind)


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
                word = key if isinstance(key, str) else shown(key)
                raise self.error(f"{where}: has an unknown key {shown(key)}", did_you_mean(word, known))
        hints = _hints(kind)  # type: ignore[arg-type]
        values = {}
        for name, item in known.items():
            if name in content:
                values[name] = self._value(content[name], hints[name], f"{where}: {name}")
            elif item.default is MISSING and item.default_factory is MISSING:
                raise self.error(f"{where}: the key {name!r} is missing", "add it")
        return kind(**values)

    def mapping(self, path: Path, missing: str = "check the path") -> dict[str, Any]:
        """The mapping in a YAML file, plain types only; ``missing`` is the next step where there is no file."""
        content = yaml_document(path, self.error, missing)
        if not isinstance(content, dict):
            fact = "is empty" if content is None else "is not a mapping of keys to values"
            raise self.error(f"{path}: {fact}", _MEND)
        return content

    def _value(self, value: Any, hint: Any, where: str) -> Any:
        """``value`` if it is of the annotated type ``hint``, converted where YAML has no such type."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            inner = next(kind for kind in arguments if kind is not type(None))
            return None if value is None else self._value(value, inner, where)
        if origin is Literal:
            if value in arguments:
                return arguments[arguments.index(value)]  # 1 where a file says 1.0 or true
            raise self.error(f"{where} is {shown(value)}", f"use one of {', '.join(map(str, arguments))}")
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
        raise self.error(f"{where} is {shown(value)}, not {wanted}", "correct it")

    def _fraction(self, value: str | float, where: str) -> Fraction:
        try:
            result = Fraction(value) if not isinstance(value, str) or _FRACTION.fullmatch(value) else Fraction(0)
        except (ValueError, ZeroDivisionError):
            result = Fraction(0)
        if result <= 0:
            fact = f"{where} is {shown(value)}, not a positive number or fraction such as 125/4"
            raise self.error(fact, "correct it")
        return result


def file_text(path: Path, error: type[FoleygenError], missing: str = "check the path", most: int = MOST_BYTES) -> str:
    """The text of a regular UTF-8 file of at most ``most`` bytes; ``missing`` is the next step where there is none."""
    try:
        with regular.opened(path) as file:
            content = file.read(most + 1)
    except regular.NotRegularError as problem:
        raise error(f"{path}: is not a regular file", "name another") from problem
    except (FileNotFoundError, NotADirectoryError) as problem:
        raise error(f"{path}: does not exist", missing) from problem
    except IsADirectoryError as problem:
        raise error(f"{path}: is a folder, not a file", missing) from problem
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "its name cannot be one"
        raise error(f"{path}: cannot be read ({reason})", missing) from problem
    if len(content) > most:
        raise error(f"{path}: has more than {most // 2**20} MiB", "name another")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{path}: is not UTF-8 text", _MEND) from problem


def yaml_document(path: Path, error: type[FoleygenError], missing: str = "check the path") -> object:
    """What a YAML file holds, plain types only; None for an empty one. Raises ``error``."""
    import yaml

    try:
        return yaml.load(file_text(path, error, missing), Loader=_loader())
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        mark = getattr(problem, "problem_mark", None)
        line = "" if mark is None else f" at line {mark.line + 1}"
        reason = getattr(problem, "problem", None) or str(problem)
        raise error(f"{path}: is not valid YAML{line} ({shortened(reason, _REASON)})", _MEND) from problem


def json_document(
    path: Path, error: type[FoleygenError], missing: str = "check the path", most: int = MOST_BYTES
) -> object:
    """What a JSON file of at most ``most`` bytes holds. Raises ``error``."""
    text = file_text(path, error, missing, most)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        fact = "is not valid JSON" if text.strip() else "is empty"
        raise error(f"{path}: {fact}", _MEND) from problem


@cache
def _loader() -> type[Any]:
    """PyYAML's safe loader, without what makes a small file large (aliases), or one key two."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise _refused("aliases are not taken", self.peek_event())  # type: ignore[no-untyped-call]
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            names: set[str] = set()
            for key, _ in node.value:
                if key.tag.endswith(":merge"):
                    raise _refused("keys are not merged with <<", key)
                if isinstance(key.value, str) and key.value in names:
                    raise _refused(f"the key {shown(key.value)} stands twice", key)
                names |= {key.value} if isinstance(key.value, str) else set()
            return super().construct_mapping(node, deep)

    return Loader


def _refused(fact: str, place: Any) -> Exception:
    """PyYAML's own error, at the ``place`` of a node or an event."""
    import yaml

    return yaml.MarkedYAMLError(problem=fact, problem_mark=place.start_mark)


def shown(value: object) -> str:
    """A value in a message: its repr, cut short."""
    if isinstance(value, int) and value.bit_length() > 3 * _DIGITS:
        return f"a number of {value.bit_length()} bits"
    try:
        return shortened(repr(value), _SHOWN)
    except ValueError:  # of the number within
        return f"a {type(value).__name__} with a number of thousands of digits"


def shortened(text: str, most: int = _SHOWN) -> str:
    """``text`` in one line of at most ``most`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


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


def did_you_mean(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """A remedy naming the nearest of ``known``, or all of them; ``alike`` (0 to 1) is how near its spelling must be."""
    words = sorted(known)
    near = difflib.get_close_matches(shortened(word), words, n=1, cutoff=alike)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(words)}"
