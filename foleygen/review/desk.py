"""A folder that is being reviewed: its clips by their ids, and what a page may do with each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from foleygen.errors import ClipError, UsageError, printable
from foleygen.facts import take_file
from foleygen.record import finding, sidecar, takes
from foleygen.review import page, pictures, sheet
from foleygen.review.clip import Facts, identity, source_of
from foleygen.review.folder import facts_of, outputs
from foleygen.review.rendering import Progress, Rendering
from foleygen.review.seen import Seen
from foleygen.review.tag import digest
from foleygen.settings import Settings

_KEPT = 64
"""Clips whose pictures stay in memory."""


class ChangedError(UsageError):
    """Somebody else has changed what a page wants to change."""


class BusyError(UsageError):
    """Another clip is being made."""


class OutsideError(ClipError):
    """A path that is none of the folder's."""


class Desk:
    """One folder, for all the pages that are open on it."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Raises UsageError for what is no folder, NoClipsError for one without clips."""
        self._folder = folder
        self._root = Path(os.path.realpath(folder))
        self._outputs = {identity(output, folder): output for output in outputs(folder)}
        self._seen = Seen(folder)
        self._lock = threading.Lock()
        self._drawing = threading.Lock()
        self._rendering = Rendering(settings)
        self._drawn: Callable[[str, str, str], dict[str, Any]] = lru_cache(_KEPT)(self._draw)

    def page(self) -> str:
        """The page, with what is known now; clips that are new since then are on it."""
        self._outputs |= {identity(output, self._folder): output for output in outputs(self._folder)}
        found = [facts for output in self._outputs.values() if (facts := facts_of(output, self._folder)) is not None]
        return page.text(page.Page(self._folder, served=True), self._seen.marked(found))

    def facts(self, name: str) -> Facts:
        """What is known of a clip now. Raises UsageError for one that is gone."""
        found = facts_of(self._output(name), self._folder)
        if found is None:
            raise UsageError("this clip is not in the folder any more", "reload the page")
        return self._seen.marked([found])[0]

    def media(self, name: str, what: str) -> Path:
        """The file of ``video``, ``own`` or ``take-N``. Raises OutsideError for one that is not in the folder."""
        output = self._output(name)
        kind, _, number = what.partition("-")
        if what == "video":
            path = output
        elif what == "own":
            path = source_of(output, sidecar.load(output))
        elif kind == "take" and number.isascii() and number.isdecimal() and len(number) < 3:
            path = take_file(output, int(number))
        else:
            raise UsageError("the page asks for a file that there is not", "reload it")
        return self._inside(path)

    def pictures(self, name: str, part: str) -> dict[str, Any]:
        """What is drawn of a clip, one clip after the other."""
        output = self._output(name)
        with self._drawing:
            return self._drawn(name, part, digest(sidecar.path_for(output)))

    def note_seen(self, name: str) -> None:
        """Remember that somebody has looked at a clip. Raises ClipError where the folder cannot be written."""
        self._output(name)
        with self._lock:
            self._seen.note(name)

    def save(self, name: str, tag: str, content: bytes) -> None:
        """Save cues beside the clip, if their file still has ``tag``. Raises ChangedError, and as ``sheet.save``."""
        output = self._output(name)
        with self._lock:
            record = sidecar.load(output)
            source = source_of(output, record)
            path = sheet.path_of(output, source)
            if (digest(path) or sheet.NONE) != tag:
                fact = f"{printable(path.name)} was changed by somebody else since this page read it"
                raise ChangedError(fact, "reload the page to see their cues; yours are not saved")
            sheet.save(output, record, source, content)

    def pick(self, name: str, tag: str, take: int) -> None:
        """Put a take into the clip, if its sidecar still has ``tag``. Raises ChangedError, and as ``takes.pick``."""
        with self._lock:
            output = self._unchanged(name, tag)
            if self._rendering.progress().state == "running":
                raise BusyError("a clip is being made again", "wait until it is done")
            takes.pick(output, take)

    def render(self, name: str, tag: str) -> None:
        """Begin to make the clip again with the cues beside it. Raises ChangedError, BusyError, or ClipError."""
        with self._lock:
            output = self._unchanged(name, tag)
            record = sidecar.load(output)
            source = source_of(output, record)
            if not source.is_file():
                raise ClipError(f"{printable(source.name)}: the source is not where it was", "put it back")
            cues = sheet.path_of(output, source)
            if not self._rendering.begin(output, record, source, cues if cues.is_file() else None):
                raise BusyError("another clip is being made", "wait until it is done")

    def progress(self) -> Progress:
        """How far the rendering is."""
        return self._rendering.progress()

    def stop(self) -> None:
        """End a rendering that is under way; nothing half-written stays."""
        self._rendering.stop()

    def _output(self, name: str) -> Path:
        found = self._outputs.get(name)
        if found is None:
            raise UsageError("this clip is not in the folder", "reload the page")
        return found

    def _unchanged(self, name: str, tag: str) -> Path:
        output = self._output(name)
        if digest(sidecar.path_for(output)) != tag:
            raise ChangedError(f"{printable(output.name)} was made again since this page read it", "reload the page")
        return output

    def _inside(self, path: Path) -> Path:
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self._root):
            raise OutsideError(
                f"{printable(path.name)}: lies outside of the folder that is reviewed", "review its own folder"
            )
        if not real.is_file():
            raise OutsideError(f"{printable(path.name)}: is not there", "reload the page")
        return real

    def _draw(self, name: str, part: str, tag: str) -> dict[str, Any]:
        output = self._output(name)
        self._inside(output)
        found = finding.find(output)
        drawn = pictures.seen(found) if part == "seen" else pictures.heard(found)
        made: dict[str, Any] = page.drawn(drawn)[part]
        return made
