"""What a shell may propose for values that are no fixed choices: models, recipes, levels, words.

Nothing is verified and no model is opened: a file that cannot be read proposes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from foleygen.settings import LOUDNESS_PRESETS, Spec

_PACKAGE = Path(__file__).parent.parent


def of_setting(name: str, rule: Spec, incomplete: str) -> list[str]:
    """Proposals for a setting's value that begin with ``incomplete``."""
    if rule.kind == "model":
        return _begun(models(), incomplete)
    if rule.kind == "loudness":
        return _begun(("off", *LOUDNESS_PRESETS), incomplete)
    if rule.kind == "words":
        return _begun(_keys(_PACKAGE / "cues" / "words.yaml", "  "), incomplete)
    if name == "ambience":
        return _begun(ambience_words(), incomplete)
    return _begun((rule.auto,), incomplete) if rule.auto and rule.kind in ("whole", "number") else []


def recipes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The packaged recipes that begin with ``incomplete``."""
    return _begun((path.stem for path in (_PACKAGE / "training" / "recipes").glob("*.yaml")), incomplete)


def models() -> Iterator[str]:
    """The installed bundles, and those that can be fetched."""
    from foleygen.weights import store

    try:
        yield from (path.name for path in store.installed())
    except OSError:
        return


def ambience_words() -> Iterator[str]:
    """The words of the embedded ambience bundle."""
    return _keys(_PACKAGE / "weights" / "tags.yaml", "")


def _keys(path: Path, indent: str) -> Iterator[str]:
    """The keys of a YAML file of the package that stand at ``indent``, without the time that a parser takes."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return
    yield from re.findall(rf"^{indent}([a-z][a-z _]*):$", text, re.MULTILINE)


def _begun(words: Iterable[str], incomplete: str) -> list[str]:
    return sorted({word for word in words if word.startswith(incomplete)})
