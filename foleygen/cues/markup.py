"""XML from strangers: without entities, without anything from outside, and not too deep."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from xml.parsers import expat

from foleygen.cues.reading import CueFile

MAX_DEPTH = 200
MAX_ELEMENTS = 2_000_000


class _RefusedError(ValueError):
    """What a document holds that none of these formats needs."""


def parsed(file: CueFile) -> ET.Element:
    """The root of an XML file. A DOCTYPE is fine, a declaration of entities is not. Raises UsageError."""
    try:
        return tree(file.data())
    except _RefusedError as error:
        raise file.error(f"{error}, and is not read", "export it again from the editing program") from error
    except ValueError as error:
        raise file.error(f"is not XML that can be read ({error})", "export it again") from error


def tree(content: bytes) -> ET.Element:
    """The root of a document. Raises ValueError for what is not XML, or has what none of these formats needs."""
    builder, parser = _Builder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = builder.entity
    parser.ExternalEntityRefHandler = builder.external
    try:
        parser.Parse(content, True)
        return builder.close()
    except _RefusedError:
        raise
    except (expat.ExpatError, ET.ParseError, ValueError, LookupError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def text(element: ET.Element, tag: str) -> str:
    """The text of a child, empty where there is none."""
    return (element.findtext(tag) or "").strip()


def with_parents(root: ET.Element) -> Iterator[tuple[ET.Element, tuple[ET.Element, ...]]]:
    """Every element with the ones that it is in, the outermost first; in the document's order."""
    waiting: list[tuple[ET.Element, tuple[ET.Element, ...]]] = [(root, ())]
    while waiting:
        element, parents = waiting.pop()
        yield element, parents
        waiting += [(child, (*parents, element)) for child in reversed(element)]


class _Builder:
    """The tree as expat tells it, counted."""

    def __init__(self) -> None:
        self._tree = ET.TreeBuilder()
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1
        if self._depth > MAX_DEPTH:
            raise _RefusedError(f"is nested more than {MAX_DEPTH} elements deep")
        if self._count > MAX_ELEMENTS:
            raise _RefusedError(f"has more than {MAX_ELEMENTS:,} elements")
        self._tree.start(tag, attributes)

    def end(self, tag: str) -> None:
        self._depth -= 1
        self._tree.end(tag)

    def data(self, content: str) -> None:
        self._tree.data(content)

    def entity(self, name: str, *_: object) -> None:
        raise _RefusedError(f"declares the entity {name!r}")

    def external(self, *_: object) -> int:
        raise _RefusedError("refers to another file")

    def close(self) -> ET.Element:
        return self._tree.close()
