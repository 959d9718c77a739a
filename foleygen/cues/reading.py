"""A file with cues, opened within limits: it may come from a stranger."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from foleygen import regular
from foleygen.cues.cue import MAX_CUES
from foleygen.errors import UsageError, printable

MAX_BYTES = 64 * 2**20
HEAD_BYTES = 4096

LABEL = re.compile(r"[0-9]{2}[:;][0-9]{2}[:;][0-9]{2}[:;.,][0-9]{2,3}")
"""A timecode, at whatever rate."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?")
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class CueFile:
    """One file, and what is wanted of it."""

    path: Path
    clip: str = ""
    """Name of the clip, for files that speak of several."""
    sounds: Mapping[int, str] = field(default_factory=dict)
    """What MIDI notes stand for."""

    def error(self, fact: str, remedy: str) -> UsageError:
        """What to raise when the file is at fault."""
        return UsageError(f"{printable(self.path)}: {fact}", remedy)

    def where(self, place: str) -> str:
        """How messages name a place in it."""
        return f"{printable(self.path)}: {place}"

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """It, open to be read. Raises UsageError for what is no file that can be read."""
        try:
            with regular.opened(self.path) as file:
                yield file
        except FileNotFoundError as error:
            raise self.error("does not exist", "check the path") from error
        except IsADirectoryError as error:
            raise self.error("is a folder", "name a file in it") from error
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror})", "check the path and its permissions") from error
        except ValueError as error:
            raise self.error("is no path", "check the path") from error

    def head(self) -> str:
        """The first HEAD_BYTES as text, whatever they are. Raises UsageError for what is no file that can be read."""
        found = self._read(HEAD_BYTES)
        return found.decode(_encoding(found), "replace")

    def data(self) -> bytes:
        """All of it. Raises UsageError, for one larger than MAX_BYTES too."""
        found = self._read(MAX_BYTES + 1)
        if len(found) > MAX_BYTES:
            raise self.error(f"is larger than {MAX_BYTES >> 20} MB", "give a file with the cues of one clip")
        return found

    def text(self) -> str:
        """All of it as text: UTF-8, or UTF-16 that says so. Raises UsageError."""
        found = self.data()
        try:
            text = found.decode(_encoding(found))
        except UnicodeDecodeError as error:
            raise self.error("is not text in UTF-8", "save it again as UTF-8") from error
        if "\0" in text:
            raise self.error("is not text", "give a file of the kind that its name says")
        return text

    def counted(self, number: int) -> None:
        """Raises UsageError where a file has more cues than a clip can need."""
        if number > MAX_CUES:
            raise self.error(f"has more than {MAX_CUES:,} cues", "give a file with the cues of one clip")

    def _read(self, most: int) -> bytes:
        with self.opened() as file:
            return file.read(most)


def _encoding(content: bytes) -> str:
    return "utf-16" if content.startswith(_MARKS) else "utf-8-sig"


def number(text: str) -> Fraction | None:
    """The decimal number that ``text`` is, exactly; None for anything else, ``nan`` and ``inf`` too."""
    return Fraction(text.strip()) if _NUMBER.fullmatch(text.strip()) else None


def is_label(text: str) -> bool:
    """Whether ``text`` is written like a timecode."""
    return LABEL.fullmatch(text.strip()) is not None
