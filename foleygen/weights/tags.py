"""The plain words that the embedded ambience bundle knows: which tag a prompt names.

The table is ``tags.yaml``: tags, the words that mean them, and what they are learnt from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from foleygen.errors import SetupError
from foleygen.strict import Reader

TABLE = Path(__file__).with_name("tags.yaml")


@dataclass(frozen=True)
class Tag:
    """``words`` mean it, each a word or a few; ``recordings`` is a pattern for file names, ``scenes`` are families."""

    words: tuple[str, ...]
    recordings: str | None = None
    scenes: tuple[str, ...] = ()


@cache
def table() -> Mapping[str, Tag]:
    """Every tag by name, in the order of the file."""
    reader = Reader(SetupError)
    content = reader.mapping(TABLE, "install foleygen again")
    return {name: reader.section(Tag, entry, f"{TABLE}: {name}") for name, entry in content.items()}


def find(prompt: str, known: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """The tags that a prompt names, each once, in the prompt's order; empty when it names none.

    Of words that overlap the longest counts; case, punctuation and a plural s do not. ``known`` are the tags of a
    bundle, else all.
    """
    spoken = " ".join(_singular(word) for word in re.findall(r"[^\W_]+", prompt.lower()))
    found: list[tuple[int, str]] = []
    for phrase, tag in _phrases(known):
        for match in re.finditer(rf"(?<!\S){re.escape(phrase)}(?!\S)", spoken):
            found.append((match.start(), tag))
            spoken = spoken[: match.start()] + "\0" * len(phrase) + spoken[match.end() :]
    return tuple(dict.fromkeys(tag for _, tag in sorted(found)))


def _phrases(known: tuple[str, ...] | None) -> list[tuple[str, str]]:
    """(singular words, tag), the longest first."""
    chosen = {name: tag for name, tag in table().items() if known is None or name in known}
    pairs = {
        " ".join(_singular(word) for word in phrase.split()): name
        for name, tag in chosen.items()
        for phrase in (name, *tag.words)
    }
    return sorted(pairs.items(), key=lambda pair: -len(pair[0]))


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith(("ches", "shes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
