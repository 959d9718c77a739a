"""Clips -> where each finished clip goes; everything that would collide is refused before any work."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Formatter

from foleygen.batch.collisions import form_of, shared, suspects
from foleygen.batch.discover import Clip
from foleygen.batch.frozen import Frozen
from foleygen.cues.spotting import NOTHING, Spotter, Spotting
from foleygen.cues.words import CATID
from foleygen.errors import ClipError, UsageError
from foleygen.facts import MARK
from foleygen.settings import RenderSettings, Settings
from foleygen.strict import did_you_mean

log = logging.getLogger(__name__)

FIELDS = ("stem", "ext", "seed", "take", "model", "catid", "creator", "source")
NAME_BYTES = 255
"""Longest file name of the usual file systems."""


@dataclass(frozen=True)
class Planned:
    """One clip and its output; ``problem`` says why it cannot have one."""

    clip: Clip
    output: Path
    problem: ClipError | None = None
    spotting: Spotting = NOTHING
    """What was said of it, before anybody has seen it."""
    alone: bool = False
    """Nothing else goes on in the process that works on it: what kills that is the clip."""


def spotter_of(settings: Settings) -> Spotter:
    """Who finds what is said of each clip."""
    return Spotter(
        settings.cues, settings.sound, settings.fill, settings.picture, settings.midi_map, settings.cues_start
    )


def spotted(planned: Sequence[Planned], settings: Settings, others: bool) -> tuple[list[Planned], list[str]]:
    """The same with what ``settings`` and files say of each clip, and remarks on that; ``others`` as in Spotter.of.

    Raises UsageError.
    """
    spotter = spotter_of(settings)
    return [replace(item, spotting=_said(item.clip, spotter, others)) for item in planned], spotter.remarks()


def _said(clip: Clip, spotter: Spotter, others: bool) -> Spotting:
    return spotter.of(clip.path, clip.mirror, others, clip.own.sound)


def plan(clips: Iterable[Clip], settings: Settings, part: Sequence[int] | None = None) -> list[Planned]:
    """One Planned per clip, in order; with ``part`` only for the clips of these numbers, but the names of all count.

    Raises UsageError for a wrong template, or outputs that collide.
    """
    check_template(settings.name)
    check_voice(settings)
    found = clips if isinstance(clips, Sequence) else list(clips)
    planner = _Planner(settings, others=len(found) > 1)
    if part is None:
        planned = [planner.planned(clip) for clip in found]
        _refuse_collisions(planned)
        return planned
    if found:
        planner.stem(found[0])  # a template that does not fit is told even where there is nothing to do
    _refuse_collisions([planner.planned(found[number]) for number in planner.suspects(found)])
    return [planner.planned(found[number]) for number in part]


def check_voice(settings: Settings) -> None:
    """Raises UsageError for a voice that has nothing to play."""
    if settings.voice != "model" and settings.library is None:
        fact = f"--voice {settings.voice}: there is no library to play from"
        raise UsageError(fact, "name a folder of recordings with --library DIR")
    if settings.voice == "model" and (settings.library is not None or settings.library_index is not None):
        log.warning("the library is not played, since the voice is the model's: choose --voice library or both")


def check_template(template: str) -> None:
    """Raises UsageError unless ``template`` holds only plain FIELDS, and names a file in the same folder."""
    try:
        named = [(name, form or "") for _, name, form, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"--name: {template!r} is not a template ({error})", "close each brace") from error
    for name, form in named:
        if "{" in form or any(int(number[:9]) > NAME_BYTES for number in re.findall("[0-9]+", form)):
            raise UsageError(f"--name: {{{name}:...}} has a format that no name can have", "use a plain one: {seed:05}")
        if name not in FIELDS:
            raise UsageError(f"--name: unknown field {{{name}}}", did_you_mean(name, FIELDS))
    if any(mark in template for mark in ("/", os.sep, "\0", "\n")):
        raise UsageError(f"--name: {template!r} holds a path", "give the folder with -o/--output")


def output_name(template: str, clip: Path, settings: Settings, catid: str = CATID) -> str:
    """The file name of the finished clip, suffix included; ``template`` has passed check_template."""
    return output_stem(template, clip, settings, catid) + output_suffix(clip, settings)


def output_stem(template: str, clip: Path, settings: Settings, catid: str = CATID) -> str:
    """The same without its suffix, for which the file is not looked at."""
    # The Universal Category System parts a name at its underlines and hyphens: no field has any of its own.
    parted = _apart if "{catid}" in template else str
    values = {
        **_same_for_all(settings),
        "stem": parted(clip.stem),
        "catid": catid,
        "creator": parted(settings.creator),
        "source": parted(settings.source),
        "ext": clip.suffix.removeprefix("."),
    }
    try:
        stem = template.format_map(values)
    except (ValueError, LookupError, OverflowError, TypeError) as error:
        raise UsageError(f"--name: {template!r} does not fit its fields ({error})", "correct the format") from error
    _check_name(template, stem, clip)
    if not stem.strip(". ") or stem.startswith(".") != clip.name.startswith("."):
        raise UsageError(f"--name: {template!r} gives {clip.name!r} no visible name", "begin it with {stem}")
    return stem


def _same_for_all(settings: Settings) -> dict[str, str | int]:
    """The fields of a template that no clip has of its own."""
    return {
        "creator": settings.creator,
        "source": settings.source,
        "seed": settings.seed,
        "take": RenderSettings.take,
        "model": Path(settings.model).name,
    }


def _check_name(template: str, stem: str, clip: Path) -> None:
    """Raises UsageError for a name that leads elsewhere, or has what a file's name cannot have or should not."""
    new, never = set(stem) - set(clip.name), {"/", os.sep, "\0"}
    wrong = next((char for char in stem if char in never or (char in new and not char.isprintable())), None)
    try:
        os.fsencode(stem)
    except UnicodeEncodeError as error:
        wrong = error.object[error.start]
    if wrong in ("/", os.sep):
        raise UsageError(f"--name: {template!r} holds a path for {clip.name!r}", "give no field a slash")
    if wrong is not None:
        raise UsageError(f"--name: {template!r} gives a name with {wrong!a} in it", "correct the format")


def _apart(text: str) -> str:
    return " ".join(text.replace("_", " ").replace("-", " ").split())


def output_suffix(clip: Path, settings: Settings) -> str:
    """The suffix of the finished clip: that of ``--container``, else the clip's own where that holds it."""
    if settings.container != "auto":
        return f".{settings.container}"
    from foleygen.media.suffix import suffix_for

    return suffix_for(clip, settings.max_pixels)


class _Planner:
    """What ``settings`` make of each clip; ``others`` says that it is not alone in its batch."""

    def __init__(self, settings: Settings, others: bool) -> None:
        self._settings = settings
        self._others = others
        self._spotter = spotter_of(settings) if "{catid}" in settings.name else None

    def stem(self, clip: Clip) -> Path:
        """Its output without the suffix."""
        settings = self._settings
        folder = clip.path.parent if settings.output is None else settings.output / clip.mirror
        said = NOTHING if self._spotter is None else _said(clip, self._spotter, self._others)
        return folder / output_stem(settings.name, clip.path, settings, said.catid)

    def planned(self, clip: Clip) -> Planned:
        stem = self.stem(clip)
        output = stem.with_name(stem.name + output_suffix(clip.path, self._settings))
        longest = max(len(os.fsencode(output.name)), len(os.fsencode(output.stem.removesuffix(MARK))) + 11)
        if longest > NAME_BYTES:
            problem = ClipError(f"{clip.path}: its output's name would be too long", "give a shorter one with --name")
            return Planned(clip, output, problem)
        return Planned(clip, output)

    def suspects(self, clips: Sequence[Clip]) -> list[int]:
        """Numbers of the clips that names alone do not acquit of a collision."""
        form = form_of(self._settings.name, _same_for_all(self._settings))
        if form is not None and isinstance(clips, Frozen):
            return suspects(clips, form, self._settings.output)
        outputs = (os.fsencode(os.path.abspath(self.stem(clip))) for clip in clips)
        return shared(outputs, (os.fsencode(os.path.abspath(clip.path.parent / clip.path.stem)) for clip in clips))


def _refuse_collisions(planned: Sequence[Planned]) -> None:
    inputs = {os.path.abspath(item.clip.path): item.clip.path for item in planned}
    outputs: dict[str, Path] = {}
    for item in planned:
        place = os.path.abspath(item.output)
        if place in inputs:
            raise UsageError(
                f"{item.clip.path}: its output {item.output} would overwrite an input",
                "choose another --name or -o/--output",
            )
        first = outputs.setdefault(place, item.clip.path)
        if first != item.clip.path:
            raise UsageError(
                f"{first} and {item.clip.path}: both would become {item.output}",
                'give each its own name with --name "{stem}.{ext}.foley", or name their folder instead of the files',
            )
