"""All that is known of a folder as one page: markup, style and script in a single file that asks nobody for anything.

Facts and pictures lie in it as JSON. Names come from strangers: in the JSON no character can end its element, and the
script puts them on the page as text. What may run and be loaded is the page's own, by its policy (CSP level 3).
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from foleygen import atomic, regular
from foleygen.cues.words import table
from foleygen.errors import ClipError, UsageError, printable
from foleygen.review.clip import Facts
from foleygen.review.pictures import Pictures

NAME = "review.html"
SCRIPTS = ("core", "pictures", "list", "player", "cues", "timeline", "stage", "served", "keys", "main")
"""In the order in which they refer to each other."""
_MARK = b'<meta name="generator" content="foleygen">'
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Page:
    """What is on a page besides its clips."""

    folder: Path
    served: bool = False
    shards: tuple[tuple[str, ...], ...] | None = None
    """Rows of the table of shards: number, clips, done, skipped, failed, sound, time, exit code."""


def text(page: Page, clips: Sequence[Facts], pictures: Iterable[tuple[str, Pictures]] = ()) -> str:
    """The page; ``pictures`` are by the ids of clips, and drawn as the page is written."""
    blocks = [_block(f"pictures-{name}", drawn(found)) for name, found in pictures]
    shown = os.path.abspath(page.folder)
    document = {
        "folder": printable(os.path.basename(shown)),
        "id": hashlib.sha256(os.fsencode(shown)).hexdigest()[:16],
        "served": page.served,
        "shards": page.shards,
        "words": words(),
        "clips": [asdict(clip) for clip in clips],
    }
    title = f"{'Report' if page.shards is not None else 'Review'}: {printable(os.path.basename(shown))}"
    parts = {
        "policy": escape(policy()),
        "title": escape(title),
        "style": _asset("page.css"),
        "script": script(),
        "facts": _safe(document),
        "pictures": "\n".join(blocks),
    }
    before, *rest = _asset("page.html").split("@")
    return before + "".join(parts[part] if index % 2 == 0 else part for index, part in enumerate(rest))


def write(path: Path, content: str) -> None:
    """Publish the page, over an earlier one too.

    Raises UsageError for anything else that is there, ClipError where the folder cannot be written, RetryableError when
    the disk is full.
    """
    if os.path.lexists(path) and not _is_page(path):
        raise UsageError(f"{printable(path)}: exists and was not made by foleygen", "move it to another name")
    try:
        with atomic.publish(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    except ClipError as error:
        raise ClipError(error.message, "give its clips another folder, or review it with --serve") from error


def _is_page(path: Path) -> bool:
    try:
        with regular.opened(path) as file:
            return _MARK in file.read(_HEAD_BYTES)
    except OSError:
        return False


def drawn(found: Pictures) -> dict[str, Any]:
    """Pictures as the script wants them: what is seen, and what is heard."""
    return {
        "seen": {"poster": found.poster, "motion": found.motion},
        "heard": {"sounds": [asdict(sound) for sound in found.sounds]},
    }


@cache
def policy() -> str:
    """What the page may do: run its own script, show what lies beside it, and talk to where it came from."""
    style, code = _hash(_asset("page.css")), _hash(script())
    return (
        f"default-src 'none'; script-src {code}; style-src {style}; img-src data:; media-src 'self' file:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )


@cache
def script() -> str:
    """All of the page's script, in a scope of its own."""
    return "(() => {\n" + "\n".join(_asset(f"{name}.js") for name in SCRIPTS) + "})();\n"


@cache
def words() -> list[str]:
    """What a cue's sound can be called: things, and what happens to each material."""
    known = table()
    pairs = [f"{material} {name}" for name, family in known.families.items() for material in family.materials]
    return sorted({*known.things, *known.families, *known.materials, *pairs})


@cache
def _asset(name: str) -> str:
    return (files("foleygen.review") / "assets" / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _block(name: str, content: object) -> str:
    return f'<script type="application/json" id="{name}">{_safe(content)}</script>'


def _safe(content: object) -> str:
    """JSON without any character that means something in HTML."""
    found = json.dumps(content, allow_nan=False)
    return found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
